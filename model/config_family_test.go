package model

import (
	"encoding/json"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
)

// familyConfigs reads the values of every published configuration.
func familyConfigs(t testing.TB) map[string]map[string]any {
	t.Helper()
	data, err := os.ReadFile("testdata/family_configs.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Models map[string]struct{ Config map[string]any }
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]any{}
	for name, m := range file.Models {
		out[name] = m.Config
	}
	if len(out) < 20 {
		t.Fatalf("only %d models", len(out))
	}
	return out
}

func encode(t testing.TB, m map[string]any) []byte {
	t.Helper()
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Every published configuration is read or refused with a reason, and both spellings give the same.
func TestFamilyConfigs(t *testing.T) {
	refused := map[string]string{
		"deepseek-v4.1-flash":   "DeepSeek-V4.1 is not supported yet",
		"deepseek-ocr-language": "is not supported",
	}
	for name, m := range familyConfigs(t) {
		c, err := ParseConfig(encode(t, m))
		if want, ok := refused[name]; ok {
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "supported are llama") {
				t.Errorf("%s: error %v, want one with %q and what is supported", name, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.ModelType != m["model_type"] || float64(c.HiddenSize) != m["hidden_size"] || float64(c.NumHiddenLayers) != m["num_hidden_layers"] {
			t.Errorf("%s: read as %+v", name, c)
		}
		fresh, err := ParseConfig(encode(t, newSpelling(m)))
		if err != nil {
			t.Errorf("%s in the spelling of transformers 5: %v", name, err)
			continue
		}
		if !reflect.DeepEqual(c, fresh) {
			t.Errorf("%s: the spellings give\n%+v\n%+v", name, c, fresh)
		}
		text, err := c.JSON()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		again, err := ParseConfig(text)
		if err != nil {
			t.Errorf("%s written and read: %v", name, err)
			continue
		}
		again.TorchDType = c.TorchDType // a missing one is written as float32
		if !reflect.DeepEqual(c, again) {
			t.Errorf("%s: written and read:\n%+v\n%+v", name, c, again)
		}
	}
}

// newSpelling rewrites published keys to those of transformers 5.
func newSpelling(m map[string]any) map[string]any {
	n := map[string]any{}
	for k, v := range m {
		n[k] = v
	}
	if d, ok := n["torch_dtype"]; ok {
		n["dtype"] = d
		delete(n, "torch_dtype")
	}
	theta := n["rope_theta"]
	rope := map[string]any{"rope_type": "default"}
	if s, ok := n["rope_scaling"].(map[string]any); ok {
		for k, v := range s {
			if k == "type" {
				k = "rope_type"
			}
			rope[k] = v
		}
	}
	delete(n, "rope_theta")
	delete(n, "rope_scaling")
	if n["model_type"] != v4 {
		rope["rope_theta"] = theta
		n["rope_parameters"] = rope
		return n
	}
	layers := int(n["num_hidden_layers"].(float64))
	partial := n["qk_rope_head_dim"].(float64) / n["head_dim"].(float64)
	n["partial_rotary_factor"] = partial
	rope["rope_theta"], rope["partial_rotary_factor"], rope["attention_factor"] = n["compress_rope_theta"], partial, 1.0
	n["rope_parameters"] = map[string]any{"main": map[string]any{"rope_type": "default", "rope_theta": theta, "partial_rotary_factor": partial}, "compress": rope}
	var kinds, mlp []string
	for i, r := range n["compress_ratios"].([]any)[:layers] {
		kinds = append(kinds, map[float64]string{0: "sliding_attention", 4: "compressed_sparse_attention", 128: "heavily_compressed_attention"}[r.(float64)])
		if float64(i) < n["num_hash_layers"].(float64) {
			mlp = append(mlp, "hash_moe")
		} else {
			mlp = append(mlp, "moe")
		}
	}
	n["layer_types"], n["mlp_layer_types"] = kinds, mlp
	n["compress_rates"] = map[string]any{"compressed_sparse_attention": 4, "heavily_compressed_attention": 128}
	for _, k := range []string{"qk_rope_head_dim", "compress_ratios", "num_hash_layers"} {
		delete(n, k)
	}
	return n
}

// The published totals, in thousand millions; active counts include the embedding once.
func TestFamilySizes(t *testing.T) {
	configs := familyConfigs(t)
	for name, want := range map[string][2]float64{
		"deepseek-llm-7b": {6.910}, "deepseek-llm-67b": {67.425}, "deepseek-v2": {235.74, 21.38}, "deepseek-v2-lite": {15.706, 2.66},
		"deepseek-v3": {671.03, 37.55}, "deepseek-v4-flash": {284.33, 13.80}, "deepseek-v4-pro": {1573.0, 49.78},
		"deepseek-moe-16b": {16.4, 2.8}, "deepseek-v3.2": {671.9},
	} {
		c := must[*Config](t)(ParseConfig(encode(t, configs[name])))
		total, active := c.Sizes()
		if !c.TieWordEmbeddings {
			active += int64(c.VocabSize) * int64(c.HiddenSize)
		}
		near := func(n int64, want float64) bool { return want == 0 || math.Abs(float64(n)/1e9-want) < 0.0006*want+0.03 }
		if !near(total, want[0]) || !near(active, want[1]) {
			t.Errorf("%s: %.4g and %.4g thousand million parameters, want %v", name, float64(total)/1e9, float64(active)/1e9, want)
		}
	}
}

// What a change of one key does to a published configuration.
func TestConfigKeys(t *testing.T) {
	configs := familyConfigs(t)
	for _, c := range []struct {
		model, key string
		value      any // nil: the key is left out
		says       string
	}{
		{"r1-distill-qwen-7b", "use_sliding_window", true, "use_sliding_window is true"},
		{"r1-distill-qwen-7b", "use_sliding_window", false, ""},
		{"r1-distill-qwen-7b", "layer_types", []string{"full_attention", "sliding_attention"}, "layer_types is sliding_attention"},
		{"deepseek-v3", "vision_config", map[string]any{}, "reads images"},
		{"r1-0528-qwen3-8b", "dspark_block_size", 7, "drafter"},
		{"r1-0528-qwen3-8b", "model_type", "dflash", "drafter"},
		{"deepseek-v2-lite", "use_mla", false, "use_mla false"},
		{"deepseek-v2", "topk_method", "noaux_tc", "topk_method is noaux_tc"},
		{"deepseek-v2", "n_group", 7, "n_group is 7"},
		{"deepseek-v2-lite", "topk_method", "gready", ""},
		{"deepseek-moe-16b", "n_routed_experts", nil, ""}, // all layers dense, as in the published class
		{"deepseek-v3", "quantization_config", map[string]any{"quant_method": "modelopt"}, "\"modelopt\" is not supported, only fp8"},
		{"deepseek-v3", "quantization_config", map[string]any{"quant_method": "modelopt", "quant_algo": "NVFP4"}, ""},
		{"deepseek-v3", "quantization_config", map[string]any{"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized"}, ""},
		{"deepseek-v3", "quantization_config", map[string]any{"quant_method": "compressed-tensors", "format": "int-quantized"}, "not supported"},
		{"deepseek-v3", "quantization_config", map[string]any{"quant_method": "fp8", "weight_block_size": []int{128}}, "a list of two numbers"},
		{"deepseek-v3", "quantization_config", map[string]any{"quant_method": "fp8", "weight_block_size": []int{-1, 2}}, "weight_block_size[0] is -1"},
		{"deepseek-v3", "quantization_config", map[string]any{"quant_method": "fp8", "fmt": "e5m2"}, "fmt is e5m2"},
		{"deepseek-v3", "mlp_layer_types", []string{"dense"}, "one a layer"},
		{"deepseek-v3.2", "q_lora_rank", nil, ""},
		{"deepseek-v3.2", "index_head_dim", 32, "index_head_dim is 32"},
		{"deepseek-v4-flash", "compress_ratios", nil, "compress_ratios must be given"},
		{"deepseek-v4-flash", "compress_ratios", []int{0, 4}, "compress_ratios is 2 numbers"},
		{"deepseek-v4-flash", "num_key_value_heads", 2, "num_key_value_heads is 2"},
		{"deepseek-v4-flash", "o_groups", 7, "o_groups is 7"},
		{"deepseek-v4-flash", "scoring_func", "sigmoid", "scoring_func is sigmoid"},
		{"deepseek-v4-flash", "num_hash_layers", 44, "num_hash_layers is 44"},
		{"deepseek-v4-flash", "rope_parameters", map[string]any{"main": map[string]any{"rope_type": "yarn", "factor": 2.0}, "compress": map[string]any{}}, "main.rope_type is yarn"},
		{"deepseek-v4-flash", "expert_dtype", "int4", "expert_dtype is int4"},
		{"deepseek-v4-flash", "expert_dtype", nil, ""},
		{"deepseek-v4-flash", "hc_mult", 1000, "hc_mult is 1000"},
		{"deepseek-llm-7b", "model_type", "gemma3", "model_type \"gemma3\" is not supported; supported are llama"},
		{"deepseek-llm-7b", "model_type", "deepseek_vl_v2", "reads images"},
		{"deepseek-llm-7b", "rope_scaling", map[string]any{"type": "yarn"}, "rope_scaling.factor is 0"},
		{"deepseek-llm-7b", "rope_scaling", map[string]any{"type": "yarn", "factor": 0, "original_max_position_embeddings": 1024}, "rope_scaling.factor is 0"},
		{"deepseek-llm-7b", "rope_scaling", map[string]any{"type": "yarn", "original_max_position_embeddings": 1024}, ""}, // the window says it
		{"deepseek-llm-7b", "rope_theta", 0, "rope_theta must be positive"},
		{"deepseek-v4-flash", "rope_theta", 0, "rope_theta must be positive"},
		{"deepseek-llm-7b", "rope_parameters", map[string]any{"rope_theta": 5000}, "rope_parameters.rope_theta must be 10000"},
		{"deepseek-llm-7b", "rope_parameters", map[string]any{"rope_theta": 10000}, ""},
		{"deepseek-v3", "rope_parameters", map[string]any{"rope_type": "default", "rope_theta": 10000}, "rope_parameters must be what rope_scaling says"},
		{"deepseek-llm-7b", "rms_norm_eps", 0, "rms_norm_eps must be positive"},
		{"deepseek-llm-7b", "max_position_embeddings", -1, "max_position_embeddings is -1"},
		{"deepseek-v3", "moe_layer_freq", 0, "moe_layer_freq must be positive"},
		{"deepseek-v3", "topk_group", 0, "topk_group must be between 1 and n_group"},
		{"deepseek-llm-7b", "hidden_size", math.Pow(2, 62), "is too large"},
		{"deepseek-llm-7b", "hidden_size", 0, "hidden_size is 0"},
		{"deepseek-llm-7b", "hidden_size", 1.5, "hidden_size must be a whole number"},
		{"deepseek-llm-7b", "num_hidden_layers", 1e9, "num_hidden_layers is 1000000000"},
	} {
		m := map[string]any{}
		for k, v := range configs[c.model] {
			m[k] = v
		}
		if m[c.key] = c.value; c.value == nil {
			delete(m, c.key)
		}
		_, err := ParseConfig(encode(t, m))
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s with %s %v: error %v, want %q", c.model, c.key, c.value, err, c.says)
		}
	}
}

// What is read of keys that only some generations have.
func TestGenerationKeys(t *testing.T) {
	configs := familyConfigs(t)
	get := func(name string) *Config { return must[*Config](t)(ParseConfig(encode(t, configs[name]))) }
	if c := get("deepseek-v4-flash"); c.RopeScaling.AttentionFactor != 1 || c.CompressRopeTheta != 160000 || c.RopeTheta != 10000 || len(c.CompressRatios) != 44 ||
		c.CompressRatios[2] != 4 || c.Quantization != (Quantization{"fp8", 128, 128, "ue8m0", "fp4"}) || c.NumNextnPredictLayers != 1 || !c.IsMoE(0) {
		t.Errorf("V4-Flash: %+v", c)
	}
	if c := get("deepseek-v4-flash-0731"); c.DSparkBlockSize != 5 || c.NumNextnPredictLayers != 0 || len(c.CompressRatios) != 43 {
		t.Errorf("V4-Flash-0731: %+v", c)
	}
	if c := get("deepseek-v2"); c.TopKMethod != "group_limited_greedy" || c.NGroup != 8 || c.TopKGroup != 3 || c.ScoringFunc != "softmax" || c.RopeScaling.MScaleAllDim != 1 {
		t.Errorf("V2: %+v", c)
	}
	if c := get("deepseek-v2-lite"); c.TopKMethod != "greedy" || c.QLoraRank != 0 || math.Abs(c.SoftmaxScale()-0.11472139) > 1e-8 {
		t.Errorf("V2-Lite: %+v, softmax scale %v", c, c.SoftmaxScale())
	}
	if c := get("deepseek-moe-16b"); c.HeadDim != 128 || c.ScoringFunc != "softmax" || c.NormTopKProb || c.RoutedScalingFactor != 1 || c.IsMoE(0) || !c.IsMoE(1) {
		t.Errorf("MoE-16B: %+v", c)
	}
	if c := get("deepseek-v3.2"); c.IndexTopK != 2048 || c.IndexNHeads != 64 || c.ScoringFunc != "sigmoid" || c.Trainable() == nil {
		t.Errorf("V3.2: %+v", c)
	}
	if c := get("r1-0528-qwen3-8b"); math.Abs(c.RopeScaling.AttentionFactor-1) > 1e-12 {
		t.Errorf("R1-0528-Qwen3-8B: cos and sin are multiplied by %v", c.RopeScaling.AttentionFactor)
	}
}
