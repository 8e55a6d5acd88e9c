package export

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/format/gguf"
	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/quant"
	"github.com/haenyeo/haenyeo/tokenizer"
	"github.com/haenyeo/haenyeo/weights"
)

// models are models of every generation and storage: those that this program trains, tiny files of the others.
func models(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, cfg := range shapes() {
		all[name] = writeModel(t, cfg)
	}
	files, err := filepath.Glob("../weights/testdata/*.gguf")
	if err != nil || len(files) == 0 {
		t.Fatal(err, len(files))
	}
	for _, f := range append(files, "../weights/testdata/deepseek_v4_fp4") {
		all[filepath.Base(f)] = f
	}
	golden := os.Getenv("HAENYEO_GOLDEN")
	if golden == "" {
		t.Log("SKIPPED: set HAENYEO_GOLDEN to the golden folder to convert its checkpoints too")
		return all
	}
	dirs, _ := filepath.Glob(filepath.Join(golden, "*", "generation_config.json"))
	files, _ = filepath.Glob(filepath.Join(golden, "gguf", "models", "*.gguf"))
	for _, d := range dirs {
		all["golden "+filepath.Base(filepath.Dir(d))] = filepath.Dir(d)
	}
	for _, f := range files {
		all[filepath.Base(f)] = f
	}
	if len(dirs) < 10 || len(files) < 10 {
		t.Errorf("%d checkpoints and %d files in %q", len(dirs), len(files), golden)
	}
	return all
}

// What went into a file comes out of it, bit by bit: to a GGUF of float32, from there to a directory, from
// there to a GGUF.
func TestThereAndBack(t *testing.T) {
	for name, path := range models(t) {
		t.Run(name, func(t *testing.T) {
			tmp := t.TempDir()
			file, dir, again := filepath.Join(tmp, "m.gguf"), filepath.Join(tmp, "dir"), filepath.Join(tmp, "again.gguf")
			if s, err := tryConvert(t, context.Background(), path, file, "f32", Options{}); err != nil {
				if !strings.Contains(err.Error(), "GGUF cannot express") {
					t.Fatal(err)
				}
				t.Log(err)
				convert(t, path, dir, "f32")
				same(t, "directory", open(t, dir).logits(t, random(8, 30)), open(t, path).logits(t, random(8, 30)))
				return
			} else if s.Types["F32"] == 0 || s.Bytes == 0 {
				t.Errorf("summary %+v", s)
			}
			convert(t, file, dir, "f32")
			convert(t, dir, again, "f32")
			want := numbers(t, path)
			if v4 := strings.Contains(name, "v4"); v4 { // whose MTP layer a GGUF does not have
				for n := range want {
					if strings.HasPrefix(n, "mtp.") {
						delete(want, n)
					}
				}
			}
			for n := range want {
				if strings.HasSuffix(n, "embed_tokens.weight") && strings.HasPrefix(n, "model.layers.") || strings.HasSuffix(n, "shared_head.head.weight") {
					delete(want, n) // copies
				}
			}
			for form, p := range map[string]string{"GGUF": file, "directory": dir, "GGUF again": again} {
				got := numbers(t, p)
				if len(got) != len(want) {
					t.Errorf("%s: %d tensors, want %d", form, len(got), len(want))
				}
				for n, x := range want {
					if !slices.Equal(got[n], x) {
						t.Errorf("%s: %s differs", form, n)
					}
				}
			}
			a := open(t, path)
			ids := random(8, 30)
			for i := range ids {
				ids[i] %= int32(a.src.Config().VocabSize)
			}
			logits := a.logits(t, ids)
			for form, p := range map[string]string{"GGUF": file, "directory": dir, "GGUF again": again} {
				b := open(t, p)
				same(t, form, b.logits(t, ids), logits)
				compareConfig(t, form, a.src.Config(), b.src.Config())
				if a.src.Config().ModelType == "deepseek_v3" && hasMTP(a.src) {
					x, err := a.net.MTPLogits(context.Background(), ids)
					if err != nil {
						t.Fatal(err)
					}
					y, err := b.net.MTPLogits(context.Background(), ids)
					if err != nil {
						t.Fatal(err)
					}
					same(t, form+", MTP", y, x)
				}
			}
			f, err := gguf.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := f.CheckModel(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(path, "tokenizer.json")); err == nil {
				tok, err := Tokenizer(&f.Metadata)
				if err != nil {
					t.Fatal(err)
				}
				compareTokenizer(t, path, tok)
				if tok, err = tokenizer.Load(dir); err != nil {
					t.Fatal(err)
				}
				compareTokenizer(t, path, tok)
			}
		})
	}
}

