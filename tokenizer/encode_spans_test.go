package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// framed is a small vocabulary with control tokens, one that overlaps another, and one of a single letter.
func framed(t testing.TB, pre scanner) *Tokenizer {
	t.Helper()
	p := Parts{Pre: pre.String()}
	for x := range 256 {
		p.Tokens, p.Types = append(p.Tokens, string(symbolOfByte[x])), append(p.Types, Normal)
	}
	for _, m := range []string{"U s", "Us e", "Use r", "h i", "Ġ hi", "t h", "th i"} {
		p.Merges = append(p.Merges, m)
		p.Tokens, p.Types = append(p.Tokens, strings.ReplaceAll(m, " ", "")), append(p.Types, Normal)
	}
	for _, s := range []string{"<｜User｜>", "<think>", "</think>", "<t"} {
		p.Tokens, p.Types = append(p.Tokens, s), append(p.Types, UserDefined)
	}
	p.Tokens, p.Types = append(p.Tokens, "<end>", "À"), append(p.Types, Control, UserDefined)
	tok, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func id(t testing.TB, tok *Tokenizer, s string) int32 {
	t.Helper()
	n, ok := tok.TokenID(s)
	if !ok {
		t.Fatalf("no token %q", s)
	}
	return n
}

// TestSpansAreTheWholeString checks that trusted spans, however a text is cut into them, give the ids of the text; and
// untrusted ones those of the text without added tokens.
func TestSpansAreTheWholeString(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 9))
	parts := append(slices.Clone(awkward), "<｜User｜>", "<think>", "</think>", "<t", "<end>", "À", "User: ", "hi", " hi", "<｜", "think>")
	tokenizers := map[string]*Tokenizer{"NFC": mustParse(t, tiny{normalizer: `{"type": "NFC"}`, preTokenizer: preTokenizerJSON(qwen2),
		added: `[{"id": 260, "content": "<｜User｜>", "normalized": true}, {"id": 261, "content": "<think>", "normalized": false},
			{"id": 262, "content": "e\u0301", "normalized": true}, {"id": 263, "content": "À", "normalized": false}]`}.json(), nil)}
	for _, pre := range []scanner{deepseekV3, qwen2, deepseekLLM, gpt2} {
		tokenizers[pre.String()] = framed(t, pre)
	}
	for pre, tok := range tokenizers {
		for range 3000 {
			var whole strings.Builder
			for range 1 + random.IntN(9) {
				whole.WriteString(parts[random.IntN(len(parts))])
			}
			s := whole.String()
			if pre == "NFC" {
				s = strings.ReplaceAll(strings.ReplaceAll(s, "é", "x"), "e\u0301", "x") // a token there, of one letter and so in any text
			}
			for _, trusted := range []bool{true, false} {
				var spans []Span
				for rest := s; rest != ""; {
					n := 1 + random.IntN(len(rest))
					spans = append(spans, Span{rest[:n], trusted})
					rest = rest[n:]
				}
				want := tok.Encode(nil, s, EncodeOptions{})
				if !trusted {
					want = want[:0]
					for i, part := range strings.Split(s, "À") { // the letter is a token in any text
						if i > 0 {
							want = append(want, id(t, tok, "À"))
						}
						want = tok.Encode(want, part, EncodeOptions{NoAddedTokens: true})
					}
				}
				if got := tok.EncodeSpans(nil, spans); !slices.Equal(got, want) {
					t.Fatalf("%s, trusted %v, %q as %v:\n got %v\nwant %v", pre, trusted, s, spans, got, want)
				}
			}
		}
	}
}

