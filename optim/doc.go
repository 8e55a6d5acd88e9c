// Package optim turns gradients into better weights: AdamW, Muon as DeepSeek-V4 uses it, clipping
// by global norm, learning-rate schedules and a moving average of the weights.
//
// In: parameters as float32 slices, each with the gradient that the model added up. Out: the same
// slices updated in place and the gradients cleared. Master weights, moments and reductions are
// float32 (norms are summed in float64); only Muon's matrix products may run in bfloat16.
//
// One step: Norm measures the gradient, the caller decides whether to believe it, Step applies it.
// Nothing is allocated per step, and the same inputs give the same bits at any number of threads.
package optim
