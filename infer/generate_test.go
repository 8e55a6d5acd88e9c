package infer

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/haenyeo/haenyeo/tokenizer"
)

// script is a Stepper that always wants the next id of a fixed list and records what it was fed.
type script struct {
	ids  []int32
	fed  []int32
	last []float32
}

func (s *script) Step(tokens []int32) ([]float32, error) {
	s.fed = append(s.fed, tokens...)
	if len(s.ids) == 0 {
		return nil, errors.New("script: at its end")
	}
	s.last = make([]float32, 300)
	s.last[s.ids[0]] = 1
	s.ids = s.ids[1:]
	return s.last, nil
}

// byteTokens makes a tokenizer in which id i < 256 is the byte i.
func byteTokens(t *testing.T) *tokenizer.Tokenizer {
	t.Helper()
	p := tokenizer.Parts{Pre: "gpt-2"}
	next := rune(256) // the byte alphabet of GPT-2: printable bytes stand for themselves
	for b := range rune(256) {
		symbol := b
		if !(b > 32 && b < 127 || b > 160 && b != 173) {
			symbol = next
			next++
		}
		p.Tokens = append(p.Tokens, string(symbol))
	}
	tok, err := tokenizer.New(p)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func ids(s string) []int32 {
	out := make([]int32, len(s))
	for i := range len(s) {
		out[i] = int32(s[i])
	}
	return out
}

func run(t *testing.T, text string, req Request) (Result, []string, *script) {
	t.Helper()
	s := &script{ids: append(ids(text), 299)}
	req.Tokens, req.End, req.Text = []int32{7, 8}, []int32{299}, byteTokens(t).Stream(true)
	if req.MaxTokens == 0 {
		req.MaxTokens = 1000
	}
	var pieces []string
	r, err := Generate(context.Background(), s, req, func(p string) error {
		if !utf8.ValidString(p) {
			t.Errorf("emitted %q: not whole characters", p)
		}
		pieces = append(pieces, p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(pieces, ""); got != r.Text {
		t.Errorf("streamed %q, returned %q", got, r.Text)
	}
	return r, pieces, s
}

func TestGenerateStreams(t *testing.T) {
	for _, c := range []struct {
		name, model string
		req         Request
		text        string
		why         FinishReason
	}{
		{"end token", "hello", Request{}, "hello", FinishStop},
		{"limit", "hello", Request{MaxTokens: 2}, "he", FinishLength},
		{"limit inside a character", "a한", Request{MaxTokens: 2}, "a\ufffd", FinishLength},
		{"every script", "한국어 ไทย عربي 🦭", Request{}, "한국어 ไทย عربي 🦭", FinishStop},
		{"stop text", "one. two. three", Request{Stop: []string{". t"}}, "one", FinishStop},
		{"earliest of several", "abcdef", Request{Stop: []string{"ef", "cd", "de"}}, "ab", FinishStop},
		{"almost a stop text", "aab aac", Request{Stop: []string{"aad"}}, "aab aac", FinishStop},
		{"stop text half begun at the limit", "xyz", Request{MaxTokens: 2, Stop: []string{"yz"}}, "xy", FinishLength},
		{"overlapping start", "ababac", Request{Stop: []string{"abac"}}, "ab", FinishStop},
		{"multi-byte stop", "끝났다. 아니다", Request{Stop: []string{"다. "}}, "끝났", FinishStop},
		{"invalid bytes", "a\xffb\xe2\x82c", Request{}, "a\ufffdb\ufffdc", FinishStop},
		{"nothing", "", Request{}, "", FinishStop},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, _, _ := run(t, c.model, c.req)
			if r.Text != c.text || r.FinishReason != c.why {
				t.Errorf("got %q, %s; want %q, %s", r.Text, r.FinishReason, c.text, c.why)
			}
		})
	}
}

func TestGenerateFeedsPromptThenEachTokenOnce(t *testing.T) {
	r, _, s := run(t, "abc", Request{})
	if want := append([]int32{7, 8}, ids("abc")...); !slices.Equal(s.fed, want) {
		t.Errorf("fed %v, want %v", s.fed, want)
	}
	if !slices.Equal(r.Tokens, ids("abc")) {
		t.Errorf("tokens %v: want the ids without the end token", r.Tokens)
	}
}

func TestTextIsShownAtOnceWithoutStops(t *testing.T) {
	_, pieces, _ := run(t, "abc", Request{})
	if !slices.Equal(pieces, []string{"a", "b", "c"}) {
		t.Errorf("pieces %q", pieces)
	}
}

func TestGenerateStopsBetweenTokens(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &script{ids: ids("abcdefgh")}
	r, err := Generate(ctx, s, Request{Tokens: []int32{1}, MaxTokens: 8, Text: byteTokens(t).Stream(true)}, func(p string) error {
		if p == "c" {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || r.Text != "abc" || len(r.Tokens) != 3 {
		t.Errorf("got %+v, %v", r, err)
	}
	boom := errors.New("broken pipe")
	r, err = Generate(context.Background(), &script{ids: ids("xy")}, Request{Tokens: []int32{1}, MaxTokens: 8, Text: byteTokens(t).Stream(true)},
		func(string) error { return boom })
	if !errors.Is(err, boom) || r.Text != "x" {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestGenerateRefuses(t *testing.T) {
	for name, q := range map[string]Request{
		"empty prompt": {MaxTokens: 1}, "negative limit": {Tokens: []int32{1}, MaxTokens: -1},
		"empty stop": {Tokens: []int32{1}, Stop: []string{""}}, "temperature": {Tokens: []int32{1}, Sampling: Sampling{Temperature: math.Inf(1)}},
	} {
		if _, err := Generate(context.Background(), &script{}, q, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// What is shown must not depend on how the text is cut into tokens.
func FuzzStopCuts(f *testing.F) {
	f.Add("한국어 a z 🦭", uint64(5), "a z")
	f.Add("stop here stop", uint64(77), "re s")
	f.Fuzz(func(t *testing.T, text string, cuts uint64, stop string) {
		if stop == "" {
			t.Skip("Generate refuses an empty stop text")
		}
		whole := stopper{stop: []string{stop}}
		want := whole.add(text) + whole.end()

		cut := stopper{stop: []string{stop}}
		var got string
		for rest := text; rest != ""; cuts = cuts>>3 | cuts<<61 {
			n := min(len(rest), 1+int(cuts&7))
			got += cut.add(rest[:n])
			rest = rest[n:]
		}
		got += cut.end()
		if got != want {
			t.Errorf("cut: %q, whole: %q", got, want)
		}
		if strings.Contains(got, stop) {
			t.Errorf("%q still holds the stop text %q", got, stop)
		}
	})
}
