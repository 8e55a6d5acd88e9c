package objective

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
)

const vocab = 40

func shape() *model.Config {
	return &model.Config{ModelType: "llama", VocabSize: vocab, HiddenSize: 16, IntermediateSize: 24, NumHiddenLayers: 2, NumAttentionHeads: 2, NumKeyValueHeads: 1,
		InitializerRange: 0.3}
}

func newModel(t *testing.T, threads int, seed uint64, c *model.Config, opt model.Options) *model.Model {
	e, err := kernel.New(threads, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	m, err := model.New(c, e, opt)
	if err != nil {
		t.Fatal(err)
	}
	m.Init(seed)
	return m
}

// answersOf are rows of a prompt and an answer.
func answersOf(b, t int) *model.Batch {
	r := rand.New(rand.NewPCG(2, 2))
	x := &model.Batch{B: b, T: t}
	for range b {
		prompt := 1 + r.IntN(t-2)
		for i := range t + 1 {
			x.Tokens = append(x.Tokens, int32(r.IntN(vocab)))
			if i > 0 {
				x.Targets = append(x.Targets, -1)
				if i > prompt {
					x.Targets[len(x.Targets)-1] = x.Tokens[len(x.Tokens)-1]
				}
			}
		}
	}
	return x
}

// A policy sees the log-probabilities that LogProbs gives, learns what is good, and has the same bits at any
// number of threads.
func TestPolicyOfAModel(t *testing.T) {
	b := answersOf(6, 9)
	var grad []float32
	for _, threads := range []int{1, 2, 5} {
		m := newModel(t, threads, 1, shape(), model.Options{Train: true, MaxTokens: 27})
		old := make([]float32, b.B*b.T)
		if err := m.LogProbs(b, old); err != nil {
			t.Fatal(err)
		}
		adv := make([]float32, len(old))
		for i := range adv {
			adv[i] = []float32{1, -1}[i/b.T%2]
		}
		p, err := NewPolicy(b, PolicyDefaults(TokenLevel), Answers{Adv: adv, Old: old})
		if err != nil {
			t.Fatal(err)
		}
		before, err := m.LossGrad(b, model.LossOptions{Objective: p})
		if err != nil {
			t.Fatal(err)
		}
		if st := p.Stats(); st.MismatchMax > 1e-6 || math.Abs(st.Ratio-1) > 1e-6 || st.Tokens != before.Tokens {
			t.Errorf("before any update: %+v", st)
		}
		var g []float32
		for _, q := range m.Params() {
			g = append(g, q.Grad...)
			for i := range q.Data {
				q.Data[i] -= 0.01 * q.Grad[i]
			}
		}
		m.Sync()
		if after, err := m.Evaluate(b, p); err != nil || !(after < before.Total-1e-5) {
			t.Errorf("after a step the loss is %g, before %g (%v)", after, before.Total, err)
		}
		if grad == nil {
			grad = g
		} else if !slices.Equal(g, grad) {
			t.Errorf("%d threads give other bits", threads)
		}
	}
}

// Teachers that are models give the logits that they give alone, each of its rows; a student that is its
// own teacher has nothing to learn.
func TestModelsAsTeachers(t *testing.T) {
	b := answersOf(6, 9)
	wide := shape()
	wide.HiddenSize, wide.NumHiddenLayers = 24, 1
	teachers := []*model.Model{newModel(t, 2, 5, shape(), model.Options{MaxTokens: 20}), newModel(t, 1, 6, wide, model.Options{})}
	of := []int32{0, 1, 1, 0, 1, 0}
	ts, err := NewModels(b, teachers, of, vocab)
	if err != nil {
		t.Fatal(err)
	}
	var positions []int32
	for i, target := range b.Targets {
		if target >= 0 {
			positions = append(positions, int32(i))
		}
	}
	for len(positions) > 0 {
		n := min(7, len(positions))
		ts.Chunk(positions[:n])
		for _, i := range positions[:n] {
			row := int(i) / b.T
			want, err := teachers[of[row]].Logits(b.Tokens[row*(b.T+1):][:b.T])
			if err != nil {
				t.Fatal(err)
			}
			for v, l := range ts.Logits(int(i)) {
				if w := want[int(i)%b.T*vocab+v]; math.Abs(float64(l-w)) > 1e-5*(1+math.Abs(float64(w))) {
					t.Fatalf("position %d: logit %d is %g, want %g", i, v, l, w)
				}
			}
		}
		positions = positions[n:]
	}

	student := newModel(t, 2, 5, shape(), model.Options{Train: true})
	for _, d := range []Direction{Forward, Reverse} {
		for of, alike := range map[int32]bool{0: true, 1: false} {
			ts, err := NewModels(b, teachers, slices.Repeat([]int32{of}, b.B), vocab)
			if err != nil {
				t.Fatal(err)
			}
			k, err := NewKL(b, d, ts, nil)
			if err != nil {
				t.Fatal(err)
			}
			loss, err := student.LossGrad(b, model.LossOptions{Objective: k})
			if err != nil || (math.Abs(loss.Total) < 1e-5) != alike || loss.Total < -1e-5 {
				t.Errorf("%s divergence of the student from teacher %d: %g (%v)", d, of, loss.Total, err)
			}
		}
	}
	small := shape()
	small.VocabSize = 39
	if _, err := NewModels(b, []*model.Model{newModel(t, 1, 1, small, model.Options{})}, nil, vocab); err == nil {
		t.Error("a teacher of another vocabulary is accepted")
	}
}
