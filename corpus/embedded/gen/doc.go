// Command gen makes the embedded corpus from the project's data kit (see picks.go for the choice):
//
//	go run ./corpus/embedded/gen -data DIR [-out corpus/embedded]
//
// It writes corpus.jsonl.zst, sources.json and ATTRIBUTION.md. The same kit gives the same bytes:
// no clock, no random numbers, no map order. It fails rather than take a licence that is not free,
// a file whose SHA-256 is not the manifest's, or more than 4 MB.
package main
