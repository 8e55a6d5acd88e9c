// Package export writes the model of a weights.Source, whatever files it is in, as a GGUF, the single-file
// format of llama.cpp (WriteGGUF), or as a directory in Hugging Face layout (WriteDirectory). It also reads
// the tokenizer of a GGUF (Tokenizer).
//
// Rows flow from the mapped source through all threads, which decode, check and pack them, into the file:
// memory is that of a batch of rows, however large the model. What comes out is whole or not there.
//
// # Reading order
//
// rows.go tensors and the rows they are made of; layout.go which tensors either kind of file has; mixture.go
// what they are stored as; encode.go the path of a tensor; gguf.go and keys.go, tokenizer.go a GGUF and its
// metadata; directory.go a directory; importance.go how much each input counts.
//
// # Caveats
//
// A GGUF of V4 is without multi-token prediction layers: its readers do not know the head of their own that
// these have. Of other generations one such layer is kept.
//
// What the readers of a GGUF compute in one way only, and a model wants in another, is refused (some settings
// of YaRN); a model that comes from a GGUF keeps what that says. llama.cpp has two habits that are accepted:
// it uses rms_norm_eps for the norms inside latent attention too, where the published code has 1e-6, and
// scores the groups of experts of V2 as those of V3.
package export
