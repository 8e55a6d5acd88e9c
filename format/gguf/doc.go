// Package gguf reads and writes GGUF files, the single-file format of
// llama.cpp: typed metadata, a table of tensors, then their packed bytes.
//
// A path flows in (Open; OpenModel for models split over files), ordered
// metadata and named tensors flow out, the tensors as views of the mapped file. In the other direction Write takes
// Metadata and a list of tensors that produce their bytes one after another,
// and makes one file of version 3, whole or not at all. CheckModel says, from
// keys and names alone, what would keep a file from loading.
//
// Shapes are row-major here as everywhere in this project, slowest index
// first: a linear layer is [out, in]. The file itself stores them reversed.
//
// # Caveats
//
// Tensor.Data points into the mapped file: it is read-only and invalid after
// Close. Metadata is copied and outlives the file.
//
// Source: the format's description in the ggml repository, docs/gguf.md.
package gguf
