package infer

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestGreedyTakesTheFirstOfEquals(t *testing.T) {
	id, err := newSampler(Sampling{}, nil, nil).next([]float32{1, 3, 3, -2})
	if err != nil || id != 1 {
		t.Fatalf("got %d, %v; want 1", id, err)
	}
}

func TestBrokenLogits(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	far := make([]float32, 200)
	far[150] = nan
	for _, logits := range [][]float32{{nan, 1}, {1, 2, nan}, {inf, 1}, {-inf, -inf}, {}, far} {
		for _, s := range []Sampling{{}, {Temperature: 1}, {Temperature: 1, TopK: 1}, {Bias: map[int32]float64{0: 1}}} {
			if _, err := newSampler(s, nil, nil).next(logits); err == nil || len(logits) > 0 && !errors.Is(err, ErrNotFinite) {
				t.Errorf("logits %v, %+v: error %v", logits, s, err)
			}
		}
	}
	for _, s := range []Sampling{{Temperature: 1}, {Temperature: 1, TopP: 0.9}, {Temperature: 1, TopK: 1}, {Temperature: 1, TypicalP: 0.5}, {Temperature: 1e-310}} {
		if id, err := newSampler(s, nil, nil).next([]float32{-inf, 5}); err != nil || id != 1 {
			t.Errorf("a banned token, %+v: got %d, %v", s, id, err)
		}
	}
}

// The cuts are compared with their definition, computed the long way, over random logits.
func TestCutsKeepWhatTheyPromise(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, s := range []Sampling{
		{Temperature: 1}, {Temperature: 0.7, TopK: 5}, {Temperature: 1, TopK: 1000}, {Temperature: 1, TopP: 0.9},
		{Temperature: 1.3, TopP: 0.3}, {Temperature: 1, TopP: 1}, {Temperature: 1, MinP: 0.2}, {Temperature: 1, MinP: 1},
		{Temperature: 0.9, TopK: 20, TopP: 0.8, MinP: 0.05}, {Temperature: 1, TopK: 1}, {Temperature: 2, TopP: 1e-9},
		{Temperature: 0.01, TopP: 0.5}, {Temperature: 1, TopK: 40, TopP: 0.999999}, {Temperature: 5, TopP: 0.99},
	} {
		for range 40 {
			n := 1 + rng.IntN(700) // around and beyond blocks
			logits := make([]float32, n)
			for i := range logits {
				logits[i] = float32(math.Round(rng.NormFloat64()*8) / 4) // coarse, so that ties happen
				if rng.IntN(50) == 0 {
					logits[i] = float32(math.Inf(-1))
				}
			}
			logits[rng.IntN(n)] = 0
			want := slow(s, logits)
			got := drawnFrom(t, s, nil, nil, logits)
			if len(got) != len(want) {
				t.Fatalf("%+v over %d logits: keeps %d, want %d", s, n, len(got), len(want))
			}
			for id, p := range want {
				if math.Abs(got[id]-p) > 1e-9 {
					t.Fatalf("%+v: id %d has probability %v, want %v", s, id, got[id], p)
				}
			}
			sm := newSampler(s, nil, nil)
			for range 20 {
				if id, err := sm.next(logits); err != nil || want[id] == 0 {
					t.Fatalf("%+v: drew %d (%v), allowed %v", s, id, err, want)
				}
			}
		}
	}
}

// The guesses that make the selection fast are checked: logits on which they are far off.
func TestCutsSurviveWrongGuesses(t *testing.T) {
	const n = 64 * 100
	rng := rand.New(rand.NewPCG(8, 8))
	for _, sampled := range []float64{-9, 9} { // the first logit of every block, which stands for the others
		logits := make([]float32, n)
		for i := range logits {
			logits[i] = float32(rng.NormFloat64())
			if i%blockSize == 0 {
				logits[i] += float32(sampled)
			}
		}
		for _, s := range []Sampling{
			{Temperature: 1, TopK: 99}, {Temperature: 1, TopK: 101}, {Temperature: 1, TopK: 3000}, {Temperature: 1, TopK: n - 1}, {Temperature: 1, TopP: 0.5},
			{Temperature: 1, TopP: 0.999}, {Temperature: 0.2, TopP: 0.9}, {Temperature: 1, TopP: 0.999999},
		} {
			got, want := drawnFrom(t, s, nil, nil, logits), slow(s, logits)
			if len(got) != len(want) {
				t.Errorf("%v, %+v: keeps %d, want %d", sampled, s, len(got), len(want))
			}
			for id, p := range want {
				if math.Abs(got[id]-p) > 1e-9 {
					t.Fatalf("%v, %+v: id %d has probability %v, want %v", sampled, s, id, got[id], p)
				}
			}
		}
	}
}

