package forward

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/weights"
)

// Tokens of short steps have the bits that they have one by one, alone and beside others.
func TestShortSteps(t *testing.T) {
	for _, dtype := range []kernel.DType{kernel.F32, kernel.BF16} {
		netsUnderTest(t, Options{DType: dtype}, func(t *testing.T, n *Net, _ func(Options) *Net) {
			V, ctx := n.cfg.VocabSize, context.Background()
			prompts := [][]int32{randomTokens(1, 45, V), randomTokens(2, 33, V), randomTokens(3, 3, V)}
			next := [][]int32{randomTokens(4, 5, V), randomTokens(5, 9, V), randomTokens(6, Short, V)}
			want := make([][]float32, len(prompts))
			var steps []*Step
			for i, p := range prompts {
				one := newCache(t, n, 100)
				last(t, n, one, p)
				for _, id := range next[i] {
					want[i] = append(want[i], last(t, n, one, []int32{id})...)
				}
				c := newCache(t, n, 100)
				last(t, n, c, p)
				steps = append(steps, &Step{Cache: c, Tokens: next[i], Every: true, States: make([]float32, len(next[i])*n.StateSize())})
			}
			if err := n.Run(ctx, steps); err != nil {
				t.Fatal(err)
			}
			for i, s := range steps {
				if !slices.Equal(s.Logits, want[i]) {
					t.Errorf("%v: %d tokens at once: logits differ by %.3g", dtype, len(s.Tokens), maxDiff(s.Logits, want[i]))
				}
			}
			// taking some back and going on changes nothing either
			for i, s := range steps {
				half := len(s.Tokens) / 2
				if kept := s.Cache.Truncate(len(prompts[i]) + half); kept != len(prompts[i])+half {
					t.Errorf("kept %d of %d", kept, len(prompts[i])+half)
				}
				s.Tokens, s.Every, s.States = s.Tokens[half:], false, nil
			}
			if err := n.Run(ctx, steps); err != nil {
				t.Fatal(err)
			}
			for i, s := range steps {
				if !slices.Equal(s.Logits, want[i][len(want[i])-V:]) {
					t.Errorf("%v: after going back: logits differ by %.3g", dtype, maxDiff(s.Logits, want[i][len(want[i])-V:]))
				}
			}
		})
	}
}

// A cache put together from parts is the cache that the parts are of, bit for bit.
func TestParts(t *testing.T) {
	netsUnderTest(t, Options{}, func(t *testing.T, n *Net, _ func(Options) *Net) {
		V := n.cfg.VocabSize
		seq := randomTokens(8, 130, V)
		c := newCache(t, n, 200)
		var parts []*Part
		for lo := 0; lo < 120; lo += 40 {
			last(t, n, c, seq[lo:lo+40])
			parts = append(parts, must[*Part](t)(c.Part(lo)))
		}
		want := last(t, n, c, seq[120:])
		for range 2 { // parts may be used again
			d := newCache(t, n, 200)
			if err := d.Append(parts[1]); err == nil {
				t.Error("a part in the wrong place was taken")
			}
			for _, p := range parts {
				if err := d.Append(p); err != nil {
					t.Fatal(err)
				}
			}
			if d.Len() != 120 {
				t.Fatalf("%d tokens", d.Len())
			}
			if got := last(t, n, d, seq[120:]); !slices.Equal(got, want) {
				t.Errorf("logits differ by %.3g", maxDiff(got, want))
			}
		}
		if err := newCache(t, n, 39).Append(parts[0]); err == nil {
			t.Error("40 tokens were put into a context of 39")
		}
		if _, err := c.Part(c.Len()); err == nil {
			t.Error("a part of no tokens")
		}
	})
}

// Following the main model gives the logits of MTPLogits, in whatever pieces; guesses go on from there and
// can be taken back.
func TestDraft(t *testing.T) {
	ctx := context.Background()
	check := func(name string, n *Net) {
		t.Run(name, func(t *testing.T) {
			V, size := n.cfg.VocabSize, n.StateSize()
			const T = 60
			seq := randomTokens(9, T, V)
			want := must[[]float32](t)(n.MTPLogits(ctx, seq))
			states := make([]float32, T*size)
			if err := n.Run(ctx, []*Step{{Cache: newCache(t, n, T), Tokens: seq, States: states}}); err != nil {
				t.Fatal(err)
			}
			d := must[*Draft](t)(n.NewDraft(T))
			if _, err := n.Guess(ctx, d, 1); err == nil {
				t.Error("a guess from nothing")
			}
			for lo, i := 0, 0; lo < T-1; i++ {
				hi := min(T-1, lo+[]int{20, 1, 1, 7}[i%4])
				got := slices.Clone(must[[]float32](t)(n.Follow(ctx, d, states[lo*size:hi*size], seq[lo+1:hi+1])))
				if d := maxDiff(got, want[(hi-1)*V:][:V]); d > readLimit {
					t.Errorf("after %d tokens: logits differ by %.3g", hi, d)
				}
				first := slices.Clone(must[[]float32](t)(n.Guess(ctx, d, 3)))
				if slices.Equal(first, got) {
					t.Error("a guess repeats the one before")
				}
				if hi+1 < T { // there is room for another
					must[[]float32](t)(n.Guess(ctx, d, 4))
				}
				d.Truncate(hi)
				if d.Len() != hi {
					t.Fatalf("%d tokens after %d", d.Len(), hi)
				}
				lo = hi
			}
		})
	}
	m := random(t, shapes["v3"], model.Options{MTP: true})
	for _, before := range []bool{false, true} {
		check(fmt.Sprint("v3 ", before), must[*Net](t)(New(weights.FromModel(m), newEngine(t, 1), Options{MTP: true, MTPBeforeNorm: before})))
	}
	for _, path := range []string{goldenPath(t, "deepseek_v3_mtp"), filepath.Join("testdata", "deepseek_v32"), filepath.Join("testdata", "deepseek_v4_mtp")} {
		if path != "" {
			check(filepath.Base(path), open(t, path, Options{MTP: true, Rounding: None}))
		}
	}
	if _, err := fromModel(t, random(t, shapes["llama"], model.Options{}), Options{}).NewDraft(10); err == nil {
		t.Error("a draft of a model without MTP")
	}
}
