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
		return deepseek2, yarnFits(r, deepseek2)
	case llama, qwen2, qwen3:
		if r.Type == "llama3" && c.ModelType != llama {
			return refuse("rope scaling %q of architecture %s", r.Type, c.ModelType)
		}
		if c.AttentionBias && c.ModelType != llama {
			return refuse("attention_bias of architecture %s", c.ModelType)
		}
		return c.ModelType, yarnFits(r, c.ModelType)
	}
	return "", fmt.Errorf("export: model type %q: no GGUF architecture is known for it", c.ModelType)
}

// yarnFits refuses a YaRN scaling that programs which load GGUF compute in another way than its model.
// In these architectures they know of a file's factor and original length, and in deepseek2 of one
// mscale for both keys; the rest is fixed, whatever the file says.
//
// Source: llama.cpp, llama-context.cpp and models/deepseek2.cpp.
func yarnFits(r model.RopeScaling, arch string) error {
	refuse := func(what string, args ...any) error {
		return fmt.Errorf("export: GGUF cannot express yarn with "+what+" in architecture "+arch+": keep the safetensors", args...)
	}
	switch {
	case r.Type != "yarn":
		return nil
	case r.NoTruncate:
		return refuse("truncate false (its readers truncate)")
	case r.AttentionFactor != 0:
		return refuse("attention_factor %v (its readers compute their own)", r.AttentionFactor)
	case r.BetaFast != 0 && r.BetaFast != yarnBetaFast || r.BetaSlow != 0 && r.BetaSlow != yarnBetaSlow:
		return refuse("beta_fast %v and beta_slow %v (its readers use %v and %v)", r.BetaFast, r.BetaSlow, yarnBetaFast, yarnBetaSlow)
	case arch == deepseek2 && r.MScale != r.MScaleAllDim:
		return refuse("mscale %v and mscale_all_dim %v (they must be equal)", r.MScale, r.MScaleAllDim)
	case arch == deepseek2 && r.MScale == 0:
		return refuse("neither mscale nor mscale_all_dim (its readers scale the scores then)")
	case arch != deepseek2 && r.MScale != 0 && r.MScaleAllDim != 0:
		return refuse("mscale %v and mscale_all_dim %v (its readers ignore them)", r.MScale, r.MScaleAllDim)
	}
	return nil
}

// What YaRN uses where a configuration says nothing.
const yarnBetaFast, yarnBetaSlow = 32.0, 1.0

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
	m.ropeKeys(key, arch, c)
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

func (m *metadata) ropeKeys(key func(string) string, arch string, c *model.Config) {
	r := c.RopeScaling
	if r.Type == "linear" || r.Type == "yarn" { // llama3's divisors are a tensor, rope_freqs.weight
		m.text(key("rope.scaling.type"), r.Type)
		m.float(key("rope.scaling.factor"), r.Factor)
	}
	if r.Type == "yarn" {
		m.number(key("rope.scaling.original_context_length"), r.OriginalMaxPosition)
		m.float(key("rope.scaling.yarn_beta_fast"), yarnBetaFast)
		m.float(key("rope.scaling.yarn_beta_slow"), yarnBetaSlow)
		if arch == deepseek2 {
			m.float(key("rope.scaling.yarn_log_multiplier"), 0.1*r.MScaleAllDim)
		}
	}
}
