package tokenizer

// Comparison with the reference: encodings of published tokenizers, merges and encodings of a training run.

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// row is one line of the golden files.
type row struct {
	Tokenizer string
	Text      string
	IDs       []int32  `json:"ids"`
	Decoded   *string  `json:"decoded"`
	Without   *[]int32 `json:"ids_without_added_tokens"`
}

// TestDeepSeekV3 compares with the published tokenizer over awkward strings in many scripts.
func TestDeepSeekV3(t *testing.T) {
	checkRows(t, deepSeekV3(t), readLines[row](t, "testdata/deepseek-v3.rows.jsonl.zst"))
}

// TestDeepSeekV3Facts holds known facts of the published file: sizes, special tokens, ids of short texts.
func TestDeepSeekV3Facts(t *testing.T) {
	tok := deepSeekV3(t)
	if n := tok.VocabSize(); n != 128815 {
		t.Errorf("vocabulary %d, want 128815", n)
	}
	if n := len(tok.AddedTokens()); n != 818 {
		t.Errorf("%d added tokens, want 818", n)
	}
	if n := len(tok.Merges()); n != 127741 {
		t.Errorf("%d merges, want 127741", n)
	}
	for s, want := range map[string]int32{"<｜begin▁of▁sentence｜>": 0, "<｜User｜>": 128803, "<｜tool▁sep｜>": 128814, "Hello": 19923} {
		if id, ok := tok.TokenID(s); !ok || id != want {
			t.Errorf("token %q has id %d, want %d", s, id, want)
		}
	}
	if _, ok := tok.TokenID("<think>"); ok {
		t.Error("V3 has no <think>")
	}
	bos, _ := tok.BOS()
	eos, _ := tok.EOS()
	pad, _ := tok.Pad()
	if bos != 0 || eos != 1 || pad != 1 {
		t.Errorf("bos, eos, pad = %d %d %d, want 0 1 1", bos, eos, pad)
	}
	for id, want := range map[int32]TokenType{0: Control, 128803: UserDefined, 128000: Control, 19923: Normal} {
		if got := tok.TokenType(id); got != want {
			t.Errorf("type of %d is %d, want %d", id, got, want)
		}
	}
	if !strings.HasPrefix(tok.Config().ChatTemplate, "{% if not add_generation_prompt is defined %}") {
		t.Error("chat template missing")
	}
	for _, c := range []struct {
		text string
		ids  []int32
	}{
		{"Hello, world!", []int32{19923, 14, 2058, 3}},
		{"The quick brown fox jumps over the lazy dog.", []int32{671, 4787, 13769, 46012, 54994, 1060, 270, 41638, 6397, 16}},
		{"1234567890", []int32{6895, 18009, 25744, 18}},
		{"3.14159", []int32{21, 16, 9926, 3318}},
		{"def f(x):\n    return x**2\n", []int32{3465, 285, 4042, 3395, 361, 1354, 1527, 666, 20, 201}},
		{"  two  spaces\t\ttab", []int32{223, 1234, 223, 13564, 200, 200, 14278}},
		{"你好，世界！", []int32{30594, 303, 3427, 1175}},
		{"日本語テキスト", []int32{88768, 17383, 20367, 24552}},
		{"Привет, мир!", []int32{24797, 8919, 14, 74779, 3}},
		{"naïve café", []int32{2720, 91223, 57664}},
		{"😀👍🏽", []int32{28927, 225, 92526, 40965, 124}},
		{"a\n\n\nb", []int32{67, 6328, 68}},
		{"don't CAN'T", []int32{20385, 1664, 36837, 67322}},
		{"foo_bar.baz(qux)[0]", []int32{40897, 100869, 6229, 1521, 10, 403, 90, 12696, 18, 63}},
		{"x=1;y=2", []int32{90, 31, 19, 29, 91, 31, 20}},
		{"\r\n\r\n", []int32{204, 201, 204, 201}},
		{"Hello! 毕老师！1 + 1 = 2 ĠÑĤÐ²ÑĬÑĢ", []int32{19923, 3, 223, 5464, 5008, 1175, 19, 940, 223, 19, 438, 223, 20, 6113,
			257, 76589, 131, 100, 76032, 1628, 76589, 131, 108, 76589, 131, 98}},
	} {
		if got := tok.Encode(nil, c.text, EncodeOptions{}); !slices.Equal(got, c.ids) {
			t.Errorf("%q: got %v, want %v", c.text, got, c.ids)
		}
		if got := tok.Encode(nil, c.text, EncodeOptions{AddSpecial: true}); !slices.Equal(got, append([]int32{0}, c.ids...)) {
			t.Errorf("%q with BOS: got %v", c.text, got)
		}
	}
}

// TestPublishedTokenizers compares with three published tokenizers over the whole golden file.
func TestPublishedTokenizers(t *testing.T) {
	golden, data := os.Getenv("HAENYEO_GOLDEN"), os.Getenv("HAENYEO_DATA")
	if golden == "" || data == "" {
		t.Skip("SKIPPED: set HAENYEO_GOLDEN and HAENYEO_DATA to the golden and data folders to compare with the DeepSeek-V3, Llama 3 and Qwen3 tokenizers")
	}
	rows := readLines[row](t, filepath.Join(golden, "tokenizers/tokenizers.jsonl"))
	for _, name := range []string{"deepseek-v3", "llama3", "qwen3"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(data, "tokenizers", name)
			tok, err := Parse(readFileT(t, filepath.Join(dir, "tokenizer.json.zst")), readFileT(t, filepath.Join(dir, "tokenizer_config.json")))
			if err != nil {
				t.Fatal(err)
			}
			checkRows(t, tok, slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r.Tokenizer != name }))
		})
	}
}

