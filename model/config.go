// This file holds Config, its checks and its sizes. Reading and writing config.json stands in
// configjson.go. Source: config.json of the published checkpoints.

package model

import (
	"fmt"
	"math"
	"slices"
)

// Config is the shape of a model. Fields are named after the keys of config.json, which are also
// where their meaning is documented; a size that a generation does not have is 0.
type Config struct {
	ModelType string // "deepseek_v3", "llama", "qwen2" or "qwen3"

	VocabSize             int // V
	HiddenSize            int // D
	IntermediateSize      int // width of the dense MLP
	NumHiddenLayers       int // L
	NumAttentionHeads     int // H
	NumKeyValueHeads      int // Llama line; 0 means NumAttentionHeads
	HeadDim               int // Llama line; 0 means HiddenSize/NumAttentionHeads
	MaxPositionEmbeddings int
	RMSNormEps            float64 // 0 means 1e-6. The norms inside MLA use 1e-6 whatever this says
	TieWordEmbeddings     bool
	AttentionBias         bool // Llama line: biases on q, k, v and o
	QKVBias               bool // Qwen2: biases on q, k, v (implied by the model type)
	QKNorm                bool // Qwen3: per-head norms of q and k (implied by the model type)

	// Multi-head latent attention.
	QLoraRank     int // 0: queries are projected directly (null in the file)
	KVLoraRank    int // R
	QKNopeHeadDim int
	QKRopeHeadDim int // P
	VHeadDim      int

	// Mixture of experts.
	MoEIntermediateSize int // F
	NRoutedExperts      int // E
	NSharedExperts      int
	NumExpertsPerTok    int     // K
	FirstKDenseReplace  int     // layers before this one use the dense MLP
	MoELayerFreq        int     // of the others every n-th is MoE; 0 means 1
	NGroup, TopKGroup   int     // 0 means 1
	RoutedScalingFactor float64 // 0 means 1
	NormTopKProb        bool

	NumNextnPredictLayers int // multi-token prediction layers

	RopeTheta   float64 // 0 means 10000
	RopeScaling RopeScaling

	InitializerRange float64 // 0 means 0.02
	BOSTokenID       int     // -1: none
	EOSTokenID       []int
	TorchDType       string // of the stored weights; "" means float32
}

// RopeScaling says how rotary frequencies are stretched. The zero value leaves them alone.
type RopeScaling struct {
	Type                string // "", "linear", "yarn" or "llama3"
	Factor              float64
	OriginalMaxPosition int
	BetaFast, BetaSlow  float64 // yarn; 0 means 32 and 1
	MScale              float64 // yarn; 0: the key is missing
	MScaleAllDim        float64 // yarn; 0: the key is missing
	AttentionFactor     float64 // yarn; 0: the key is missing
	NoTruncate          bool    // yarn, "truncate": false
	LowFreqFactor       float64 // llama3
	HighFreqFactor      float64 // llama3
}

const (
	v3        = "deepseek_v3"
	llama     = "llama"
	qwen2     = "qwen2"
	qwen3     = "qwen3"
	supported = v3 + ", " + llama + ", " + qwen2 + " and " + qwen3
)

// maxSize bounds every single size, so that products of a few of them do not overflow.
const maxSize = 1 << 24

// withDefaults returns a copy in which zero values that stand for a default are replaced.
func (c *Config) withDefaults() *Config {
	d := *c
	d.EOSTokenID = slices.Clone(c.EOSTokenID)
	def := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	deff := func(p *float64, v float64) {
		if *p == 0 {
			*p = v
		}
	}
	deff(&d.RMSNormEps, 1e-6)
	deff(&d.RopeTheta, 1e4)
	deff(&d.InitializerRange, 0.02)
	def(&d.NumKeyValueHeads, d.NumAttentionHeads)
	if d.RopeScaling.Type == "yarn" {
		deff(&d.RopeScaling.BetaFast, 32)
		deff(&d.RopeScaling.BetaSlow, 1)
	}
	if d.ModelType == v3 {
		def(&d.MoELayerFreq, 1)
		def(&d.NGroup, 1)
		def(&d.TopKGroup, 1)
		deff(&d.RoutedScalingFactor, 1)
	} else if d.NumAttentionHeads > 0 {
		def(&d.HeadDim, d.HiddenSize/d.NumAttentionHeads)
	}
	d.QKVBias = d.ModelType == qwen2 || d.AttentionBias
	d.QKNorm = d.ModelType == qwen3
	return &d
}