func compareConfig(t *testing.T, form string, want, got *model.Config) {
	t.Helper()
	w, g := *want, *got
	for _, c := range []*model.Config{&w, &g} { // not in a GGUF, or about storage
		c.InitializerRange, c.TorchDType, c.Quantization = 0, "", model.Quantization{}
		if c.ModelType == "deepseek_v4" {
			c.NumNextnPredictLayers, c.CompressRatios = 0, c.CompressRatios[:c.NumHiddenLayers]
			c.IntermediateSize = 0
		}
		if c.NRoutedExperts > 0 && c.TopKGroup == c.NGroup {
			c.NGroup, c.TopKGroup = 1, 1 // groups that limit nothing
		}
	}
	if w.RopeScaling.Type == "llama3" && slices.Equal(weights.RopeDivisors(&w), weights.RopeDivisors(&g)) {
		w.RopeScaling = g.RopeScaling // the same frequencies in other words
	}
	if !reflect.DeepEqual(w, g) {
		t.Errorf("%s: configuration\n got %+v\nwant %+v", form, g, w)
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

// Every type gives a file that opens, with errors as small as its bits allow.
func TestTypes(t *testing.T) {
	limits := map[string]float64{"f16": 0.0003, "bf16": 0.002, "q8_0": 0.006, "q6_k": 0.018, "q5_k_m": 0.037, "q5_k_s": 0.037, "q5_1": 0.041, "q5_0": 0.046,
		"q4_k_m": 0.075, "q4_k_s": 0.075, "q4_1": 0.085, "q4_0": 0.092, "q3_k_s": 0.155, "q3_k_m": 0.155, "q3_k_l": 0.155, "q2_k": 0.28,
		"iq4_nl": 0.079, "iq4_xs": 0.079, "mxfp4": 0.125, "tq1_0": 0.85, "tq2_0": 0.85}
	cfg := shapes()["v3"]
	cfg.HiddenSize, cfg.IntermediateSize, cfg.MoEIntermediateSize = 256, 256, 256
	dir := writeModel(t, cfg)
	want := numbers(t, dir)
	for _, m := range mixtures() {
		if m.name == "f32" {
			continue
		}
		out := filepath.Join(t.TempDir(), "m.gguf")
		s := convert(t, dir, out, m.name)
		used := m.base.String()
		if m.stack != 0 {
			used = m.stack.String()
		}
		if s.Types[used] == 0 || s.Types["F32"] == 0 {
			t.Errorf("%s: types %v", m.name, s.Types)
		}
		worst := 0.0
		for n, x := range numbers(t, out) {
			var sum, of float64
			for i, w := range want[n] {
				sum += float64(w-x[i]) * float64(w-x[i])
				of += float64(w) * float64(w)
			}
			e := math.Sqrt(sum / of)
			worst = max(worst, e)
			if !(e <= limits[m.name]) {
				t.Errorf("%s: %s: relative error %.3g, limit %.3g", m.name, n, e, limits[m.name])
			}
		}
		t.Logf("%s: largest relative error %.4f", m.name, worst)
		for _, v := range open(t, out).logits(t, random(1, 8)) {
			if v-v != 0 {
				t.Fatalf("%s: logits hold %v", m.name, v)
			}
		}
	}
}

// Packed numbers that need not change are copied, and fp4 becomes MXFP4 without loss.
func TestAsStored(t *testing.T) {
	for path, typ := range map[string]string{
		"../weights/testdata/deepseek-q4_0.gguf": "Q4_0", "../weights/testdata/deepseek2-q8_0.gguf": "Q8_0",
		"../weights/testdata/deepseek4-mxfp4.gguf": "MXFP4", "../weights/testdata/deepseek_v4_fp4": "MXFP4", "../weights/testdata/llama-q8_0.gguf": "Q8_0",
	} {
		out := filepath.Join(t.TempDir(), "m.gguf")
		s := convert(t, path, out, "")
		if s.Types[typ] == 0 {
			t.Errorf("%s: types %v, want %s", path, s.Types, typ)
		}
		want, got := numbers(t, path), numbers(t, out)
		for n, x := range want {
			exact := strings.Contains(n, ".experts.") || filepath.Ext(path) == ".gguf"
			if exact && !strings.HasPrefix(n, "mtp.") && !slices.Equal(got[n], x) {
				t.Errorf("%s: %s differs", path, n)
			}
		}
	}
}

// The same bytes whatever the number of threads.
func TestSameModelSameFile(t *testing.T) {
	dir := writeModel(t, shapes()["v3"])
	typ, err := ParseType("q4_k_m")
	if err != nil {
		t.Fatal(err)
	}
	var files [2][]byte
	for i := range files {
		e, err := kernel.New(1+3*i, "")
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		src, err := weights.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		out := filepath.Join(t.TempDir(), "m.gguf")
		if _, err := WriteGGUF(context.Background(), src, e, out, typ, Options{}); err != nil {
			t.Fatal(err)
		}
		if files[i], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("two exports of one model differ")
	}
}

// What GGUF readers cannot compute is refused.
func TestShapesThatDoNotFit(t *testing.T) {
	for says, change := range map[string]func(c *model.Config){
		"moe_layer_freq 2":     func(c *model.Config) { c.MoELayerFreq = 2 },
		`rope scaling "llama3`: func(c *model.Config) { c.RopeScaling = model.RopeScaling{Type: "llama3", Factor: 8} },
		`rope scaling "linear`: func(c *model.Config) { c.RopeScaling = model.RopeScaling{Type: "linear", Factor: 8} },
		"norm_topk_prob":       func(c *model.Config) { c.ModelType, c.NormTopKProb, c.HeadDim = "deepseek", true, 16 },
		"heads of 32":          func(c *model.Config) { c.ModelType, c.HeadDim = "qwen2", 32 },
		"attention_bias":       func(c *model.Config) { c.ModelType, c.AttentionBias = "qwen3", true },
		"no GGUF architecture": func(c *model.Config) { c.ModelType = "deepseek_v9" },
		"its readers assume 1": func(c *model.Config) {
			c.ModelType, c.RopeScaling = "deepseek_v32", model.RopeScaling{Type: "yarn", Factor: 40, OriginalMaxPosition: 16, MScale: 0.7, MScaleAllDim: 0.7}
		},
	} {
		cfg := shapes()["v3"]
		change(&cfg)
		if _, err := architectureOf(&cfg); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want one about %q", err, says)
		}
	}
}

// withMTP makes a V4 checkpoint with a multi-token prediction layer: the second layer once more.
func withMTP(t *testing.T) string {
	t.Helper()
	const small = "../weights/testdata/deepseek_v4_fp4"
	dir := t.TempDir()
	text, err := os.ReadFile(filepath.Join(small, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte(`"num_nextn_predict_layers": 0`), []byte(`"num_nextn_predict_layers": 1`), 1)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), text, 0o666); err != nil {
		t.Fatal(err)
	}
	src, err := weights.Open(small)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	c, err := model.ReadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := numbers(t, small)
	var sources []safetensors.Source
	add := func(w weights.Tensor, from string) {
		if w.Ints {
			ids := []byte{}
			for _, x := range all[from] {
				ids = append(ids, byte(x), 0, 0, 0)
			}
			sources = append(sources, safetensors.Raw(w.Name, safetensors.I32, w.Shape, ids))
			return
		}
		v := all[from]
		if v == nil { // of the MTP layer alone
			n := w.Shape[0] * w.Shape[len(w.Shape)-1]
			if len(w.Shape) == 1 {
				n = w.Shape[0]
			}
			v = make([]float32, n)
			for i := range v {
				v[i] = 0.01 * float32(i%7)
			}
		}
		sources = append(sources, safetensors.Floats(w.Name, safetensors.F32, w.Shape, v))
	}
	for w := range weights.Expected(src.Config()) {
		add(w, w.Name)
	}
	for w := range weights.ExpectedMTP(c) {
		add(w, strings.Replace(w.Name, "mtp.0.", "layers.1.", 1))
	}
	if err := safetensors.Write(filepath.Join(dir, "model.safetensors"), sources, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// The MTP layer of V4 stays in a directory; a GGUF is without, and says so.
func TestPredictionLayerOfV4(t *testing.T) {
	dir := withMTP(t)
	if !hasMTP(open(t, dir).src) {
		t.Fatal("no MTP layer was made")
	}
	out, file := filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "m.gguf")
	convert(t, dir, out, "f32")
	want, got := numbers(t, dir), numbers(t, out)
	for n, x := range want {
		if !slices.Equal(got[n], x) {
			t.Errorf("%s differs", n)
		}
	}
	var log bytes.Buffer
	if _, err := tryConvert(t, context.Background(), dir, file, "f32", Options{Log: slog.New(slog.NewTextHandler(&log, nil))}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "multi-token prediction layer is left out") {
		t.Errorf("log: %s", log.String())
	}
	ids := random(4, 20)
	for i := range ids {
		ids[i] %= 120
	}
	same(t, "GGUF", open(t, file).logits(t, ids), open(t, dir).logits(t, ids))
}

// Whatever goes wrong, the error says what, and nothing is left behind.
func TestNothingHalfWritten(t *testing.T) {
	good := shapes()["v3"]
	for name, c := range map[string]struct {
		typ    string
		damage func(t *testing.T, dir string)
		says   string
	}{
		"no tokenizer is fine": {"f32", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "tokenizer.json")) }, ""},
		"no weights":           {"f32", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "model.safetensors")) }, "model.safetensors"},
		"other configuration": {"f32", func(t *testing.T, dir string) {
			edit(t, dir, `"hidden_size": 64`, `"hidden_size": 32`)
		}, "shape"},
		"tokenizer too large": {"f32", func(t *testing.T, dir string) {
			edit(t, dir, `"vocab_size": 480`, `"vocab_size": 400`)
		}, ""},
		"NaN in a norm": {"q4_k_m", func(t *testing.T, dir string) { poison(t, dir, "model.norm.weight", float32(math.NaN())) }, `"model.norm.weight" holds NaN at element 5`},
		"NaN in an expert": {"q4_k_m", func(t *testing.T, dir string) {
			poison(t, dir, "model.layers.1.mlp.experts.3.up_proj.weight", float32(math.Inf(1)))
		}, `"model.layers.1.mlp.experts.3.up_proj.weight" holds +Inf in row 0, column 5`},
		"too large for f16": {"f16", func(t *testing.T, dir string) { poison(t, dir, "lm_head.weight", 1e5) }, `"lm_head.weight" holds 100000 in row 0, column 5, more than F16 can hold: use bf16 or f32`},
		"too large to pack": {"q4_0", func(t *testing.T, dir string) { poison(t, dir, "model.layers.0.mlp.up_proj.weight", 1e9) }, `"model.layers.0.mlp.up_proj.weight"`},
	} {
		for _, kind := range []string{"m.gguf", "directory"} {
			if kind == "directory" && strings.HasPrefix(c.typ, "q") {
				c.typ = "bf16"
				if name == "too large to pack" {
					continue
				}
			}
			t.Run(name+" to "+kind, func(t *testing.T) {
				dir := writeModel(t, good)
				c.damage(t, dir)
				outDir := t.TempDir()
				_, err := tryConvert(t, context.Background(), dir, filepath.Join(outDir, kind), c.typ, Options{})
				if name == "tokenizer too large" {
					if err == nil {
						t.Error("no error")
					}
				} else if c.says == "" {
					if err != nil {
						t.Fatal(err)
					}
					return
				} else if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("error %v, want one about %q", err, c.says)
				}
				if left, _ := os.ReadDir(outDir); len(left) != 0 {
					t.Errorf("left behind: %v", left)
				}
			})
		}
	}
}

