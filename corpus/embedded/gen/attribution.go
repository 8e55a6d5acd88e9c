// This file writes ATTRIBUTION.md.

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/haenyeo/haenyeo/corpus/embedded"
)

func attribution(sources []embedded.Source, size int, packed []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# Where the embedded corpus is from

Made by `+"`go run ./corpus/embedded/gen`"+` from the project's open multilingual data kit; do not edit.
%d bytes of JSONL, %d compressed; SHA-256 of corpus.jsonl.zst: %x.

Every text is in the public domain or under MIT or CC BY 4.0
(https://creativecommons.org/licenses/by/4.0/); of "MIT OR Apache-2.0" the MIT licence is taken.
Records keep the identifiers of the kit, so each can be traced to its page. None of the people
named here endorses this project.

| lang | source | repository @ commit | licence | by | machine translation | records | bytes | SHA-256 |
| --- | --- | --- | --- | --- | --- | ---: | ---: | --- |
`, size, len(packed), sha256.Sum256(packed))
	records, total := map[string]int{}, map[string]int{}
	var langs []string
	for _, s := range sources {
		mt := ""
		if s.Translated {
			mt = "yes"
		}
		fmt.Fprintf(&b, "| %s | %s | %s @ %.10s | %s | %s | %s | %d | %d | %.16s |\n", s.Lang, s.Source, s.Repository, s.Commit, s.Licence, s.Author, mt, s.Records, s.Bytes, s.SHA256)
		if total[s.Lang] == 0 {
			langs = append(langs, s.Lang)
		}
		records[s.Lang] += s.Records
		total[s.Lang] += s.Bytes
	}
	b.WriteString("\nThe SHA-256 (whole in sources.json) is that of the texts, each followed by a NUL.\n\n| lang | records | bytes |\n| --- | ---: | ---: |\n")
	for _, l := range langs {
		fmt.Fprintf(&b, "| %s | %d | %d |\n", l, records[l], total[l])
	}
	b.WriteString("\n## What was done to the texts\n\n")
	done := map[string]bool{}
	for _, s := range sources {
		line := fmt.Sprintf("- %s: %s.\n", s.Source, s.Changes)
		if !done[line] {
			done[line] = true
			b.WriteString(line)
		}
	}
	b.WriteString(`
Everywhere: NFC; exact duplicates removed; e-mail addresses replaced by <email>.

## What to know

- thaigov-v2 is official news: formulaic, with names of office holders; the records with the fewest names were taken.
- Vietnamese, Arabic and part of the Indonesian text is machine translation of technical documentation, marked above: do not measure fluency on it.
- The classics keep the spelling of their time.
- opensource-guide names the maintainers whom it quotes.

## The MIT licence, for the sources under it

Copyright (c) Microsoft Corporation (azd-for-beginners, edgeai-for-beginners)
Copyright (c) 2010 The Rust Project Developers (rust-book)

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`)
	return b.Bytes()
}
