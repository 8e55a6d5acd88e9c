package objective

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
)

// golden reads one file of testdata/rl.
type golden struct {
	t *testing.T
	f *safetensors.Reader
}

func openGolden(t *testing.T, name string) golden {
	f, err := safetensors.Open(filepath.Join("testdata", "rl", name+".safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return golden{t, f}
}

func (g golden) floats(name string) []float32 {
	g.t.Helper()
	x, ok := g.f.Tensor(name)
	if !ok {
		g.t.Fatalf("no tensor %q", name)
	}
	f, err := x.Float32(nil)
	if err != nil {
		g.t.Fatal(err)
	}
	return f
}

// answers are the ids where mask is 1, as targets.
func (g golden) answers(ids, mask string) []int32 {
	g.t.Helper()
	m := g.floats(mask)
	targets := make([]int32, len(m))
	if x, ok := g.f.Tensor(ids); ok {
		all, err := x.Int64s()
		if err != nil {
			g.t.Fatal(err)
		}
		for i, id := range all {
			targets[i] = int32(id)
		}
	}
	for i := range targets {
		if m[i] == 0 {
			targets[i] = -1
		}
	}
	return targets
}

func newEngine(t testing.TB) *kernel.Engine {
	e, err := kernel.New(2, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// apply runs o over the rows as a model does, and returns the loss and the gradient.
func apply(e *kernel.Engine, o model.Objective, targets []int32, logits []float32, grad bool) (float64, []float32) {
	x := slices.Clone(logits)
	v := len(logits) / len(targets)
	if c, ok := o.(model.ChunkObjective); ok {
		var positions []int32
		for i, target := range targets {
			if target >= 0 {
				positions = append(positions, int32(i))
			}
		}
		c.Chunk(positions)
	}
	var loss float64
	for i, target := range targets {
		row := x[i*v:][:v:v]
		if target < 0 {
			clear(row)
			continue
		}
		loss += o.Row(model.Row{Position: i, Target: target, Logits: row, Scratch: make([]float32, v), Grad: grad, Engine: e})
	}
	return loss, x
}

// same compares with the golden loss and gradient.
func same(t *testing.T, loss, wantLoss float64, grad, wantGrad []float32) {
	t.Helper()
	if math.Abs(loss-wantLoss) > 2e-6*(1+math.Abs(wantLoss)) {
		t.Errorf("loss %.8g, want %.8g", loss, wantLoss)
	}
	for i := range wantGrad {
		if math.Abs(float64(grad[i]-wantGrad[i])) > 1e-6 {
			t.Fatalf("gradient %d is %.8g, want %.8g", i, grad[i], wantGrad[i])
		}
	}
}

func TestPoliciesAgainstGolden(t *testing.T) {
	g := openGolden(t, "policy")
	const B, T = 6, 7
	e := newEngine(t)
	targets := g.answers("ids", "mask")
	b := &model.Batch{B: B, T: T, Targets: targets}
	spread := func(name string) (adv []float32) {
		for _, a := range g.floats(name) {
			adv = append(adv, slices.Repeat([]float32{a}, T)...)
		}
		return adv
	}
	for kind, name := range map[Kind]string{GRPO: "grpo", DrGRPO: "dr_grpo", TokenLevel: "token_level", DAPO: "dapo", V32: "grpo_v32"} {
		t.Run(name, func(t *testing.T) {
			o := PolicyDefaults(kind)
			o.MaxLength = T
			if kind == V32 {
				o.Beta = 0.04
			}
			a := Answers{Old: g.floats("old_logp"), Ref: g.floats("ref_logp"), Now: g.floats("logp"), Adv: spread("advantages")}
			if o.Beta == 0 {
				a.Ref = nil
			}
			run := func() (*Policy, float64, []float32) {
				p, err := NewPolicy(b, o, a)
				if err != nil {
					t.Fatal(err)
				}
				loss, grad := apply(e, p, targets, g.floats("logits"), true)
				return p, loss, grad
			}
			p, loss, grad := run()
			same(t, loss, float64(g.floats(name + ".loss")[0]), grad, g.floats(name+".dlogits"))
			if kind == V32 {
				for i, keep := range g.floats("v32_keep") {
					if p.masked[i] != (keep == 0) {
						t.Errorf("sequence %d: left out %v, want %v", i, p.masked[i], keep == 0)
					}
				}
			}
			for i, ratio := range g.floats("ratio") {
				if targets[i] >= 0 && math.Abs(p.seen[i].ratio-float64(ratio)) > 1e-5*float64(ratio) {
					t.Errorf("ratio of %d is %g, want %g", i, p.seen[i].ratio, ratio)
				}
			}
		})
	}
}

func TestAdvantagesAgainstGolden(t *testing.T) {
	g := openGolden(t, "policy")
	rewards := g.floats("rewards")
	for name, normalise := range map[string]bool{"advantages": true, "advantages_mean_only": false} {
		want, got := g.floats(name), make([]float32, 3)
		for group := range 2 {
			var r []float64
			for _, x := range rewards[3*group:][:3] {
				r = append(r, float64(x))
			}
			Advantages(got, r, normalise)
			for i := range got {
				if math.Abs(float64(got[i]-want[3*group+i])) > 1e-5 {
					t.Errorf("%s of group %d: %v, want %v", name, group, got, want[3*group:][:3])
				}
			}
		}
	}
	dead := []float32{1, 2, 3}
	if Advantages(dead, []float64{.1, .1, .1}, true); !slices.Equal(dead, make([]float32, 3)) {
		t.Errorf("equal rewards have advantages %v", dead)
	}
}

func TestDPOAgainstGolden(t *testing.T) {
	g := openGolden(t, "dpo")
	const P, T, V = 4, 7, 12
	e := newEngine(t)
	var targets []int32
	var logits, want []float32
	ref := make([]float32, 2*P*T)
	for k := range P {
		for side, name := range []string{"chosen", "rejected"} {
			targets = append(targets, g.answers(name+".ids", name+".mask")[k*T:][:T]...)
			logits = append(logits, g.floats(name + ".logits")[k*T*V:][:T*V]...)
			want = append(want, g.floats(name + ".dlogits")[k*T*V:][:T*V]...)
			for i := range T { // the golden file has sums: all of it at the first token
				if at := (2*k+side)*T + i; targets[at] >= 0 {
					ref[at] = g.floats(name + ".ref_logp")[k]
					break
				}
			}
		}
	}
	b := &model.Batch{B: 2 * P, T: T, Targets: targets}
	now := logProbs(e, targets, logits)
	d, err := NewDPO(b, 0.1, Pairs{Now: now, Ref: ref})
	if err != nil {
		t.Fatal(err)
	}
	loss, grad := apply(e, d, targets, logits, true)
	same(t, loss, float64(g.floats("loss")[0]), grad, want)
	if len(d.Margins()) != P {
		t.Errorf("margins %v", d.Margins())
	}
}

// logProbs of the targets, 0 without.
func logProbs(e *kernel.Engine, targets []int32, logits []float32) []float32 {
	out, v := make([]float32, len(targets)), len(logits)/len(targets)
	for i, target := range targets {
		if target >= 0 {
			row := logits[i*v:][:v]
			out[i] = float32(float64(row[target]) - e.LogSumExp(row))
		}
	}
	return out
}

// table is a teacher whose logits are all there.
type table struct {
	logits []float32
	v      int
}

func (t table) Logits(i int) []float32 { return t.logits[i*t.v:][:t.v] }

func TestDivergenceAgainstGolden(t *testing.T) {
	g := openGolden(t, "distillation")
	e := newEngine(t)
	targets := g.answers("", "mask")
	b := &model.Batch{B: 6, T: 7, Targets: targets}
	teacher := table{g.floats("teacher_logits"), 12}
	for d, name := range map[Direction]string{Forward: "forward_kl", Reverse: "reverse_kl"} {
		k, err := NewKL(b, d, teacher, nil)
		if err != nil {
			t.Fatal(err)
		}
		loss, grad := apply(e, k, targets, g.floats("student_logits"), true)
		same(t, loss, float64(g.floats(name + ".loss")[0]), grad, g.floats(name+".dlogits"))

		// All tokens stored are the whole vocabulary.
		s, err := NewStoredKL(b, d, stored(e, teacher, len(targets), 12), 12, nil)
		if err != nil {
			t.Fatal(err)
		}
		loss, grad = apply(e, s, targets, g.floats("student_logits"), true)
		same(t, loss, float64(g.floats(name + ".loss")[0]), grad, g.floats(name+".dlogits"))
	}
}

// stored keeps the k likeliest tokens of a teacher.
func stored(e *kernel.Engine, t table, n, k int) TopK {
	top := TopK{K: k, IDs: make([]int32, n*k)}
	e.TopK(top.IDs, t.logits, n, t.v, k)
	for i := range n {
		lse := e.LogSumExp(t.Logits(i))
		for _, id := range top.IDs[i*k:][:k] {
			top.LogProbs = append(top.LogProbs, float32(float64(t.Logits(i)[id])-lse))
		}
	}
	return top
}
