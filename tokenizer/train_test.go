package tokenizer

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func texts(list ...string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, s := range list {
			if !yield(s, nil) {
				return
			}
		}
	}
}

func readTexts(t testing.TB, path string) (list []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(bytes.NewReader(b))
	s.Buffer(nil, 1<<26)
	for s.Scan() {
		var doc struct{ Text string }
		if err := json.Unmarshal(s.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
		list = append(list, doc.Text)
	}
	return list
}

func TestTrainGolden(t *testing.T) {
	golden := os.Getenv("HAENYEO_GOLDEN")
	if golden == "" {
		t.Skip("SKIPPED: set HAENYEO_GOLDEN to the golden folder to compare with the merges of the tokenizers library")
	}
	dir := filepath.Join(golden, "bpe_train")
	docs := readTexts(t, filepath.Join(dir, "corpus.jsonl"))
	want, err := os.ReadFile(filepath.Join(dir, "merges.txt"))
	if err != nil {
		t.Fatal(err)
	}
	tok, err := Train(context.Background(), texts(docs...), TrainOptions{VocabSize: 2048, MinFrequency: 2, SpecialTokens: []AddedToken{}})
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Merges(); !slices.Equal(got, strings.Split(strings.TrimSuffix(string(want), "\n"), "\n")) {
		t.Error("merges differ")
	}
}
