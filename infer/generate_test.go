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
	ids   []int32
	fed   []int32
	steps []int // how many tokens at once
	holds int   // tokens of the prompt that it has already
	last  []float32
}

func (s *script) Rewind(tokens []int32) int { return min(s.holds, len(tokens)-1) }

func (s *script) Step(ctx context.Context, tokens []int32) ([]float32, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.fed = append(s.fed, tokens...)
	s.steps = append(s.steps, len(tokens))
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
		{"limit inside a character", "a한", Request{MaxTokens: 2}, "a", FinishLength},
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
		"prompt beyond the window": {Tokens: []int32{1, 2, 3}, MaxTokens: 1, Window: 2}, "negative window": {Tokens: []int32{1}, Window: -1},
		"negative guesses":    {Tokens: []int32{1}, Speculation: Speculation{Most: -1}},
		"top logprobs alone":  {Tokens: []int32{1}, TopLogprobs: 2},
		"texts without bytes": {Tokens: []int32{1}, Sampling: Sampling{DRY: DRY{Multiplier: 1, Base: 2, Allowed: 2, BreakerTexts: []string{"x"}}}},
	} {
		if _, err := Generate(context.Background(), &script{}, q, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestGenerateEndsAtTheWindow(t *testing.T) {
	for prompt, want := range []int{1: 4, 2: 3, 3: 2, 4: 1, 5: 0} {
		if prompt == 0 {
			continue
		}
		s := &script{ids: ids("abcdefgh")}
		r, err := Generate(context.Background(), s, Request{Tokens: make([]int32, prompt), MaxTokens: 100, Window: 5}, nil)
		if err != nil || len(r.Tokens) != want || r.FinishReason != FinishLength {
			t.Errorf("prompt of %d in a window of 5: %+v, %v", prompt, r, err)
		}
		if fed := len(s.fed); want > 0 && fed != 4 { // the last token is not read any more
			t.Errorf("prompt of %d: fed %d tokens", prompt, fed)
		}
	}
}

func TestGenerateReadsOnlyWhatIsNew(t *testing.T) {
	var seen [][2]int
	s := &script{ids: ids("--ab"), holds: 100}
	prompt := make([]int32, 1300)
	for i := range prompt {
		prompt[i] = int32(i % 200)
	}
	r, err := Generate(context.Background(), s, Request{Tokens: prompt, MaxTokens: 2, Progress: func(done, total int) { seen = append(seen, [2]int{done, total}) }}, nil)
	if err != nil || r.Reused != 100 || !slices.Equal(s.steps, []int{512, 512, 176, 1}) {
		t.Errorf("%+v, %v, steps of %v", r, err, s.steps)
	}
	if !slices.Equal(s.fed[:1200], prompt[100:]) {
		t.Error("fed other tokens than the prompt's")
	}
	if want := [][2]int{{100, 1300}, {612, 1300}, {1124, 1300}, {1300, 1300}}; !slices.Equal(seen, want) {
		t.Errorf("progress %v, want %v", seen, want)
	}
}

func TestGenerateStopsWithinAPrompt(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &script{ids: ids("ab")}
	_, err := Generate(ctx, s, Request{Tokens: make([]int32, 1300), MaxTokens: 2, Progress: func(done, _ int) {
		if done == 512 {
			cancel()
		}
	}}, nil)
	if !errors.Is(err, context.Canceled) || len(s.fed) != 512 {
		t.Errorf("%v after %d tokens", err, len(s.fed))
	}
}

func TestGenerateSaysWhichStop(t *testing.T) {
	if r, _, _ := run(t, "one. two", Request{Stop: []string{"x", ". t"}}); r.Stopped != ". t" {
		t.Errorf("stopped by %q", r.Stopped)
	}
	if r, _, _ := run(t, "one", Request{Stop: []string{"x"}}); r.Stopped != "" || r.FinishReason != FinishStop {
		t.Errorf("%+v", r)
	}
}

func TestGenerateLogprobs(t *testing.T) {
	r, _, _ := run(t, "abc", Request{Logprobs: true, TopLogprobs: 2})
	if len(r.Logprobs) != 3 {
		t.Fatalf("%+v", r)
	}
	for i, p := range r.Logprobs {
		want := 1 - math.Log(math.E+299) // one logit of 1, the others 0
		if p.ID != r.Tokens[i] || math.Abs(p.Logprob.Logprob-want) > 1e-6 || len(p.Top) != 2 || p.Top[0] != p.Logprob || p.Top[1].ID != 0 {
			t.Errorf("token %d: %+v, want %v", i, p, want)
		}
	}
}

// Token comes before the text of its token, with what the result holds at the end.
func TestGenerateTellsTokens(t *testing.T) {
	for _, logprobs := range []bool{false, true} {
		var told []TokenLogprob
		r, _, _ := run(t, "abc", Request{Logprobs: logprobs, Token: func(p TokenLogprob) { told = append(told, p) }})
		if len(told) != len(r.Tokens) || len(told) != 3 {
			t.Fatalf("told of %d tokens of %d", len(told), len(r.Tokens))
		}
		for i, p := range told {
			if p.ID != r.Tokens[i] || logprobs && p.Logprob != r.Logprobs[i].Logprob || !logprobs && p.Logprob.Logprob != 0 {
				t.Errorf("token %d: %+v", i, p)
			}
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
		whole := Stopper{Texts: []string{stop}}
		want := whole.Add(text) + whole.End()

		cut := Stopper{Texts: []string{stop}}
		var got string
		for rest := text; rest != ""; cuts = cuts>>3 | cuts<<61 {
			n := min(len(rest), 1+int(cuts&7))
			got += cut.Add(rest[:n])
			rest = rest[n:]
		}
		got += cut.End()
		if got != want {
			t.Errorf("cut: %q, whole: %q", got, want)
		}
		if strings.Contains(got, stop) {
			t.Errorf("%q still holds the stop text %q", got, stop)
		}
	})
}
