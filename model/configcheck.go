// This file holds Validate: what makes a Config impossible.

package model

import (
	"fmt"
	"math"
)

// Bounds of single sizes, so that products of a few of them do not overflow.
const (
	maxSize    = 1 << 24
	maxLayers  = 4096
	maxExperts = 1 << 16
	maxMTP     = 64
)

// Validate says what makes c impossible, or nil.
func (c *Config) Validate() error {
	d := c.withDefaults()
	v := check{}
	v.size("vocab_size", d.VocabSize)
	v.size("hidden_size", d.HiddenSize)
	v.size("num_hidden_layers", d.NumHiddenLayers)
	v.size("num_attention_heads", d.NumAttentionHeads)
	switch d.ModelType {
	case llama, qwen2, qwen3:
		d.checkDense(&v)
	case moe16b:
		d.checkDense(&v)
		d.checkExperts(&v)
	case v2, v3, v32:
		d.checkLatent(&v)
		d.checkExperts(&v)
	case v4:
		d.checkV4(&v)
		d.checkExperts(&v)
	case "":
		return fmt.Errorf("model: config: model_type is missing; supported are %s", supported)
	default:
		return fmt.Errorf("model: config: model_type %q is not supported; supported are %s", d.ModelType, supported)
	}
	v.that(d.MaxPositionEmbeddings >= 0, "max_position_embeddings", d.MaxPositionEmbeddings, "positive")
	v.that(d.NumHiddenLayers <= maxLayers, "num_hidden_layers", d.NumHiddenLayers, fmt.Sprintf("at most %d", maxLayers))
	v.that(d.RMSNormEps > 0 && d.RMSNormEps < 1, "rms_norm_eps", d.RMSNormEps, "between 0 and 1")
	v.that(d.RopeTheta > 1 && !math.IsInf(d.RopeTheta, 0), "rope_theta", d.RopeTheta, "above 1")
	v.that(d.InitializerRange > 0 && d.InitializerRange < 100, "initializer_range", d.InitializerRange, "positive")
	v.that(d.NumNextnPredictLayers >= 0 && d.NumNextnPredictLayers <= maxMTP, "num_nextn_predict_layers", d.NumNextnPredictLayers, fmt.Sprintf("between 0 and %d", maxMTP))
	if d.ModelType != v3 && d.ModelType != v32 && d.ModelType != v4 {
		v.that(d.NumNextnPredictLayers == 0, "num_nextn_predict_layers", d.NumNextnPredictLayers, "0 for this model type")
	}
	d.RopeScaling.check(&v)
	d.Quantization.check(&v)
	if v.err != nil {
		return v.err
	}
	if n := d.estimate(); n > 1e13 {
		return fmt.Errorf("model: config: these sizes make a model of %.3g parameters: check them", n)
	}
	return nil
}

// checkDense checks grouped-query attention and the dense MLP.
func (c *Config) checkDense(v *check) {
	v.size("intermediate_size", c.IntermediateSize)
	v.size("num_key_value_heads", c.NumKeyValueHeads)
	v.size("head_dim", c.HeadDim)
	v.that(c.HeadDim%2 == 0, "head_dim", c.HeadDim, "even")
	v.that(c.NumKeyValueHeads > 0 && c.NumAttentionHeads%max(c.NumKeyValueHeads, 1) == 0, "num_key_value_heads", c.NumKeyValueHeads,
		"a divisor of num_attention_heads")
}

// checkLatent checks MLA and the indexer of V3.2.
func (c *Config) checkLatent(v *check) {
	v.size("kv_lora_rank", c.KVLoraRank)
	v.size("qk_nope_head_dim", c.QKNopeHeadDim)
	v.size("qk_rope_head_dim", c.QKRopeHeadDim)
	v.size("v_head_dim", c.VHeadDim)
	v.that(c.QLoraRank >= 0 && c.QLoraRank <= maxSize, "q_lora_rank", c.QLoraRank, "null or positive")
	v.that(c.QKRopeHeadDim%2 == 0, "qk_rope_head_dim", c.QKRopeHeadDim, "even")
	v.that(!c.AttentionBias, "attention_bias", c.AttentionBias, "false for this model type")
	if c.ModelType == v32 {
		v.size("q_lora_rank", c.QLoraRank)
		c.checkIndexer(v)
	}
}

