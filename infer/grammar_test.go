package infer

// Answers that are kept in a grammar: alone, guessed ahead and among others they are the same, and in it.

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/forward"
	"github.com/haenyeo/haenyeo/grammar"
)

// spelled gives the ids of a small model some texts: what JSON is written with, and other letters.
func spelled(id int32) []byte {
	pieces := []string{`{"`, `":`, `}`, `"`, `,`, `, "`, `true`, `false`, `a`, `b`, `kind`, `n`, ` `, `[`, `]`, `é`, `1`, `2`, `3`, `0`, `-`, `.5`, `"}`, `\n`, `:`, `{`, `red`, `blue`}
	if int(id) < len(pieces) {
		return []byte(pieces[id])
	}
	return []byte(strings.Repeat(string(rune('c'+id%20)), 1+int(id)/60))
}

func textOf(ids []int32) (text []byte) {
	for _, id := range ids {
		text = append(text, spelled(id)...)
	}
	return text
}

// masker prepares a schema that every answer must end in.
func masker(t *testing.T, net *forward.Net, ends []int32) *grammar.Masker {
	t.Helper()
	g, err := grammar.FromJSONSchema([]byte(`{"type":"object","properties":{"kind":{"enum":["red","blue"]},"n":{"type":"integer","minimum":-12,"maximum":130},
		"a":{"type":"array","items":{"type":"boolean"},"minItems":2,"maxItems":3},"b":{"type":"string","maxLength":12}},
		"required":["kind","n","a","b"],"additionalProperties":false}`), grammar.Options{})
	if err != nil {
		t.Fatal(err)
	}
	k, err := g.For(grammar.NewVocabulary(net.Config().VocabSize, spelled, func(id int32) bool { return slices.Contains(ends, id) }), ends)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func checkAnswer(t *testing.T, r Result) {
	t.Helper()
	var v struct {
		Kind string
		N    int
		A    []bool
		B    string
	}
	text := textOf(r.Tokens)
	if err := json.Unmarshal(text, &v); err != nil || v.Kind != "red" && v.Kind != "blue" || v.N < -12 || v.N > 130 || len(v.A) < 2 || len(v.A) > 3 || len([]rune(v.B)) > 12 {
		t.Errorf("%s: %v", text, err)
	}
	if r.FinishReason != FinishStop {
		t.Errorf("it ended by %q", r.FinishReason)
	}
}

func TestAnswersKeepToGrammar(t *testing.T) {
	net := openPredictor(t, "deepseek_v32", forward.Publisher)
	for name, ends := range map[string][]int32{"end token": {50}, "no end token": nil} {
		t.Run(name, func(t *testing.T) {
			k := masker(t, net, ends)
			requests := mixed(t, net, 12, Speculation{})
			for i := range requests {
				requests[i].MaxTokens, requests[i].End, requests[i].Stop, requests[i].Text = 200, ends, nil, nil
				requests[i].Sampling = Sampling{Temperature: 1, Seed: uint64(i)}
			}
			one := func(i int, how Speculation) Request {
				q := requests[i]
				q.Speculation, q.Allowed = how, k.Matcher().Allowed
				return q
			}
			var want []Result
			for i := range requests {
				r, err := Generate(context.Background(), newTestSession(t, net, 600), one(i, Speculation{}), nil)
				if err != nil {
					t.Fatalf("%v after %s", err, textOf(r.Tokens))
				}
				checkAnswer(t, r)
				want = append(want, r)
			}
			check := func(i int, who string, got Result, err error) {
				t.Helper()
				if err != nil || !slices.Equal(got.Tokens, want[i].Tokens) {
					t.Errorf("request %d %s: %v\n got %s\nwant %s", i, who, err, textOf(got.Tokens), textOf(want[i].Tokens))
				}
			}
			for i := range requests {
				e := &eager{Session: newTestSession(t, net, 600), t: t}
				got, err := Generate(context.Background(), e, one(i, Speculation{NGram: true, MTP: true}), nil)
				check(i, "guessed ahead", got, err)
				if e.guesses() == 0 {
					t.Errorf("request %d: nothing was guessed", i)
				}
			}
			s := newTestScheduler(t, net, SchedulerOptions{})
			var streams []*Stream
			for i := range requests {
				stream, err := s.Submit(context.Background(), one(i, Speculation{NGram: true, MTP: true}), 0)
				if err != nil {
					t.Fatal(err)
				}
				streams = append(streams, stream)
			}
			for i, stream := range streams {
				got, err := stream.Result()
				check(i, "among others", got, err)
			}
			closeScheduler(t, s)
		})
	}
}