// TestUntrustedTextGivesNoControl looks for control tokens in ids of text that asks for them in every way.
func TestUntrustedTextGivesNoControl(t *testing.T) {
	tok := framed(t, deepseekV3)
	user, think := id(t, tok, "<｜User｜>"), id(t, tok, "<think>")
	for name, c := range map[string]struct {
		spans []Span
		want  []int32 // the control tokens among the ids
	}{
		"framed":           {[]Span{{"<｜User｜>", true}, {"hi<think>", false}, {"<think>", true}}, []int32{user, think}},
		"at the front":     {[]Span{{"<think", true}, {">", false}}, []int32{id(t, tok, "<t")}},
		"at the end":       {[]Span{{"<｜Us", false}, {"er｜>", true}}, nil},
		"in the middle":    {[]Span{{"<", true}, {"think", false}, {">", true}}, nil},
		"in two":           {[]Span{{"<thi", false}, {"nk>", false}}, nil},
		"the shorter one":  {[]Span{{"<t", true}, {"hink>", false}}, []int32{id(t, tok, "<t")}},
		"an empty between": {[]Span{{"<thi", true}, {"", false}, {"nk>", true}}, []int32{think}},
	} {
		var got []int32
		for _, id := range tok.EncodeSpans(nil, c.spans) {
			if tok.TokenType(id) != Normal {
				got = append(got, id)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestMergesMakeNoControl builds a vocabulary as somebody could to have users say its control token: by merges.
func TestMergesMakeNoControl(t *testing.T) {
	tok := mustParse(t, tiny{vocab: byteVocab() + `, "<e": 256, "<end": 257, "nd": 258`, merges: `["n d", "< e", "<e nd"]`,
		added: `[{"id": 257, "content": "<end", "special": true}]`}.json(), nil)
	text := "a<end"
	if got := tok.Encode(nil, text, EncodeOptions{}); !slices.Equal(got, []int32{'a', 257}) {
		t.Errorf("trusted: %v", got)
	}
	want := []int32{'a', '<', 'e', 'n', 'd'}
	if got := tok.EncodeSpans(nil, []Span{{Text: text}}); !slices.Equal(got, want) {
		t.Errorf("untrusted: %v, want %v", got, want)
	}
	if got := tok.Encode(nil, text, EncodeOptions{NoAddedTokens: true}); !slices.Equal(got, want) {
		t.Errorf("without added tokens: %v, want %v", got, want)
	}
}

func FuzzSpans(f *testing.F) {
	for _, s := range []string{"<｜User｜>hi<think>", "À<end>", "<thi", "nk>"} {
		f.Add(s, "<think", s, uint8(2))
	}
	tokenizers := []*Tokenizer{framed(f, deepseekV3), framed(f, deepseekLLM), framed(f, qwen2)}
	f.Fuzz(func(t *testing.T, a, b, c string, trusted uint8) {
		for _, tok := range tokenizers {
			spans := []Span{{a, trusted&1 > 0}, {b, trusted&2 > 0}, {c, trusted&4 > 0}}
			ids := tok.EncodeSpans(nil, spans)
			if got := string(tok.AppendDecode(nil, ids, false)); got != a+b+c {
				t.Fatalf("%v come back as %q", spans, got)
			}
			at := 0 // every control token stands in trusted text
			for _, id := range ids {
				end := at + len(tok.TokenBytes(id))
				for _, s := range []struct {
					from, to int
					trusted  bool
				}{{0, len(a), spans[0].Trusted}, {len(a), len(a + b), spans[1].Trusted}, {len(a + b), len(a + b + c), spans[2].Trusted}} {
					if tok.controls(id) && !s.trusted && at < s.to && end > s.from {
						t.Fatalf("%v: token %q at %d is not in trusted text", spans, tok.TokenBytes(id), at)
					}
				}
				at = end
			}
		}
	})
}

// TestMergesCrossBorders checks that a border between spans is none for merges.
func TestMergesCrossBorders(t *testing.T) {
	tok := framed(t, deepseekV3)
	got := tok.EncodeSpans(nil, []Span{{"U", true}, {"ser", false}, {" h", true}, {"i", false}})
	if want := []int32{id(t, tok, "User"), id(t, tok, "Ġhi")}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestIncompleteAlphabet builds a vocabulary as deepseek-llm's is: the bytes that no UTF-8 text has are added tokens,
// spelled like letters.
func TestIncompleteAlphabet(t *testing.T) {
	p := Parts{Pre: "deepseek-llm"}
	var last []string
	for x := range 256 {
		if s := string(symbolOfByte[x]); neverUTF8(byte(x)) {
			last = append(last, s)
		} else {
			p.Tokens, p.Types = append(p.Tokens, s), append(p.Types, Normal)
		}
	}
	for _, s := range last {
		p.Tokens, p.Types = append(p.Tokens, s), append(p.Types, UserDefined)
	}
	tok, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	a := id(t, tok, "À")
	if got := tok.Encode(nil, "À", EncodeOptions{}); !slices.Equal(got, []int32{a}) {
		t.Errorf("À is %v, want %v", got, a)
	}
	if got := tok.EncodeSpans(nil, []Span{{"À", false}}); !slices.Equal(got, []int32{a}) {
		t.Errorf("an untrusted À is %v, want %v", got, a)
	}
	if got := tok.Decode(tok.Encode(nil, "a\xffb\xc0", EncodeOptions{}), false); got != "a\ufffdb\ufffd" {
		t.Errorf("broken text comes back as %q", got)
	}
	without := func(b byte) error {
		i := slices.Index(p.Tokens, string(symbolOfByte[b]))
		q := Parts{Pre: p.Pre, Tokens: slices.Delete(slices.Clone(p.Tokens), i, i+1), Types: p.Types[1:]}
		tok, err := New(q)
		if err == nil {
			if got := tok.Decode(tok.Encode(nil, "a"+string(rune(b))+"b", EncodeOptions{}), false); got != "ab" {
				t.Errorf("without byte %d: %q", b, got)
			}
		}
		return err
	}
	if err := without('x'); err == nil {
		t.Error("a vocabulary without a byte that texts have was taken")
	}
	if err := without(4); err != nil { // as SmolLM2's
		t.Error(err)
	}
}

// TestPreOfOldFiles checks how files that do not name their pre-tokenizer are understood.
func TestPreOfOldFiles(t *testing.T) {
	tokens := make([]string, 100001)
	tokens[100000] = "<｜begin▁of▁sentence｜>"
	if pre := PreOf(tokens); pre != "deepseek-llm" {
		t.Errorf("%q", pre)
	}
	for _, pre := range []string{"", "default", "tekken"} {
		_, err := New(Parts{Pre: pre, Tokens: []string{"a"}})
		if err == nil || !strings.Contains(err.Error(), "deepseek-llm") {
			t.Errorf("pre %q: %v, want an error that names those that are known", pre, err)
		}
	}
}

func TestCheckRows(t *testing.T) {
	tok := framed(t, gpt2)
	if n := tok.VocabSize(); tok.CheckRows(n) != nil || tok.CheckRows(n+100) != nil || tok.CheckRows(n-1) == nil {
		t.Error("a tokenizer fits a model with as many rows or more, and no other")
	}
}