func (c *Config) checkIndexer(v *check) {
	v.size("index_n_heads", c.IndexNHeads)
	v.size("index_head_dim", c.IndexHeadDim)
	v.size("index_topk", c.IndexTopK)
	v.that(c.IndexHeadDim >= c.QKRopeHeadDim, "index_head_dim", c.IndexHeadDim, "at least qk_rope_head_dim")
}

func (c *Config) checkV4(v *check) {
	v.size("head_dim", c.HeadDim)
	v.size("qk_rope_head_dim", c.QKRopeHeadDim)
	v.that(c.QKRopeHeadDim%2 == 0 && c.QKRopeHeadDim <= c.HeadDim, "qk_rope_head_dim", c.QKRopeHeadDim, "even and at most head_dim")
	v.size("q_lora_rank", c.QLoraRank)
	v.size("o_lora_rank", c.OLoraRank)
	v.size("o_groups", c.OGroups)
	v.that(c.OGroups > 0 && c.NumAttentionHeads%max(c.OGroups, 1) == 0, "o_groups", c.OGroups, "a divisor of num_attention_heads")
	v.that(!c.AttentionBias, "attention_bias", c.AttentionBias, "false for this model type")
	v.that(!c.TieWordEmbeddings, "tie_word_embeddings", c.TieWordEmbeddings, "false for this model type")
	v.size("sliding_window", c.SlidingWindow)
	v.that(c.CompressRopeTheta > 1 && !math.IsInf(c.CompressRopeTheta, 0), "compress_rope_theta", c.CompressRopeTheta, "above 1")
	v.that(c.HCMult >= 1 && c.HCMult <= 16, "hc_mult", c.HCMult, "between 1 and 16")
	v.that(c.HCSinkhornIters >= 1 && c.HCSinkhornIters <= 1000, "hc_sinkhorn_iters", c.HCSinkhornIters, "between 1 and 1000")
	v.that(c.HCEps > 0 && c.HCEps < 1, "hc_eps", c.HCEps, "between 0 and 1")
	v.that(c.NumHashLayers >= 0 && c.NumHashLayers <= c.NumHiddenLayers, "num_hash_layers", c.NumHashLayers, "between 0 and num_hidden_layers")
	v.that(c.SwigluLimit >= 0 && !math.IsInf(c.SwigluLimit, 0), "swiglu_limit", c.SwigluLimit, "not negative")
	v.that(c.NSharedExperts == 1, "n_shared_experts", c.NSharedExperts, "1 for this model type")
	v.that(c.NormTopKProb, "norm_topk_prob", c.NormTopKProb, "true for this model type")
	v.that(c.NGroup == 1, "n_group", c.NGroup, "1 for this model type")
	v.that(c.FirstKDenseReplace == 0 && c.MoELayerFreq == 1, "first_k_dense_replace", c.FirstKDenseReplace, "0 for this model type, and moe_layer_freq 1")
	v.that(len(c.CompressRatios) == c.NumHiddenLayers+c.NumNextnPredictLayers, "compress_ratios", fmt.Sprintf("%d numbers", len(c.CompressRatios)),
		"one number a layer, then one an MTP layer")
	sparse := false
	for i, r := range c.CompressRatios {
		v.that(r == 0 || r == 4 || r == 128, fmt.Sprintf("compress_ratios[%d]", i), r, "0, 4 or 128")
		v.that(r == 0 || i < c.NumHiddenLayers, fmt.Sprintf("compress_ratios[%d]", i), r, "0 for an MTP layer")
		sparse = sparse || r == 4
	}
	if sparse {
		c.checkIndexer(v)
	}
}

