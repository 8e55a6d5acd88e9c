package model

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/kernel"
)

// small is a V3 model with every part, quick enough for many steps.
func small() *Config {
	c := gradientCases[0].c
	c.BOSTokenID, c.EOSTokenID = 0, []int{1}
	return &c
}

// presetS is the shape that training speed and memory are stated for.
func presetS() *Config {
	return &Config{ModelType: v3, VocabSize: 8192, HiddenSize: 256, IntermediateSize: 768, NumHiddenLayers: 6, NumAttentionHeads: 4,
		QLoraRank: 128, KVLoraRank: 96, QKNopeHeadDim: 48, QKRopeHeadDim: 16, VHeadDim: 64,
		MoEIntermediateSize: 192, NRoutedExperts: 16, NSharedExperts: 1, NumExpertsPerTok: 2, FirstKDenseReplace: 1,
		RoutedScalingFactor: 1, NormTopKProb: true}
}

func TestSizes(t *testing.T) {
	total, active := presetS().Sizes()
	if total != 18624000 && math.Abs(float64(total)-18.6e6) > 1e5 || math.Abs(float64(active)-6.1e6) > 1e5 {
		t.Errorf("preset S has %d parameters, %d active", total, active)
	}
	for _, c := range gradientCases {
		c.c.NumNextnPredictLayers = 0
		m := must[*Model](t)(New(&c.c, newEngine(t, 1), Options{}))
		var n int64
		for _, p := range m.Params() {
			if p.Kind != Bias {
				n += int64(p.Len())
			}
		}
		if total, _ := c.c.Sizes(); total != n {
			t.Errorf("%s: Sizes says %d parameters, the model has %d", c.name, total, n)
		}
	}
	v3 := &Config{ModelType: v3, VocabSize: 129280, HiddenSize: 7168, IntermediateSize: 18432, NumHiddenLayers: 61, NumAttentionHeads: 128,
		QLoraRank: 1536, KVLoraRank: 512, QKNopeHeadDim: 128, QKRopeHeadDim: 64, VHeadDim: 128, MoEIntermediateSize: 2048,
		NRoutedExperts: 256, NSharedExperts: 1, NumExpertsPerTok: 8, FirstKDenseReplace: 3, NGroup: 8, TopKGroup: 4}
	total, active = v3.Sizes()
	if math.Abs(float64(total)-671.03e9) > 0.01e9 || math.Abs(float64(active)+129280*7168-37.55e9) > 0.01e9 {
		t.Errorf("DeepSeek-V3 has %d parameters, %d active", total, active)
	}
}

// A step gives the same bits at any number of threads, and allocates next to nothing.
func TestStepIsDeterministicAndQuiet(t *testing.T) {
	o := LossOptions{BalanceAlpha: 0.01, MTPLambda: 0.3}
	var first [][]float32
	for _, threads := range []int{1, 2, 5} {
		m := testModel(t, small(), newEngine(t, threads), Options{Train: true, MTP: true, MaxTokens: 140})
		b := testBatch(m.cfg.VocabSize, 9, 70)
		must[Loss](t)(m.LossGrad(b, o))
		for i, p := range m.Params() {
			if len(first) == i {
				first = append(first, slices.Clone(p.Grad))
			}
			for j, g := range p.Grad {
				if math.Float32bits(g) != math.Float32bits(first[i][j]) {
					t.Fatalf("%d threads: gradient of %s differs at %d", threads, p.Name, j)
				}
			}
		}
		if n := testing.AllocsPerRun(3, func() { m.LossGrad(b, o) }); n > 20 {
			t.Errorf("%d threads: a step makes %v allocations", threads, n)
		}
	}
}

// Cutting a batch into passes changes nothing but rounding.
func TestPassesAddUp(t *testing.T) {
	o := LossOptions{BalanceAlpha: 0.01, MTPLambda: 0.3}
	var want *Model
	for _, tokens := range []int{1000, 40, 1} {
		m := testModel(t, small(), newEngine(t, 2), Options{Train: true, MTP: true, MaxTokens: tokens})
		b := testBatch(m.cfg.VocabSize, 5, 9)
		l := must[Loss](t)(m.LossGrad(b, o))
		if want == nil {
			want = m
		}
		for i, p := range m.Params() {
			if d := relative(p.Grad, want.Params()[i].Grad); d > 1e-5 {
				t.Errorf("passes of %d tokens: gradient of %s differs by %.3g", tokens, p.Name, d)
			}
		}
		for i, loads := range m.ExpertLoads() {
			if !slices.Equal(loads, want.ExpertLoads()[i]) {
				t.Errorf("passes of %d tokens: loads %v, want %v", tokens, loads, want.ExpertLoads()[i])
			}
		}
		nll := make([]float32, b.B*b.T)
		e := must[Loss](t)(m.Loss(b, nll))
		var sum float64
		for _, x := range nll {
			sum += float64(x)
		}
		if math.Abs(e.CE-l.CE) > 1e-6 || math.Abs(sum/float64(e.Tokens)-e.CE) > 1e-9 {
			t.Errorf("Loss gives %v, LossGrad %v, positions %v", e.CE, l.CE, sum/float64(e.Tokens))
		}
	}
}

