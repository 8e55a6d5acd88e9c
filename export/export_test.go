package export

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/format/gguf"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/quant"
	"github.com/haenyeo/haenyeo/tokenizer"
)

// What went into a GGUF comes out of it: weights, configuration, tokenizer.
func TestGGUFRoundTrip(t *testing.T) {
	e, err := kernel.New(1, "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for name, cfg := range shapes() {
		t.Run(name, func(t *testing.T) {
			dir := writeModel(t, cfg)
			want, err := model.Open(dir, e, model.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, typ := range []quant.Type{quant.F32, quant.F16, quant.BF16, quant.Q8_0} {
				out := filepath.Join(t.TempDir(), "m.gguf")
				s, err := WriteGGUF(context.Background(), dir, out, typ, nil)
				if err != nil {
					t.Fatal(err)
				}
				if s.Types[typ.String()] == 0 || s.Bytes == 0 {
					t.Errorf("%v: summary %+v", typ, s)
				}
				f, err := gguf.Open(out)
				if err != nil {
					t.Fatal(err)
				}
				if err := f.CheckModel(); err != nil {
					t.Error(err)
				}
				f.Close()
				got, tok, err := OpenGGUF(out, e, model.Options{})
				if err != nil {
					t.Fatal(err)
				}
				compareWeights(t, want, got, typ)
				compareConfig(t, want.Config(), got.Config())
				compareTokenizer(t, dir, tok)
			}
		})
	}
}

func compareWeights(t *testing.T, want, got *model.Model, typ quant.Type) {
	t.Helper()
	// Error of one rounding, relative to the largest number of a block.
	limit := map[quant.Type]float64{quant.F32: 0, quant.F16: 1. / 2048, quant.BF16: 1. / 256, quant.Q8_0: 1. / 127}[typ]
	for _, p := range want.Params() {
		q := got.Param(p.Name)
		if q == nil {
			t.Fatalf("%v: %s is missing", typ, p.Name)
		}
		var top, worst float64
		for i, x := range p.Data {
			top = max(top, math.Abs(float64(x)))
			worst = max(worst, math.Abs(float64(x-q.Data[i])))
		}
		if p.Kind == model.Vector || p.Kind == model.Bias {
			top = 0 // exact in every type
		}
		if worst > limit*top {
			t.Errorf("%v: %s differs by %g, at most %g", typ, p.Name, worst, limit*top)
		}
	}
}

func compareConfig(t *testing.T, want, got *model.Config) {
	t.Helper()
	w, g := *want, *got
	for _, c := range []*model.Config{&w, &g} { // not in a GGUF
		c.InitializerRange, c.TorchDType = 0, ""
	}
	if !reflect.DeepEqual(w, g) {
		t.Errorf("configuration\n got %+v\nwant %+v", g, w)
	}
}

func compareTokenizer(t *testing.T, dir string, got *tokenizer.Tokenizer) {
	t.Helper()
	want, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got == nil {
		t.Fatal("no tokenizer came back")
	}
	if got.Config() != want.Config() {
		t.Errorf("tokenizer configuration %+v, want %+v", got.Config(), want.Config())
	}
	for _, s := range append(texts, "<｜User｜>hi<｜Assistant｜>") {
		opt := tokenizer.EncodeOptions{AddSpecial: true}
		if g, w := got.Encode(nil, s, opt), want.Encode(nil, s, opt); !slices.Equal(g, w) {
			t.Errorf("%q: ids %v, want %v", s, g, w)
		}
	}
}

func TestSameModelSameFile(t *testing.T) {
	dir := writeModel(t, shapes()["v3"])
	var files [2][]byte
	for i := range files {
		out := filepath.Join(t.TempDir(), "m.gguf")
		if _, err := WriteGGUF(context.Background(), dir, out, quant.Q8_0, nil); err != nil {
			t.Fatal(err)
		}
		var err error
		if files[i], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("two exports of one model differ")
	}
}

func TestNothingHalfWritten(t *testing.T) {
	good := shapes()["v3"]
	sparse := good
	sparse.MoELayerFreq = 2
	for name, c := range map[string]struct {
		cfg    model.Config
		typ    quant.Type
		damage func(t *testing.T, dir string)
		says   string
	}{
		"no tokenizer is fine": {good, quant.F32, func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "tokenizer.json")) }, ""},
		"no weights":           {good, quant.F32, func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "model.safetensors")) }, "model.safetensors"},
		"other configuration": {good, quant.F32, func(t *testing.T, dir string) {
			edit(t, dir, `"hidden_size": 64`, `"hidden_size": 32`)
		}, "shape"},
		"layer frequency": {sparse, quant.F32, nil, "moe_layer_freq"},
		"tokenizer too large": {good, quant.F32, func(t *testing.T, dir string) {
			edit(t, dir, `"vocab_size": 480`, `"vocab_size": 400`)
		}, "tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := writeModel(t, c.cfg)
			if c.damage != nil {
				c.damage(t, dir)
			}
			outDir := t.TempDir()
			_, err := WriteGGUF(context.Background(), dir, filepath.Join(outDir, "m.gguf"), c.typ, nil)
			if c.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one about %q", err, c.says)
			}
			if left, _ := os.ReadDir(outDir); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// Programs that load a GGUF compute YaRN in one way only; a model that wants another is refused, and not
