package main

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/haenyeo/haenyeo/corpus/embedded"
	"github.com/haenyeo/haenyeo/internal/atomicfile"
)

const limit = 4_000_000 // bytes of corpus.jsonl.zst

// manifest is what is used of the kit's MANIFEST.json.
type manifest struct {
	Files []struct {
		Path       string `json:"path"`
		Licence    string `json:"licence"`
		Repository string `json:"repository"`
		Commit     string `json:"commit"`
		SHA256     string `json:"sha256"`
		Translated bool   `json:"machine_translated"`
		Processing string `json:"processing"`
	} `json:"files"`
}

// record is a line of the kit, and, with fewer fields, of the corpus.
type record struct {
	Lang    string `json:"lang"`
	Source  string `json:"source"`
	Licence string `json:"licence"`
	ID      string `json:"id"`
	Text    string `json:"text"`
}

func main() {
	data := flag.String("data", "", "folder of the data kit")
	out := flag.String("out", "corpus/embedded", "folder to write to")
	flag.Parse()
	if err := run(*data, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(data, out string) error {
	raw, err := os.ReadFile(filepath.Join(data, "MANIFEST.json"))
	if err != nil {
		return err
	}
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return err
	}
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	enc.SetEscapeHTML(false)
	var sources []embedded.Source
	for _, p := range picks {
		s, recs, err := take(data, &m, p)
		if err != nil {
			return fmt.Errorf("%s/%s: %w", p.folder, p.file, err)
		}
		sources = append(sources, s)
		for _, r := range recs {
			if err := enc.Encode(r); err != nil {
				return err
			}
		}
		fmt.Fprintf(os.Stderr, "%-3s %-28s %-28s %5d records %8d bytes, %7d compressed alone\n", p.lang, p.folder, p.file, s.Records, s.Bytes, len(compress(texts(recs))))
	}
	packed := compress(lines.Bytes())
	fmt.Fprintf(os.Stderr, "%d bytes, %d compressed\n", lines.Len(), len(packed))
	if len(packed) > limit {
		return fmt.Errorf("%d bytes compressed, more than %d: lower a cap in picks.go", len(packed), limit)
	}
	table, err := json.MarshalIndent(sources, "", " ")
	if err != nil {
		return err
	}
	for name, b := range map[string][]byte{
		"corpus.jsonl.zst": packed, "sources.json": append(table, '\n'), "ATTRIBUTION.md": attribution(sources, lines.Len(), packed),
	} {
		if err := atomicfile.WriteFile(filepath.Join(out, name), b); err != nil {
			return err
		}
	}
	return nil
}

func texts(recs []record) []byte {
	var b bytes.Buffer
	for _, r := range recs {
		b.WriteString(r.Text)
	}
	return b.Bytes()
}

func compress(b []byte) []byte {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(8<<20), zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err) // the options are constants
	}
	return z.EncodeAll(b, nil)
}

// take reads one pick's file, checks it, and returns what the corpus takes of it.
func take(data string, m *manifest, p pick) (embedded.Source, []record, error) {
	var s embedded.Source
	for _, f := range m.Files {
		path := "text/" + p.folder + "/" + p.file + ".jsonl"
		if f.Path != path && f.Path != path+".zst" {
			continue
		}
		if !free[f.Licence] {
			return s, nil, fmt.Errorf("licence %q is not one that the corpus takes", f.Licence)
		}
		stored, err := os.ReadFile(filepath.Join(data, f.Path))
		if err != nil {
			return s, nil, err
		}
		if sum := sha256.Sum256(stored); hex.EncodeToString(sum[:]) != f.SHA256 {
			return s, nil, fmt.Errorf("SHA-256 is not the manifest's")
		}
		recs, err := read(stored, strings.HasSuffix(f.Path, ".zst"))
		if err != nil {
			return s, nil, err
		}
		recs = choose(recs, p)
		s = embedded.Source{
			Lang: p.lang, Source: p.folder, Licence: f.Licence, Author: p.author, Translated: f.Translated,
			Repository: f.Repository, Commit: f.Commit, Changes: f.Processing + changes[p.do], Records: len(recs),
		}
		h := sha256.New()
		for _, r := range recs {
			s.Bytes += len(r.Text)
			io.WriteString(h, r.Text+"\x00")
		}
		s.SHA256 = hex.EncodeToString(h.Sum(nil))
		return s, recs, nil
	}
	return s, nil, fmt.Errorf("not in the manifest")
}

func read(stored []byte, packed bool) ([]record, error) {
	var r io.Reader = bytes.NewReader(stored)
	if packed {
		z, err := zstd.NewReader(r)
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	}
	var recs []record
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var rec record
		if err := json.Unmarshal(lines.Bytes(), &rec); err != nil {
			return nil, err
		}
		recs = append(recs, rec)
	}
	return recs, lines.Err()
}

// choose treats the texts and keeps as many as the cap allows. Which ones does not follow their
// order in the source, so that a part of a book is spread over it; the order they keep does.
func choose(recs []record, p pick) []record {
	type scored struct {
		record
		at    int
		score string
	}
	var all []scored
	for i, r := range recs {
		r.Text, r.Lang = treat(r.Text, p), p.lang
		if len(r.Text) < 200 {
			continue
		}
		h := sha256.Sum256([]byte(r.ID))
		score := hex.EncodeToString(h[:])
		if p.do == fewNames {
			n := names(r.Text)
			if len(r.Text) > 20<<10 {
				continue
			}
			score = fmt.Sprintf("%09.3f %s", n, score)
		}
		all = append(all, scored{r, i, score})
	}
	slices.SortFunc(all, func(a, b scored) int { return cmp.Compare(a.score, b.score) })
	total := 0
	kept := all[:0]
	for _, r := range all {
		if p.cap > 0 && total+len(r.Text) > p.cap {
			continue
		}
		total += len(r.Text)
		kept = append(kept, r)
	}
	slices.SortFunc(kept, func(a, b scored) int { return cmp.Compare(a.at, b.at) })
	out := make([]record, len(kept))
	for i, r := range kept {
		out[i] = r.record
	}
	return out
}
