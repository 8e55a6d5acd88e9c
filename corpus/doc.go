// Package corpus is the data path: files of text in, batches of tokens out.
//
// The path of one text, in file order:
//
//	list.go       PATHs (file, directory, glob) become an ordered list of files
//	apart.go      what is written lies outside them
//	file.go       a file is opened, decompressed, checked for UTF-8, hashed
//	text.go       text and Markdown are cut into documents of at most TextPart bytes
//	jsonl.go      each JSONL line is a document
//	corpus.go     Open reads everything once and decides; Documents reads it again
//	split.go      exact duplicates are dropped, validation is chosen by content hash
//	provenance.go what was read, from where, under which licence
//	tokens.go     documents become tokens, in parallel, in memory or in a mapped file (tokenfile.go)
//	pack.go       documents are cut and packed into rows
//	sampler.go    rows become batches, in an order that a seed and a cursor name
//	mixture.go    languages and sources get other shares than they have, if asked for
//	evaluation.go validation documents become fixed batches, by language
//	replay.go     recorded batches come back as they were
//	embedded.go   the corpus inside the program
//
// # Basics
//
// Open makes one complete pass: it checks that files are text, hashes them, finds duplicates and
// chooses the validation documents. Every later pass (to train a tokenizer, to tokenise) reads the
// files again and takes the same decisions without thinking; a file that changed in between is an
// error. So memory is one byte a document, one buffer a file, and 16 bytes a distinct document
// while Open runs.
//
// # Caveats
//
// Text is trained on as it is: no Unicode normalisation is done, because a model must see what its
// users type; Report counts the documents that are not in NFC. Of text and Markdown files only the
// byte order mark and the CR of CR LF are dropped; strings in JSONL are exact.
//
// Duplicates are equal texts, byte for byte. Nothing is done about near duplicates.
package corpus