func (c *Config) checkExperts(v *check) {
	v.that(c.FirstKDenseReplace >= 0, "first_k_dense_replace", c.FirstKDenseReplace, "not negative")
	v.that(c.MoELayerFreq >= 1, "moe_layer_freq", c.MoELayerFreq, "positive")
	if v.err != nil {
		return
	}
	moe, dense := c.layerKinds()
	if dense {
		v.size("intermediate_size", c.IntermediateSize)
	}
	if !moe {
		return
	}
	e := c.NRoutedExperts
	v.size("n_routed_experts", e)
	v.size("moe_intermediate_size", c.MoEIntermediateSize)
	v.that(e <= maxExperts, "n_routed_experts", e, fmt.Sprintf("at most %d", maxExperts))
	v.that(c.NSharedExperts >= 0 && c.NSharedExperts <= 1024, "n_shared_experts", c.NSharedExperts, "between 0 and 1024")
	v.that(c.NumExpertsPerTok >= 1 && c.NumExpertsPerTok <= e, "num_experts_per_tok", c.NumExpertsPerTok, "between 1 and n_routed_experts")
	v.that(c.RoutedScalingFactor > 0 && !math.IsInf(c.RoutedScalingFactor, 0), "routed_scaling_factor", c.RoutedScalingFactor, "positive")
	v.that(c.NGroup >= 1 && c.NGroup <= max(e, 1) && e%max(c.NGroup, 1) == 0, "n_group", c.NGroup, "a divisor of n_routed_experts")
	v.that(c.TopKGroup >= 1 && c.TopKGroup <= c.NGroup, "topk_group", c.TopKGroup, "between 1 and n_group")
	if v.err == nil {
		v.that(c.TopKGroup*(e/c.NGroup) >= c.NumExpertsPerTok, "topk_group", c.TopKGroup,
			"enough groups to hold num_experts_per_tok experts")
	}
	scoring, method := routing(c.ModelType)
	v.that(c.ScoringFunc == scoring, "scoring_func", c.ScoringFunc, scoring+" for this model type")
	switch {
	case c.ModelType == v2:
		v.that(c.TopKMethod == "greedy" || c.TopKMethod == "group_limited_greedy", "topk_method", c.TopKMethod, "greedy or group_limited_greedy for this model type")
	default:
		v.that(c.TopKMethod == method, "topk_method", c.TopKMethod, method+" for this model type")
	}
}

func (c *Config) layerKinds() (moe, dense bool) {
	for i := range min(c.NumHiddenLayers, maxLayers) + min(c.NumNextnPredictLayers, 1) {
		if c.IsMoE(i) {
			moe = true
		} else {
			dense = true
		}
	}
	return moe, dense
}

func (r RopeScaling) check(v *check) {
	switch r.Type {
	case "":
		return
	case "linear", "yarn", "llama3":
	default:
		v.that(false, "rope_scaling.type", r.Type, "default, linear, yarn or llama3")
	}
	v.that(r.Factor >= 1 && r.Factor < 1e9, "rope_scaling.factor", r.Factor, "at least 1")
	if r.Type != "linear" {
		v.size("rope_scaling.original_max_position_embeddings", r.OriginalMaxPosition)
	}
	for _, f := range []struct {
		key string
		x   float64
	}{{"beta_fast", r.BetaFast}, {"beta_slow", r.BetaSlow}, {"mscale", r.MScale}, {"mscale_all_dim", r.MScaleAllDim},
		{"attention_factor", r.AttentionFactor}, {"low_freq_factor", r.LowFreqFactor}, {"high_freq_factor", r.HighFreqFactor}} {
		v.that(f.x >= 0 && f.x < 1e9, "rope_scaling."+f.key, f.x, "not negative")
	}
	if r.Type == "llama3" {
		v.that(r.LowFreqFactor > 0 && r.HighFreqFactor > r.LowFreqFactor, "rope_scaling.high_freq_factor", r.HighFreqFactor, "above low_freq_factor, which is above 0")
	}
}

func (q Quantization) check(v *check) {
	v.that(q.Method == "" || q.Method == "fp8" || q.Method == "nvfp4", "quantization_config.quant_method", q.Method, "fp8 or nvfp4")
	if q.Method == "fp8" {
		v.size("quantization_config.weight_block_size[0]", q.BlockRows)
		v.size("quantization_config.weight_block_size[1]", q.BlockCols)
	}
	v.that(q.ScaleFormat == "" || q.ScaleFormat == "ue8m0", "quantization_config.scale_fmt", q.ScaleFormat, "ue8m0 or missing")
	v.that(q.ExpertDType == "" || q.ExpertDType == "fp4", "expert_dtype", q.ExpertDType, "fp4 or missing")
}

// KeyError says what is wrong with the value of one key of a configuration.
type KeyError struct {
	Key  string // as config.json spells it
	got  any
	want string
}

func (e *KeyError) Error() string {
	return fmt.Sprintf("model: config: %s is %v, must be %s", e.Key, e.got, e.want)
}

// check keeps the first complaint.
type check struct{ err error }

func (v *check) that(ok bool, key string, got any, want string) {
	if !ok && v.err == nil {
		v.err = &KeyError{key, got, want}
	}
}

func (v *check) size(key string, n int) {
	v.that(n >= 1 && n <= maxSize, key, n, fmt.Sprintf("between 1 and %d", maxSize))
}

// Complete returns a checked copy of c with defaults filled in.
func (c *Config) Complete() (*Config, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c.withDefaults(), nil
}