// Bfloat16 products change the loss little.
func TestBF16IsClose(t *testing.T) {
	var l [2]Loss
	for i, dt := range []kernel.DType{kernel.F32, kernel.BF16} {
		m := testModel(t, small(), newEngine(t, 2), Options{DType: dt, Train: true, MTP: true})
		l[i] = must[Loss](t)(m.LossGrad(testBatch(m.cfg.VocabSize, 4, 9), LossOptions{MTPLambda: 0.3}))
	}
	if d := math.Abs(l[1].Total-l[0].Total) / l[0].Total; d > 0.02 {
		t.Errorf("loss %.6g in bf16, %.6g in f32", l[1].Total, l[0].Total)
	}
}

// The correction bias chooses experts but never weighs them.
func TestBiasOnlyChooses(t *testing.T) {
	m := testModel(t, small(), newEngine(t, 1), Options{Train: true})
	seq := []int32{3, 5, 7, 2, 9}
	r, k := m.routers[0], &must[*pass](t)(m.read(seq)).layers[1].moe.router
	ids, w, s := slices.Clone(k.ids), slices.Clone(k.w), slices.Clone(k.s)
	for i := range r.bias {
		r.bias[i] += 0.25 // the same for all: the same choice
	}
	m.read(seq)
	if !slices.Equal(ids, k.ids) || !slices.Equal(w, k.w) {
		t.Error("a common bias changed the routing")
	}
	r.bias[4] += 100
	m.read(seq)
	for i := range seq {
		var sum float32
		chosen := k.ids[i*r.k:][:r.k]
		for _, id := range chosen {
			sum += s[i*r.e+int(id)]
		}
		if !slices.Contains(chosen, 4) {
			t.Errorf("token %d does not take the favoured expert: %v", i, chosen)
		}
		for j, id := range chosen {
			if want := r.factor * s[i*r.e+int(id)] / sum; math.Abs(float64(k.w[i*r.k+j]-want)) > 1e-6 {
				t.Errorf("token %d: weight %v of expert %d, want %v", i, k.w[i*r.k+j], id, want)
			}
		}
	}
}

func TestUpdateBias(t *testing.T) {
	m := must[*Model](t)(New(small(), newEngine(t, 1), Options{Train: true, MTP: true}))
	if len(m.ExpertLoads()) != 2 {
		t.Fatalf("%d routers, want that of layer 1 and that of the MTP block", len(m.ExpertLoads()))
	}
	copy(m.ExpertLoads()[1], []int64{6, 2, 4, 4, 5, 3})
	m.UpdateBias(0.5)
	bias := m.Param("model.layers.2.mlp.gate.e_score_correction_bias").Data
	if want := []float32{-0.5, 0.5, 0, 0, -0.5, 0.5}; !slices.Equal(bias, want) {
		t.Errorf("bias %v, want %v", bias, want)
	}
	if !slices.Equal(m.ExpertLoads()[1], make([]int64, 6)) {
		t.Error("loads were not forgotten")
	}
}

// Preset S at batch 16×256 keeps the activations of its two passes, and the chunk of logits, in bounds.
func TestActivationMemory(t *testing.T) {
	c := presetS()
	m := &Model{cfg: c.withDefaults(), opt: Options{Train: true, MaxTokens: 2048}}
	b := &builder{}
	for i := range c.NumHiddenLayers {
		m.blocks = append(m.blocks, b.v3Block(m.cfg, i, nil))
	}
	p := &pass{layers: make([]layerKeep, c.NumHiddenLayers)}
	a := &arena{}
	m.layout(p, a, 2048)
	bytes := 4 * (a.top + a.ni)
	t.Logf("activations of 2048 tokens: %.1f MB", float64(bytes)/1e6)
	if bytes > 260e6 {
		t.Errorf("activations of 2048 tokens take %d bytes", bytes)
	}
}

