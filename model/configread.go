// This file holds what ParseConfig reads for each generation: attention, experts, V4, rotary scaling in
// both spellings, quantisation; and refuse, for models that are not language models of these types.

package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// refuse explains model types that are known but not supported, and parts of a model that are not.
func (k *keys) refuse(modelType string) error {
	reason := ""
	lower := strings.ToLower(modelType)
	switch {
	case modelType == "deepseek_v41":
		reason = "DeepSeek-V4.1 is not supported yet"
	case strings.Contains(lower, "ocr"), strings.Contains(lower, "_vl"), strings.Contains(lower, "janus"), strings.Contains(lower, "multi_modality"),
		k.has("vision_config"):
		reason = "a model that reads images is not supported yet, only language models are"
	case strings.Contains(lower, "dflash"), strings.Contains(lower, "dspark"), modelType != v4 && (k.hasPrefix("dspark_") || k.hasPrefix("dflash")):
		reason = "a DSpark drafter is not a model of its own and not supported yet"
	case k.has("use_mla") && !k.boolean("use_mla", true):
		reason = "use_mla false, which only the decoder of DeepSeek-OCR has, is not supported yet"
	default:
		return nil
	}
	return fmt.Errorf("model: config: model_type %q: %s; supported are %s", modelType, reason, supported)
}

// readDense reads grouped-query attention.
func (c *Config) readDense(k *keys) {
	c.NumKeyValueHeads = k.integer("num_key_value_heads", 0)
	headDim := 0
	if c.ModelType == qwen3 {
		headDim = 128
	}
	c.HeadDim = k.integer("head_dim", headDim)
	k.only("use_sliding_window", k.boolean("use_sliding_window", false), false)
	k.only("partial_rotary_factor", k.float("partial_rotary_factor", 1), 1.0)
	k.every("layer_types", "full_attention")
}

// readLatent reads MLA, the indexer of V3.2 and multi-token prediction.
func (c *Config) readLatent(k *keys) {
	c.QLoraRank = k.integer("q_lora_rank", 1536)
	if k.null("q_lora_rank") {
		c.QLoraRank = 0
	}
	c.KVLoraRank = k.integer("kv_lora_rank", 512)
	c.QKNopeHeadDim = k.integer("qk_nope_head_dim", 128)
	c.QKRopeHeadDim = k.integer("qk_rope_head_dim", 64)
	c.VHeadDim = k.integer("v_head_dim", 128)
	k.only("rope_interleave", k.boolean("rope_interleave", true), true)
	if c.ModelType == v2 {
		return
	}
	c.NumNextnPredictLayers = k.integer("num_nextn_predict_layers", 0)
	if c.ModelType == v32 {
		c.IndexNHeads = k.integer("index_n_heads", 64)
		c.IndexHeadDim = k.integer("index_head_dim", 128)
		c.IndexTopK = k.integer("index_topk", 2048)
		k.every("layer_types", "indexed_attention")
	}
}

// readExperts reads the MoE layers of MoE-16B, V2, V3 and V3.2.
func (c *Config) readExperts(k *keys) {
	early := c.ModelType == moe16b || c.ModelType == v2
	pick := func(first, later int) int {
		if early {
			return first
		}
		return later
	}
	c.MoEIntermediateSize = k.integer("moe_intermediate_size", pick(1407, 2048))
	c.NRoutedExperts = k.integer("n_routed_experts", pick(0, 256))
	c.NSharedExperts = k.integer("n_shared_experts", pick(0, 1))
	c.NumExpertsPerTok = k.integer("num_experts_per_tok", pick(0, 8))
	c.FirstKDenseReplace = k.integer("first_k_dense_replace", pick(0, 3))
	if c.NRoutedExperts == 0 && early { // null: the published classes make every layer dense
		c.FirstKDenseReplace = c.NumHiddenLayers
	}
	if c.MoELayerFreq = k.integer("moe_layer_freq", 1); c.MoELayerFreq == 0 {
		k.fail("moe_layer_freq", "positive, it is 0")
	}
	c.NGroup = k.integer("n_group", pick(1, 8))
	c.TopKGroup = k.integer("topk_group", pick(1, 4))
	if k.null("n_group") {
		c.NGroup, c.TopKGroup = 1, 1
	}
	if c.NGroup > 1 && c.TopKGroup == 0 && c.NRoutedExperts > 0 {
		k.fail("topk_group", "between 1 and n_group, it is 0")
	}
	switch c.ModelType {
	case moe16b: // the key does not exist there
		c.RoutedScalingFactor = 1
	case v2:
		c.RoutedScalingFactor = k.float("routed_scaling_factor", 1)
	default:
		c.RoutedScalingFactor = k.float("routed_scaling_factor", 2.5)
	}
	c.NormTopKProb = k.boolean("norm_topk_prob", !early)
	if c.ModelType == v2 && c.NormTopKProb {
		c.RoutedScalingFactor = 1 // its module either normalises or scales
	}
	c.ScoringFunc = k.text("scoring_func", "")
	c.TopKMethod = k.text("topk_method", "")
	if early && c.TopKMethod == "gready" { // so spelled in the published class
		c.TopKMethod = "greedy"
	}
	if c.ModelType == moe16b {
		c.TopKMethod = "greedy" // nor does this one
	}
	c.readLayerKinds(k)
}

