package tokenizer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
)

type goldenRow struct {
	Tokenizer string
	Text      string
	IDs       []int32 `json:"ids"`
	Decoded   string
	Without   *[]int32 `json:"ids_without_added_tokens"`
}

func readZstd(t testing.TB, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readRows(t testing.TB, path string) []goldenRow {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var rows []goldenRow
	s := bufio.NewScanner(bytes.NewReader(b))
	s.Buffer(nil, 1<<24)
	for s.Scan() {
		var r goldenRow
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	return rows
}

func checkRow(t *testing.T, tok *Tokenizer, r goldenRow) {
	t.Helper()
	got := tok.Encode(nil, r.Text, EncodeOptions{})
	if !slices.Equal(got, r.IDs) {
		t.Errorf("%q:\n got %v\nwant %v", r.Text, got, r.IDs)
	}
	if r.Without != nil {
		got = tok.Encode(nil, r.Text, EncodeOptions{NoAddedTokens: true})
		if !slices.Equal(got, *r.Without) {
			t.Errorf("%q without added tokens:\n got %v\nwant %v", r.Text, got, *r.Without)
		}
	}
	if got := tok.Decode(r.IDs, false); got != r.Decoded {
		t.Errorf("decoded %q, want %q", got, r.Decoded)
	}
	s := tok.Stream(false)
	streamed := ""
	for _, id := range r.IDs {
		streamed += s.Push(id)
	}
	if streamed += s.Flush(); streamed != r.Decoded {
		t.Errorf("streamed %q, want %q", streamed, r.Decoded)
	}
}

// TestPublishedTokenizers compares with three published tokenizers over the whole golden file.
func TestPublishedTokenizers(t *testing.T) {
	golden, data := os.Getenv("HAENYEO_GOLDEN"), os.Getenv("HAENYEO_DATA")
	if golden == "" || data == "" {
		t.Skip("SKIPPED: set HAENYEO_GOLDEN and HAENYEO_DATA to the golden and data folders to compare with the DeepSeek-V3, Llama 3 and Qwen3 tokenizers")
	}
	rows := readRows(t, filepath.Join(golden, "tokenizers/tokenizers.jsonl"))
	for _, name := range []string{"deepseek-v3", "llama3", "qwen3"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(data, "tokenizers", name)
			config, err := os.ReadFile(filepath.Join(dir, "tokenizer_config.json"))
			if err != nil {
				t.Fatal(err)
			}
			tok, err := Parse(readZstd(t, filepath.Join(dir, "tokenizer.json.zst")), config)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, r := range rows {
				if r.Tokenizer == name {
					checkRow(t, tok, r)
					n++
				}
			}
			if n == 0 {
				t.Fatal("no rows")
			}
		})
	}
}
