package objective

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
)

// scene is a batch of two rows that hold three sequences, with everything that is known of them.
type scene struct {
	v            int
	targets, seq []int32
	logits       []float32
	old, ref     []float32
	adv, weight  []float32
	teacher      table
	kept         [][]int32
}

func newScene(e *kernel.Engine, v int) *scene {
	r := rand.New(rand.NewPCG(7, uint64(v)))
	s := &scene{v: v,
		targets: []int32{-1, 2, 0, 5, -1, 1, -1, 3, 3, 4, 1, 0},
		seq:     []int32{-1, 0, 0, 0, -1, 1, -1, 2, 2, 2, 2, 2}}
	normal := func(n int, std float64) (x []float32) {
		for range n {
			x = append(x, float32(std*r.NormFloat64()))
		}
		return x
	}
	s.logits, s.teacher = normal(12*v, 2), table{normal(12*v, 2), v}
	now := logProbs(e, s.targets, s.logits)
	s.old, s.ref, s.weight = normal(12, 0.3), normal(12, 0.5), normal(12, 1)
	for i := range s.old {
		s.old[i] += now[i]
		s.ref[i] += now[i]
		s.adv = append(s.adv, []float32{1, -0.7, 0.4, 0}[s.seq[i]&3])
		var kept []int32
		for id := range int32(v) {
			if r.IntN(2) == 0 || id == s.targets[i] && i != 3 { // at 3 the target is not among them
				kept = append(kept, id)
			}
		}
		s.kept = append(s.kept, kept)
	}
	s.kept[5] = nil
	return s
}

func (s *scene) batch() *model.Batch { return &model.Batch{B: 2, T: 6, Targets: s.targets} }

// Every gradient is the derivative of the loss along itself and along a random direction. DPO's loss is of
// the log-probabilities that it was made with, so it is made anew.
func TestGradientsAgainstFiniteDifferences(t *testing.T) {
	e := newEngine(t)
	const v = 9
	s := newScene(e, v)
	b := s.batch()
	objectives := map[string]func(logits []float32) (model.Objective, error){}
	for _, kind := range Kinds() {
		for _, kept := range []bool{false, true} {
			name := string(kind)
			a := Answers{Old: s.old, Ref: s.ref, Now: s.old, Adv: s.adv, Seq: s.seq}
			if kept {
				name, a.Kept = name+" kept", s.kept
			}
			o := PolicyDefaults(kind)
			o.Beta, o.MaxLength = 0.3, 5
			objectives[name] = func([]float32) (model.Objective, error) { return NewPolicy(b, o, a) }
		}
	}
	objectives["on policy"] = func([]float32) (model.Objective, error) {
		now := logProbs(e, s.targets, s.logits) // ρ is 1 here and moves with the logits
		return NewPolicy(b, PolicyDefaults(DAPO), Answers{Old: now, Adv: s.adv, Seq: s.seq})
	}
	pairs := []int32{-1, 0, 0, 1, -1, 1, -1, 2, 3, 3, 2, 2}
	objectives["dpo"] = func(logits []float32) (model.Objective, error) {
		return NewDPO(b, 0.7, Pairs{Now: logProbs(e, s.targets, logits), Ref: s.ref, Seq: pairs})
	}
	for _, d := range []Direction{Forward, Reverse} {
		objectives[string(d)] = func([]float32) (model.Objective, error) { return NewKL(b, d, s.teacher, s.weight) }
		top := stored(e, s.teacher, 12, 4)
		top.IDs[4*2+3] = -1 // a shorter list
		objectives[string(d)+" stored"] = func([]float32) (model.Objective, error) { return NewStoredKL(b, d, top, v, s.weight) }
	}
	r := rand.New(rand.NewPCG(1, 1))
	for name, make := range objectives {
		t.Run(name, func(t *testing.T) {
			at := func(x []float32, grad bool) (float64, []float32) {
				o, err := make(x)
				if err != nil {
					t.Fatal(err)
				}
				return apply(e, o, s.targets, x, grad)
			}
			loss, g := at(s.logits, true)
			if same, _ := at(s.logits, false); same != loss {
				t.Errorf("without gradient the loss is %g, with %g", same, loss)
			}
			var norm float64
			for _, x := range g {
				norm += float64(x) * float64(x)
			}
			if norm = math.Sqrt(norm); norm < 1e-3 {
				t.Fatalf("the gradient has norm %g: nothing is tested", norm)
			}
			for _, direction := range []func(i int) float64{
				func(i int) float64 { return float64(g[i]) / norm },
				func(int) float64 { return r.NormFloat64() / math.Sqrt(float64(len(g))) },
			} {
				const eps = 4e-3
				var expect float64
				up, down := slices.Clone(s.logits), slices.Clone(s.logits)
				for i := range g {
					d := direction(i)
					up[i] += float32(eps * d)
					down[i] -= float32(eps * d)
					expect += float64(g[i]) * float64(up[i]-down[i])
				}
				a, _ := at(up, false)
				b, _ := at(down, false)
				if diff := math.Abs(a - b - expect); diff > 2e-3*2*eps*norm+2e-7 {
					t.Errorf("the loss changes by %.6g, the gradient says %.6g", a-b, expect)
				}
			}
		})
	}
}

