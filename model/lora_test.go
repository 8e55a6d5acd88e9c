package model

import (
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/kernel"
)

var everywhere = &LoRA{Rank: 3, Alpha: 6, Targets: []string{"q_a_proj", "kv_b_proj", "o_proj", "gate_proj", "down_proj", "lm_head"}}

// A new adapter adds nothing and learns; merged it computes the same, and the saved model does too.
func TestMergeLoRA(t *testing.T) {
	c := gradientCases[0].c
	b := testBatch(c.VocabSize, 3, 7)
	plain := testModel(t, &c, newEngine(t, 2), Options{})
	dir := t.TempDir()
	if err := plain.Save(dir, kernel.F32); err != nil {
		t.Fatal(err)
	}
	e := newEngine(t, 2)
	m := must[*Model](t)(Open(dir, e, Options{Train: true, LoRA: everywhere, MaxTokens: 14}))
	want := must[Loss](t)(plain.Loss(b, nil))
	if got := must[Loss](t)(m.Loss(b, nil)); got != want {
		t.Errorf("with new adapters the loss is %+v, without %+v", got, want)
	}
	must[Loss](t)(m.LossGrad(b, LossOptions{}))
	for _, p := range m.Params() {
		if p.Kind == Adapter && strings.HasSuffix(p.Name, loraB) {
			for i, g := range p.Grad {
				p.Data[i] -= 0.5 * g
			}
		}
	}
	m.SyncTrained()
	learnt := must[Loss](t)(m.Loss(b, nil))
	if !(learnt.CE < want.CE-1e-3) {
		t.Errorf("after a step of the adapters the loss is %g, before %g", learnt.CE, want.CE)
	}
	if err := m.Save(t.TempDir(), kernel.F32); err == nil || !strings.Contains(err.Error(), "merge") {
		t.Errorf("saving adapters that are not merged: error %v", err)
	}
	m.MergeLoRA()
	if got := must[Loss](t)(m.Loss(b, nil)); math.Abs(got.CE-learnt.CE) > 1e-5 {
		t.Errorf("merged the loss is %g, before %g", got.CE, learnt.CE)
	}
	if err := m.Save(dir, kernel.F32); err != nil {
		t.Fatal(err)
	}
	again := must[*Model](t)(Open(dir, newEngine(t, 2), Options{}))
	if got := must[Loss](t)(again.Loss(b, nil)); math.Abs(got.CE-learnt.CE) > 1e-5 {
		t.Errorf("saved and opened the loss is %g, before %g", got.CE, learnt.CE)
	}
}

func TestInitLoRA(t *testing.T) {
	c := gradientCases[2].c
	m := must[*Model](t)(New(&c, newEngine(t, 2), Options{LoRA: &LoRA{Rank: 8, Alpha: 8, Targets: []string{"q_proj"}}}))
	m.Init(7)
	a := m.Param("model.layers.1.self_attn.q_proj.lora_A.weight")
	var squares float64
	for _, x := range a.Data {
		squares += float64(x) * float64(x)
		if limit := 1 / math.Sqrt(12); math.Abs(float64(x)) > limit {
			t.Fatalf("%g is beyond %g", x, limit)
		}
	}
	if variance := squares / float64(len(a.Data)); math.Abs(variance*36-1) > 0.3 {
		t.Errorf("variance %g, want %g", variance, 1/36.)
	}
	first := slices.Clone(a.Data)
	m.InitLoRA(8)
	if slices.Equal(first, a.Data) {
		t.Error("another seed draws the same")
	}
	m.InitLoRA(7)
	if !slices.Equal(first, a.Data) {
		t.Error("the same seed draws another")
	}
}

func TestPartsThatCannotTrain(t *testing.T) {
	c := gradientCases[2].c
	for want, opt := range map[string]Options{
		"rank 0":                             {LoRA: &LoRA{Alpha: 1, Targets: []string{"q_proj"}}},
		"alpha NaN":                          {LoRA: &LoRA{Rank: 1, Alpha: math.NaN(), Targets: []string{"q_proj"}}},
		"without targets":                    {LoRA: &LoRA{Rank: 1, Alpha: 1}},
		`"proj" names no matrix`:             {LoRA: &LoRA{Rank: 1, Alpha: 1, Targets: []string{"q_proj", "proj"}}},
		`are q_proj, k_proj, v_proj, o_proj`: {LoRA: &LoRA{Rank: 1, Alpha: 1, Targets: []string{"embed_tokens"}}},
		"every parameter is frozen":          {Trainable: func(string) bool { return false }},
	} {
		opt.Train = true
		if _, err := New(&c, newEngine(t, 1), opt); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

// What is frozen takes no memory for a gradient.
func TestFrozenParametersTakeNoGradient(t *testing.T) {
	c := Config{ModelType: llama, VocabSize: 32, HiddenSize: 128, IntermediateSize: 512, NumHiddenLayers: 4, NumAttentionHeads: 4, NumKeyValueHeads: 4}
	e := newEngine(t, 1)
	takes := func(trainable func(string) bool) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		must[*Model](t)(New(&c, e, Options{Train: true, Trainable: trainable}))
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	total, _ := c.Sizes()
	last := func(name string) bool { return strings.HasPrefix(name, "model.layers.3.") }
	if saved := int64(takes(nil) - takes(last)); saved < 4*total*6/10 {
		t.Errorf("three frozen layers of four save %d bytes of %d for gradients", saved, 4*total)
	}
}

// Adapters and objectives at any number of threads have the same bits, and a step allocates nothing.
func TestPartsAtAnyNumberOfThreads(t *testing.T) {
	c := gradientCases[0].c
	b := testBatch(c.VocabSize, 5, 7)
	var grad []float32
	for _, threads := range []int{1, 2, 5} {
		m := testModel(t, &c, newEngine(t, threads), Options{Train: true, MTP: true, MaxTokens: 14, LoRA: everywhere, DType: kernel.BF16})
		o := LossOptions{BalanceAlpha: 0.1, MTPLambda: 0.3, Objective: meanCrossEntropy{30}}
		must[Loss](t)(m.LossGrad(b, o))
		if g := gradients(m); grad == nil {
			grad = g
		} else if !slices.Equal(g, grad) {
			t.Errorf("%d threads give other bits", threads)
		}
		if n := testing.AllocsPerRun(3, func() { must[Loss](t)(m.LossGrad(b, o)) }); n > 0 {
			t.Errorf("%d threads: a step allocates %g times", threads, n)
		}
	}
}
