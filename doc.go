// Package haenyeo creates small language models of the DeepSeek-V3 architecture and runs them.
//
// It is the front door of the engine: [Create] trains a model from text and leaves a directory that
// transformers, llama.cpp and this package load; [Open] loads such a directory, one published by
// others, or a GGUF file; [Model.Generate] continues a text. Everything behind the door is a package
// of its own: model, train, infer, tokenizer, kernel and the others that docs/architecture.md names.
//
// # Caveats
//
// A Model computes one thing at a time: share it between goroutines by taking turns.
package haenyeo