// readLayerKinds reads mlp_layer_types of transformers 5, which says again what first_k_dense_replace
// says.
func (c *Config) readLayerKinds(k *keys) {
	kinds := k.texts("mlp_layer_types")
	if kinds == nil {
		return
	}
	dense := 0
	for dense < len(kinds) && kinds[dense] == "dense" {
		dense++
	}
	for i, kind := range kinds {
		if i >= dense && kind != "sparse" || len(kinds) != c.NumHiddenLayers {
			k.fail("mlp_layer_types", "\"dense\" for the first layers and \"sparse\" for all others, one a layer")
			return
		}
	}
	c.FirstKDenseReplace, c.MoELayerFreq = dense, 1
}

// readV4 reads everything that only V4 has, under both spellings.
func (c *Config) readV4(k *keys) {
	c.MaxPositionEmbeddings = k.integer("max_position_embeddings", 1048576)
	c.HeadDim = k.integer("head_dim", 512)
	c.QKRopeHeadDim = k.integer("qk_rope_head_dim", c.rotatedPart(k))
	c.QLoraRank = k.integer("q_lora_rank", 1024)
	c.OGroups = k.integer("o_groups", 8)
	c.OLoraRank = k.integer("o_lora_rank", 1024)
	c.SlidingWindow = k.integer("sliding_window", 128)
	c.IndexNHeads = k.integer("index_n_heads", 64)
	c.IndexHeadDim = k.integer("index_head_dim", 128)
	c.IndexTopK = k.integer("index_topk", 512)
	c.HCMult = k.integer("hc_mult", 4)
	c.HCSinkhornIters = k.integer("hc_sinkhorn_iters", 20)
	c.HCEps = k.float("hc_eps", 1e-6)
	c.SwigluLimit = k.float("swiglu_limit", 10)
	c.MoEIntermediateSize = k.integer("moe_intermediate_size", 2048)
	c.NRoutedExperts = k.integer("n_routed_experts", 256)
	c.NSharedExperts = k.integer("n_shared_experts", 1)
	c.NumExpertsPerTok = k.integer("num_experts_per_tok", 6)
	c.RoutedScalingFactor = k.float("routed_scaling_factor", 1.5)
	c.NormTopKProb = k.boolean("norm_topk_prob", true)
	c.ScoringFunc, c.TopKMethod = k.text("scoring_func", ""), k.text("topk_method", "")
	k.only("num_key_value_heads", k.integer("num_key_value_heads", 1), 1)
	c.DSparkBlockSize = k.integer("dspark_block_size", 0)
	if c.DSparkBlockSize == 0 {
		c.NumNextnPredictLayers = k.integer("num_nextn_predict_layers", 1)
	}
	c.readRatios(k)
	c.NumHashLayers = k.integer("num_hash_layers", min(3, c.NumHiddenLayers))
	if kinds := k.texts("mlp_layer_types"); kinds != nil {
		c.NumHashLayers = 0
		for c.NumHashLayers < len(kinds) && kinds[c.NumHashLayers] == "hash_moe" {
			c.NumHashLayers++
		}
		for i, kind := range kinds {
			if i >= c.NumHashLayers && kind != "moe" || len(kinds) != c.NumHiddenLayers {
				k.fail("mlp_layer_types", "\"hash_moe\" for the first layers and \"moe\" for all others, one a layer")
			}
		}
	}
	c.readV4Rope(k)
}

