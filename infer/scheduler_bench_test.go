package infer

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/haenyeo/haenyeo/forward"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/weights"
)

// benchNet opens the file that HAENYEO_SMOLLM2 names, or makes a small model with random weights.
func benchNet(b *testing.B) *forward.Net {
	b.Helper()
	e, err := kernel.New(0, "")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(e.Close)
	var src *weights.Source
	if path := os.Getenv("HAENYEO_SMOLLM2"); path != "" {
		if src, err = weights.Open(path); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { src.Close() })
	} else {
		m, err := model.New(&model.Config{ModelType: "llama", VocabSize: 4096, HiddenSize: 512, IntermediateSize: 1536,
			NumHiddenLayers: 8, NumAttentionHeads: 8, NumKeyValueHeads: 4}, e, model.Options{})
		if err != nil {
			b.Fatal(err)
		}
		m.Init(1)
		src = weights.FromModel(m)
	}
	net, err := forward.New(src, e, forward.Options{DType: kernel.BF16})
	if err != nil {
		b.Fatal(err)
	}
	return net
}

// BenchmarkTogether answers n requests at once.
func BenchmarkTogether(b *testing.B) {
	net := benchNet(b)
	for _, n := range []int{1, 4, 16} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			const length = 64
			s := newTestScheduler(b, net, SchedulerOptions{PrefixBytes: 1 << 28})
			answer := func(max int) {
				var group sync.WaitGroup
				for i := range n {
					group.Go(func() {
						if _, err := s.Generate(context.Background(), Request{Tokens: prompt(net, 40, i+3), MaxTokens: max, Sampling: Sampling{Temperature: 1}}, 0, nil); err != nil {
							b.Error(err)
						}
					})
				}
				group.Wait()
			}
			answer(2)
			for b.Loop() {
				answer(length)
			}
			b.ReportMetric(float64(n*length*b.N)/b.Elapsed().Seconds(), "tokens/s")
			closeScheduler(b, s)
		})
	}
}

// BenchmarkChunk reads a prompt of 512 tokens in chunks, with and without a shared beginning of 448.
func BenchmarkChunk(b *testing.B) {
	net := benchNet(b)
	for _, shared := range []int64{0, 1 << 30} {
		for _, chunk := range []int{32, 64, 128, 256, 512} {
			b.Run(fmt.Sprintf("%d/shared=%t", chunk, shared > 0), func(b *testing.B) {
				s := newTestScheduler(b, net, SchedulerOptions{Chunk: chunk, PrefixBytes: shared})
				for i := 0; b.Loop(); i++ {
					p := slices.Concat(prompt(net, 448, 3), prompt(net, 64, i+5))
					if _, err := s.Generate(context.Background(), Request{Tokens: p, MaxTokens: 1}, 0, nil); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(512*b.N)/b.Elapsed().Seconds(), "tokens/s")
				closeScheduler(b, s)
			})
		}
	}
}

// BenchmarkGuess answers with and without guesses: text that repeats itself (greedy, of a prompt that does) and text
// that does not (drawn).
func BenchmarkGuess(b *testing.B) {
	net := benchNet(b)
	period := prompt(net, 24, 5)
	circles := slices.Concat(period, period, period, period)
	for _, c := range []struct {
		name string
		q    Request
	}{
		{"circles", Request{Tokens: circles, MaxTokens: 128}},
		{"drawn", Request{Tokens: circles, MaxTokens: 128, Sampling: Sampling{Temperature: 1}}},
	} {
		for _, how := range []Speculation{{}, {NGram: true}} {
			b.Run(fmt.Sprintf("%s/ngram=%t", c.name, how.NGram), func(b *testing.B) {
				s := newTestScheduler(b, net, SchedulerOptions{PrefixBytes: 1 << 28})
				c.q.Speculation = how
				for i := 0; b.Loop(); i++ {
					c.q.Seed = uint64(i)
					if _, err := s.Generate(context.Background(), c.q, 0, nil); err != nil {
						b.Fatal(err)
					}
				}
				n := s.Stats()
				b.ReportMetric(float64(128*b.N)/b.Elapsed().Seconds(), "tokens/s")
				b.ReportMetric(float64(n.RightGuesses)/float64(max(1, n.GuessedTokens)), "right")
				b.ReportMetric(float64(n.GuessedTokens)/float64(n.MadeTokens), "guessed/token")
				closeScheduler(b, s)
			})
		}
	}
}