// Validate says what makes c impossible, or nil.
func (c *Config) Validate() error {
	d := c.withDefaults()
	switch d.ModelType {
	case v3, llama, qwen2, qwen3:
	case "":
		return fmt.Errorf("model: config: model_type is missing; supported are %s", supported)
	default:
		return fmt.Errorf("model: config: model_type %q is not supported; supported are %s", d.ModelType, supported)
	}
	v := check{}
	v.size("vocab_size", d.VocabSize)
	v.size("hidden_size", d.HiddenSize)
	v.size("num_hidden_layers", d.NumHiddenLayers)
	v.size("num_attention_heads", d.NumAttentionHeads)
	v.that(d.NumHiddenLayers <= 4096, "num_hidden_layers", d.NumHiddenLayers, "at most 4096")
	v.that(d.RMSNormEps > 0 && d.RMSNormEps < 1, "rms_norm_eps", d.RMSNormEps, "between 0 and 1")
	v.that(d.RopeTheta > 1 && !math.IsInf(d.RopeTheta, 0), "rope_theta", d.RopeTheta, "above 1")
	v.that(d.InitializerRange > 0 && d.InitializerRange < 100, "initializer_range", d.InitializerRange, "positive")
	if d.ModelType == v3 {
		d.validateV3(&v)
	} else {
		d.validateLlama(&v)
	}
	d.RopeScaling.validate(&v)
	if v.err != nil {
		return v.err
	}
	if n := d.estimate(); n > 1e13 {
		return fmt.Errorf("model: config: these sizes make a model of %.3g parameters: check them", n)
	}
	return nil
}

func (c *Config) validateV3(v *check) {
	v.size("kv_lora_rank", c.KVLoraRank)
	v.size("qk_nope_head_dim", c.QKNopeHeadDim)
	v.size("qk_rope_head_dim", c.QKRopeHeadDim)
	v.size("v_head_dim", c.VHeadDim)
	v.that(c.QLoraRank >= 0 && c.QLoraRank <= maxSize, "q_lora_rank", c.QLoraRank, "null or positive")
	v.that(c.QKRopeHeadDim%2 == 0, "qk_rope_head_dim", c.QKRopeHeadDim, "even")
	v.that(!c.AttentionBias, "attention_bias", c.AttentionBias, "false for deepseek_v3")
	v.that(c.FirstKDenseReplace >= 0, "first_k_dense_replace", c.FirstKDenseReplace, "not negative")
	v.that(c.MoELayerFreq >= 1, "moe_layer_freq", c.MoELayerFreq, "positive")
	v.that(c.NumNextnPredictLayers >= 0 && c.NumNextnPredictLayers <= 64, "num_nextn_predict_layers", c.NumNextnPredictLayers, "between 0 and 64")
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
	v.that(e <= 1<<16, "n_routed_experts", e, "at most 65536")
	v.that(c.NSharedExperts >= 0 && c.NSharedExperts <= 1024, "n_shared_experts", c.NSharedExperts, "between 0 and 1024")
	v.that(c.NumExpertsPerTok >= 1 && c.NumExpertsPerTok <= e, "num_experts_per_tok", c.NumExpertsPerTok, "between 1 and n_routed_experts")
	v.that(c.RoutedScalingFactor > 0 && !math.IsInf(c.RoutedScalingFactor, 0), "routed_scaling_factor", c.RoutedScalingFactor, "positive")
	v.that(c.NGroup >= 1 && c.NGroup <= max(e, 1) && e%max(c.NGroup, 1) == 0, "n_group", c.NGroup, "a divisor of n_routed_experts")
	v.that(c.TopKGroup >= 1 && c.TopKGroup <= c.NGroup, "topk_group", c.TopKGroup, "between 1 and n_group")
	if v.err == nil {
		v.that(c.TopKGroup*(e/c.NGroup) >= c.NumExpertsPerTok, "topk_group", c.TopKGroup,
			"enough groups to hold num_experts_per_tok experts")
	}
}