// rotatedPart is qk_rope_head_dim as transformers 5 spells it: a share of head_dim.
func (c *Config) rotatedPart(k *keys) int {
	f := k.float("partial_rotary_factor", 64.0/512)
	if !(f > 0 && f <= 1) {
		k.fail("partial_rotary_factor", "between 0 and 1")
		return 0
	}
	return int(float64(c.HeadDim)*f + 1e-6)
}

// readRatios reads compress_ratios, or layer_types with compress_rates.
func (c *Config) readRatios(k *keys) {
	if k.has("compress_ratios") {
		c.CompressRatios = k.integers("compress_ratios")
		// There is a number for every MTP layer, also where the checkpoint comes without them.
		if n := c.NumHiddenLayers + c.NumNextnPredictLayers; n >= 0 && len(c.CompressRatios) > n {
			c.CompressRatios = c.CompressRatios[:n]
		}
		return
	}
	kinds := k.texts("layer_types")
	if kinds == nil {
		k.fail("compress_ratios", "given: the key is missing")
		return
	}
	rates := keys{path: "compress_rates."}
	if k.has("compress_rates") {
		if err := json.Unmarshal(k.m["compress_rates"], &rates.m); err != nil {
			k.fail("compress_rates", "an object")
		}
	}
	ratio := map[string]int{
		"sliding_attention":            0,
		"compressed_sparse_attention":  rates.integer("compressed_sparse_attention", 4),
		"heavily_compressed_attention": rates.integer("heavily_compressed_attention", 128),
	}
	if k.err == nil {
		k.err = rates.err
	}
	k.only("compress_rates.compressed_sparse_attention", ratio["compressed_sparse_attention"], 4)
	k.only("compress_rates.heavily_compressed_attention", ratio["heavily_compressed_attention"], 128)
	for i, kind := range kinds {
		r, ok := ratio[kind]
		if !ok {
			k.fail(fmt.Sprintf("layer_types[%d]", i), "sliding_attention, compressed_sparse_attention or heavily_compressed_attention")
		}
		c.CompressRatios = append(c.CompressRatios, r)
	}
}

// readV4Rope reads rope_theta, compress_rope_theta and rope_scaling, or rope_parameters with one object
// for plain and one for compressed layers.
func (c *Config) readV4Rope(k *keys) {
	c.RopeTheta = k.nonzero("rope_theta", 1e4)
	c.CompressRopeTheta = k.nonzero("compress_rope_theta", 1.6e5)
	both := keys{path: "rope_parameters."}
	if raw, ok := k.m["rope_parameters"]; ok && json.Unmarshal(raw, &both.m) != nil {
		k.fail("rope_parameters", "an object")
		return
	}
	if !both.has("main") && !both.has("compress") {
		raw := k.m["rope_scaling"]
		if k.has("rope_parameters") {
			raw = k.m["rope_parameters"]
		}
		c.RopeScaling, _ = c.scaling(k, raw, "rope_scaling.", 0)
		return
	}
	var main RopeScaling
	main, c.RopeTheta = c.scaling(k, both.m["main"], "rope_parameters.main.", c.RopeTheta)
	k.only("rope_parameters.main.rope_type", main.Type, "")
	c.RopeScaling, c.CompressRopeTheta = c.scaling(k, both.m["compress"], "rope_parameters.compress.", c.CompressRopeTheta)
}

// readRope reads rope_theta and rope_scaling (published), or rope_parameters (transformers 5). Where a file has
// both they must say the same.
func (c *Config) readRope(k *keys) {
	c.RopeScaling, c.RopeTheta = c.scaling(k, k.m["rope_scaling"], "rope_scaling.", k.nonzero("rope_theta", 1e4))
	if !k.has("rope_parameters") {
		return
	}
	old, theta := c.RopeScaling, c.RopeTheta
	c.RopeScaling, c.RopeTheta = c.scaling(k, k.m["rope_parameters"], "rope_parameters.", theta)
	if k.has("rope_scaling") && c.RopeScaling != old {
		k.fail("rope_parameters", "what rope_scaling says, or one of them must go")
	}
	if k.has("rope_theta") && c.RopeTheta != theta {
		k.fail("rope_parameters.rope_theta", fmt.Sprintf("%v as rope_theta says, or one of them must go", theta))
	}
}

