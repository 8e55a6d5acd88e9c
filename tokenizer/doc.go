// Package tokenizer turns text into token ids and back: byte-level byte-pair encoding.
//
// In: a tokenizer.json (Hugging Face layout), the parts of a GGUF file, or text to train on. Out: ids, text, and the
// same tokenizer.json, which `tokenizers`, `transformers` and llama.cpp's converter read.
//
// # The path of a text
//
//	text ── added.go: added tokens such as <｜User｜> are cut out first
//	     ── nfc.go: NFC, only where the file asks for it (Qwen)
//	     ── scan_*.go: the pre-tokenizer cuts what is left into pieces
//	     ── encode.go: a small cache answers for pieces seen before
//	     ── bpe.go: lowest rank first, leftmost on ties, over the bytes of one piece
//	     ── ids
//
// # Basics
//
// [Load] reads a directory, [Parse] bytes, [New] the parts that GGUF stores, [Train] learns a vocabulary. A [Tokenizer]
// is safe for concurrent use. [Tokenizer.Encode] appends ids; [Tokenizer.Decode] gives text, [Stream] gives it token
// by token without ever cutting a character in two.
//
// # Caveats
//
// Text that a stranger wrote must be encoded with [EncodeOptions.NoAddedTokens], or it can inject control tokens; a prompt
// that frames such text goes through [Tokenizer.EncodeSpans].
//
// Only the pre-tokenizers of the DeepSeek family and of small models for tests are known (deepseek-v3, deepseek-llm,
// deepseek-coder, llama-bpe, qwen2, gpt-2, smollm), each as a hand-written scanner that equals the published regular
// expressions; any other is refused rather than approximated.
//
// Bytes that are not UTF-8 are encoded as they are and come back from [Tokenizer.AppendDecode]; [Tokenizer.Decode]
// replaces what is not UTF-8 by U+FFFD, as `tokenizers` does.
package tokenizer