// written wrong.
func TestYarnThatDoesNotFit(t *testing.T) {
	for _, c := range []struct {
		shape  string
		change func(*model.RopeScaling)
		says   string // "": it fits
	}{
		{"v3 yarn", func(r *model.RopeScaling) {}, ""},
		{"v3 yarn", func(r *model.RopeScaling) { r.MScale, r.MScaleAllDim = 0.707, 0.707 }, ""},
		{"v3 yarn", func(r *model.RopeScaling) { r.BetaFast, r.BetaSlow = 0, 0 }, ""},
		{"v3 yarn", func(r *model.RopeScaling) { r.MScaleAllDim = 0.5 }, "mscale_all_dim 0.5"},
		{"v3 yarn", func(r *model.RopeScaling) { r.MScaleAllDim = 0 }, "mscale_all_dim 0"},
		{"v3 yarn", func(r *model.RopeScaling) { r.MScale, r.MScaleAllDim = 0, 0 }, "neither mscale"},
		{"v3 yarn", func(r *model.RopeScaling) { r.NoTruncate = true }, "truncate"},
		{"v3 yarn", func(r *model.RopeScaling) { r.AttentionFactor = 1.25 }, "attention_factor 1.25"},
		{"v3 yarn", func(r *model.RopeScaling) { r.BetaFast = 16 }, "beta_fast 16"},
		{"v3 yarn", func(r *model.RopeScaling) { r.BetaSlow = 3 }, "beta_slow 3"},
		{"llama yarn", func(r *model.RopeScaling) {}, ""},
		{"llama yarn", func(r *model.RopeScaling) { r.MScaleAllDim = 1 }, ""}, // one of two keys alone means nothing
		{"llama yarn", func(r *model.RopeScaling) { r.NoTruncate = true }, "truncate"},
		{"llama yarn", func(r *model.RopeScaling) { r.AttentionFactor = 1 }, "attention_factor"},
		{"llama yarn", func(r *model.RopeScaling) { r.BetaFast = 16 }, "beta_fast"},
		{"llama yarn", func(r *model.RopeScaling) { r.MScale, r.MScaleAllDim = 0.5, 1 }, "mscale 0.5"},
		{"llama yarn", func(r *model.RopeScaling) { r.MScale, r.MScaleAllDim = 1, 1 }, "mscale 1"},
	} {
		cfg := shapes()[c.shape]
		c.change(&cfg.RopeScaling)
		_, err := architecture(&cfg)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s, %+v: error %v, want one about %q", c.shape, cfg.RopeScaling, err, c.says)
		}
	}
}

func TestNumbersThatDoNotFit(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		x  float32
		t  quant.Type
		ok bool
	}{{65504, quant.F16, true}, {70000, quant.F16, false}, {70000, quant.BF16, true}, {nan, quant.F32, false}, {float32(math.Inf(-1)), quant.Q8_0, false}} {
		err := finite([]float32{0, c.x}, c.t)
		if (err == nil) != c.ok {
			t.Errorf("%v as %v: %v", c.x, c.t, err)
		}
		if isNumber := c.x-c.x == 0; err != nil && strings.Contains(err.Error(), "bf16 or f32") != isNumber {
			t.Errorf("advice for %v as %v: %v", c.x, c.t, err)
		}
	}
}

