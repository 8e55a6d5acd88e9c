package model

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// Frequencies and temperatures against values that were computed from the published configurations.
func TestRopeFrequencies(t *testing.T) {
	for _, c := range []struct {
		name   string
		width  int
		theta  float64
		s      RopeScaling
		factor float64
		want   map[int]float64
	}{
		{"v3", 64, 1e4, RopeScaling{Type: "yarn", Factor: 40, OriginalMaxPosition: 4096, BetaFast: 32, BetaSlow: 1, MScale: 1, MScaleAllDim: 1}, 1,
			map[int]float64{0: 1, 1: 7.498942093e-01, 10: 5.623413252e-02, 11: 3.900692657e-02, 16: 5.5e-03, 22: 1.778279410e-04, 23: 3.333803580e-05, 31: 3.333803580e-06}},
		{"qwen3", 128, 1e6, RopeScaling{Type: "yarn", Factor: 4, OriginalMaxPosition: 32768, BetaFast: 32, BetaSlow: 1}, 0.1*math.Log(4) + 1,
			map[int]float64{1: 8.058421878e-01, 23: 6.978305849e-03, 24: 5.375321491e-03, 31: 8.029597275e-04, 40: 4.445698525e-05, 63: 3.102344402e-07}},
		{"linear", 8, 1e4, RopeScaling{Type: "linear", Factor: 4}, 1, map[int]float64{0: 0.25, 2: 0.0025}},
		{"attention factor", 8, 1e4, RopeScaling{Type: "yarn", Factor: 4, OriginalMaxPosition: 8, BetaFast: 32, BetaSlow: 1, AttentionFactor: 1.5}, 1.5, nil},
	} {
		f, factor := c.s.Frequencies(c.width, c.theta)
		if math.Abs(factor-c.factor) > 1e-12 {
			t.Errorf("%s: factor %v, want %v", c.name, factor, c.factor)
		}
		for i, want := range c.want {
			if math.Abs(f[i]-want) > 1e-8*want {
				t.Errorf("%s: frequency %d is %.10g, want %.10g", c.name, i, f[i], want)
			}
		}
	}
	plain, _ := RopeScaling{}.Frequencies(128, 5e5)
	f, _ := RopeScaling{Type: "llama3", Factor: 8, OriginalMaxPosition: 8192, LowFreqFactor: 1, HighFreqFactor: 4}.Frequencies(128, 5e5)
	for i, want := range map[int]float64{0: 1, 28: 1, 29: 1.207484, 30: 1.553415, 31: 2.026313, 34: 5.257327, 35: 8, 63: 8} {
		if d := plain[i] / f[i]; math.Abs(d-want) > 1e-6*want {
			t.Errorf("llama3: divisor %d is %v, want %v", i, d, want)
		}
	}
	c := Config{ModelType: v3, QKNopeHeadDim: 128, QKRopeHeadDim: 64, RopeScaling: RopeScaling{Type: "yarn", Factor: 40, MScale: 1, MScaleAllDim: 1}}
	if s := c.SoftmaxScale(); math.Abs(s-0.1352337789) > 1e-9 {
		t.Errorf("softmax scale %v", s)
	}
}

func TestConfigSpellings(t *testing.T) {
	old := `{"model_type": "llama", "vocab_size": 8, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
		"max_position_embeddings": 64, "rope_theta": 5000, "rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 16},
		"torch_dtype": "bfloat16", "eos_token_id": [1, 2]}`
	fresh := `{"model_type": "llama", "vocab_size": 8, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
		"max_position_embeddings": 64, "rope_parameters": {"rope_type": "yarn", "rope_theta": 5000.0, "factor": 4.0, "original_max_position_embeddings": 16},
		"dtype": "bfloat16", "eos_token_id": [1, 2], "rope_scaling": null}`
	a, b := must[*Config](t)(ParseConfig([]byte(old))), must[*Config](t)(ParseConfig([]byte(fresh)))
	if !reflect.DeepEqual(a, b) {
		t.Errorf("the spellings give\n%+v\n%+v", a, b)
	}
	if a.NumKeyValueHeads != 2 || a.HeadDim != 4 || a.RMSNormEps != 1e-6 || a.BOSTokenID != -1 {
		t.Errorf("defaults: %+v", a)
	}
	q := must[*Config](t)(ParseConfig([]byte(`{"model_type": "qwen3", "vocab_size": 8, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
		"num_attention_heads": 2, "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768, "attn_factor": 0.8782488562869419}}`)))
	if q.HeadDim != 128 || math.Abs(q.RopeScaling.AttentionFactor-1) > 1e-12 {
		t.Errorf("qwen3: %+v", q)
	}
}

func TestConfigRoundTrip(t *testing.T) {
	for _, c := range gradientCases {
		want := c.c.withDefaults()
		want.TorchDType, want.MaxPositionEmbeddings, want.BOSTokenID = "float32", 64, -1
		got := must[*Config](t)(ParseConfig(must[[]byte](t)(want.JSON())))
		if !reflect.DeepEqual(want, got) {
			t.Errorf("%s:\n%+v\nbecame\n%+v", c.name, want, got)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	files, _ := filepath.Glob("testdata/*/config.json")
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, m := range familyConfigs(f) {
		f.Add(encode(f, m))
		f.Add(encode(f, newSpelling(m)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data)
		if err != nil {
			return
		}
		text, err := c.JSON()
		if err != nil {
			t.Fatalf("a configuration that was read cannot be written: %v", err)
		}
		if _, err := ParseConfig(text); err != nil {
			t.Fatalf("a configuration that was written cannot be read: %v\n%s", err, text)
		}
	})
}
