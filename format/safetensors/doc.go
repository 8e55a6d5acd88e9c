// Package safetensors reads and writes safetensors files, the format in which
// models are published: a JSON header with names, types, shapes and byte
// ranges, then the raw little-endian numbers.
//
// A path flows in (Open for one file, OpenDir for a model directory with one
// file or many shards, with an index or named as one of so many), named tensors flow out as views of the mapped file.
// In the other direction Write takes a list of tensors that produce their
// bytes one after another and makes one file of them, whole or not at all.
//
// # Caveats
//
// Tensor.Data points into the mapped file: it is read-only and invalid after
// Close. Convert (Float32, Int64s) or copy what must live longer.
//
// Source: the format's description in the README of
// https://github.com/huggingface/safetensors.
package safetensors