// slow is the definition: the probability of every id that may be drawn.
func slow(s Sampling, logits []float32) map[int32]float64 {
	var c []candidate
	top := float64(slices.Max(logits))
	for i, l := range logits {
		if w := math.Exp((float64(l) - top) / s.Temperature); w >= leastWeight {
			c = append(c, candidate{w, l, int32(i)})
		}
	}
	total := func() (sum float64) {
		for _, x := range c {
			sum += x.weight
		}
		return sum
	}
	sortCandidates(c)
	if s.TopK > 0 {
		c = c[:min(s.TopK, len(c))]
	}
	if s.TopP > 0 && s.TopP < 1 {
		sum, acc := total(), 0.0
		for i := range c {
			if acc += c[i].weight; acc >= s.TopP*sum {
				c = c[:i+1]
				break
			}
		}
	}
	c = slices.DeleteFunc(c, func(x candidate) bool { return x.weight < s.MinP })
	out := map[int32]float64{}
	for sum := total(); len(c) > 0; c = c[1:] {
		out[c[0].id] = c[0].weight / sum
	}
	return out
}

// drawnFrom returns what the next token is drawn from: the probability of every id.
func drawnFrom(t *testing.T, s Sampling, prompt, made []int32, logits []float32) map[int32]float64 {
	t.Helper()
	sm := newSampler(s, prompt, nil)
	for _, id := range made {
		sm.accept(id)
	}
	x, err := sm.apply(logits)
	if err != nil {
		t.Fatal(err)
	}
	best, err := sm.scan(x)
	if err != nil {
		t.Fatal(err)
	}
	sm.cand = nil
	sm.draw(x, best, 1/s.Temperature)
	if sm.cand == nil { // nothing was cut
		d := distribution{x: x, top: float64(x[best]), scale: 1 / s.Temperature, blocks: &sm.blocks}
		sm.cand = d.atLeast(nil, d.logit(leastWeight))
		d.weigh(sm.cand)
	}
	var sum float64
	for _, c := range sm.cand {
		sum += c.weight
	}
	out := map[int32]float64{}
	for _, c := range sm.cand {
		if c.weight > 0 {
			out[c.id] = c.weight / sum
		}
	}
	return out
}

// The frequencies of many draws agree with the probabilities: Pearson's test, whose statistic for k ids has mean
// k-1 and variance 2(k-1); six standard deviations are far beyond chance.
func TestDrawsFollowTheDistribution(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	logits := make([]float32, 300)
	for i := range logits {
		logits[i] = float32(rng.NormFloat64())
	}
	for _, s := range []Sampling{
		{Temperature: 1}, {Temperature: 0.5}, {Temperature: 1, TopK: 20}, {Temperature: 1, TopP: 0.8}, {Temperature: 1, MinP: 0.1},
		{Temperature: 1, TypicalP: 0.6}, {Temperature: 1, TopK: 100, TopP: 0.9, MinP: 0.05, Bias: map[int32]float64{3: 4, 4: math.Inf(-1)}},
	} {
		want := drawnFrom(t, s, nil, nil, logits)
		const draws = 60000
		count := map[int32]int{}
		s.Seed = 3
		sm := newSampler(s, nil, nil)
		for range draws {
			id, err := sm.next(logits)
			if err != nil {
				t.Fatal(err)
			}
			if want[id] == 0 {
				t.Fatalf("%+v: drew %d", s, id)
			}
			count[id]++
		}
		var chi float64
		for id, p := range want {
			d := float64(count[id]) - p*draws
			chi += d * d / (p * draws)
		}
		k := float64(len(want) - 1)
		if math.Abs(chi-k) > 6*math.Sqrt(2*k) {
			t.Errorf("%+v: chi-squared %.1f over %d ids", s, chi, len(want))
		}
	}
}

