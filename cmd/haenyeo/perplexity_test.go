package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tinyGGUF is a model with a tokenizer of 320 tokens.
const tinyGGUF = "../../infer/testdata/llama-q8_0.gguf"

func TestPerplexity(t *testing.T) {
	path := filepath.Join(t.TempDir(), "text.txt")
	text := strings.Repeat("The divers of the sea come up for air, one after the other. ", 20)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	measure := func(args ...string) (out struct {
		Perplexity float64
		KL         *float64
		Top1       *float64 `json:"top1_agreement"`
		Tokens     int
		Windows    int
	}) {
		t.Helper()
		if err := json.Unmarshal([]byte(works(t, "", append([]string{"perplexity", "--json"}, args...)...)), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	one := measure(tinyGGUF, path, "--context=64")
	if !(one.Perplexity > 1) || math.IsInf(one.Perplexity, 0) || one.KL != nil || one.Top1 != nil || one.Tokens != 63*one.Windows || one.Windows < 5 {
		t.Errorf("%+v", one)
	}
	if half := measure(tinyGGUF, path, "--context=64", "--skip=33", "--windows=4"); half.Tokens != 4*31 {
		t.Errorf("%+v", half)
	}
	self := measure(tinyGGUF, path, "--context=64", "--against", tinyGGUF)
	if self.Perplexity != one.Perplexity || *self.KL != 0 || *self.Top1 != 1 {
		t.Errorf("against itself: %+v", self)
	}
	if ids := measure(tinyGGUF, "--tokens=5,6,7,8,9"); ids.Tokens != 4 {
		t.Errorf("of ids: %+v", ids)
	}
	if out := works(t, "", "perplexity", tinyGGUF, path, "--context=64", "--against", tinyGGUF); !strings.Contains(out, "KL divergence from it 0.000000") {
		t.Errorf("printed %q", out)
	}

	// Two documents are joined by one newline, and are one text.
	records := filepath.Join(t.TempDir(), "text.jsonl")
	joined := filepath.Join(t.TempDir(), "joined.txt")
	if err := os.WriteFile(records, []byte("{\"text\":\"First, "+text[:200]+"\"}\n{\"text\":\"Second, "+text[:300]+"\"}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(joined, []byte("First, "+text[:200]+"\nSecond, "+text[:300]), 0o666); err != nil {
		t.Fatal(err)
	}
	if a, b := measure(tinyGGUF, records, "--context=64"), measure(tinyGGUF, joined, "--context=64"); a != b {
		t.Errorf("as records %+v, as a text %+v", a, b)
	}
}

func TestPerplexityMisuse(t *testing.T) {
	for _, args := range [][]string{
		{tinyGGUF}, {tinyGGUF, "x.txt", "--tokens=1,2"}, {tinyGGUF, "x.txt", "--context=1"}, {tinyGGUF, "x.txt", "--skip=0"},
		{tinyGGUF, "x.txt", "--skip=512"}, {tinyGGUF, "x.txt", "--windows=-1"}, {tinyGGUF, "x.txt", "--dtype=q8"},
	} {
		if status, _, complaint := execute(t, "", append([]string{"perplexity"}, args...)...); status != exitUsage {
			t.Errorf("%v: status %d, %s", args, status, complaint)
		}
	}
	for _, args := range [][]string{{tinyGGUF, "nowhere.txt"}, {"nowhere.gguf", "x.txt"}, {tinyGGUF, "--tokens=1,100000"}, {tinyGGUF, "--tokens=1"}} {
		if status, _, complaint := execute(t, "", append([]string{"perplexity"}, args...)...); status != exitFailed || complaint == "" {
			t.Errorf("%v: status %d, %s", args, status, complaint)
		}
	}
}
