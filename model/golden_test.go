package model

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/kernel"
)

// goldenDirs lists the folders of the named cases: those in testdata, and with HAENYEO_GOLDEN all.
func goldenDirs(t *testing.T, names ...string) []string {
	t.Helper()
	var dirs []string
	for _, n := range names {
		dir := filepath.Join("testdata", n)
		if root := os.Getenv("HAENYEO_GOLDEN"); root != "" {
			dir = filepath.Join(root, n)
		}
		if _, err := os.Stat(dir); err != nil {
			if os.Getenv("HAENYEO_GOLDEN") != "" {
				t.Fatal(err)
			}
			continue
		}
		dirs = append(dirs, dir)
	}
	if os.Getenv("HAENYEO_GOLDEN") == "" && len(dirs) < len(names) {
		t.Logf("%d of %d cases are in testdata; set HAENYEO_GOLDEN to the whole golden set for the rest", len(dirs), len(names))
	}
	return dirs
}

type expected struct {
	t *testing.T
	r *safetensors.Reader
}

func openExpected(t *testing.T, path string) expected {
	t.Helper()
	r, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return expected{t, r}
}

func (x expected) has(name string) bool { _, ok := x.r.Tensor(name); return ok }

func (x expected) floats(name string) []float32 {
	x.t.Helper()
	t, ok := x.r.Tensor(name)
	if !ok {
		x.t.Fatalf("no expected tensor %q", name)
	}
	f, err := t.Float32(nil)
	if err != nil {
		x.t.Fatal(err)
	}
	return f
}

func (x expected) ints(name string) ([]int32, []int) {
	x.t.Helper()
	t, ok := x.r.Tensor(name)
	if !ok {
		x.t.Fatalf("no expected tensor %q", name)
	}
	v, err := t.Int64s()
	if err != nil {
		x.t.Fatal(err)
	}
	out := make([]int32, len(v))
	for i := range v {
		out[i] = int32(v[i])
	}
	return out, t.Shape
}

func newEngine(t testing.TB, threads int) *kernel.Engine {
	t.Helper()
	e, err := kernel.New(threads, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func maxDiff(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	var m float64
	for i := range a {
		d := math.Abs(float64(a[i]) - float64(b[i]))
		if !(d <= m) {
			m = d
		}
	}
	return m
}

// relative is |a−b| / |b|.
func relative(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	var d, n float64
	for i := range a {
		e := float64(a[i]) - float64(b[i])
		d += e * e
		n += float64(b[i]) * float64(b[i])
	}
	if n == 0 {
		return math.Sqrt(d)
	}
	return math.Sqrt(d / n)
}

func rootMeanSquare(x []float32) float64 {
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(len(x)))
}

type caseFile struct {
	Settings struct {
		BalanceAlpha float32 `json:"balance_alpha"`
		MTPLambda    float32 `json:"mtp_lambda"`
	}
	Tolerance struct {
		Float32 struct {
			MaxAbs float64 `json:"max_abs"`
		} `json:"float32_against_float64"`
		BF16 struct {
			RMS float64 `json:"rms"`
		} `json:"bf16_against_float32"`
	}
}

func readCase(t *testing.T, dir string) caseFile {
	t.Helper()
	var c caseFile
	data := must[[]byte](t)(os.ReadFile(filepath.Join(dir, "case.json")))
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

var inferenceCases = []string{"deepseek_v3", "deepseek_v3_plain", "deepseek_v3_mtp", "llama", "llama3_rope_tied", "qwen2", "qwen3_yarn"}

// Logits, hidden states, routing and greedy continuations equal those of the reference.
func TestGoldenInference(t *testing.T) {
	for _, dir := range goldenDirs(t, inferenceCases...) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			x := openExpected(t, filepath.Join(dir, "expected.safetensors"))
			limit := 4 * readCase(t, dir).Tolerance.Float32.MaxAbs
			m := must[*Model](t)(Open(dir, newEngine(t, 0), Options{}))
			// a model that trains keeps the states of every layer where this test can see them
			tr := must[*Model](t)(Open(dir, newEngine(t, 0), Options{Train: true}))
			ids, shape := x.ints("input_ids")
			B, T, V, D := shape[0], shape[1], m.cfg.VocabSize, m.cfg.HiddenSize
			want := x.floats("logits")
			var top float64
			for _, v := range want {
				top = max(top, math.Abs(float64(v)))
			}
			limit = min(limit, 2e-5*top)
			for b := range B {
				seq := ids[b*T:][:T]
				got := must[[]float32](t)(m.Logits(seq))
				if d := maxDiff(got, want[b*T*V:][:T*V]); d > limit {
					t.Errorf("logits of row %d differ by %.3g, limit %.3g", b, d, limit)
				} else {
					t.Logf("logits of row %d differ by %.3g, limit %.3g", b, d, limit)
				}
				p := must[*pass](t)(tr.read(seq))
				states := map[string][]float32{"embedding": p.layers[0].x, "final": p.h}
				for i := range p.layers {
					states[fmtLayer(i)] = p.layers[i].out
				}
				positions := p.pos[:T]
				if x.has("hidden.positions") {
					positions, _ = x.ints("hidden.positions")
				}
				n := len(positions) * D
				for name, s := range states {
					var got []float32
					for _, at := range positions {
						got = append(got, s[int(at)*D:][:D]...)
					}
					if d := relative(got, x.floats("hidden." + name)[b*n:][:n]); d > 5e-6 {
						t.Errorf("hidden.%s of row %d: relative difference %.3g", name, b, d)
					}
				}
				for i, block := range tr.blocks {
					if e, ok := block.ffn.(*moe); ok {
						k := e.router.k
						wantIDs, _ := x.ints("moe." + fmtLayer(i) + ".expert_ids")
						if !slices.Equal(p.layers[i].moe.router.ids[:T*k], wantIDs[b*T*k:][:T*k]) {
							t.Errorf("layer %d of row %d: experts differ", i, b)
						}
						w := x.floats("moe." + fmtLayer(i) + ".expert_weights")
						if d := maxDiff(p.layers[i].moe.router.w[:T*k], w[b*T*k:][:T*k]); d > 1e-5 {
							t.Errorf("layer %d of row %d: expert weights differ by %.3g", i, b, d)
						}
					}
				}
			}
			half := must[*Model](t)(Open(dir, newEngine(t, 0), Options{DType: kernel.BF16}))
			checkHalf(t, dir, must[[]float32](t)(half.Logits(ids[:T])), want[:T*V])
			greedy, _ := x.ints("greedy.ids")
			checkGreedy(t, m, ids[:T], greedy)
			checkGreedy(t, tr, ids[:T], greedy)
		})
	}
}

