package model

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// meanCrossEntropy is the model's own loss as an Objective, in plain float64.
type meanCrossEntropy struct{ positions int }

func (o meanCrossEntropy) Row(r Row) float64 {
	var z, most float64
	for _, l := range r.Logits {
		most = max(most, float64(l))
	}
	for _, l := range r.Logits {
		z += math.Exp(float64(l) - most)
	}
	loss := most + math.Log(z) - float64(r.Logits[r.Target])
	if r.Grad {
		for i, l := range r.Logits {
			p := math.Exp(float64(l)-most) / z
			if int32(i) == r.Target {
				p--
			}
			r.Logits[i] = float32(p / float64(o.positions))
		}
	}
	return loss / float64(o.positions)
}

// noted is an objective that notes where it was called.
type noted struct {
	meanCrossEntropy
	chunks [][]int32
	rows   []int32 // [B,T] target seen at a position, −2 where Row was not called
}

func (n *noted) Chunk(positions []int32) { n.chunks = append(n.chunks, slices.Clone(positions)) }

func (n *noted) Row(r Row) float64 {
	n.rows[r.Position] = r.Target
	if len(r.Scratch) != len(r.Logits) || r.Engine == nil {
		panic("a row without scratch or engine")
	}
	return n.meanCrossEntropy.Row(r)
}

func gradients(m *Model) (g []float32) {
	for _, p := range m.Params() {
		g = append(g, p.Grad...)
	}
	return g
}

// close32 compares two vectors by their distance.
func close32(t *testing.T, what string, got, want []float32, limit float64) {
	t.Helper()
	var diff, norm float64
	for i, w := range want {
		diff += float64(got[i]-w) * float64(got[i]-w)
		norm += float64(w) * float64(w)
	}
	if !(math.Sqrt(diff) <= limit*math.Sqrt(norm)) {
		t.Errorf("%s: distance %.3g of norm %.3g", what, math.Sqrt(diff), math.Sqrt(norm))
	}
}

func TestObjectiveSeesEveryTargetOnceAndItsGradientArrives(t *testing.T) {
	c := gradientCases[0]
	b := testBatch(c.c.VocabSize, 5, 7)
	for i := range 9 {
		b.Targets[i] = -1 // a whole row and more without
	}
	m := testModel(t, &c.c, newEngine(t, 2), Options{Train: true, MaxTokens: 14})
	want := must[Loss](t)(m.LossGrad(b, LossOptions{}))
	grad := gradients(m)

	o := &noted{meanCrossEntropy{want.Tokens}, nil, slices.Repeat([]int32{-2}, b.B*b.T)}
	m.ClearGrads()
	got := must[Loss](t)(m.LossGrad(b, LossOptions{Objective: o}))
	if math.Abs(got.Total-want.Total) > 1e-6*want.Total || got.CE != got.Total {
		t.Errorf("loss %+v, want %+v", got, want)
	}
	close32(t, "gradient", gradients(m), grad, 1e-5)
	var seen []int32
	for i, target := range b.Targets {
		if target >= 0 {
			seen = append(seen, int32(i))
		} else {
			target = -2
		}
		if o.rows[i] != target {
			t.Errorf("position %d: target %d seen, want %d", i, o.rows[i], target)
		}
	}
	if !slices.Equal(slices.Concat(o.chunks...), seen) {
		t.Errorf("chunks are told of positions %v, want %v", o.chunks, seen)
	}

	if l := must[float64](t)(m.Evaluate(b, o)); l != got.Total {
		t.Errorf("Evaluate says %g, LossGrad %g", l, got.Total)
	}
	if _, err := m.Evaluate(b, nil); err == nil {
		t.Error("no objective is accepted")
	}
}

func TestObjectiveAtAnyNumberOfThreads(t *testing.T) {
	c := gradientCases[0]
	b := testBatch(c.c.VocabSize, 5, 7)
	var grad []float32
	for _, threads := range []int{1, 2, 5} {
		m := testModel(t, &c.c, newEngine(t, threads), Options{Train: true, MaxTokens: 14})
		must[Loss](t)(m.LossGrad(b, LossOptions{Objective: meanCrossEntropy{30}, BalanceAlpha: 0.1}))
		if g := gradients(m); grad == nil {
			grad = g
		} else if !slices.Equal(g, grad) {
			t.Errorf("%d threads give other bits", threads)
		}
	}
}

