package export

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/quant"
)

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
