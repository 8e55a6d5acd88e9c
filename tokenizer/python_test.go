package tokenizer

// What this package writes, read by the libraries it is written for.

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPython trains, saves, and compares ids with the Python libraries `tokenizers` and `transformers`, over text in many
// scripts, random awkward strings and added tokens.
func TestPython(t *testing.T) {
	python := os.Getenv("HAENYEO_PYTHON")
	if python == "" {
		t.Skip("SKIPPED: set HAENYEO_PYTHON to a Python interpreter that has `tokenizers` (and, better, `transformers`) to compare with them")
	}
	docs := goldenCorpus(t)
	train := func(pre scanner, opt TrainOptions) *Tokenizer {
		tok, err := Train(context.Background(), texts(docs...), opt)
		if err != nil {
			t.Fatal(err)
		}
		if pre == deepseekV3 {
			return tok
		}
		p := Parts{Pre: pre.String(), Tokens: tok.Vocab(), Merges: tok.Merges(), Config: tok.Config()}
		for id := range p.Tokens {
			p.Types = append(p.Types, tok.TokenType(int32(id)))
		}
		if tok, err = New(p); err != nil {
			t.Fatal(err)
		}
		return tok
	}
	flags := tiny{added: `[{"id": 260, "content": "<s>", "special": true, "normalized": false, "lstrip": true, "rstrip": true},
		{"id": 261, "content": "word", "normalized": true, "single_word": true}, {"id": 262, "content": "wordy", "normalized": true},
		{"id": 263, "content": "y<s", "normalized": true}, {"id": 264, "content": "e\u0323\u0302", "normalized": true},
		{"id": 265, "content": "  ", "normalized": false}]`, normalizer: `{"type": "NFC"}`, preTokenizer: preTokenizerJSON(gpt2), decoder: byteLevelJSON(true)}
	for name, tok := range map[string]*Tokenizer{
		"special tokens first": train(deepseekV3, TrainOptions{VocabSize: 3000}),
		"special tokens last":  train(deepseekV3, TrainOptions{VocabSize: 3000, SpecialsLast: true}),
		"capped pieces":        train(deepseekV3, TrainOptions{VocabSize: 3000, MaxPieceRunes: 24}),
		"llama":                train(llamaBPE, TrainOptions{VocabSize: 2000, SpecialsLast: true}),
		"qwen":                 train(qwen2, TrainOptions{VocabSize: 2000, SpecialsLast: true}),
		"gpt-2":                train(gpt2, TrainOptions{VocabSize: 2000, SpecialsLast: true}),
		"smollm":               train(smollm, TrainOptions{VocabSize: 2000, SpecialsLast: true}),
		"deepseek-llm":         train(deepseekLLM, TrainOptions{VocabSize: 2000, SpecialsLast: true}),
		"deepseek-coder":       train(deepseekCoder, TrainOptions{VocabSize: 2000, SpecialsLast: true}),
		"published":            deepSeekV3(t),
		"flags":                mustParse(t, flags.json(), nil),
	} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(13, 14))
			list := slices.Clone(docs)
			pieces := append(slices.Clone(awkward), "<｜User｜>", "<think>", "<s>", "word", "wordy", "  ", "hello", "y", "e\u0302\u0323")
			pieces = slices.DeleteFunc(pieces, func(s string) bool { return strings.IndexByte(s, 0xff) >= 0 || s == "\xe4\xb8" })
			for range 3000 {
				var b strings.Builder
				for range 1 + random.IntN(9) {
					b.WriteString(pieces[random.IntN(len(pieces))])
				}
				list = append(list, b.String())
			}
			list = append(list, "e"+strings.Repeat("\u0301\u0323", 40), strings.Repeat("\u1100\u1161\u11a8", 3), "\u0344\u0f73\u0958")
			dir := t.TempDir()
			if err := tok.Save(dir); err != nil {
				t.Fatal(err)
			}
			var in bytes.Buffer
			for _, s := range list {
				writeString(&in, s)
				in.WriteByte('\n')
			}
			cmd := exec.Command(python, filepath.Join("testdata", "encode.py"), dir)
			cmd.Stdin, cmd.Stderr = &in, os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			lines := bytes.Split(bytes.TrimSuffix(out, []byte("\n")), []byte("\n"))
			if len(lines) != len(list) {
				t.Fatalf("%d answers for %d texts", len(lines), len(list))
			}
			for i, line := range lines {
				var want struct {
					Plain, Special, Transformers []int32
					Decoded                      string
				}
				if err := json.Unmarshal(line, &want); err != nil {
					t.Fatal(err)
				}
				got := tok.Encode(nil, list[i], EncodeOptions{})
				if !slices.Equal(got, want.Plain) {
					t.Errorf("%.200q:\n got %v\nwant %v", list[i], got, want.Plain)
				}
				if got := tok.normalise(tok.Decode(got, false)); got != want.Decoded { // an added token comes back as it is spelled here, normalised there
					t.Errorf("%.200q is decoded %.200q, want %.200q", list[i], got, want.Decoded)
				}
				special := tok.Encode(nil, list[i], EncodeOptions{AddSpecial: true})
				if name == "published" {
					continue // its BOS is added by a flag that the classes used here do not read
				}
				if !slices.Equal(special, want.Special) {
					t.Errorf("%.200q with special tokens:\n got %v\nwant %v", list[i], special, want.Special)
				}
				if want.Transformers != nil && !slices.Equal(special, want.Transformers) {
					t.Errorf("%.200q in transformers:\n got %v\nwant %v", list[i], special, want.Transformers)
				}
				if t.Failed() {
					return
				}
			}
		})
	}
}