// checkHalf compares bf16 logits with those of the reference in float32: they may lie as far away as the
// reference's own in bf16, where that was measured, else not be those of another model. A token that a
// rounding sends to another expert lies far away.
func checkHalf(t *testing.T, dir string, got, want []float32) {
	t.Helper()
	d, limit := relative(got, want), 0.5
	if rms := readCase(t, dir).Tolerance.BF16.RMS; rms > 0 {
		limit = 2 * rms / rootMeanSquare(want)
	}
	if d > limit {
		t.Errorf("bf16 logits: relative difference %.3g, limit %.3g", d, limit)
	} else {
		t.Logf("bf16 logits: relative difference %.3g, limit %.3g", d, limit)
	}
}

// gradientLimit is the largest relative difference of a gradient: what is promised of any checkpoint, and
// less for the copies in testdata, whose values are known.
func gradientLimit() float64 {
	if os.Getenv("HAENYEO_GOLDEN") != "" {
		return 1e-4
	}
	return 2e-5
}

func fmtLayer(i int) string { return "layer." + strconv.Itoa(i) }

func argmax(x []float32) int32 {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return int32(best)
}

// checkGreedy continues prompt.
func checkGreedy(t *testing.T, m *Model, prompt, want []int32) {
	t.Helper()
	V := m.cfg.VocabSize
	seq := slices.Clone(prompt)
	for range want {
		l := must[[]float32](t)(m.Logits(seq))
		seq = append(seq, argmax(l[len(l)-V:]))
	}
	if got := seq[len(prompt):]; !slices.Equal(got, want) {
		t.Errorf("greedy: %v, want %v", got, want)
	}
}

