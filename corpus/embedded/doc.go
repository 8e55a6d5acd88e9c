// Package embedded holds the corpus inside the program: real text in nine languages under licences
// that let it be passed on, so that `create` needs no data. Out flow the compressed JSONL and the
// table of its sources; package corpus reads both.
//
// ATTRIBUTION.md says where each part is from, under which licence, and what was done to it.
//
//	go run ./corpus/embedded/gen -data DIR
//
// makes the three files anew from the data kit that ATTRIBUTION.md names, byte for byte.
package embedded

import (
	_ "embed"
	"encoding/json"
)

//go:embed corpus.jsonl.zst
var data []byte

//go:embed sources.json
var sources []byte

// Source is one part of the corpus.
type Source struct {
	Lang       string `json:"lang"`
	Source     string `json:"source"`
	Licence    string `json:"licence"` // SPDX name, or "public domain"
	Repository string `json:"repository"`
	Commit     string `json:"commit"`
	Author     string `json:"author"` // whom to credit
	// Translated says that the text is a machine's translation.
	Translated bool   `json:"machine_translated"`
	Changes    string `json:"changes"` // what was done to the text, as the licences ask to say
	Records    int    `json:"records"`
	Bytes      int    `json:"bytes"`
	// SHA256 is that of the texts, each followed by a NUL, in the order of the corpus.
	SHA256 string `json:"sha256"`
}

// JSONL returns the corpus: JSONL compressed with zstd. It must not be changed.
func JSONL() []byte { return data }

// Sources returns the table of ATTRIBUTION.md.
func Sources() []Source {
	var s []Source
	if err := json.Unmarshal(sources, &s); err != nil {
		panic("embedded: sources.json does not parse: " + err.Error()) // a test reads it
	}
	return s
}