func checkRows(t *testing.T, tok *Tokenizer, rows []row) {
	t.Helper()
	if len(rows) == 0 {
		t.Fatal("no rows")
	}
	for _, r := range rows {
		got := tok.Encode(nil, r.Text, EncodeOptions{})
		if !slices.Equal(got, r.IDs) {
			t.Errorf("%q:\n got %v\nwant %v", r.Text, got, r.IDs)
		}
		plain := tok.Encode(nil, r.Text, EncodeOptions{NoAddedTokens: true})
		want := r.IDs
		if r.Without != nil {
			want = *r.Without
		}
		if !slices.Equal(plain, want) {
			t.Errorf("%q without added tokens:\n got %v\nwant %v", r.Text, plain, want)
		}
		decoded := tok.normalise(r.Text)
		if r.Decoded != nil {
			decoded = *r.Decoded
		}
		if got := tok.Decode(r.IDs, false); got != decoded {
			t.Errorf("decoded %q, want %q", got, decoded)
		}
		s, streamed := tok.Stream(false), ""
		for _, id := range r.IDs {
			streamed += s.Push(id)
		}
		if streamed += s.Flush(); streamed != decoded {
			t.Errorf("streamed %q, want %q", streamed, decoded)
		}
	}
}

// TestTrainGolden compares with a training run of the tokenizers library: merges, ids and encodings, with the special
// tokens before and after the others.
func TestTrainGolden(t *testing.T) {
	docs := goldenCorpus(t)
	want := strings.Split(strings.TrimSuffix(string(readFileT(t, trained("merges.txt"))), "\n"), "\n")
	reference, err := Parse(readFileT(t, trained("tokenizer.json")), nil)
	if err != nil {
		t.Fatal(err)
	}
	rows := readLines[row](t, trained("encodings.jsonl"))
	for _, c := range []struct {
		name    string
		special []AddedToken
		last    bool
		shift   int32
	}{
		{"none", []AddedToken{}, false, 0},
		{"first", nil, false, 7},
		{"last", nil, true, 0},
	} {
		t.Run("special tokens "+c.name, func(t *testing.T) {
			special := c.special
			if special == nil {
				special = DefaultSpecialTokens()
			}
			tok, err := Train(context.Background(), texts(docs...), TrainOptions{
				VocabSize: 2048 + len(special), MinFrequency: 2, SpecialTokens: c.special, SpecialsLast: c.last})
			if err != nil {
				t.Fatal(err)
			}
			if got := tok.Merges(); !slices.Equal(got, want) {
				t.Fatal("merges differ")
			}
			for id, s := range reference.Vocab() {
				if got, _ := tok.TokenID(s); got != int32(id)+c.shift {
					t.Fatalf("token %q has id %d, want %d", s, got, int32(id)+c.shift)
				}
			}
			shifted := make([]row, len(rows))
			for i, r := range rows {
				shifted[i] = row{Text: r.Text}
				for _, id := range r.IDs {
					shifted[i].IDs = append(shifted[i].IDs, id+c.shift)
				}
			}
			checkRows(t, tok, shifted)
			bos, ok := tok.BOS()
			if id, _ := tok.TokenID("<｜begin▁of▁sentence｜>"); ok != (c.name != "none") || ok && bos != id {
				t.Errorf("bos is %d, %v", bos, ok)
			}
		})
	}
}

// trained is the path of a file of the golden case bpe_train.
func trained(name string) string {
	if root := os.Getenv("HAENYEO_GOLDEN"); root != "" {
		return filepath.Join(root, "bpe_train", name)
	}
	return "testdata/bpe_train/" + name + ".zst"
}

func goldenCorpus(t testing.TB) (docs []string) {
	t.Helper()
	for _, d := range readLines[struct{ Text string }](t, trained("corpus.jsonl")) {
		docs = append(docs, d.Text)
	}
	return docs
}

// deepSeekV3 reads the published tokenizer of DeepSeek-V3.
func deepSeekV3(t testing.TB) *Tokenizer {
	t.Helper()
	tok, err := Parse(readFileT(t, "testdata/deepseek-v3.tokenizer.json.zst"), readFileT(t, "testdata/deepseek-v3.tokenizer_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// readFileT reads a file, plain or zstd.
func readFileT(t testing.TB, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".zst") {
		z, err := zstd.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		r = z
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// readLines reads one JSON value a line. Lines end in \n only: texts hold other separators.
func readLines[T any](t testing.TB, path string) (list []T) {
	t.Helper()
	s := bufio.NewScanner(bytes.NewReader(readFileT(t, path)))
	s.Buffer(nil, 1<<26)
	for s.Scan() {
		var v T
		if err := json.Unmarshal(s.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		list = append(list, v)
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

func texts(list ...string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, s := range list {
			if !yield(s, nil) {
				return
			}
		}
	}
}
