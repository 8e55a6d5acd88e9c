package model

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/kernel"
)

// testModel draws weights that keep activations near unit size, so that every part matters.
func testModel(t testing.TB, c *Config, e *kernel.Engine, opt Options) *Model {
	t.Helper()
	m := must[*Model](t)(New(c, e, opt))
	r := rand.New(rand.NewPCG(1, 2))
	for _, p := range m.Params() {
		std, centre := 0.1, 0.0
		switch {
		case p.Kind == Vector && len(p.Name) > 6 && p.Name[len(p.Name)-6:] == "weight":
			centre = 1
		case p.Kind == Embedding:
			std = 0.7
		case p.Kind != Bias && len(p.Shape) == 2:
			std = 1.2 / math.Sqrt(float64(p.Shape[1]))
		}
		for i := range p.Data {
			p.Data[i] = float32(centre + std*r.NormFloat64())
		}
	}
	m.Sync()
	return m
}

// testBatch has two rows, one of which holds three documents, and a few positions without target.
func testBatch(v, b, t int) *Batch {
	r := rand.New(rand.NewPCG(3, 4))
	x := &Batch{B: b, T: t, First: make([]int32, b*t), Targets: make([]int32, b*t)}
	for range b * (t + 1) {
		x.Tokens = append(x.Tokens, int32(r.IntN(v)))
	}
	for row := range b {
		for i := range t {
			x.Targets[row*t+i] = x.Tokens[row*(t+1)+i+1]
			if row == b-1 {
				for _, start := range []int{3, 4} { // the second document has one token
					if i >= start {
						x.First[row*t+i] = int32(start)
					}
				}
				if i == 2 || i == 3 {
					x.Targets[row*t+i] = -1
				}
			}
		}
	}
	return x
}

var gradientCases = []struct {
	name   string
	c      Config
	o      LossOptions
	before bool
}{
	{"v3", Config{ModelType: v3, VocabSize: 19, HiddenSize: 13, IntermediateSize: 11, NumHiddenLayers: 2, NumAttentionHeads: 3,
		QLoraRank: 7, KVLoraRank: 5, QKNopeHeadDim: 3, QKRopeHeadDim: 6, VHeadDim: 5,
		MoEIntermediateSize: 9, NRoutedExperts: 6, NSharedExperts: 2, NumExpertsPerTok: 3, FirstKDenseReplace: 1, NGroup: 3, TopKGroup: 2,
		RoutedScalingFactor: 1.7, NormTopKProb: true, NumNextnPredictLayers: 1, RMSNormEps: 1e-5,
		RopeScaling: RopeScaling{Type: "yarn", Factor: 4, OriginalMaxPosition: 8, MScale: 1, MScaleAllDim: 0.7}},
		LossOptions{BalanceAlpha: 0.4, MTPLambda: 0.3}, false},
	{"v3 direct queries", Config{ModelType: v3, VocabSize: 17, HiddenSize: 10, IntermediateSize: 7, NumHiddenLayers: 3, NumAttentionHeads: 2,
		KVLoraRank: 6, QKNopeHeadDim: 5, QKRopeHeadDim: 2, VHeadDim: 3, TieWordEmbeddings: true,
		MoEIntermediateSize: 5, NRoutedExperts: 5, NumExpertsPerTok: 2, MoELayerFreq: 2, RoutedScalingFactor: 0.8, NumNextnPredictLayers: 1},
		LossOptions{BalanceAlpha: 0.2, MTPLambda: 0.5}, true},
	{"llama", Config{ModelType: llama, VocabSize: 23, HiddenSize: 12, IntermediateSize: 9, NumHiddenLayers: 2, NumAttentionHeads: 6, NumKeyValueHeads: 2, HeadDim: 4,
		AttentionBias: true, TieWordEmbeddings: true, RopeTheta: 500,
		RopeScaling: RopeScaling{Type: "llama3", Factor: 8, OriginalMaxPosition: 8, LowFreqFactor: 1, HighFreqFactor: 4}}, LossOptions{}, false},
	{"qwen2", Config{ModelType: qwen2, VocabSize: 9, HiddenSize: 15, IntermediateSize: 5, NumHiddenLayers: 1, NumAttentionHeads: 3, NumKeyValueHeads: 1, HeadDim: 2}, LossOptions{}, false},
	{"qwen3", Config{ModelType: qwen3, VocabSize: 21, HiddenSize: 9, IntermediateSize: 7, NumHiddenLayers: 2, NumAttentionHeads: 4, NumKeyValueHeads: 4, HeadDim: 6,
		RopeScaling: RopeScaling{Type: "linear", Factor: 3}}, LossOptions{}, false},
}

// Every gradient equals the derivative of the float64 model along two directions: the gradient itself
// and a random one.
func TestGradientsAgainstFiniteDifferences(t *testing.T) {
	for _, c := range gradientCases {
		t.Run(c.name, func(t *testing.T) {
			opt := Options{MTP: c.o.MTPLambda != 0, MTPBeforeNorm: c.before}
			if zero := checkGradients(t, &c.c, opt, c.o); zero > 3 {
				t.Errorf("%d gradients are zero: the batch exercises too little", zero)
			}
		})
	}
}

