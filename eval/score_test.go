package eval

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/forward"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/tokenizer"
	"github.com/haenyeo/haenyeo/weights"
)

func openNet(t testing.TB, path string) *forward.Net {
	t.Helper()
	e, err := kernel.New(2, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	src, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	net, err := forward.New(src, e, forward.Options{Rounding: forward.None})
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// talker is a model that knows a few conversations by heart.
func talker(t testing.TB) *Model {
	dir := filepath.Join("..", "testdata", "talker")
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := &Model{Name: "talker", Net: openNet(t, dir), Tokenizer: tok}
	if eos, ok := tok.EOS(); ok {
		m.End = []int32{eos}
	}
	return m
}

// plainly reads a whole text from an empty context, token by token.
func plainly(t *testing.T, net *forward.Net, before, next []int32) (l Likelihood) {
	t.Helper()
	cache, err := net.NewCache(len(before) + len(next))
	if err != nil {
		t.Fatal(err)
	}
	l.Greedy = true
	all := append(append([]int32{}, before...), next...)
	for i, id := range all[:len(all)-1] {
		step := &forward.Step{Cache: cache, Tokens: []int32{id}}
		if err := net.Run(context.Background(), []*forward.Step{step}); err != nil {
			t.Fatal(err)
		}
		if i >= len(before)-1 {
			best, most, sum := 0, math.Inf(-1), 0.0
			for k, v := range step.Logits {
				if float64(v) > most {
					best, most = k, float64(v)
				}
				sum += math.Exp(float64(v))
			}
			l.Log += float64(step.Logits[all[i+1]]) - math.Log(sum)
			l.Greedy = l.Greedy && int32(best) == all[i+1]
		}
	}
	return l
}

// Layers of every generation keep something else of a context that is shared.
func TestLikelihoodsShareTheirContext(t *testing.T) {
	for _, name := range []string{"llama-q8_0", "deepseek2-q8_0", "deepseek32-q8_0", "deepseek4-mxfp4"} {
		net := openNet(t, filepath.Join("..", "infer", "testdata", name+".gguf"))
		ids := func(n, seed int) []int32 {
			p := make([]int32, n)
			for i := range p {
				p[i] = int32((i*i*7 + i*seed + 11*seed) % net.Config().VocabSize)
			}
			return p
		}
		head := ids(7, 1)
		s, err := newScorer(context.Background(), net, head, 40)
		if err != nil {
			t.Fatal(err)
		}
		nexts := [][]int32{ids(1, 3), ids(5, 4), ids(9, 5), ids(2, 6)}
		for _, before := range [][]int32{append(ids(7, 1), ids(6, 2)...), ids(9, 8), append(ids(7, 1), ids(3, 9)...)} { // with the head, and without
			got, err := s.score(context.Background(), before, nexts)
			if err != nil {
				t.Fatal(err)
			}
			for i, next := range nexts {
				want := plainly(t, net, before, next)
				if math.Abs(got[i].Log-want.Log) > 1e-3 || got[i].Greedy != want.Greedy {
					t.Errorf("%s, continuation %d: %+v, read plainly %+v", name, i, got[i], want)
				}
			}
		}
	}
}

func TestEncodeCutsAsLMEval(t *testing.T) {
	m := talker(t)
	whole := func(s string) []int32 { return m.Tokenizer.Encode(nil, s, tokenizer.EncodeOptions{AddSpecial: true}) }
	p, err := m.encode("hello  ", " you")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(p.context), len(whole("hello")); got != want {
		t.Errorf("the context has %d tokens, without the spaces that end it %d", got, want)
	}
	if got, want := string(m.Tokenizer.AppendDecode(nil, p.next, false)), "   you"; got != want {
		t.Errorf("the continuation is %q, not %q", got, want)
	}
	p, err = m.encode("", " you")
	if err != nil || len(p.context) != 1 || string(m.Tokenizer.AppendDecode(nil, p.next, false)) != " you" {
		t.Errorf("alone: %v, %v", p, err)
	}
	if cut, err := (pair{[]int32{1, 2, 3}, []int32{4, 5}}).cut(3); err != nil || len(cut.context) != 2 || cut.context[0] != 2 {
		t.Errorf("cut to a window of 3: %v, %v", cut, err)
	}
	if _, err := (pair{[]int32{1}, []int32{4, 5, 6, 7}}).cut(3); err == nil {
		t.Error("a continuation longer than the window was taken")
	}
}

const animals = `{"id":"a","query":"Question: What is a cat?\n","choices":["an animal","a stone"],"gold":0}
{"id":"b","query":"Question: What is a rock?\n","choices":["an animal","a stone"],"gold":1}
{"id":"c","query":"Question: What is a dog?\n","choices":["an animal","a stone","x"],"gold":0}
{"id":"d","query":"Question: What is a pebble?\n","choices":["an animal of some kind","a stone"],"gold":1}`

func set(t *testing.T, name, lines string) *Set {
	t.Helper()
	s, err := Parse(context.Background(), name, strings.NewReader(lines), "")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRunChoices(t *testing.T) {
	m, s := talker(t), set(t, "animals", animals)
	for _, shots := range []int{0, 2} {
		all, err := Run(context.Background(), m, s, Options{Shots: shots, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		right := map[string]int{}
		for i, asked := range all.Items {
			it := &s.Items[i]
			picked, err := draw(s.Items, shots, 1)
			if err != nil {
				t.Fatal(err)
			}
			best := 0
			for k, choice := range it.Choices {
				p, err := m.encode(examples(picked, it)+it.Contexts[0], " "+choice)
				if err != nil {
					t.Fatal(err)
				}
				want := plainly(t, m.Net, p.context, p.next)
				if math.Abs(asked.Choices[k].Log-want.Log) > 1e-3 {
					t.Errorf("%d examples, item %s, choice %d: %v, read plainly %v", shots, it.ID, k, asked.Choices[k].Log, want.Log)
				}
				if asked.Choices[k].Log > asked.Choices[best].Log {
					best = k
				}
			}
			if (best == it.Gold) != asked.Right["acc"] {
				t.Errorf("item %s: choice %d is the most probable, %v", it.ID, best, asked.Right)
			}
			for name, ok := range asked.Right {
				if ok {
					right[name]++
				}
			}
		}
		for _, metric := range all.Metrics {
			if metric.Right != right[metric.Name] || metric.Value != float64(right[metric.Name])/4 {
				t.Errorf("%+v, counted %d of 4", metric, right[metric.Name])
			}
		}
		// A question has the same score among others and alone.
		few, err := Run(context.Background(), m, s, Options{Shots: shots, Seed: 1, Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if few.Items[0].Choices[0] != all.Items[0].Choices[0] {
			t.Errorf("alone %v, among others %v", few.Items[0].Choices[0], all.Items[0].Choices[0])
		}
	}
}

func TestNoQuestionIsItsOwnExample(t *testing.T) {
	s := set(t, "animals", animals)
	for seed := range uint64(5) {
		picked, err := draw(s.Items, 3, seed)
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.Items {
			text := examples(picked, &s.Items[i])
			if strings.Contains(text, s.Items[i].Contexts[0]) || strings.Count(text, "Answer: ") != 3 {
				t.Errorf("before %q: %q", s.Items[i].Contexts[0], text)
			}
		}
	}
	if _, err := draw(s.Items, 4, 1); err == nil {
		t.Error("4 examples of 4 items were drawn")
	}
}

func TestPickByLength(t *testing.T) {
	it := &Item{Choices: []string{"ab", "ก", "xxxx"}, Gold: 1}
	got := judge(it, []Likelihood{{Log: -2}, {Log: -1.5}, {Log: -3.6}})
	if !got["acc"] || got["acc_norm"] || !got["acc_bytes"] {
		t.Errorf("%v: by characters -1, -1.5, -0.9; by bytes -1, -0.5, -0.9", got)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	m := talker(t)
	answers := set(t, "sums", `{"question":"1 + 1?","answer":"2"}`+"\n"+`{"question":"1 + 2?","answer":"3"}`)
	for _, s := range []*Set{set(t, "animals", animals), answers} {
		_, err := Run(ctx, m, s, Options{Progress: func(done, total int) { cancel() }})
		if !errors.Is(err, context.Canceled) && s.Kind == Choice {
			t.Errorf("%s: %v", s.Name, err)
		}
	}
	if _, err := Run(ctx, m, answers, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
}

func TestRunAnswers(t *testing.T) {
	m := talker(t)
	s := set(t, "sums", `{"question":"How much is one and one?","answer":"2"}`+"\n"+`{"question":"And 1 + 2?","answer":"3"}`+"\n"+`{"question":"And 2 + 2?","answer":"2 + 2 = 4\n#### 4"}`)
	a, err := Run(context.Background(), m, s, Options{MaxTokens: 12, Shots: 1})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Run(context.Background(), m, s, Options{MaxTokens: 12, Shots: 1, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if a.Items[0].Text != b.Items[0].Text || a.Items[0].Text == "" || a.N != 3 || b.N != 1 {
		t.Errorf("among others %q, alone %q", a.Items[0].Text, b.Items[0].Text)
	}
}

func TestCompareModels(t *testing.T) {
	a := &Result{Model: "a", Task: "t", order: []string{"acc"}}
	b := &Result{Model: "b", Task: "t", order: []string{"acc"}}
	for i := range 10 {
		id := string(rune('a' + i))
		a.Items = append(a.Items, Asked{ID: id, Right: map[string]bool{"acc": i < 8}})
		b.Items = append(b.Items, Asked{ID: id, Right: map[string]bool{"acc": i == 9 || i < 2}})
	}
	r := &Report{Results: []*Result{a, b}, Contamination: []Contamination{{Items: 9, Found: 1}}}
	a.sum()
	b.sum()
	if err := r.Compare(); err != nil {
		t.Fatal(err)
	}
	c := r.Comparisons[0]
	if len(r.Comparisons) != 1 || c.OnlyFirst != 6 || c.OnlySecond != 1 || c.Difference.Value != 0.5 || math.Abs(c.P-0.125) > 1e-9 {
		t.Errorf("%+v", r.Comparisons)
	}
	b.Items = b.Items[:9]
	if _, err := Compare(a, b); err == nil {
		t.Error("results of different items were compared")
	}
	page, err := r.HTML()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Content-Security-Policy", "49.0 – 94.3", "&#43;50.0", "Questions in the training data"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page says nothing of %q", want)
		}
	}
}
