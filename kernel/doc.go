// Package kernel holds the numeric operations of the engine: matrix products, attention, norms,
// activations, losses and optimiser steps, forward and backward, over float32 slices.
//
// In: float32 activations and weights as plain slices, row-major, with explicit row strides.
// Out: float32 results. The DType of a Weight or a call says in which arithmetic matrix products
// run: F32, or BF16 (operands rounded to bfloat16, products accumulated in float32); everything
// else is float32.
//
// Every operation gives the same bits for any number of threads: work is cut by index, and each
// output element is summed by one worker in a fixed order. Dimension letters are those of the
// DeepSeek reports (B batch, T tokens, D hidden, H heads, E experts, K per token, F width, V
// vocabulary).
package kernel

//go:generate go run ./internal/asmgen