// Where some parameters are frozen and others have adapters, the gradients of those that train are right,
// and the others take none and need none.
func TestGradientsOfPartsAgainstFiniteDifferences(t *testing.T) {
	ends := func(names ...string) func(string) bool {
		return func(name string) bool {
			return slices.ContainsFunc(names, func(s string) bool { return strings.HasSuffix(name, s) || strings.HasPrefix(name, s) })
		}
	}
	for _, c := range []struct {
		name  string
		shape int // of gradientCases
		opt   Options
	}{
		{"adapters everywhere", 0, Options{LoRA: &LoRA{Rank: 3, Alpha: 5, Targets: []string{"q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "eh_proj", "lm_head"}}}},
		{"adapters of some experts", 0, Options{LoRA: &LoRA{Rank: 2, Alpha: 2, Targets: []string{"experts.1.up_proj", "experts.4.down_proj", "experts.2.up_proj", "experts.2.gate_proj"}}}},
		{"adapters and norms", 1, Options{LoRA: &LoRA{Rank: 1, Alpha: 3, Targets: []string{"self_attn.q_proj", "experts.0.down_proj", "up_proj"}}, Trainable: ends("norm.weight")}},
		{"adapters, llama", 2, Options{LoRA: &LoRA{Rank: 4, Alpha: 2, Targets: []string{"q_proj", "v_proj", "down_proj"}}}},
		{"some experts", 0, Options{Trainable: ends("experts.0.gate_proj.weight", "experts.3.down_proj.weight", "experts.3.up_proj.weight", "experts.3.gate_proj.weight")}},
		{"half a product", 0, Options{Trainable: ends("q_a_proj.weight", "up_proj.weight")}},
		{"embedding", 2, Options{Trainable: ends("embed_tokens.weight")}},
		{"last layer", 4, Options{Trainable: ends("model.layers.1.")}},
		{"head and biases", 3, Options{Trainable: ends("lm_head.weight", "k_proj.bias")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			shape := gradientCases[c.shape]
			opt := c.opt
			opt.MTP, opt.MTPBeforeNorm = shape.o.MTPLambda != 0, shape.before
			checkGradients(t, &shape.c, opt, shape.o)
		})
	}
}

// checkGradients compares the loss and all gradients with the reference, and returns how many are zero.
func checkGradients(t *testing.T, c *Config, opt Options, o LossOptions) (zero int) {
	opt.Train, opt.MaxTokens = true, 14
	b := testBatch(c.VocabSize, 3, 7)
	m := testModel(t, c, newEngine(t, 2), opt)
	got := must[Loss](t)(m.LossGrad(b, o))
	ref := newReference(m)
	want := ref.loss(b, o, opt.MTPBeforeNorm)
	routes := slices.Clone(ref.routes)
	for _, x := range [][2]float64{{got.CE, want.CE}, {got.Balance, want.Balance}, {got.MTP, want.MTP}, {got.Total, want.Total}} {
		if math.Abs(x[0]-x[1]) > 2e-6*math.Abs(x[1]) {
			t.Errorf("loss %+v, want %+v", got, want)
		}
	}
	if got.Tokens != want.Tokens {
		t.Errorf("%d positions counted, want %d", got.Tokens, want.Tokens)
	}
	r := rand.New(rand.NewPCG(5, 6))
	for _, p := range m.Params() {
		if frozen := opt.Trainable != nil && !opt.Trainable(p.Name) || opt.Trainable == nil && opt.LoRA != nil; frozen && p.Kind != Adapter && p.Kind != Bias {
			if !p.Frozen || p.Grad != nil {
				t.Errorf("%s is not frozen", p.Name)
			}
			continue
		}
		if p.Frozen {
			t.Errorf("%s is frozen", p.Name)
		}
		if p.Kind == Bias {
			continue
		}
		var norm float64
		for _, g := range p.Grad {
			norm += float64(g) * float64(g)
		}
		norm = math.Sqrt(norm)
		if norm == 0 {
			zero++ // an expert without tokens
		}
		for name, direction := range map[string]func(i int) float64{
			"gradient": func(i int) float64 { return float64(p.Grad[i]) / norm },
			"random":   func(int) float64 { return r.NormFloat64() / math.Sqrt(float64(len(p.Grad))) },
		} {
			if norm == 0 && name == "gradient" {
				continue
			}
			w := ref.w[p.Name]
			saved := slices.Clone(w)
			const eps = 1e-5
			d := make([]float64, len(w))
			var expect float64
			for i := range d {
				d[i] = direction(i)
				expect += d[i] * float64(p.Grad[i])
			}
			var side [2]float64
			for s, sign := range []float64{1, -1} {
				for i := range w {
					w[i] = saved[i] + sign*eps*d[i]
				}
				side[s] = ref.loss(b, o, opt.MTPBeforeNorm).Total
				if !slices.Equal(ref.routes, routes) {
					t.Fatalf("%s: the step changed a route: take another seed", p.Name)
				}
			}
			copy(w, saved)
			if diff := math.Abs((side[0]-side[1])/(2*eps) - expect); diff > 5e-5*norm+1e-9 {
				t.Errorf("%s along %s: derivative %.8g, gradient says %.8g", p.Name, name, (side[0]-side[1])/(2*eps), expect)
			}
		}
	}
	return zero
}