// What is not a number is found wherever it stands, used or not.
func TestOpenNamesWhatIsNotFinite(t *testing.T) {
	dir := writeModel(t, shapes()["v3"])
	out := filepath.Join(t.TempDir(), "m.gguf")
	if _, err := WriteGGUF(context.Background(), dir, out, quant.F32, nil); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	e, err := kernel.New(2, "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for tensor, published := range map[string]string{
		"blk.1.ffn_gate_inp.weight": "model.layers.1.mlp.gate.weight",
		"blk.1.exp_probs_b.bias":    "model.layers.1.mlp.gate.e_score_correction_bias",
		"token_embd.weight":         "model.embed_tokens.weight",
	} {
		f, err := gguf.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		g, ok := f.Tensor(tensor)
		if !ok {
			t.Fatalf("no tensor %s", tensor)
		}
		at := bytes.Index(file, g.Data)
		f.Close()
		damaged := slices.Clone(file)
		copy(damaged[at+12:], []byte{0, 0, 0x80, 0x7f}) // infinity
		path := filepath.Join(t.TempDir(), "damaged.gguf")
		if err := os.WriteFile(path, damaged, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, _, err := OpenGGUF(path, e, model.Options{}); err == nil || !strings.Contains(err.Error(), published) || !strings.Contains(err.Error(), "+Inf at element 3") {
			t.Errorf("infinity in %s: error %v", tensor, err)
		}
	}
}

// A tokenizer that this program does not know leaves a model that works with ids.
func TestTokenizerOfAnotherKind(t *testing.T) {
	for _, c := range []struct {
		keys map[string]any
		none bool
	}{
		{map[string]any{}, true},
		{map[string]any{"tokenizer.ggml.model": "llama"}, true},
		{map[string]any{"tokenizer.ggml.model": "gpt2"}, true},
		{map[string]any{"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "of tomorrow"}, true},
		{map[string]any{"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "deepseek-v3"}, false}, // no tokens
	} {
		var m gguf.Metadata
		for k, v := range c.keys {
			m.Set(k, v)
		}
		if tok, err := Tokenizer(&m); tok != nil || (err == nil) != c.none {
			t.Errorf("%v: %v, %v", c.keys, tok, err)
		}
	}
}

func TestCancelledExportLeavesNothing(t *testing.T) {
	dir := writeModel(t, shapes()["llama"])
	out := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := WriteGGUF(ctx, dir, filepath.Join(out, "m.gguf"), quant.F32, nil); err == nil {
		t.Error("a cancelled export succeeded")
	}
	if left, _ := os.ReadDir(out); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// edit replaces text in config.json.
func edit(t *testing.T, dir, old, new string) {
	t.Helper()
	path := filepath.Join(dir, "config.json")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := strings.Replace(string(b), old, new, 1)
	if s == string(b) {
		t.Fatalf("%q does not hold %q", path, old)
	}
	if err := os.WriteFile(path, []byte(s), 0o666); err != nil {
		t.Fatal(err)
	}
}

// Whatever is wrong with a file, opening it ends with an error or a model.
func FuzzOpenGGUF(f *testing.F) {
	e, err := kernel.New(1, "portable")
	if err != nil {
		f.Fatal(err)
	}
	defer e.Close()
	for _, name := range []string{"v3", "llama"} {
		cfg := shapes()[name]
		cfg.HiddenSize, cfg.IntermediateSize, cfg.MoEIntermediateSize = 8, 8, 8
		out := filepath.Join(f.TempDir(), "m.gguf")
		if _, err := WriteGGUF(context.Background(), writeModel(f, cfg), out, quant.F16, nil); err != nil {
			f.Fatal(err)
		}
		b, err := os.ReadFile(out)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint32(200), byte(1))
	}
	f.Fuzz(func(t *testing.T, file []byte, at uint32, x byte) {
		if len(file) > 0 {
			file = append([]byte{}, file...)
			file[int(at)%len(file)] ^= x // most mutations hit the weights; this one is steered by hand
		}
		path := filepath.Join(t.TempDir(), "m.gguf")
		if err := os.WriteFile(path, file, 0o666); err != nil {
			t.Fatal(err)
		}
		if m, _, err := OpenGGUF(path, e, model.Options{}); err == nil && m == nil {
			t.Error("neither a model nor an error")
		}
	})
}

// Every byte of the metadata is changed once.
func TestDamagedMetadata(t *testing.T) {
	if testing.Short() {
		t.Skip("some thousand files")
	}
	e, err := kernel.New(1, "portable")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	cfg := shapes()["v3"]
	cfg.HiddenSize, cfg.IntermediateSize, cfg.MoEIntermediateSize, cfg.NumHiddenLayers = 8, 8, 8, 2
	dir := writeModel(t, cfg)
	os.Remove(filepath.Join(dir, "tokenizer.json"))
	path := filepath.Join(t.TempDir(), "m.gguf")
	if _, err := WriteGGUF(context.Background(), dir, path, quant.F16, nil); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	header := bytes.Index(good, []byte("token_embd.weight"))
	for at := range header {
		for _, x := range []byte{1, 0xff} {
			bad := slices.Clone(good)
			bad[at] ^= x
			if err := os.WriteFile(path, bad, 0o666); err != nil {
				t.Fatal(err)
			}
			OpenGGUF(path, e, model.Options{}) // must not panic, hang or take all memory
		}
	}
}

// The golden files with one fault each: what must be refused is, and the file without fault, which names no
// pre-tokenizer, works with ids.
func TestOpenMalformed(t *testing.T) {
	const dir = "../format/gguf/testdata/malformed"
	text, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index map[string]struct{ Must string }
	if err := json.Unmarshal(text, &index); err != nil {
		t.Fatal(err)
	}
	e, err := kernel.New(1, "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	opens := map[string]string{"valid.gguf": "accept"}
	for name, c := range index {
		opens[name] = c.Must
	}
	for name, must := range opens {
		m, tok, err := OpenGGUF(filepath.Join(dir, name), e, model.Options{})
		switch {
		case must == "reject" && err == nil:
			t.Errorf("%s is opened", name)
		case must == "accept" && (err != nil || tok != nil):
			t.Errorf("%s: %v, tokenizer %v", name, err, tok != nil)
		case err != nil && strings.Contains(err.Error(), "\n"):
			t.Errorf("%s: more than one line: %v", name, err)
		}
		if must == "accept" && err == nil {
			if _, err := m.Logits([]int32{1}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
