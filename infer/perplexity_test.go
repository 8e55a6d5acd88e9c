package infer

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/forward"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/weights"
)

// logitsOf returns the logits after every token, each a copy.
func logitsOf(t *testing.T, net *forward.Net, tokens []int32) (rows [][]float64) {
	t.Helper()
	c, err := net.NewCache(len(tokens))
	if err != nil {
		t.Fatal(err)
	}
	err = net.Run(context.Background(), []*forward.Step{{Cache: c, Tokens: tokens, Each: func(_ int, logits []float32) error {
		row := make([]float64, len(logits))
		for i, v := range logits {
			row[i] = float64(v)
		}
		rows = append(rows, row)
		return nil
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func logSoftmaxOf(x []float64) []float64 {
	var sum float64
	for _, v := range x {
		sum += math.Exp(v)
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = v - math.Log(sum)
	}
	return y
}

func argmaxOf(x []float64) (best int) {
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}

// The numbers equal their definitions, whatever the window and whatever is skipped.
func TestPerplexityFollowsItsDefinition(t *testing.T) {
	net, other := openNet(t, "llama-q8_0"), openNet(t, "deepseek2-q8_0")
	tokens := prompt(net, 107, 5)
	begin := int32(2)
	for _, o := range []PerplexityOptions{
		{Context: 20}, {Context: 20, Skip: 11, Begin: &begin}, {Context: 107}, {}, {Context: 20, Windows: 2}, {Context: 2}, {Context: 30, Against: other},
		{Context: 40, Skip: 21, Begin: &begin, Against: other}, {Context: 33, Against: net},
	} {
		var losses, others, kls, same []float64
		size, skip := o.Context, max(o.Skip, 1)
		if size == 0 || size > len(tokens) {
			size = len(tokens)
		}
		n := len(tokens) / size
		if o.Windows > 0 {
			n = min(n, o.Windows)
		}
		for w := range n {
			window := append([]int32(nil), tokens[w*size:][:size]...)
			if o.Begin != nil {
				window[0] = *o.Begin
			}
			rows := logitsOf(t, net, window)
			for i := skip; i < size; i++ {
				q := logSoftmaxOf(rows[i-1])
				losses = append(losses, -q[window[i]])
			}
			if o.Against == nil {
				continue
			}
			reference := logitsOf(t, o.Against, window)
			for i := skip; i < size; i++ {
				p, q := logSoftmaxOf(reference[i-1]), logSoftmaxOf(rows[i-1])
				var kl float64
				for j := range p {
					kl += math.Exp(p[j]) * (p[j] - q[j])
				}
				agree := 0.0
				if argmaxOf(p) == argmaxOf(q) {
					agree = 1
				}
				others, kls, same = append(others, -p[window[i]]), append(kls, kl), append(same, agree)
			}
		}
		r, err := Perplexity(context.Background(), net, tokens, o)
		if err != nil {
			t.Fatal(err)
		}
		if r.Windows != n || r.Left != len(tokens)-n*size {
			t.Errorf("%+v: %+v, want %d windows", o, r, n)
		}
		for what, c := range map[string]struct {
			got  Mean
			want []float64
		}{"loss": {r.Mean, losses}, "other loss": {r.Against, others}, "kl": {r.KL, kls}, "top1": {r.Top1, same}} {
			want := meanOf(c.want)
			if c.got.N != want.N || math.Abs(c.got.Value-want.Value) > 1e-5 || math.Abs(c.got.Error-want.Error) > 1e-5 {
				t.Errorf("%+v: %s %+v, want %+v", o, what, c.got, want)
			}
		}
		if o.Against == net && (r.KL.Value != 0 || r.Top1.Value != 1) {
			t.Errorf("a model differs from itself: %+v", r)
		}
	}
}

func meanOf(x []float64) (m Mean) {
	if m.N = len(x); m.N == 0 {
		return m
	}
	var sum, square float64
	for _, v := range x {
		sum += v
		square += v * v
	}
	n := float64(m.N)
	m.Value = sum / n
	if m.N > 1 {
		m.Error = math.Sqrt(max(0, square/n-m.Value*m.Value) / (n - 1))
	}
	return m
}

func TestPerplexityRefuses(t *testing.T) {
	net := openNet(t, "llama-q8_0")
	tokens := prompt(net, 30, 5)
	for what, c := range map[string]struct {
		tokens []int32
		o      PerplexityOptions
	}{
		"one token": {tokens[:1], PerplexityOptions{}}, "nothing": {nil, PerplexityOptions{}}, "a window of one": {tokens, PerplexityOptions{Context: 1}},
		"nothing scored": {tokens, PerplexityOptions{Context: 8, Skip: 8}}, "negative": {tokens, PerplexityOptions{Skip: -1}},
		"unknown id": {append(tokens[:5:5], 1<<20), PerplexityOptions{}}, "too short": {tokens[:10], PerplexityOptions{Context: 20, Skip: 10}},
	} {
		if _, err := Perplexity(context.Background(), net, c.tokens, c.o); err == nil || !strings.HasPrefix(err.Error(), "infer: ") {
			t.Errorf("%s: error %v", what, err)
		}
	}
	if _, err := Perplexity(context.Background(), net, tokens[:1], PerplexityOptions{}); err == nil || !strings.Contains(err.Error(), "must have 2 tokens or more, and it has 1") {
		t.Errorf("one token: error %v", err)
	}
	if _, err := Perplexity(context.Background(), net, tokens, PerplexityOptions{Against: smallerVocabulary(t)}); err == nil || !strings.Contains(err.Error(), "vocabularies") {
		t.Errorf("another vocabulary: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	_, err := Perplexity(ctx, net, tokens, PerplexityOptions{Context: 10, Progress: func(int, int) { cancel() }})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "window 2 of 3") {
		t.Errorf("cancelled: %v", err)
	}
}

// smallerVocabulary is a model that knows 64 ids.
func smallerVocabulary(t *testing.T) *forward.Net {
	t.Helper()
	e, err := kernel.New(1, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	m, err := model.New(&model.Config{
		ModelType: "llama", VocabSize: 64, HiddenSize: 16, IntermediateSize: 16, NumHiddenLayers: 1, NumAttentionHeads: 2, NumKeyValueHeads: 1, HeadDim: 8,
	}, e, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m.Init(1)
	net, err := forward.New(weights.FromModel(m), e, forward.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return net
}
