package train

// Twenty steps of AdamW and of Muon, against the same run in PyTorch (float64): losses, gradient
// norms, where every token went, and the weights at the end.

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/optim"
)

// recorded plays the batches of a golden file.
type recorded struct {
	tokens []int64
	steps  int
	b, t   int
	at     int
}

func (s *recorded) Next(b *model.Batch) error {
	b.B, b.T, b.Tokens = s.b, s.t, b.Tokens[:0]
	n := s.b * (s.t + 1)
	for _, v := range s.tokens[s.at*n:][:n] {
		b.Tokens = append(b.Tokens, int32(v))
	}
	s.at++
	return nil
}

func (s *recorded) Cursor() ([]byte, error) { return json.Marshal(s.at) }

func (s *recorded) Seek(cursor []byte) error {
	if s.at = 0; cursor == nil {
		return nil
	}
	return json.Unmarshal(cursor, &s.at)
}

func (s *recorded) Fingerprint() string { return "recorded" }

func TestGoldenRuns(t *testing.T) {
	for _, kind := range []optim.Kind{optim.AdamW, optim.Muon} {
		t.Run(string(kind), func(t *testing.T) { golden(t, kind) })
	}
}

// goldenCase is case.json: the hyper-parameters of a run, and how far the same run in float32 came out from
// the one in float64.
type goldenCase struct {
	Checkpoint string `json:"checkpoint"` // relative to the case
	Settings   struct {
		B           int        `json:"B"`
		T           int        `json:"T"` // the targets' row and one token before it
		Steps       int        `json:"steps"`
		LR          float64    `json:"lr"`
		Betas       [2]float64 `json:"betas"`
		Eps         float64    `json:"eps"`
		WeightDecay float64    `json:"weight_decay"`
		Clip        float64    `json:"clip"`
		BiasGamma   float64    `json:"bias_gamma"`
		Momentum    float64    `json:"momentum"` // Muon's
	} `json:"settings"`
	Tolerance struct {
		Loss     float64 `json:"loss_float32_against_float64_max_abs"`
		GradNorm float64 `json:"grad_norm_float32_against_float64_max_abs"`
		Weights  float64 `json:"weights_float32_against_float64_max_abs"`
	} `json:"tolerance"`
}

// slack is how much further than the reference's own float32 ours may be: it adds in another order.
const slack = 10

func golden(t *testing.T, kind optim.Kind) {
	root := "testdata"
	if all := os.Getenv("HAENYEO_GOLDEN"); all != "" {
		root = all
	}
	dir := filepath.Join(root, "v3_"+string(kind))
	var c goldenCase
	if b, err := os.ReadFile(filepath.Join(dir, "case.json")); err != nil {
		t.Fatal(err)
	} else if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	set, limit := c.Settings, c.Tolerance
	if set.Steps == 0 || set.LR == 0 || limit.Loss == 0 || limit.GradNorm == 0 || limit.Weights == 0 {
		t.Fatalf("case.json says too little: %+v", c)
	}
	want, err := safetensors.Open(filepath.Join(dir, "expected.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	tokens, _ := want.Tensor("tokens")
	losses, norms, loads := floats(t, want, "loss"), floats(t, want, "grad_norm"), ints(t, want, "expert_loads")
	src := &recorded{steps: tokens.Shape[0], b: tokens.Shape[1], t: tokens.Shape[2] - 1}
	src.tokens = ints(t, want, "tokens")
	if src.steps != set.Steps || src.b != set.B || src.t+1 != set.T {
		t.Fatalf("batches of shape %v do not fit %+v", tokens.Shape, set)
	}

	e := engine(t, 2)
	m, err := model.Open(filepath.Join(dir, filepath.FromSlash(c.Checkpoint)), e, model.Options{Train: true})
	if err != nil {
		t.Fatal(err)
	}
	opt := Defaults(kind, src.steps, m.Config())
	opt.DType, opt.LR, opt.Schedule, opt.Warmup = kernel.F32.String(), set.LR, optim.Constant, 0
	opt.Beta1, opt.Beta2, opt.Eps, opt.WeightDecay, opt.Clip = set.Betas[0], set.Betas[1], set.Eps, set.WeightDecay, set.Clip
	opt.BiasGamma, opt.BalanceAlpha, opt.MTPLambda = set.BiasGamma, 0, 0
	if kind == optim.Muon {
		opt.Momentum = set.Momentum
	}
	spy := &loadSpy{Model: m}
	step, far := 0, 0.0
	_, err = Run(context.Background(), Job{
		Model: spy, Engine: e, Source: src, Options: opt, Start: func() error { return nil },
		Emit: func(ev Event) {
			s, ok := ev.(Step)
			if !ok {
				return
			}
			if d := math.Abs(s.Loss - losses[step]); !(d < slack*limit.Loss) {
				t.Errorf("step %d: loss %.6f, want %.6f", step, s.Loss, losses[step])
			}
			if d := math.Abs(s.GradNorm - norms[step]); !(d < slack*limit.GradNorm) {
				t.Errorf("step %d: gradient norm %.6f, want %.6f", step, s.GradNorm, norms[step])
			}
			step++
		},
	})
	if err != nil || step != set.Steps {
		t.Fatal(step, err)
	}
	if fmt.Sprint(spy.loads) != fmt.Sprint(loads) {
		t.Errorf("expert loads %v\nwant %v", spy.loads, loads)
	}

	final, err := safetensors.Open(filepath.Join(dir, "final.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer final.Close()
	worst := 0.0
	for _, p := range m.Params() {
		w := floats(t, final, p.Name)
		var diff, size float64
		for i := range w {
			off := math.Abs(w[i] - float64(p.Data[i]))
			far = max(far, off)
			diff += off * off
			size += w[i] * w[i]
		}
		r := math.Sqrt(diff / size)
		if size == 0 {
			r = diff
		}
		worst = max(worst, r)
		if !(r < 1e-3) {
			t.Errorf("%s: off by %.2g of its norm", p.Name, r)
		}
	}
	if !(far < slack*limit.Weights) {
		t.Errorf("a weight is off by %.2g, limit %.2g", far, slack*limit.Weights)
	}
	t.Logf("worst tensor off by %.2g of its norm, limit 1e-3; worst weight by %.2g, limit %.2g", worst, far, slack*limit.Weights)
}

// loadSpy notes the expert loads of every step before they are cleared.
type loadSpy struct {
	*model.Model
	loads []int64
}

func (s *loadSpy) UpdateBias(gamma float32) {
	if gamma > 0 {
		for _, layer := range s.ExpertLoads() {
			s.loads = append(s.loads, layer...)
		}
	}
	s.Model.UpdateBias(gamma)
}

func floats(t *testing.T, r *safetensors.Reader, name string) []float64 {
	t.Helper()
	tensor, ok := r.Tensor(name)
	if !ok {
		t.Fatalf("no tensor %q", name)
	}
	x, err := tensor.Float32(nil)
	if err != nil {
		t.Fatal(err)
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

func ints(t *testing.T, r *safetensors.Reader, name string) []int64 {
	t.Helper()
	tensor, ok := r.Tensor(name)
	if !ok {
		t.Fatalf("no tensor %q", name)
	}
	x, err := tensor.Int64s()
	if err != nil {
		t.Fatal(err)
	}
	return x
}
