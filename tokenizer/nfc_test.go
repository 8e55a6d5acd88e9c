package tokenizer

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func TestNFC(t *testing.T) {
	many := strings.Repeat("\u0301\u0323", 40)
	for in, want := range map[string]string{
		"":                   "",
		"plain":              "plain",
		"e\u0301":            "é",
		"e\u0302\u0323":      "\u1ec7", // sorted first
		"\u1100\u1161\u11a8": "\uac01",
		"\uac00\u11a8":       "\uac01",
		"\u212b":             "\u00c5",
		"\u0958":             "\u0915\u093c", // never composed
		"\u09c7\u09be":       "\u09cb",
		"\xff\u0041\u030a":   "\xffÅ",
		"e" + many:           "\u1eb9" + strings.Repeat("\u0323", 39) + strings.Repeat("\u0301", 40), // without U+034F
		"e\U0001e08f\u0301":  "e\U0001e08f\u0301",                                                    // a mark after Unicode 9 keeps others apart
		"\u0315\u08d3\u0301": "\u0315\u08d3\u0301",
	} {
		if got := nfc(in); got != want {
			t.Errorf("%+q becomes %+q, want %+q", in, got, want)
		}
	}
	// Where x/text does what is wanted, the definition does the same.
	random := rand.New(rand.NewPCG(15, 16))
	pieces := []string{"a", "e", "\u0301", "\u0323", "\u0327", "\u1100", "\u1161", "\u11a8", "\uac00", "\u09c7", "\u09be", "\u0f73", "\u0344", "é", "\u1ec7", "\u0958", "漢", "\uf900"}
	for range 20000 {
		var b strings.Builder
		for range 1 + random.IntN(8) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		if s := b.String(); nfcByDefinition(s) != norm.NFC.String(s) {
			t.Fatalf("%+q becomes %+q by definition, %+q by x/text", s, nfcByDefinition(s), norm.NFC.String(s))
		}
	}
}

func FuzzNFC(f *testing.F) {
	f.Add("e" + strings.Repeat("\u0301", 50) + "\u08d3")
	f.Fuzz(func(t *testing.T, s string) {
		once := nfc(s)
		if utf8.ValidString(s) && (!utf8.ValidString(once) || nfc(once) != once) {
			t.Fatalf("%+q becomes %+q, then %+q", s, once, nfc(once))
		}
	})
}

// Parts that split as Qwen does compose characters first; the others take the bytes as they are.
func TestNewNormalisesAsQwen(t *testing.T) {
	for _, pre := range []string{"qwen2", "deepseek-r1-qwen", "deepseek-v3", "gpt-2"} {
		p := Parts{Pre: pre}
		for b := range 256 {
			p.Tokens = append(p.Tokens, string(symbolOfByte[b]))
		}
		tok, err := New(p)
		if err != nil {
			t.Fatal(err)
		}
		want := len("e\u0301")
		if strings.Contains(pre, "qwen") {
			want = len("\u00e9")
		}
		if got := tok.Encode(nil, "e\u0301", EncodeOptions{}); len(got) != want {
			t.Errorf("%s: %v", pre, got)
		}
	}
}