// scaling reads an object of rotary settings; path stands before its keys in errors. It returns the
// base too, theta where the object has none.
func (c *Config) scaling(k *keys, raw json.RawMessage, path string, theta float64) (r RopeScaling, base float64) {
	if len(raw) == 0 || string(raw) == "null" {
		return r, theta
	}
	s := keys{path: path}
	if err := json.Unmarshal(raw, &s.m); err != nil {
		k.fail(strings.TrimSuffix(path, "."), "an object")
		return r, theta
	}
	base = s.nonzero("rope_theta", theta)
	r.Type = s.text("rope_type", s.text("type", "default"))
	if r.Type == "default" {
		r.Type = ""
	}
	if r.Type != "" {
		r.Factor = s.float("factor", 0)
	}
	if r.Type == "yarn" || r.Type == "llama3" {
		r.OriginalMaxPosition = s.integer("original_max_position_embeddings", c.MaxPositionEmbeddings)
	}
	switch r.Type {
	case "llama3":
		r.LowFreqFactor, r.HighFreqFactor = s.float("low_freq_factor", 0), s.float("high_freq_factor", 0)
	case "yarn":
		if !s.has("factor") && s.has("original_max_position_embeddings") && r.OriginalMaxPosition > 0 {
			r.Factor = float64(c.MaxPositionEmbeddings) / float64(r.OriginalMaxPosition)
		}
		r.BetaFast, r.BetaSlow = s.float("beta_fast", 0), s.float("beta_slow", 0)
		r.MScale, r.MScaleAllDim = s.float("mscale", 0), s.float("mscale_all_dim", 0)
		r.AttentionFactor = s.float("attention_factor", 0)
		r.NoTruncate = !s.boolean("truncate", true)
		// A checkpoint of the Qwen line carries a key that loaders do not know; with it cos and sin
		// stay unscaled (family notes on R1-0528-Qwen3).
		if f := s.float("attn_factor", 0); f > 0 && r.AttentionFactor == 0 && r.Factor > 1 {
			r.AttentionFactor = f * yarnScale(r.Factor, 1)
		}
	}
	if c.ModelType != v4 { // there it says qk_rope_head_dim once more
		s.only("partial_rotary_factor", s.float("partial_rotary_factor", 1), 1.0)
	}
	if k.err == nil {
		k.err = s.err
	}
	return r, base
}

// readQuantization reads quantization_config and expert_dtype.
func (c *Config) readQuantization(k *keys) {
	q := &c.Quantization
	q.ExpertDType = k.text("expert_dtype", "")
	if k.has("quantization_config") {
		s := keys{path: "quantization_config."}
		if err := json.Unmarshal(k.m["quantization_config"], &s.m); err != nil {
			k.fail("quantization_config", "an object")
			return
		}
		q.Method = s.text("quant_method", "")
		if algorithm := strings.ToLower(s.text("quant_algo", s.text("format", ""))); (q.Method == "modelopt" || q.Method == "compressed-tensors") && strings.HasPrefix(algorithm, "nvfp4") {
			q.Method = "nvfp4"
			return
		}
		if q.Method != "fp8" && k.err == nil {
			k.err = fmt.Errorf("model: config: quantization_config.quant_method %q is not supported, only fp8 and NVFP4: take the original checkpoint or a GGUF file", q.Method)
		}
		block := s.integers("weight_block_size")
		switch {
		case len(block) == 2:
			q.BlockRows, q.BlockCols = block[0], block[1]
		case block != nil:
			s.fail("weight_block_size", "a list of two numbers")
		default:
			q.BlockRows, q.BlockCols = 128, 128
		}
		s.only("fmt", s.text("fmt", "e4m3"), "e4m3")
		q.ScaleFormat = s.text("scale_fmt", "")
		if q.ScaleFormat == "float" {
			q.ScaleFormat = ""
		}
		q.ExpertDType = s.text("expert_dtype", q.ExpertDType)
		if k.err == nil {
			k.err = s.err
		}
	}
	if q.ExpertDType == "fp8" || q.ExpertDType == "bf16" || q.ExpertDType == "bfloat16" {
		q.ExpertDType = "" // as everything else: scales say which
	}
	if q.ExpertDType != "" && c.ModelType != v4 && k.err == nil {
		k.err = errors.New("model: config: expert_dtype is a key of deepseek_v4 only")
	}
}