func TestInit(t *testing.T) {
	c := presetS()
	c.NumHiddenLayers, c.VocabSize, c.InitializerRange = 2, 999, 0.006
	a := must[*Model](t)(New(c, newEngine(t, 1), Options{}))
	b := must[*Model](t)(New(c, newEngine(t, 2), Options{}))
	a.Init(7)
	b.Init(7)
	for i, p := range a.Params() {
		if !slices.Equal(p.Data, b.Params()[i].Data) {
			t.Errorf("%s depends on the number of threads", p.Name)
		}
		var sum, square float64
		for _, v := range p.Data {
			sum += float64(v)
			square += float64(v) * float64(v)
		}
		n := float64(len(p.Data))
		mean, std := sum/n, math.Sqrt(square/n)
		switch p.Kind {
		case Vector:
			if mean != 1 {
				t.Errorf("%s: mean %v", p.Name, mean)
			}
		case Bias:
			if square != 0 {
				t.Errorf("%s is not zero", p.Name)
			}
		default:
			if math.Abs(mean) > 5*0.006/math.Sqrt(n) || math.Abs(std/0.006-1) > 5/math.Sqrt(n) {
				t.Errorf("%s: mean %.3g, deviation %.3g", p.Name, mean, std)
			}
		}
	}
	b.Init(8)
	if slices.Equal(a.Params()[0].Data, b.Params()[0].Data) {
		t.Error("seeds give equal weights")
	}
	if slices.Equal(a.Param("model.layers.1.mlp.experts.0.up_proj.weight").Data, a.Param("model.layers.1.mlp.experts.1.up_proj.weight").Data) {
		t.Error("tensors have equal weights")
	}
}

func TestSaveAndOpen(t *testing.T) {
	for _, c := range gradientCases {
		t.Run(c.name, func(t *testing.T) {
			e := newEngine(t, 1)
			m := testModel(t, &c.c, e, Options{MTP: c.c.NumNextnPredictLayers > 0})
			dir := filepath.Join(t.TempDir(), "out")
			if err := m.Save(dir, kernel.F32); err != nil {
				t.Fatal(err)
			}
			n := must[*Model](t)(Open(dir, e, Options{MTP: c.c.NumNextnPredictLayers > 0}))
			for i, p := range m.Params() {
				if !slices.Equal(p.Data, n.Params()[i].Data) || p.Name != n.Params()[i].Name {
					t.Errorf("%s differs after saving and opening", p.Name)
				}
			}
			if want, got := must[[]byte](t)(m.cfg.JSON()), must[[]byte](t)(n.cfg.JSON()); !bytes.Equal(want, got) {
				t.Errorf("config\n%s\nwas\n%s", got, want)
			}
			if err := m.Save(dir, kernel.BF16); err != nil {
				t.Fatal(err)
			}
			n = must[*Model](t)(Open(dir, e, Options{}))
			for _, p := range n.Params() {
				if d := relative(p.Data, m.Param(p.Name).Data); d > 1.0/256 {
					t.Errorf("%s differs by %.3g after saving as BF16", p.Name, d)
				}
			}
			// opened without MTP, it is saved without
			if err := n.Save(dir, kernel.F32); err != nil {
				t.Fatal(err)
			}
			if k := must[*Config](t)(ReadConfig(dir)); k.NumNextnPredictLayers != 0 {
				t.Error("a model without MTP layer says that it has one")
			}
		})
	}
}

