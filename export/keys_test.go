package export

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/format/gguf"
	"github.com/haenyeo/haenyeo/model"
)

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
