package infer

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestGreedyTakesTheFirstOfEquals(t *testing.T) {
	id, err := newSampler(Sampling{}).next([]float32{1, 3, 3, -2})
	if err != nil || id != 1 {
		t.Fatalf("got %d, %v; want 1", id, err)
	}
}

func TestBrokenLogits(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, logits := range [][]float32{{nan, 1}, {1, 2, nan}, {inf, 1}, {-inf, -inf}, {}} {
		for _, temperature := range []float64{0, 1} {
			if _, err := newSampler(Sampling{Temperature: temperature}).next(logits); !errors.Is(err, ErrNotFinite) {
				t.Errorf("logits %v at temperature %v: error %v", logits, temperature, err)
			}
		}
	}
	if id, err := newSampler(Sampling{Temperature: 1}).next([]float32{-inf, 5}); err != nil || id != 1 {
		t.Errorf("a masked token: got %d, %v", id, err)
	}
}

// The cuts are compared with their definition, computed the long way, over random logits.
func TestCutsKeepWhatTheyPromise(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, s := range []Sampling{
		{Temperature: 1}, {Temperature: 0.7, TopK: 5}, {Temperature: 1, TopK: 1000}, {Temperature: 1, TopP: 0.9},
		{Temperature: 1.3, TopP: 0.3}, {Temperature: 1, TopP: 1}, {Temperature: 1, MinP: 0.2}, {Temperature: 1, MinP: 1},
		{Temperature: 0.9, TopK: 20, TopP: 0.8, MinP: 0.05}, {Temperature: 1, TopK: 1}, {Temperature: 2, TopP: 1e-9},
	} {
		for range 20 {
			n := 1 + rng.IntN(200)
			logits := make([]float32, n)
			for i := range logits {
				logits[i] = float32(math.Round(rng.NormFloat64()*8) / 4) // coarse, so that ties happen
			}
			want := allowed(s, logits)
			sm := newSampler(s)
			sm.rng = rand.New(rand.NewPCG(rng.Uint64(), 0))
			for range 50 {
				id, err := sm.next(logits)
				if err != nil || !want[id] {
					t.Fatalf("%+v: drew %d (%v), allowed %v", s, id, err, want)
				}
			}
		}
	}
}

// allowed is the slow definition: the set of ids that may be drawn.
func allowed(s Sampling, logits []float32) map[int32]bool {
	c := make([]candidate, len(logits))
	top := float64(slices.Max(logits))
	for i, l := range logits {
		c[i] = candidate{int32(i), math.Exp((float64(l) - top) / s.Temperature)}
	}
	slices.SortFunc(c, byProbability)
	if s.TopK > 0 {
		c = c[:min(s.TopK, len(c))]
	}
	if s.TopP > 0 && s.TopP < 1 {
		sum, acc := total(c), 0.0
		for i := range c {
			if acc += c[i].p; acc >= s.TopP*sum {
				c = c[:i+1]
				break
			}
		}
	}
	out := map[int32]bool{}
	for _, x := range c {
		if x.p >= s.MinP {
			out[x.id] = true
		}
	}
	return out
}

func TestDrawsFollowTheSoftmax(t *testing.T) {
	logits := []float32{0, float32(math.Log(2)), float32(math.Log(5)), -30}
	const draws = 20000
	var count [4]int
	s := newSampler(Sampling{Temperature: 1, Seed: 3})
	for range draws {
		id, err := s.next(logits)
		if err != nil {
			t.Fatal(err)
		}
		count[id]++
	}
	for i, p := range []float64{1. / 8, 2. / 8, 5. / 8, 0} {
		sd := math.Sqrt(p * (1 - p) / draws)
		if got := float64(count[i]) / draws; math.Abs(got-p) > 5*sd {
			t.Errorf("id %d: drawn %.4f of the time, want %.4f", i, got, p)
		}
	}
}

func TestSamplingRanges(t *testing.T) {
	for _, s := range []Sampling{{Temperature: -1}, {Temperature: math.NaN()}, {TopK: -1}, {TopP: 1.1}, {MinP: -0.1}, {MinP: math.NaN()}} {
		if s.Validate() == nil {
			t.Errorf("%+v was accepted", s)
		}
	}
	if err := (Sampling{Temperature: 0.7, TopK: 40, TopP: 0.95, MinP: 0.05}).Validate(); err != nil {
		t.Error(err)
	}
}

func BenchmarkSampleTopP(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	logits := make([]float32, 129280)
	for i := range logits {
		logits[i] = float32(rng.NormFloat64() * 3)
	}
	s := newSampler(Sampling{Temperature: 1, TopP: 0.95})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.next(logits); err != nil {
			b.Fatal(err)
		}
	}
}