func TestLogProbs(t *testing.T) {
	c := gradientCases[2]
	b := testBatch(c.c.VocabSize, 3, 7)
	m := testModel(t, &c.c, newEngine(t, 2), Options{Train: true, MaxTokens: 14})
	logp := make([]float32, b.B*b.T)
	if err := m.LogProbs(b, logp); err != nil {
		t.Fatal(err)
	}
	var sum float64
	n := 0
	for i, target := range b.Targets {
		switch {
		case target < 0 && math.Float32bits(logp[i]) != 0:
			t.Errorf("position %d has no target and log-probability %g", i, logp[i])
		case target >= 0 && !(logp[i] < 0):
			t.Errorf("position %d has log-probability %g", i, logp[i])
		case target >= 0:
			sum, n = sum-float64(logp[i]), n+1
		}
	}
	if l := must[Loss](t)(m.LossGrad(b, LossOptions{})); math.Abs(sum/float64(n)-l.CE) > 1e-9 {
		t.Errorf("mean −log p is %g, the loss %g", sum/float64(n), l.CE)
	}
	for _, room := range [][]float32{nil, make([]float32, 3)} {
		if err := m.LogProbs(b, room); err == nil {
			t.Errorf("room for %d numbers is accepted", len(room))
		}
	}
}

// The given experts are used: those that the router would choose change nothing, others change the loss
// and are those counted; gradients then belong to them.
func TestExpertsAreReplayed(t *testing.T) {
	c := gradientCases[0].c
	c.NumNextnPredictLayers = 0
	b := testBatch(c.VocabSize, 3, 7)
	m := testModel(t, &c, newEngine(t, 2), Options{Train: true, MaxTokens: 14})
	n := b.B * b.T
	free := must[Loss](t)(m.LossGrad(b, LossOptions{}))
	grad := gradients(m)
	routes := must[[]Routes](t)(m.Routes(b))
	for _, r := range routes {
		b.Experts = append(b.Experts, slices.Clone(r.Experts))
	}
	slices.Reverse(b.Experts[0][:c.NumExpertsPerTok]) // their order is of no importance
	m.ClearGrads()
	if same := must[Loss](t)(m.LossGrad(b, LossOptions{})); same != free || !slices.Equal(gradients(m), grad) {
		t.Errorf("the router's own choice, given: %+v, want %+v", same, free)
	}
	for _, ids := range b.Experts {
		for i := range ids {
			ids[i] = int32(i % c.NumExpertsPerTok) // always the first experts
		}
		ids[3*c.NumExpertsPerTok] = -1 // but for one token
	}
	m.UpdateBias(0)
	m.ClearGrads()
	if other := must[Loss](t)(m.LossGrad(b, LossOptions{})); other.CE == free.CE {
		t.Error("other experts give the same loss")
	}
	for l, loads := range m.ExpertLoads() {
		if loads[0] < int64(n-1) {
			t.Errorf("MoE layer %d: expert 0 has %d of %d tokens", l, loads[0], n)
		}
	}
	ref := newReference(m)
	ref.given = b.Experts
	want := ref.loss(b, LossOptions{}, false)
	if got := must[Loss](t)(m.Loss(b, nil)); math.Abs(got.CE-want.CE) > 2e-6*want.CE {
		t.Errorf("loss %g, the reference has %g", got.CE, want.CE)
	}

	for name, spoil := range map[string]func(){
		"layers":   func() { b.Experts = b.Experts[:0] },
		"needs":    func() { b.Experts[0] = b.Experts[0][1:] },
		"distinct": func() { b.Experts[0][1] = b.Experts[0][0] },
		"below":    func() { b.Experts[0][1] = int32(c.NRoutedExperts) },
	} {
		saved := slices.Clone(b.Experts)
		for i := range saved {
			b.Experts[i] = slices.Clone(saved[i])
		}
		spoil()
		if _, err := m.Loss(b, nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
		b.Experts = saved
	}
}

// Routes are of the layers alone, whatever the MTP layer is made of.
func TestRoutesBesideMTP(t *testing.T) {
	for freq, moes := range map[int]int{1: 3, 2: 2, 3: 1} { // layer 3, of MTP, is dense where 3%freq > 0
		c := small()
		c.NumHiddenLayers, c.NumNextnPredictLayers, c.FirstKDenseReplace, c.MoELayerFreq = 3, 1, 0, freq
		m := testModel(t, c, newEngine(t, 1), Options{MTP: true})
		b := testBatch(c.VocabSize, 1, 5)
		routes := must[[]Routes](t)(m.Routes(b))
		if len(routes) != moes {
			t.Fatalf("moe_layer_freq %d: routes of %d layers, want %d", freq, len(routes), moes)
		}
		for i, r := range routes {
			if len(r.Experts) != b.B*b.T*c.NumExpertsPerTok {
				t.Errorf("moe_layer_freq %d: %d experts in MoE layer %d", freq, len(r.Experts), i)
			}
			b.Experts = append(b.Experts, r.Experts)
		}
		must[Loss](t)(m.Loss(b, nil))
	}
}