func TestGoldenMTP(t *testing.T) {
	for _, dir := range goldenDirs(t, "deepseek_v3_mtp") {
		x := openExpected(t, filepath.Join(dir, "expected.safetensors"))
		for name, before := range map[string]bool{"after_final_norm": false, "before_final_norm": true} {
			m := must[*Model](t)(Open(dir, newEngine(t, 0), Options{MTP: true, MTPBeforeNorm: before}))
			ids, shape := x.ints("input_ids")
			T, n := shape[1], (shape[1]-1)*m.cfg.VocabSize
			for b := range shape[0] {
				got := must[[]float32](t)(m.MTPLogits(ids[b*T:][:T]))
				if d := maxDiff(got, x.floats("mtp.logits_h_" + name)[b*n:][:n]); d > 8e-5 {
					t.Errorf("%s, row %d: logits differ by %.3g", name, b, d)
				}
				k := m.mtp.block.ffn.(*moe).router.k
				want, _ := x.ints("mtp.expert_ids_h_" + name)
				if !slices.Equal(m.pass.mtp.layer.moe.router.ids[:(T-1)*k], want[b*(T-1)*k:][:(T-1)*k]) {
					t.Errorf("%s, row %d: experts differ", name, b)
				}
			}
		}
	}
}

// Losses and the gradient of every parameter equal those of the reference.
func TestGoldenGradients(t *testing.T) {
	for _, dir := range goldenDirs(t, "v3_train", "llama_train") {
		settings := readCase(t, dir).Settings
		x := openExpected(t, filepath.Join(dir, "expected.safetensors"))
		tokens, shape := x.ints("tokens")
		b := &Batch{B: shape[0], T: shape[1] - 1, Tokens: tokens}
		for _, c := range []struct {
			name   string
			o      LossOptions
			before bool
		}{
			{"plain", LossOptions{}, false},
			{"balance", LossOptions{BalanceAlpha: settings.BalanceAlpha}, false},
			{"mtp", LossOptions{MTPLambda: settings.MTPLambda}, false},
			{"mtp_h_before_final_norm", LossOptions{MTPLambda: settings.MTPLambda}, true},
		} {
			if !x.has("loss." + c.name) {
				continue
			}
			for _, rows := range []int{1, b.B} { // in several passes and in one
				t.Run(filepath.Base(dir)+"/"+c.name, func(t *testing.T) {
					m := must[*Model](t)(Open(dir, newEngine(t, 0), Options{Train: true, MTP: c.o.MTPLambda != 0, MTPBeforeNorm: c.before, MaxTokens: rows * b.T}))
					l := must[Loss](t)(m.LossGrad(b, c.o))
					want := float64(x.floats("loss." + c.name)[0])
					if d := math.Abs(l.Total-want) / want; d > 1e-6 {
						t.Errorf("loss %.8g, want %.8g: relative difference %.3g", l.Total, want, d)
					}
					if c.name == "balance" {
						if p := float64(x.floats("part.balance_unbiased")[0]); math.Abs(l.Balance-p) > 1e-6*p {
							t.Errorf("balance loss %.8g, want %.8g", l.Balance, p)
						}
					}
					checkGrads(t, m, dir, x, c.name)
				})
			}
		}
	}
}

func checkGrads(t *testing.T, m *Model, dir string, x expected, name string) {
	var sum, worst float64
	for _, p := range m.Params() {
		if name == "mtp_h_before_final_norm" && strings.HasPrefix(p.Name, layerName(m.cfg.NumHiddenLayers, "")) {
			continue // the reference's norm is over the main model alone
		}
		for _, g := range p.Grad {
			sum += float64(g) * float64(g)
		}
	}
	if want := float64(x.floats("grad_norm." + name)[0]); math.Abs(math.Sqrt(sum)-want) > 1e-5*want {
		t.Errorf("gradient norm %.7g, want %.7g", math.Sqrt(sum), want)
	}
	path := filepath.Join(dir, "grads_"+name+".safetensors")
	if _, err := os.Stat(path); err != nil { // only the routers' gradients are stored
		for _, p := range m.Params() {
			if full := "grad." + name + "." + p.Name; x.has(full) {
				if d := relative(p.Grad, x.floats(full)); d > gradientLimit() {
					t.Errorf("gradient of %s: relative difference %.3g", p.Name, d)
				}
			}
		}
		return
	}
	g := openExpected(t, path)
	seen := 0
	for _, p := range m.Params() {
		if p.Kind == Bias {
			continue
		}
		seen++
		d := relative(p.Grad, g.floats(p.Name))
		worst = max(worst, d)
		if d > gradientLimit() {
			t.Errorf("gradient of %s: relative difference %.3g", p.Name, d)
		}
	}
	if seen != len(g.r.Names()) {
		t.Errorf("%d gradients, %d expected", seen, len(g.r.Names()))
	}
	t.Logf("worst relative difference of a gradient %.3g", worst)
}
