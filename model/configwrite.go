// This file holds JSON, which writes config.json in the published spelling.

package model

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// JSON returns the text of config.json in the published spelling.
func (c *Config) JSON() ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	d := c.withDefaults()
	dtype := d.TorchDType
	if dtype == "" {
		dtype = "float32"
	}
	o := object{
		{"architectures", []string{map[string]string{
			llama: "LlamaForCausalLM", qwen2: "Qwen2ForCausalLM", qwen3: "Qwen3ForCausalLM", moe16b: "DeepseekForCausalLM", v2: "DeepseekV2ForCausalLM",
			v3: "DeepseekV3ForCausalLM", v32: "DeepseekV32ForCausalLM", v4: "DeepseekV4ForCausalLM"}[d.ModelType]}},
		{"model_type", d.ModelType},
		{"vocab_size", d.VocabSize},
		{"hidden_size", d.HiddenSize},
		{"num_hidden_layers", d.NumHiddenLayers},
		{"num_attention_heads", d.NumAttentionHeads},
		{"num_key_value_heads", d.NumKeyValueHeads},
	}
	if d.ModelType != v4 {
		o = append(o, member{"intermediate_size", d.IntermediateSize})
	}
	switch {
	case d.latent():
		o = append(o, d.latentKeys()...)
	case d.ModelType == v4:
		o = append(o, d.v4Keys()...)
	default:
		o = append(o, member{"head_dim", d.HeadDim})
	}
	if d.experts() {
		o = append(o, d.expertKeys()...)
	}
	o = append(o, object{
		{"hidden_act", "silu"},
		{"attention_bias", d.AttentionBias},
		{"attention_dropout", 0.0},
		{"initializer_range", d.InitializerRange},
		{"max_position_embeddings", max(d.MaxPositionEmbeddings, 1)},
		{"rms_norm_eps", d.RMSNormEps},
		{"rope_theta", d.RopeTheta},
		{"rope_scaling", d.RopeScaling.object()},
		{"tie_word_embeddings", d.TieWordEmbeddings},
		{"use_cache", true},
		{"torch_dtype", dtype},
	}...)
	if d.BOSTokenID >= 0 {
		o = append(o, member{"bos_token_id", d.BOSTokenID})
	}
	switch q := d.Quantization; q.Method {
	case "fp8":
		m := object{{"quant_method", "fp8"}, {"fmt", "e4m3"}, {"activation_scheme", "dynamic"}, {"weight_block_size", []int{q.BlockRows, q.BlockCols}}}
		if q.ScaleFormat != "" {
			m = append(m, member{"scale_fmt", q.ScaleFormat})
		}
		o = append(o, member{"quantization_config", m})
	case "nvfp4":
		o = append(o, member{"quantization_config", object{{"quant_method", "modelopt"}, {"quant_algo", "NVFP4"}}})
	}
	if d.Quantization.ExpertDType != "" {
		o = append(o, member{"expert_dtype", d.Quantization.ExpertDType})
	}
	switch len(d.EOSTokenID) {
	case 0:
	case 1:
		o = append(o, member{"eos_token_id", d.EOSTokenID[0]})
	default:
		o = append(o, member{"eos_token_id", d.EOSTokenID})
	}
	raw, err := o.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("model: config: %w", err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return nil, fmt.Errorf("model: config: %w", err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// latentKeys are those of MLA, of the indexer of V3.2 and of multi-token prediction.
func (c *Config) latentKeys() object {
	var q any // null without query low-rank
	if c.QLoraRank > 0 {
		q = c.QLoraRank
	}
	o := object{
		{"q_lora_rank", q},
		{"kv_lora_rank", c.KVLoraRank},
		{"qk_nope_head_dim", c.QKNopeHeadDim},
		{"qk_rope_head_dim", c.QKRopeHeadDim},
		{"v_head_dim", c.VHeadDim},
	}
	if c.ModelType == v32 {
		o = append(o, object{{"index_n_heads", c.IndexNHeads}, {"index_head_dim", c.IndexHeadDim}, {"index_topk", c.IndexTopK}}...)
	}
	if c.ModelType != v2 {
		o = append(o, member{"num_nextn_predict_layers", c.NumNextnPredictLayers})
	}
	return o
}

func (c *Config) v4Keys() object {
	o := object{
		{"head_dim", c.HeadDim},
		{"qk_rope_head_dim", c.QKRopeHeadDim},
		{"q_lora_rank", c.QLoraRank},
		{"o_groups", c.OGroups},
		{"o_lora_rank", c.OLoraRank},
		{"sliding_window", c.SlidingWindow},
		{"compress_ratios", c.CompressRatios},
		{"compress_rope_theta", c.CompressRopeTheta},
		{"index_n_heads", c.IndexNHeads},
		{"index_head_dim", c.IndexHeadDim},
		{"index_topk", c.IndexTopK},
		{"hc_mult", c.HCMult},
		{"hc_sinkhorn_iters", c.HCSinkhornIters},
		{"hc_eps", c.HCEps},
		{"num_hash_layers", c.NumHashLayers},
		{"swiglu_limit", c.SwigluLimit},
		{"num_nextn_predict_layers", c.NumNextnPredictLayers},
	}
	if c.DSparkBlockSize > 0 {
		o = append(o, member{"dspark_block_size", c.DSparkBlockSize})
	}
	return o
}

func (c *Config) expertKeys() object {
	o := object{
		{"moe_intermediate_size", c.MoEIntermediateSize},
		{"n_routed_experts", c.NRoutedExperts},
		{"n_shared_experts", c.NSharedExperts},
		{"num_experts_per_tok", c.NumExpertsPerTok},
		{"norm_topk_prob", c.NormTopKProb},
		{"scoring_func", c.ScoringFunc},
	}
	if c.ModelType != v4 {
		o = append(o, object{{"first_k_dense_replace", c.FirstKDenseReplace}, {"moe_layer_freq", c.MoELayerFreq}, {"ep_size", 1}}...)
	}
	if c.ModelType != moe16b {
		o = append(o, object{{"topk_method", c.TopKMethod}, {"routed_scaling_factor", c.RoutedScalingFactor}}...)
	}
	if c.latent() {
		o = append(o, object{{"n_group", c.NGroup}, {"topk_group", c.TopKGroup}}...)
	}
	return o
}

func (r RopeScaling) object() any {
	if r.Type == "" {
		return nil
	}
	o := object{{"type", r.Type}, {"factor", r.Factor}}
	if r.Type != "linear" {
		o = append(o, member{"original_max_position_embeddings", r.OriginalMaxPosition})
	}
	for _, m := range []struct {
		key   string
		value float64
	}{{"beta_fast", r.BetaFast}, {"beta_slow", r.BetaSlow}, {"mscale", r.MScale}, {"mscale_all_dim", r.MScaleAllDim},
		{"attention_factor", r.AttentionFactor}, {"low_freq_factor", r.LowFreqFactor}, {"high_freq_factor", r.HighFreqFactor}} {
		if m.value != 0 {
			o = append(o, member{m.key, m.value})
		}
	}
	if r.NoTruncate {
		o = append(o, member{"truncate", false})
	}
	return o
}

// object is a JSON object that keeps the order of its members.
type object []member

type member struct {
	key   string
	value any
}

func (o object) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		v, err := json.Marshal(m.value)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", m.key, err)
		}
		if _, ok := m.value.(float64); ok && !bytes.ContainsAny(v, ".e") {
			v = append(v, ".0"...) // transformers refuses 1 where its class says float
		}
		b = fmt.Appendf(b, "%q:", m.key)
		b = append(b, v...)
	}
	return append(b, '}'), nil
}
