package weights

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/quant"
)

// golden is the path of a part of the golden set, or skips the test.
func golden(t *testing.T, parts ...string) string {
	t.Helper()
	root := os.Getenv("HAENYEO_GOLDEN")
	if root == "" {
		t.Skip("set HAENYEO_GOLDEN to the golden folder to open all its models")
	}
	return filepath.Join(append([]string{root}, parts...)...)
}

func openModel(t testing.TB, path string) *Source {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// decode returns the numbers of every tensor that the model of s has, by name, with its rows in the
// published order.
func decode(t testing.TB, s *Source) map[string][]float32 {
	t.Helper()
	out := map[string][]float32{}
	one := func(want Tensor) {
		n := 1
		for _, d := range want.Shape {
			n *= d
		}
		switch {
		case want.Ints:
			ids, err := s.Ints(want.Name, n)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range ids {
				out[want.Name] = append(out[want.Name], float32(id))
			}
		case len(want.Shape) == 1:
			v, err := s.Vector(want.Name, n)
			if err != nil {
				t.Fatal(err)
			}
			out[want.Name] = v
		case strings.HasSuffix(want.Name, "kv_b_proj.weight"):
			out[want.Name] = latent(t, s, strings.TrimSuffix(want.Name, "kv_b_proj.weight"))
		default:
			m, err := s.Matrix(want.Name, want.Shape[0], want.Shape[1])
			if err != nil {
				t.Fatal(err)
			}
			v := make([]float32, n)
			m.Rows(v, 0, m.N)
			out[want.Name] = v
		}
		for i, x := range out[want.Name] {
			if x-x != 0 {
				t.Fatalf("%s holds %v at %d", want.Name, x, i)
			}
		}
	}
	for want := range Expected(s.Config()) {
		one(want)
	}
	for want := range ExpectedMTP(s.Config()) {
		one(want)
	}
	return out
}

// latent puts kv_b_proj together from its heads.
func latent(t testing.TB, s *Source, prefix string) []float32 {
	t.Helper()
	c := s.Config()
	n, v, r := c.QKNopeHeadDim, c.VHeadDim, c.KVLoraRank
	u, err := s.LatentUp(prefix, c.NumAttentionHeads, n, v, r)
	if err != nil {
		t.Fatal(err)
	}
	var out []float32
	for h := range u.Key {
		key := make([]float32, n*r)
		if u.KeyTransposed {
			columns := make([]float32, n*r)
			u.Key[h].Rows(columns, 0, r)
			for i := range n {
				for j := range r {
					key[i*r+j] = columns[j*n+i]
				}
			}
		} else {
			u.Key[h].Rows(key, 0, n)
		}
		value := make([]float32, v*r)
		u.Value[h].Rows(value, 0, v)
		out = append(append(out, key...), value...)
	}
	return out
}

var directories = []string{"llama", "llama3_rope_tied", "qwen2", "qwen3_yarn", "deepseek_v2_lite", "deepseek_v2_group_limited", "deepseek_v3",
	"deepseek_v3_plain", "deepseek_v3_fp8", "deepseek_v32", "deepseek_v4", "deepseek_v4_fp4", "deepseek_v3_mtp", "v3_train", "llama_train"}

// Every directory gives all tensors that its configuration asks for, and embeddings are those that the
// reference looked up.
func TestGoldenDirectories(t *testing.T) {
	for _, name := range directories {
		t.Run(name, func(t *testing.T) {
			dir := golden(t, name)
			s := openModel(t, dir)
			if s.Dir() != dir || s.GGUF() != nil || s.RopeInterleaved() {
				t.Errorf("directory %q, GGUF %v", s.Dir(), s.GGUF())
			}
			all := decode(t, s)
			var total int64
			for want := range Expected(s.Config()) {
				if !want.Ints && !strings.HasSuffix(want.Name, "bias") || strings.Contains(want.Name, "proj.bias") || strings.HasSuffix(want.Name, "k_norm.bias") {
					total += int64(len(all[want.Name]))
				}
			}
			if sizes, _ := s.Config().Sizes(); sizes != total {
				t.Errorf("Sizes says %d parameters, the tensors have %d", sizes, total)
			}
			compareEmbedding(t, s, all, filepath.Join(dir, "expected.safetensors"))
		})
	}
}

func compareEmbedding(t *testing.T, s *Source, all map[string][]float32, path string) {
	r, err := safetensors.Open(path)
	if err != nil {
		return // a training case has other files
	}
	defer r.Close()
	ids, ok1 := r.Tensor("input_ids")
	hidden, ok2 := r.Tensor("hidden.embedding")
	if !ok1 || !ok2 {
		return
	}
	table, ok := all["model.embed_tokens.weight"]
	streams := 1
	if !ok {
		table, streams = all["embed.weight"], s.Config().HCMult
	}
	tokens, err := ids.Int64s()
	if err != nil {
		t.Fatal(err)
	}
	want, err := hidden.Float32(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := s.Config().HiddenSize
	if len(want) != len(tokens)*d*streams {
		return // states of some positions only
	}
	for i, id := range tokens {
		for j, x := range table[int(id)*d:][:d] {
			for c := range streams {
				if want[(i*streams+c)*d+j] != x {
					t.Fatalf("embedding of token %d: %v, want %v", id, x, want[(i*streams+c)*d+j])
				}
			}
		}
	}
}

// A quantised GGUF holds the numbers of its float32 twin, up to the error of its types; so every stack,
// half and permutation lies where it should.
func TestGoldenGGUF(t *testing.T) {
	for _, c := range [][2]string{{"llama-f32", "llama-q8_0"}, {"qwen2-f32", "qwen2-q5_0"}, {"qwen3-f32", "qwen3-q4_1"}, {"deepseek-f32", "deepseek-q4_0"},
		{"deepseek2-f32", "deepseek2-q8_0"}, {"deepseek2-old-f32", "deepseek2-old-q5_1"}, {"deepseek32-f32", "deepseek32-q8_0"}, {"deepseek4-f32", "deepseek4-mxfp4"}} {
		t.Run(c[0], func(t *testing.T) {
			a := openModel(t, golden(t, "gguf", "models", c[0]+".gguf"))
			b := openModel(t, golden(t, "gguf", "models", c[1]+".gguf"))
			exact, rounded := decode(t, a), decode(t, b)
			if len(exact) != len(rounded) || len(exact) < 20 {
				t.Fatalf("%d and %d tensors", len(exact), len(rounded))
			}
			for name, x := range exact {
				if d := distance(x, rounded[name]); d > 0.15 {
					t.Errorf("%s differs by %.3g of its size", name, d)
				}
			}
		})
	}
	for _, name := range []string{"kmix-a", "kmix-b"} {
		decode(t, openModel(t, golden(t, "gguf", "models", name+".gguf")))
	}
}

// distance is |a-b|/|a|.
func distance(a, b []float32) float64 {
	var d, n float64
	for i := range a {
		d += math.Pow(float64(a[i])-float64(b[i]), 2)
		n += math.Pow(float64(a[i]), 2)
	}
	return math.Sqrt(d / max(n, 1e-30))
}

// Models in testdata open, and everything in them is decoded.
func TestOpenTestdata(t *testing.T) {
	for path, modelType := range map[string]string{"deepseek_v4_fp4": "deepseek_v4", "llama-q8_0.gguf": "llama", "deepseek-q4_0.gguf": "deepseek",
		"deepseek2-q8_0.gguf": "deepseek_v3", "deepseek2-old-q5_1.gguf": "deepseek_v2", "deepseek4-mxfp4.gguf": "deepseek_v4"} {
		s := openModel(t, filepath.Join("testdata", path))
		c := s.Config()
		if c.ModelType != modelType {
			t.Errorf("%s is a %s", path, c.ModelType)
		}
		if inter := s.RopeInterleaved(); inter != (modelType == "llama" || modelType == "deepseek") {
			t.Errorf("%s: RopeInterleaved is %v", path, inter)
		}
		decode(t, s)
		if c.NRoutedExperts > 0 {
			prefix := "model.layers.1."
			if modelType == "deepseek_v4" {
				prefix = "layers.1."
			}
			experts, err := s.Experts(prefix, "down_proj", c.NRoutedExperts, c.HiddenSize, c.MoEIntermediateSize)
			if err != nil || len(experts) != c.NRoutedExperts {
				t.Errorf("%s: %d experts, %v", path, len(experts), err)
			}
			if _, err := s.Experts(prefix, "sideways_proj", 1, 1, 1); err == nil {
				t.Errorf("%s: experts have a sideways_proj", path)
			}
		}
	}
}

// fp4 and fp8 with their scales, from the definition.
func TestScaledMatrices(t *testing.T) {
	dir := filepath.Join("testdata", "deepseek_v4_fp4")
	s := openModel(t, dir)
	r, err := safetensors.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	kinds := map[safetensors.DType]int{}
	for _, name := range r.Names() {
		base, ok := strings.CutSuffix(name, ".scale")
		if !ok {
			continue
		}
		w, _ := r.Tensor(base + ".weight")
		scale, _ := r.Tensor(name)
		kinds[w.DType]++
		n, k := w.Shape[0], w.Shape[1]
		if w.DType == safetensors.I8 {
			k *= 2
		}
		m, err := s.Matrix(base+".weight", n, k)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, n*k)
		for lo := 0; lo < n; lo += 3 { // in pieces that cross blocks
			hi := min(lo+3, n)
			m.Rows(got[lo*k:], lo, hi)
		}
		for i, x := range got {
			row, col := i/k, i%k
			var code, factor float64
			if w.DType == safetensors.I8 {
				q := w.Data[i/2] >> (4 * (i % 2)) & 15
				code = []float64{0, 0.5, 1, 1.5, 2, 3, 4, 6}[q&7]
				if q > 7 {
					code = -code
				}
				factor = math.Pow(2, float64(scale.Data[row*(k/32)+col/32])-127)
			} else {
				code = float64(quant.FromE4M3(w.Data[i]))
				factor = math.Pow(2, float64(scale.Data[row/128*((k+127)/128)+col/128])-127)
			}
			if float64(x) != code*factor {
				t.Fatalf("%s: element %d is %v, want %v", base, i, x, code*factor)
			}
		}
	}
	if kinds[safetensors.I8] == 0 || kinds[safetensors.F8_E4M3] == 0 {
		t.Errorf("tensors by type: %v", kinds)
	}
}

func TestShapesAreChecked(t *testing.T) {
	s := openModel(t, filepath.Join("testdata", "llama-q8_0.gguf"))
	c := s.Config()
	for name, f := range map[string]func() error{
		"token_embd.weight":  func() error { _, err := s.Matrix("model.embed_tokens.weight", c.VocabSize+1, c.HiddenSize); return err },
		"output_norm.weight": func() error { _, err := s.Vector("model.norm.weight", c.HiddenSize-1); return err },
		"no.such.weight":     func() error { _, err := s.Matrix("no.such.weight", 1, 1); return err },
		"whole numbers":      func() error { _, err := s.Ints("model.norm.weight", c.HiddenSize); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if s.Has("no.such.weight") || !s.Has("model.layers.0.self_attn.q_proj.weight") {
		t.Error("Has is wrong")
	}
}