// poison puts x at element 5 of a tensor.
func poison(t *testing.T, dir, tensor string, x float32) {
	t.Helper()
	r, err := safetensors.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var sources []safetensors.Source
	for _, name := range r.Names() {
		stored, _ := r.Tensor(name)
		v, err := stored.Float32(nil)
		if err != nil {
			t.Fatal(err)
		}
		if name == tensor {
			v[5] = x
		}
		sources = append(sources, safetensors.Floats(name, safetensors.F32, stored.Shape, v))
	}
	r.Close()
	if err := safetensors.Write(filepath.Join(dir, "model.safetensors"), sources, nil); err != nil {
		t.Fatal(err)
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
		_, err := architectureOf(&cfg)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s, %+v: error %v, want one about %q", c.shape, cfg.RopeScaling, err, c.says)
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

// A conversion that is interrupted in the middle leaves nothing.
func TestCancelledExportLeavesNothing(t *testing.T) {
	dir := writeModel(t, shapes()["llama"])
	for _, name := range []string{"m.gguf", "directory"} {
		out := t.TempDir()
		ctx, cancel := context.WithCancel(context.Background())
		calls := 0
		_, err := tryConvert(t, ctx, dir, filepath.Join(out, name), "f32", Options{Progress: func(part float64) {
			if calls++; calls == 3 {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) || calls != 3 {
			t.Errorf("%s: %v after %d calls", name, err, calls)
		}
		if left, _ := os.ReadDir(out); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

// Progress grows from nothing to the whole.
func TestProgress(t *testing.T) {
	dir := writeModel(t, shapes()["v3"])
	for _, name := range []string{"m.gguf", "directory"} {
		last := 0.0
		if _, err := tryConvert(t, context.Background(), dir, filepath.Join(t.TempDir(), name), "bf16", Options{Progress: func(part float64) {
			if part <= last || part > 1 {
				t.Errorf("%s: %v after %v", name, part, last)
			}
			last = part
		}}); err != nil || last != 1 {
			t.Errorf("%s: ends with %v, %v", name, last, err)
		}
	}
}

// A file that is cut while it is read is an error that names it.
func TestSourceCutShort(t *testing.T) {
	dir := writeModel(t, shapes()["llama"])
	path := filepath.Join(dir, "model.safetensors")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"m.gguf", "directory"} {
		src, err := weights.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		typ, _ := ParseType("f32")
		out, cut := t.TempDir(), false
		opt := Options{Progress: func(float64) {
			if !cut {
				cut = true
				if err := os.Truncate(path, info.Size()/8); err != nil {
					t.Error(err)
				}
			}
		}}
		if name == "m.gguf" {
			_, err = WriteGGUF(context.Background(), src, engine(t), filepath.Join(out, name), typ, opt)
		} else {
			_, err = WriteDirectory(context.Background(), src, engine(t), filepath.Join(out, name), typ, opt)
		}
		if err == nil || !strings.Contains(err.Error(), "model.safetensors") || !strings.Contains(err.Error(), "cut short") {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadDir(out); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
		src.Close()
		if err := os.WriteFile(path, whole, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// A directory of several files is found again, and never written over another.
func TestDirectory(t *testing.T) {
	for _, name := range []string{"v3 mtp", "llama3 rope"} {
		dir := writeModel(t, shapes()[name])
		if err := os.WriteFile(filepath.Join(dir, "generation_config.json"), []byte(`{"eos_token_id": [1, 2], "temperature": 0.5}`), 0o666); err != nil {
			t.Fatal(err)
		}
		src, err := weights.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		out := filepath.Join(t.TempDir(), "out")
		if err := os.Mkdir(out, 0o777); err != nil { // empty: allowed
			t.Fatal(err)
		}
		typ, _ := ParseType("f32")
		s, err := writeDirectory(context.Background(), src, engine(t), out, typ, Options{}, 100_000)
		if err != nil {
			t.Fatal(err)
		}
		shards, _ := filepath.Glob(filepath.Join(out, "model-*-of-*.safetensors"))
		var index struct {
			Metadata struct {
				Total int64 `json:"total_size"`
			}
			Map map[string]string `json:"weight_map"`
		}
		text, err := os.ReadFile(filepath.Join(out, safetensors.IndexName))
		if err == nil {
			err = json.Unmarshal(text, &index)
		}
		if err != nil || len(shards) < 3 || index.Metadata.Total == 0 || index.Metadata.Total >= s.Bytes || len(index.Map) != s.Types["F32"] {
			t.Errorf("%v, %d files, index of %d bytes and %d tensors, %+v", err, len(shards), index.Metadata.Total, len(index.Map), s)
		}
		want, got := numbers(t, dir), numbers(t, out)
		for n, x := range want {
			if !slices.Equal(got[n], x) {
				t.Errorf("%s differs", n)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d tensors, want %d", len(got), len(want))
		}
		for _, file := range []string{"tokenizer.json", "tokenizer_config.json", "generation_config.json"} {
			a, errA := os.ReadFile(filepath.Join(dir, file))
			b, errB := os.ReadFile(filepath.Join(out, file))
			if errA != nil || errB != nil || !bytes.Equal(a, b) {
				t.Errorf("%s: %v, %v, equal %v", file, errA, errB, bytes.Equal(a, b))
			}
		}
		if _, err := writeDirectory(context.Background(), src, engine(t), out, typ, Options{}, 100_000); err == nil || !strings.Contains(err.Error(), "not empty") {
			t.Errorf("over another: %v", err)
		}
		packed, _ := ParseType("q4_0")
		if _, err := WriteDirectory(context.Background(), src, engine(t), out+"2", packed, Options{}); err == nil || !strings.Contains(err.Error(), "f32, f16 or bf16") {
			t.Errorf("q4_0: %v", err)
		}
		if _, err := WriteDirectory(context.Background(), src, engine(t), filepath.Join(out, "no", "where"), typ, Options{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("in no directory: %v", err)
		}
	}
}

// The type of a directory follows what is stored.
func TestDirectoryType(t *testing.T) {
	dir := writeModel(t, shapes()["v3"])
	for _, c := range []struct{ from, typ, want string }{
		{"f32", "", "F32"}, {"bf16", "", "BF16"}, {"f16", "", "F16"}, {"q8_0", "", "F32"}, {"q8_0", "f16", "F16"},
	} {
		file, out := filepath.Join(t.TempDir(), "m.gguf"), filepath.Join(t.TempDir(), "out")
		convert(t, dir, file, c.from)
		if s := convert(t, file, out, c.typ); s.Types[c.want] < 40 || c.want != "F32" && s.Types["F32"] != 2 { // the correction biases
			t.Errorf("%v: %v", c, s.Types)
		}
	}
	out := filepath.Join(t.TempDir(), "out")
	if s := convert(t, "../weights/testdata/deepseek_v4_fp4", out, ""); s.Types["BF16"] == 0 || s.Types["I32"] != 1 || s.Types["F32"] == 0 {
		t.Errorf("fp8 and fp4: %v", s.Types)
	}
	text, err := os.ReadFile(filepath.Join(out, "config.json"))
	if err != nil || bytes.Contains(text, []byte("quantization_config")) || bytes.Contains(text, []byte("expert_dtype")) || !bytes.Contains(text, []byte(`"torch_dtype": "bfloat16"`)) {
		t.Errorf("%v: %s", err, text)
	}
}

// A model in several files becomes one, and keeps what its metadata say beyond the configuration.
func TestSplitBecomesOne(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "m.gguf")
	convert(t, writeModel(t, shapes()["llama yarn"]), plain, "f32")
	f, err := gguf.Open(plain)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir := t.TempDir()
	tensors := f.Tensors()
	first := filepath.Join(dir, "m-00001-of-00002.gguf")
	for i, path := range []string{first, filepath.Join(dir, "m-00002-of-00002.gguf")} {
		var m gguf.Metadata
		part := tensors[:len(tensors)/2]
		if i == 0 {
			m = f.Metadata
			m.Set("general.license", "of its own")
			m.Set("llama.rope.scaling.attn_factor", float32(0.75))
		} else {
			m, part = gguf.Metadata{}, tensors[len(tensors)/2:]
		}
		m.Set("split.no", uint16(i))
		m.Set("split.count", uint16(2))
		m.Set("split.tensors.count", int32(len(tensors)))
		var sources []gguf.Source
		for _, x := range part {
			v, err := x.Float32(nil)
			if err != nil {
				t.Fatal(err)
			}
			sources = append(sources, gguf.Floats(x.Name, x.Type, x.Shape, v))
		}
		if err := gguf.Write(path, &m, sources); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(t.TempDir(), "one.gguf")
	convert(t, first, out, "q8_0")
	one, err := gguf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	license, _ := one.Metadata.String("general.license")
	factor, _ := one.Metadata.Float("llama.rope.scaling.attn_factor")
	number, _ := one.Metadata.Uint("general.file_type")
	if _, split := one.Metadata.Get("split.count"); license != "of its own" || factor != 0.75 || split || number != 7 || len(one.Tensors()) != len(tensors) {
		t.Errorf("license %q, factor %v, split %v, type %d, %d tensors", license, factor, split, number, len(one.Tensors()))
	}
	compareConfig(t, "one file", open(t, first).src.Config(), open(t, out).src.Config())
}

// What cannot be on the disk is refused at once.
func TestNoRoom(t *testing.T) {
	if err := room(filepath.Join(t.TempDir(), "m.gguf"), 1<<61); err == nil || !strings.Contains(err.Error(), "make room") {
		t.Errorf("error %v", err)
	}
	if err := room(filepath.Join(t.TempDir(), "m.gguf"), 1); err != nil {
		t.Error(err)
	}
}

// Layers of a mixture, as llama.cpp's tool deals them.
func TestMixtures(t *testing.T) {
	cfg := shapes()["llama"]
	cfg.NumHiddenLayers, cfg.NumAttentionHeads, cfg.NumKeyValueHeads = 24, 8, 2
	at := func(name, typ string, layers int, weighted bool) quant.Type {
		c := cfg
		c.NumHiddenLayers = layers
		m, err := ParseType(typ)
		if err != nil {
			t.Fatal(err)
		}
		s := chooser{m: m.m, c: &c, layers: layers, weighted: weighted}
		return s.of(&tensor{name: name, shape: []int{512, 512}})
	}
	for _, c := range []struct {
		name, typ string
		layers    int
		weighted  bool
		want      quant.Type
	}{
		{"output.weight", "q4_k_m", 24, false, quant.Q6_K},
		{"token_embd.weight", "q4_k_m", 24, false, quant.Q4_K},
		{"token_embd.weight", "tq1_0", 24, false, quant.Q4_K},
		{"blk.2.attn_v.weight", "Q4_K_M", 24, false, quant.Q6_K},
		{"blk.3.attn_v.weight", "q4_k", 24, false, quant.Q4_K},
		{"blk.5.ffn_down.weight", "q4_k_m", 24, false, quant.Q6_K},
		{"blk.5.ffn_down_exps.weight", "q5_k_m", 24, false, quant.Q6_K},
		{"blk.6.ffn_down_shexp.weight", "q5_k_m", 24, false, quant.Q5_K},
		{"blk.21.ffn_down.weight", "q4_k_m", 24, false, quant.Q6_K},
		{"blk.5.attn_output.weight", "q4_k_m", 24, false, quant.Q4_K},
		{"blk.3.attn_v.weight", "q4_k_s", 24, false, quant.Q5_K},
		{"blk.4.attn_v.weight", "q4_k_s", 24, false, quant.Q4_K},
		{"blk.1.ffn_down.weight", "q3_k_m", 32, false, quant.Q5_K},
		{"blk.2.ffn_down.weight", "q3_k_m", 32, false, quant.Q4_K},
		{"blk.2.ffn_up.weight", "q3_k_m", 32, false, quant.Q3_K},
		{"blk.2.attn_v.weight", "q2_k", 24, false, quant.Q4_K},
		{"blk.2.ffn_down.weight", "iq4_xs", 24, false, quant.Q5_K},
		{"blk.2.ffn_down.weight", "iq4_xs", 24, true, quant.IQ4_XS},
		{"blk.2.ffn_down.weight", "q4_0", 24, true, quant.Q4_1},
		{"blk.2.ffn_down.weight", "q4_0", 24, false, quant.Q4_0},
		{"blk.40.attn_v.weight", "q4_k_m", 80, false, quant.Q5_K}, // 70B
		{"blk.0.attn_v.weight", "q4_k_m", 80, false, quant.Q6_K},
	} {
		if got := at(c.name, c.typ, c.layers, c.weighted); got != c.want {
			t.Errorf("%s of %d layers in %s: %v, want %v", c.name, c.layers, c.typ, got, c.want)
		}
	}
	for _, c := range []struct {
		t     quant.Type
		width int
		want  quant.Type
	}{
		{quant.Q4_K, 512, quant.Q4_K}, {quant.Q4_K, 1408, quant.Q5_0}, {quant.Q5_K, 1408, quant.Q5_1}, {quant.Q6_K, 1408, quant.Q8_0},
		{quant.Q2_K, 1408, quant.Q4_0}, {quant.Q3_K, 1408, quant.Q4_0}, {quant.IQ4_XS, 1408, quant.IQ4_NL}, {quant.TQ2_0, 1408, quant.Q4_0},
		{quant.Q4_K, 40, quant.F16}, {quant.Q8_0, 40, quant.F16}, {quant.MXFP4, 40, quant.F16}, {quant.BF16, 40, quant.BF16},
	} {
		if got := fallback(c.t, c.width); got != c.want {
			t.Errorf("%v in rows of %d: %v, want %v", c.t, c.width, got, c.want)
		}
	}
	if _, err := ParseType("q9_k"); err == nil || !strings.Contains(err.Error(), "q4_k_m") {
		t.Errorf("q9_k: %v", err)
	}
}

// What is left out is told.
func TestLeftOutIsTold(t *testing.T) {
	dir := writeModel(t, shapes()["v3 mtp"])
	os.Remove(filepath.Join(dir, "tokenizer.json"))
	var log bytes.Buffer
	opt := Options{Log: slog.New(slog.NewTextHandler(&log, nil))}
	if _, err := tryConvert(t, context.Background(), dir, filepath.Join(t.TempDir(), "m.gguf"), "f32", opt); err != nil {
		t.Fatal(err)
	}
	if s := log.String(); !strings.Contains(s, "tokenizer.json") || strings.Contains(s, "multi-token") {
		t.Errorf("log: %s", s)
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

// Whatever is wrong with a file, converting it ends with an error or a file.
func FuzzConvert(f *testing.F) {
	e, err := kernel.New(1, "portable")
	if err != nil {
		f.Fatal(err)
	}
	defer e.Close()
	for _, name := range []string{"v3 mtp", "llama"} {
		cfg := shapes()[name]
		cfg.HiddenSize, cfg.IntermediateSize, cfg.MoEIntermediateSize = 8, 8, 8
		out := filepath.Join(f.TempDir(), "m.gguf")
		convert(f, writeModel(f, cfg), out, "f16")
		b, err := os.ReadFile(out)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint32(200), byte(1))
	}
	packed, err := ParseType("q4_k_m")
	if err != nil {
		f.Fatal(err)
	}
	opt := Options{Log: slog.New(slog.DiscardHandler)}
	f.Fuzz(func(t *testing.T, file []byte, at uint32, x byte) {
		if len(file) > 0 {
			file = append([]byte{}, file...)
			file[int(at)%len(file)] ^= x // most mutations hit the weights; this one is steered by hand
		}
		dir := t.TempDir()
		path := filepath.Join(dir, "m.gguf")
		if err := os.WriteFile(path, file, 0o666); err != nil {
			t.Fatal(err)
		}
		src, err := weights.Open(path)
		if err != nil {
			return
		}
		defer src.Close()
		for i, out := range []string{filepath.Join(dir, "out.gguf"), filepath.Join(dir, "out")} {
			write, typ := WriteGGUF, packed
			if i == 1 {
				write, typ = WriteDirectory, Type{}
			}
			_, err := write(context.Background(), src, e, out, typ, opt)
			if _, missing := os.Lstat(out); (err == nil) == (missing != nil) {
				t.Errorf("%s: error %v, file %v", out, err, missing)
			}
		}
	})
}