func TestUnclippedWithoutOldIsOnPolicy(t *testing.T) {
	e := newEngine(t)
	s := newScene(e, 9)
	var grads [2][]float32
	for i, old := range [][]float32{nil, logProbs(e, s.targets, s.logits)} {
		p, err := NewPolicy(s.batch(), PolicyDefaults(TokenLevel), Answers{Adv: s.adv, Seq: s.seq, Old: old})
		if err != nil {
			t.Fatal(err)
		}
		_, grads[i] = apply(e, p, s.targets, s.logits, true)
	}
	for i := range grads[0] {
		if math.Abs(float64(grads[0][i]-grads[1][i])) > 1e-6 {
			t.Fatalf("gradient %d: %g without old log-probabilities, %g with", i, grads[0][i], grads[1][i])
		}
	}
}

func TestStats(t *testing.T) {
	e := newEngine(t)
	v := 9
	s := newScene(e, v)
	now := logProbs(e, s.targets, s.logits)
	p, err := NewPolicy(s.batch(), PolicyDefaults(DAPO), Answers{Adv: s.adv, Seq: s.seq, Old: s.old})
	if err != nil {
		t.Fatal(err)
	}
	apply(e, p, s.targets, s.logits, false)
	var want Stats
	for i, target := range s.targets {
		if target < 0 {
			continue
		}
		ratio := math.Exp(float64(now[i] - s.old[i]))
		want.Tokens++
		want.Ratio += ratio
		want.RatioMax = max(want.RatioMax, ratio)
		want.MismatchMax = max(want.MismatchMax, math.Abs(float64(now[i]-s.old[i])))
		if s.adv[i] > 0 && ratio > 1.28 {
			want.ClippedHigh++
		}
		if s.adv[i] < 0 && ratio < 0.8 {
			want.ClippedLow++
		}
		row := s.logits[i*v:][:v]
		lse := e.LogSumExp(row)
		for _, l := range row {
			want.Entropy -= math.Exp(float64(l)-lse) * (float64(l) - lse)
		}
	}
	got, n := p.Stats(), float64(want.Tokens)
	if got.Tokens != want.Tokens || got.Sequences != 3 {
		t.Errorf("%+v: want %d tokens of 3 sequences", got, want.Tokens)
	}
	for name, x := range map[string][2]float64{
		"ratio": {got.Ratio, want.Ratio / n}, "largest ratio": {got.RatioMax, want.RatioMax},
		"clipped above": {got.ClippedHigh, want.ClippedHigh / n}, "clipped below": {got.ClippedLow, want.ClippedLow / n},
		"entropy": {got.Entropy, want.Entropy / n}, "mismatch": {got.MismatchMax, want.MismatchMax},
	} {
		if math.Abs(x[0]-x[1]) > 1e-5 {
			t.Errorf("%s is %g, want %g", name, x[0], x[1])
		}
	}
}

func TestWhatMakesNoSense(t *testing.T) {
	e := newEngine(t)
	s := newScene(e, 9)
	b := s.batch()
	policy := func(change func(o *PolicyOptions, a *Answers)) func() error {
		return func() error {
			o, a := PolicyDefaults(GRPO), Answers{Old: s.old, Ref: s.ref, Adv: s.adv, Seq: s.seq}
			change(&o, &a)
			_, err := NewPolicy(b, o, a)
			return err
		}
	}
	for want, f := range map[string]func() error{
		`kind "ppo"`:         policy(func(o *PolicyOptions, _ *Answers) { o.Kind = "ppo" }),
		"clip 0 below":       policy(func(o *PolicyOptions, _ *Answers) { o.ClipLow = 0 }),
		"clip NaN above":     policy(func(o *PolicyOptions, _ *Answers) { o.ClipHigh = math.NaN() }),
		"beta -1":            policy(func(o *PolicyOptions, _ *Answers) { o.Beta = -1 }),
		"delta 0":            policy(func(o *PolicyOptions, _ *Answers) { o.Kind, o.Delta = V32, 0 }),
		"longest answer":     policy(func(o *PolicyOptions, _ *Answers) { o.Kind = DrGRPO }),
		"advantages of 0":    policy(func(_ *PolicyOptions, a *Answers) { a.Adv = nil }),
		"reference log-prob": policy(func(_ *PolicyOptions, a *Answers) { a.Ref = nil }),
		"sequences of 1":     policy(func(_ *PolicyOptions, a *Answers) { a.Seq = a.Seq[:1] }),
		"and sequence -1":    policy(func(_ *PolicyOptions, a *Answers) { a.Seq = slices.Repeat([]int32{-1}, 12) }),
		"kept tokens of 2":   policy(func(_ *PolicyOptions, a *Answers) { a.Kept = make([][]int32, 2) }),
		"beta 0 of DPO":      func() error { _, err := NewDPO(b, 0, Pairs{Now: s.old, Ref: s.ref}); return err },
		"make no pairs":      func() error { _, err := NewDPO(b, 1, Pairs{Now: s.old, Ref: s.ref, Seq: s.seq}); return err },
		"has no tokens": func() error {
			_, err := NewDPO(b, 1, Pairs{Now: s.old, Ref: s.ref, Seq: []int32{0, 0, 0, 0, 0, 0, 0, 3, 3, 3, 3, 3}})
			return err
		},
		`direction "sideways"`:   func() error { _, err := NewKL(b, "sideways", s.teacher, nil); return err },
		"weights of 1 positions": func() error { _, err := NewKL(b, Forward, s.teacher, s.weight[:1]); return err },
		"2 of each of 12":        func() error { _, err := NewStoredKL(b, Forward, TopK{K: 2}, 9, nil); return err },
		"there twice or outside": func() error { _, err := NewStoredKL(b, Forward, stored(e, s.teacher, 12, 9), 8, nil); return err },
		"no teacher":             func() error { _, err := NewModels(b, nil, nil, 9); return err },
		"a batch of 0 rows":      func() error { _, err := NewKL(&model.Batch{}, Forward, s.teacher, nil); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}