func TestSameSeedSameDraws(t *testing.T) {
	logits := make([]float32, 1000)
	draw := func(seed uint64) (ids []int32) {
		s := newSampler(Sampling{Temperature: 1, Seed: seed}, nil, nil)
		for range 20 {
			id, err := s.next(logits)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		return ids
	}
	if a, b := draw(1), draw(1); !slices.Equal(a, b) {
		t.Errorf("one seed drew %v and %v", a, b)
	}
	if a, b := draw(1), draw(2); slices.Equal(a, b) {
		t.Errorf("two seeds drew %v", a)
	}
}

func TestSamplingRanges(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, s := range []Sampling{
		{Temperature: -1}, {Temperature: nan}, {Temperature: inf}, {TopK: -1}, {TopP: 1.1}, {MinP: -0.1}, {MinP: nan}, {TypicalP: 2},
		{RepetitionPenalty: -1}, {RepetitionPenalty: nan}, {RepetitionPenalty: 1e-300}, {PresencePenalty: inf}, {FrequencyPenalty: nan}, {PenaltyWindow: -1},
		{Bias: map[int32]float64{1: inf}}, {Bias: map[int32]float64{1: nan}}, {Bias: map[int32]float64{-1: 0}},
		{DRY: DRY{Multiplier: -1}}, {DRY: DRY{Multiplier: 1, Base: 0.5, Allowed: 2}}, {DRY: DRY{Multiplier: 1, Base: 2}},
		{DRY: DRY{Multiplier: 1, Base: 2, Allowed: 2, Window: -1}}, {DRY: DRY{Multiplier: 1, Base: 2, Allowed: 2, BreakerTexts: []string{""}}},
		{NoRepeat: NoRepeat{N: -1}}, {NoRepeat: NoRepeat{N: 2, Window: -2}},
	} {
		if s.Validate() == nil {
			t.Errorf("%+v was accepted", s)
		}
	}
	if err := (Sampling{
		Temperature: 0.7, TopK: 40, TopP: 0.95, MinP: 0.05, TypicalP: 0.9, RepetitionPenalty: 1.1, PresencePenalty: -2, FrequencyPenalty: 2,
		Bias: map[int32]float64{1: -inf}, DRY: DRY{Multiplier: 0.8, Base: 1.75, Allowed: 2}, NoRepeat: NoRepeat{N: 30, Window: 90},
	}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestExp(t *testing.T) {
	for x := -700.0; x <= 0; x += 0.00731 {
		if got, want := exp(x), math.Exp(x); math.Abs(got/want-1) > 1e-11 {
			t.Fatalf("exp(%v) = %v, want %v", x, got, want)
		}
	}
	if exp(0) != 1 {
		t.Error("exp(0) is not 1")
	}
}

// A weighted selection against the sort that it replaces, also on orders that are bad for it.
func TestCutoff(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	for range 3000 {
		n := 1 + rng.IntN(400)
		c := make([]candidate, n)
		shape := rng.IntN(5)
		for i := range c {
			c[i] = candidate{weight: rng.Float64(), id: int32(i), key: float32(rng.IntN(n))}
			switch shape {
			case 0:
				c[i].key = float32(i)
			case 1:
				c[i].key = float32(-i)
			case 2:
				c[i].key = 1
			case 3:
				c[i].key = float32(min(i, n-i)) // up and down
			}
		}
		sorted := slices.Clone(c)
		sortCandidates(sorted)
		var sum float64
		for _, x := range sorted {
			sum += x.weight
		}
		target := rng.Float64() * sum * 1.02
		want, acc := sorted[n-1], 0.0
		for _, x := range sorted {
			if acc += x.weight; acc >= target {
				want = x
				break
			}
		}
		if got := cutoff(c, target); got != want {
			t.Fatalf("shape %d, %d candidates: %+v, want %+v", shape, n, got, want)
		}
	}
}

func TestFloorOf(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 1))
	for range 500 {
		b := blocks{max: make([]float32, 1+rng.IntN(300))}
		for i := range b.max {
			b.max[i] = float32(rng.IntN(50))
		}
		sorted := slices.Clone(b.max)
		slices.Sort(sorted)
		k := 1 + rng.IntN(len(sorted))
		if got, want := b.floorOf(k), sorted[len(sorted)-k]; got != want {
			t.Fatalf("%d-th of %v: %v, want %v", k, sorted, got, want)
		}
	}
}

func TestLogprobs(t *testing.T) {
	logits := []float32{0, float32(math.Log(2)), float32(math.Log(5)), float32(math.Inf(-1)), 0}
	s := newSampler(Sampling{Temperature: 0.1, TopK: 1, Bias: map[int32]float64{0: 100}}, nil, nil) // none of it counts
	p, err := s.logprob(logits, 1, 3)
	if err != nil || p.ID != 1 || math.Abs(p.Logprob.Logprob-math.Log(2./9)) > 1e-6 || len(p.Top) != 3 {
		t.Fatalf("%+v, %v", p, err)
	}
	for i, want := range []Logprob{{2, math.Log(5. / 9)}, {1, math.Log(2. / 9)}, {0, math.Log(1. / 9)}} {
		if got := p.Top[i]; got.ID != want.ID || math.Abs(got.Logprob-want.Logprob) > 1e-6 {
			t.Errorf("place %d: %+v, want %+v", i, got, want)
		}
	}
	if p, err = s.logprob(logits, 0, 100); err != nil || len(p.Top) != 4 {
		t.Errorf("asked for more than there are: %+v, %v", p, err)
	}
}

// benchmark logits: a vocabulary of DeepSeek's size; peaked as a language model's, or as flat as it gets.
func benchmarkLogits(peaked bool) []float32 {
	rng := rand.New(rand.NewPCG(1, 2))
	logits := make([]float32, 129280)
	for i := range logits {
		logits[i] = float32(rng.NormFloat64() * 3)
		if peaked && rng.IntN(2000) == 0 {
			logits[i] += float32(15 * rng.Float64())
		}
	}
	return logits
}

func BenchmarkSample(b *testing.B) {
	history := make([]int32, 4096)
	for i := range history {
		history[i] = int32(i * i % 5003)
	}
	for _, c := range []struct {
		name string
		s    Sampling
	}{
		{"greedy", Sampling{}}, {"temperature", Sampling{Temperature: 1}}, {"temperature0.6", Sampling{Temperature: 0.6}},
		{"top-k", Sampling{Temperature: 1, TopK: 40}}, {"top-k3000", Sampling{Temperature: 1, TopK: 3000}},
		{"top-p", Sampling{Temperature: 1, TopP: 0.95}}, {"r1", Sampling{Temperature: 0.6, TopP: 0.95}}, {"min-p", Sampling{Temperature: 1, MinP: 0.05}},
		{"typical-p", Sampling{Temperature: 1, TypicalP: 0.9}},
		{"all-cuts", Sampling{Temperature: 0.8, TopK: 100, TopP: 0.95, MinP: 0.02}},
		{"penalties", Sampling{RepetitionPenalty: 1.1, PresencePenalty: 0.5, FrequencyPenalty: 0.1}},
		{"dry", Sampling{DRY: DRY{Multiplier: 0.8, Base: 1.75, Allowed: 2, Breakers: []int32{198}}}},
		{"no-repeat", Sampling{NoRepeat: NoRepeat{N: 30, Window: 90}}},
	} {
		for shape, logits := range map[string][]float32{"peaked": benchmarkLogits(true), "flat": benchmarkLogits(false)} {
			b.Run(c.name+"/"+shape, func(b *testing.B) {
				s := newSampler(c.s, history, nil)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := s.next(logits); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
