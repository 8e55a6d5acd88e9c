package export

// The metadata of a GGUF: what the architecture is, and its sizes, as llama.cpp reads them.

import (
	"fmt"

	"github.com/haenyeo/haenyeo/format/gguf"
	"github.com/haenyeo/haenyeo/model"
)

// Architecture names of GGUF, which are also the prefix of their keys.
const (
	deepseek2 = "deepseek2"
	llama     = "llama"
	qwen2     = "qwen2"
	qwen3     = "qwen3"
)

// architecture names the GGUF architecture of c, and refuses what it cannot express.
func architecture(c *model.Config) (string, error) {
	refuse := func(format string, args ...any) (string, error) {
		return "", fmt.Errorf("export: GGUF cannot express "+format+": keep the safetensors", args...)
	}
	r := c.RopeScaling
	switch c.ModelType {
	case "deepseek_v3":
		if c.MoELayerFreq > 1 {
			return refuse("moe_layer_freq %d (only leading dense layers)", c.MoELayerFreq)
		}
		if r.Type != "" && r.Type != "yarn" {
			return refuse("rope scaling %q of architecture %s", r.Type, deepseek2)
		}
		if r.Type == "yarn" && r.MScale != r.MScaleAllDim {
			return refuse("yarn with mscale %v and mscale_all_dim %v (they must be equal)", r.MScale, r.MScaleAllDim)
		}
		return deepseek2, nil
	case llama, qwen2, qwen3:
		if r.Type == "llama3" && c.ModelType != llama {
			return refuse("rope scaling %q of architecture %s", r.Type, c.ModelType)
		}
		if r.Type == "yarn" && r.AttentionFactor != 0 {
			return refuse("yarn with attention_factor %v", r.AttentionFactor)
		}
		if c.AttentionBias && c.ModelType != llama {
			return refuse("attention_bias of architecture %s", c.ModelType)
		}
		return c.ModelType, nil
	}
	return "", fmt.Errorf("export: model type %q: no GGUF architecture is known for it", c.ModelType)
}

// metadata is a gguf.Metadata with a way to set each type that is used here.
type metadata struct{ gguf.Metadata }

func (m *metadata) number(key string, n int)    { m.Set(key, uint32(n)) }
func (m *metadata) float(key string, x float64) { m.Set(key, float32(x)) }
func (m *metadata) boolean(key string, b bool)  { m.Set(key, b) }
func (m *metadata) text(key string, s string)   { m.Set(key, s) }

// configKeys adds the keys that describe c.
func (m *metadata) configKeys(arch string, c *model.Config) {
	key := func(s string) string { return arch + "." + s }
	m.number(key("block_count"), c.NumHiddenLayers)
	m.number(key("context_length"), c.MaxPositionEmbeddings)
	m.number(key("embedding_length"), c.HiddenSize)
	m.number(key("feed_forward_length"), c.IntermediateSize)
	m.number(key("vocab_size"), c.VocabSize)
	m.number(key("attention.head_count"), c.NumAttentionHeads)
	m.float(key("attention.layer_norm_rms_epsilon"), c.RMSNormEps)
	m.float(key("rope.freq_base"), c.RopeTheta)
	if arch == deepseek2 {
		m.latentKeys(key, c)
		if c.FirstKDenseReplace < c.NumHiddenLayers {
			m.expertKeys(key, c)
		}
	} else {
		m.number(key("attention.head_count_kv"), c.NumKeyValueHeads)
		m.number(key("attention.key_length"), c.HeadDim)
		m.number(key("attention.value_length"), c.HeadDim)
		m.number(key("rope.dimension_count"), c.HeadDim)
	}
	m.ropeKeys(key, c)
}

// latentKeys describe MLA as llama.cpp computes it: one key/value head as wide as the latent with
// the rotated channels; the _mla keys keep the widths of the expanded heads.
func (m *metadata) latentKeys(key func(string) string, c *model.Config) {
	m.number(key("attention.head_count_kv"), 1)
	m.number(key("attention.key_length"), c.KVLoraRank+c.QKRopeHeadDim)
	m.number(key("attention.value_length"), c.KVLoraRank)
	m.number(key("attention.key_length_mla"), c.QKNopeHeadDim+c.QKRopeHeadDim)
	m.number(key("attention.value_length_mla"), c.VHeadDim)
	m.number(key("attention.q_lora_rank"), c.QLoraRank) // 0: queries are projected directly
	m.number(key("attention.kv_lora_rank"), c.KVLoraRank)
	m.number(key("rope.dimension_count"), c.QKRopeHeadDim)
	m.number(key("leading_dense_block_count"), min(c.FirstKDenseReplace, c.NumHiddenLayers))
	m.number(key("expert_shared_count"), c.NSharedExperts)
	m.number(key("expert_feed_forward_length"), c.MoEIntermediateSize)
}

const gatingSigmoid = 2

func (m *metadata) expertKeys(key func(string) string, c *model.Config) {
	m.number(key("expert_count"), c.NRoutedExperts)
	m.number(key("expert_used_count"), c.NumExpertsPerTok)
	m.float(key("expert_weights_scale"), c.RoutedScalingFactor)
	m.boolean(key("expert_weights_norm"), c.NormTopKProb)
	m.number(key("expert_gating_func"), gatingSigmoid)
	if c.TopKGroup < c.NGroup { // otherwise groups limit nothing, and llama.cpp refuses the keys
		m.number(key("expert_group_count"), c.NGroup)
		m.number(key("expert_group_used_count"), c.TopKGroup)
	}
}

func (m *metadata) ropeKeys(key func(string) string, c *model.Config) {
	r := c.RopeScaling
	if r.Type == "linear" || r.Type == "yarn" { // llama3's divisors are a tensor, rope_freqs.weight
		m.text(key("rope.scaling.type"), r.Type)
		m.float(key("rope.scaling.factor"), r.Factor)
	}
	if r.Type == "yarn" {
		m.number(key("rope.scaling.original_context_length"), r.OriginalMaxPosition)
		m.float(key("rope.scaling.yarn_beta_fast"), r.BetaFast)
		m.float(key("rope.scaling.yarn_beta_slow"), r.BetaSlow)
		if r.MScaleAllDim != 0 {
			m.float(key("rope.scaling.yarn_log_multiplier"), 0.1*r.MScaleAllDim)
		}
	}
}