func TestBadInput(t *testing.T) {
	e := newEngine(t, 1)
	m := testModel(t, small(), e, Options{})
	tr := testModel(t, small(), e, Options{Train: true})
	good := func() *Batch { return testBatch(19, 2, 5) }
	bad := map[string]func() error{
		"outside the vocabulary": func() error { _, err := m.Logits([]int32{1, 19}); return err },
		"0 tokens":               func() error { _, err := m.Logits(nil); return err },
		"Options.Train":          func() error { _, err := m.LossGrad(good(), LossOptions{}); return err },
		"Options.MTP":            func() error { _, err := tr.LossGrad(good(), LossOptions{MTPLambda: 1}); return err },
		"impossible":             func() error { _, err := tr.LossGrad(&Batch{B: -1, T: 1 << 40}, LossOptions{}); return err },
		"tokens given":           func() error { b := good(); b.Tokens = b.Tokens[1:]; _, err := tr.Loss(b, nil); return err },
		"starts given":           func() error { b := good(); b.First = b.First[1:]; _, err := tr.Loss(b, nil); return err },
		"document begins":        func() error { b := good(); b.First[2] = 3; _, err := tr.Loss(b, nil); return err },
		"neither":                func() error { b := good(); b.Targets[2] = 19; _, err := tr.Loss(b, nil); return err },
		"room for":               func() error { _, err := tr.Loss(good(), make([]float32, 3)); return err },
		"no position": func() error {
			b := good()
			for i := range b.Targets {
				b.Targets[i] = -1
			}
			_, err := tr.LossGrad(b, LossOptions{})
			return err
		},
	}
	for want, f := range bad {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// A weight that is not a number gives a loss that says so, not a crash.
func TestNaN(t *testing.T) {
	for _, name := range []string{"model.embed_tokens.weight", "model.layers.1.mlp.gate.weight", "model.layers.1.mlp.experts.2.up_proj.weight", "lm_head.weight"} {
		m := testModel(t, small(), newEngine(t, 2), Options{Train: true, MTP: true})
		p := m.Param(name)
		for i := range p.Data {
			p.Data[i] = float32(math.NaN())
		}
		m.Sync()
		l := must[Loss](t)(m.LossGrad(testBatch(19, 2, 5), LossOptions{BalanceAlpha: 0.1, MTPLambda: 0.1}))
		if !math.IsNaN(l.Total) {
			t.Errorf("NaN in %s: loss %v", name, l.Total)
		}
	}
}

// Open finds what is not a number also where it would never reach the logits.
func TestOpenNamesWhatIsNotFinite(t *testing.T) {
	e := newEngine(t, 2)
	for name, bad := range map[string]float32{
		"model.layers.1.mlp.gate.weight":                  float32(math.NaN()),
		"model.layers.1.mlp.gate.e_score_correction_bias": float32(math.Inf(-1)),
		"model.embed_tokens.weight":                       float32(math.Inf(1)),
		"model.norm.weight":                               3e30, // a number, if a strange one
	} {
		m := testModel(t, small(), e, Options{})
		m.Param(name).Data[1] = bad
		dir := t.TempDir()
		if err := m.Save(dir, kernel.F32); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir, e, Options{})
		if isNumber := bad-bad == 0; isNumber != (err == nil) || !isNumber && !strings.Contains(err.Error(), strconv.Quote(name)+" holds "+fmt.Sprint(bad)+" at element 1") {
			t.Errorf("%v in %s: error %v", bad, name, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	e := newEngine(t, 1)
	dir := t.TempDir()
	m := testModel(t, small(), e, Options{})
	if err := m.Save(dir, kernel.F32); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "config.json")
	text := must[[]byte](t)(os.ReadFile(path))
	for _, c := range []struct{ old, new, want string }{
		{`"deepseek_v3"`, `"deepseek_v5"`, `model_type "deepseek_v5" is not supported`},
		{`"deepseek_v3"`, `"deepseek_v2"`, "scoring_func is sigmoid"},
		{`"deepseek_v3"`, `"deepseek_v32"`, `"deepseek_v32" can be run but not trained`},
		{`"num_hidden_layers": 2`, `"num_hidden_layers": 3`, "has no tensor"},
		{`"vocab_size": 19`, `"vocab_size": 18`, "has shape [19 13], config.json asks for [18 13]"},
		{`"vocab_size": 19`, `"vocab_size": 1000000`, "files are missing"},
		{`"vocab_size": 19`, `"vocab_size": 19.5`, "vocab_size must be a whole number"},
		{`"vocab_size": 19,`, ``, "vocab_size must be given"},
		{`"hidden_act": "silu"`, `"hidden_act": "gelu"`, "hidden_act is gelu"},
		{`"sigmoid"`, `"softmax"`, "scoring_func is softmax"},
		{`"ep_size": 1`, `"quantization_config": {"quant_method": "fp8"}`, "quantised"},
		{`"yarn"`, `"longrope"`, "rope_scaling.type is longrope"},
		{`"n_group": 3`, `"n_group": 4`, "n_group is 4"},
		{`{`, `[`, "not a JSON object"},
	} {
		changed := strings.Replace(string(text), c.old, c.new, 1)
		if changed == string(text) {
			t.Fatalf("%s is not in %s", c.old, text)
		}
		if err := os.WriteFile(path, []byte(changed), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, e, Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.new, err, c.want)
		}
	}
}