func (c *Config) validateLlama(v *check) {
	v.size("intermediate_size", c.IntermediateSize)
	v.size("num_key_value_heads", c.NumKeyValueHeads)
	v.size("head_dim", c.HeadDim)
	v.that(c.HeadDim%2 == 0, "head_dim", c.HeadDim, "even")
	v.that(c.NumKeyValueHeads > 0 && c.NumAttentionHeads%max(c.NumKeyValueHeads, 1) == 0, "num_key_value_heads", c.NumKeyValueHeads,
		"a divisor of num_attention_heads")
	v.that(c.NumNextnPredictLayers == 0, "num_nextn_predict_layers", c.NumNextnPredictLayers, "0 for this model type")
}

func (r RopeScaling) validate(v *check) {
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

// check keeps the first complaint.
type check struct{ err error }

func (v *check) that(ok bool, key string, got any, want string) {
	if !ok && v.err == nil {
		v.err = fmt.Errorf("model: config: %s is %v, must be %s", key, got, want)
	}
}

func (v *check) size(key string, n int) {
	v.that(n >= 1 && n <= maxSize, key, n, fmt.Sprintf("between 1 and %d", maxSize))
}

// isMoE says whether layer i has experts. The MTP layer is asked for as layer NumHiddenLayers.
func (c *Config) isMoE(i int) bool {
	return c.ModelType == v3 && i >= c.FirstKDenseReplace && i%c.MoELayerFreq == 0
}

func (c *Config) layerKinds() (moe, dense bool) {
	if c.MoELayerFreq < 1 {
		return false, false
	}
	for i := range c.NumHiddenLayers + min(c.NumNextnPredictLayers, 1) {
		if c.isMoE(i) {
			moe = true
		} else {
			dense = true
		}
	}
	return moe, dense
}

// Sizes returns the number of parameters, and how many of them take part in the products of one
// token: all but the idle experts and the embedding table (a table that is also the head counts).
// Correction biases and MTP layers are left out.
func (c *Config) Sizes() (total, active int64) {
	d := c.withDefaults()
	D := int64(d.HiddenSize)
	table := int64(d.VocabSize) * D
	total = table + D
	idle := table
	if d.TieWordEmbeddings {
		idle = 0
	} else {
		total += table
	}
	for i := range d.NumHiddenLayers {
		t, n := d.layerSize(i)
		total += t
		idle += n
	}
	return total, total - idle
}

// layerSize returns the parameters of layer i and how many of them one token does not meet.
func (c *Config) layerSize(i int) (total, idle int64) {
	D, H := int64(c.HiddenSize), int64(c.NumAttentionHeads)
	total = 2 * D
	if c.ModelType == v3 {
		qk, q, r := int64(c.QKNopeHeadDim+c.QKRopeHeadDim), int64(c.QLoraRank), int64(c.KVLoraRank)
		if q > 0 {
			total += D*q + q + q*H*qk
		} else {
			total += D * H * qk
		}
		total += D*(r+int64(c.QKRopeHeadDim)) + r + r*H*int64(c.QKNopeHeadDim+c.VHeadDim) + H*int64(c.VHeadDim)*D
	} else {
		hd, kv := int64(c.HeadDim), int64(c.NumKeyValueHeads)
		total += 2*D*H*hd + 2*D*kv*hd
		if c.QKVBias {
			total += (H + 2*kv) * hd
		}
		if c.AttentionBias {
			total += D
		}
		if c.QKNorm {
			total += 2 * hd
		}
	}
	if !c.isMoE(i) {
		return total + 3*D*int64(c.IntermediateSize), 0
	}
	expert := 3 * D * int64(c.MoEIntermediateSize)
	e := int64(c.NRoutedExperts)
	return total + e*D + expert*(e+int64(c.NSharedExperts)), expert * (e - int64(c.NumExpertsPerTok))
}

// estimate is Sizes in floating point, for sizes that nobody has checked yet.
func (c *Config) estimate() float64 {
	D, H, L := float64(c.HiddenSize), float64(c.NumAttentionHeads), float64(c.NumHiddenLayers)
	head := float64(c.QKNopeHeadDim+c.QKRopeHeadDim+c.VHeadDim) + 2*float64(c.HeadDim)
	attention := D*H*head + (D+H*head)*float64(c.QLoraRank+c.KVLoraRank)
	ff := 3 * D * (float64(c.IntermediateSize) + float64(c.MoEIntermediateSize)*float64(c.NRoutedExperts+c.NSharedExperts))
	return 2*float64(c.VocabSize)*D + L*(attention+ff)
}
