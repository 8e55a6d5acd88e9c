// Package hub fetches models from a server laid out as Hugging Face's, and finds those that are here.
//
// In: a name (org/name, org/name@revision, org/name:Q4_K_M). Out: a directory with config.json and its
// tensors, or a .gguf file. The path of one file: list.go asks what the repository holds, choose.go says
// which of it a model needs, transfer.go fetches it over several connections into a partial file,
// ranges.go remembers which parts of that are there, verify.go computes its checksum, and cache.go puts it
// where huggingface_hub would have, so that each finds what the other fetched. resolve.go is the way back,
// from a name to a path, and needs no network.
//
// # What a server cannot do
//
// Everything a server says is checked before it is used: names stay inside the directory, lists and
// headers have limits, a body is never read past the size that the list gave, redirects are few and never
// from https to http, the token goes to the server it is for and to no other. A file gets its final name
// only after its checksum was right; one that was wrong is set aside as .corrupt.
//
// # Caveats
//
// A server that lists neither SHA-256 nor git hash of a file gives nothing to check against: only its
// length is, and a warning is logged.
//
// The partial file is <etag>.haenyeo.incomplete, not the <etag>.incomplete of huggingface_hub: older
// versions of that continue such a file at its end, and ours is filled in several places at once.
package hub
