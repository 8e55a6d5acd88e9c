package tokenizer

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// Whatever the text and wherever it is cut, the ids are those of the whole.
func TestEncodeReader(t *testing.T) {
	alphabet := []string{"a", "Z", "7", "42", ".", "'s", "\n", "\n", "\n", "\r\n", " ", "  ", "\t", "\u00a0", "é", "e\u0301", "\u0301", "한", "ㄱ", "中", "ก็",
		"\xff", "\u200b", "<s>", "</s>", "<x>", "!?", "-"}
	added := []AddedToken{
		{Content: "<s>", Special: true}, {Content: "</s>", Special: true, SingleWord: true}, {Content: "<x>", RStrip: true, Normalized: true},
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for scan := range scannerNames {
		for _, reaching := range []AddedToken{{}, {Content: "!?", LStrip: true}, {Content: "a\nZ"}} {
			p := Parts{Pre: scanner(scan).String(), Config: Config{BOS: "<s>", EOS: "</s>", AddBOS: true, AddEOS: true}}
			for x := range 256 {
				p.Tokens, p.Types = append(p.Tokens, string(symbolOfByte[x])), append(p.Types, Normal)
			}
			for _, m := range []string{"Ċ Ċ", "ĊĊ Ċ", "č Ċ", "Ġ Ġ", "Ċ Ġ", "a a", "4 2", "Ċ a"} {
				p.Merges = append(p.Merges, m)
				p.Tokens, p.Types = append(p.Tokens, strings.ReplaceAll(m, " ", "")), append(p.Types, Normal)
			}
			for _, a := range added {
				p.Tokens, p.Types = append(p.Tokens, a.Content), append(p.Types, Control)
			}
			tok, err := New(p)
			if err != nil {
				t.Fatal(err)
			}
			list := slices.Clone(added)
			for i := range list {
				list[i].ID, _ = tok.TokenID(list[i].Content)
			}
			if reaching.Content != "" {
				list = append(list, reaching) // id 0, which is as good as another
			}
			tok.added = list
			tok.raw, tok.normal = newMatchers(list, tok.nfc, func(*AddedToken) bool { return true })
			for range 2000 {
				var b strings.Builder
				for range rng.IntN(30) {
					b.WriteString(alphabet[rng.IntN(len(alphabet))])
				}
				text := b.String()
				opt := EncodeOptions{AddSpecial: rng.IntN(2) == 0, NoAddedTokens: rng.IntN(4) == 0}
				want := tok.Encode(nil, text, opt)
				var got []int32
				err := tok.encodeReader(iotest.HalfReader(strings.NewReader(text)), opt, func(ids []int32) error {
					got = append(got, ids...)
					return nil
				}, 1+rng.IntN(8), 1<<20)
				if err != nil || !slices.Equal(got, want) {
					t.Fatalf("%v, reaching token %q: %q\n got %v, %v\nwant %v", scanner(scan), reaching.Content, text, got, err, want)
				}
			}
		}
	}
}

func TestEncodeReaderIsBounded(t *testing.T) {
	tok := deepSeekV3(t)
	discard := func([]int32) error { return nil }
	if err := tok.encodeReader(strings.NewReader(strings.Repeat("a", 5000)), EncodeOptions{}, discard, 16, 4096); err == nil || !strings.Contains(err.Error(), "from byte 0 on") {
		t.Errorf("a text without lines: %v", err)
	}
	broken := errors.New("broken")
	if err := tok.EncodeReader(iotest.ErrReader(broken), EncodeOptions{}, discard); err != broken {
		t.Errorf("a reader that fails: %v", err)
	}
	if err := tok.EncodeReader(strings.NewReader("x"), EncodeOptions{}, func([]int32) error { return broken }); err != broken {
		t.Errorf("a taker that fails: %v", err)
	}
}
