package export

// The metadata of a GGUF: what the architecture is, and its sizes, as llama.cpp reads them.

import (
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/haenyeo/haenyeo/format/gguf"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/weights"
)

// Architecture names of GGUF, which are also the prefix of their keys.
const (
	deepseek   = "deepseek"   // MoE-16B
	deepseek2  = "deepseek2"  // V2 and V3
	deepseek32 = "deepseek32" // V3.2
	deepseek4  = "deepseek4"  // V4
	llama      = "llama"
	qwen2      = "qwen2"
	qwen3      = "qwen3"
)

var architectures = map[string]string{
	"llama": llama, "qwen2": qwen2, "qwen3": qwen3, "deepseek": deepseek, "deepseek_v2": deepseek2, "deepseek_v3": deepseek2,
	"deepseek_v32": deepseek32, "deepseek_v4": deepseek4,
}

// architecture names the GGUF architecture of the model of src, and refuses what it cannot express. A model
// that comes from a GGUF is expressed by it already.
func architecture(src *weights.Source) (string, error) {
	arch, err := architectureOf(src.Config())
	if src.GGUF() != nil && arch != "" {
		return arch, nil
	}
	return arch, err
}

// architectureOf is architecture for a shape; both results are set if it is known but does not fit.
func architectureOf(c *model.Config) (string, error) {
	arch, ok := architectures[c.ModelType]
	if !ok {
		return "", fmt.Errorf("export: model type %q: no GGUF architecture is known for it", c.ModelType)
	}
	refuse := func(format string, args ...any) (string, error) {
		return arch, fmt.Errorf("export: GGUF cannot express "+format+": keep the safetensors", args...)
	}
	r := c.RopeScaling
	switch {
	case c.MoELayerFreq > 1:
		return refuse("moe_layer_freq %d (only leading dense layers)", c.MoELayerFreq)
	case r.Type == "llama3" && arch != llama, r.Type == "linear" && (c.KVLoraRank > 0 || arch == deepseek4):
		return refuse("rope scaling %q of architecture %s", r.Type, arch)
	case c.AttentionBias && arch != llama:
		return refuse("attention_bias of architecture %s", arch)
	case (arch == qwen2 || arch == deepseek) && c.NumAttentionHeads*c.HeadDim != c.HiddenSize:
		return refuse("%d heads of %d channels in a hidden size of %d in architecture %s (its readers want their product)", c.NumAttentionHeads, c.HeadDim, c.HiddenSize, arch)
	case arch == deepseek && c.NormTopKProb:
		return refuse("norm_topk_prob of architecture %s (its readers do not normalise)", arch)
	}
	return arch, yarnFits(r, arch)
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
	latent := arch == deepseek2 || arch == deepseek32
	switch {
	case r.Type != "yarn":
		return nil
	case r.NoTruncate:
		return refuse("truncate false (its readers truncate)")
	case r.AttentionFactor != 0 && (arch != deepseek4 || r.AttentionFactor != 1):
		return refuse("attention_factor %v (its readers compute their own)", r.AttentionFactor)
	case r.BetaFast != 0 && r.BetaFast != yarnBetaFast || r.BetaSlow != 0 && r.BetaSlow != yarnBetaSlow:
		return refuse("beta_fast %v and beta_slow %v (its readers use %v and %v)", r.BetaFast, r.BetaSlow, yarnBetaFast, yarnBetaSlow)
	case latent && r.MScale != r.MScaleAllDim:
		return refuse("mscale %v and mscale_all_dim %v (they must be equal)", r.MScale, r.MScaleAllDim)
	case latent && r.MScale == 0:
		return refuse("neither mscale nor mscale_all_dim (its readers scale the scores then)")
	case arch == deepseek32 && r.MScale != 1:
		return refuse("mscale %v (its readers assume 1)", r.MScale)
	case !latent && arch != deepseek4 && r.MScale != 0 && r.MScaleAllDim != 0:
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

func (m *metadata) numbers(key string, ns []int) {
	list := make([]int32, len(ns))
	for i, n := range ns {
		list[i] = int32(n)
	}
	m.Set(key, list)
}

// fromDirectory adds the name, the tokenizer and the ids that begin and end a text, as far as there are any.
func (m *metadata) fromDirectory(dir string, c *model.Config, log *slog.Logger) error {
	m.text("general.type", "model")
	if abs, err := filepath.Abs(dir); err == nil && dir != "" {
		m.text("general.name", filepath.Base(abs))
	}
	if err := m.tokenizerKeys(dir, c, log); err != nil {
		return err
	}
	has := func(key string) bool {
		_, ok := m.Get(key)
		return ok
	}
	if key := "tokenizer.ggml.bos_token_id"; c.BOSTokenID >= 0 && !has(key) {
		m.number(key, c.BOSTokenID)
	}
	ends := c.EOSTokenID
	if key := "tokenizer.ggml.eos_token_id"; len(ends) > 0 && !has(key) {
		m.number(key, ends[0])
	}
	if eos, err := m.Uint("tokenizer.ggml.eos_token_id"); err == nil {
		for _, id := range ends { // one more has a key
			if uint64(id) != eos && !has("tokenizer.ggml.eot_token_id") {
				m.number("tokenizer.ggml.eot_token_id", id)
			}
		}
	}
	return nil
}

// configKeys adds the keys that describe c, with its multi-token prediction layers or without. What a GGUF
// that the model comes from says of rotary scaling stays as it is, unless rope.
func (m *metadata) configKeys(arch string, c *model.Config, mtp, rope bool) {
	key := func(s string) string { return arch + "." + s }
	layers, predictors := c.NumHiddenLayers, 0
	if mtp {
		predictors = c.NumNextnPredictLayers
		layers += predictors
	}
	m.number(key("block_count"), layers)
	if _, stale := m.Get(key("nextn_predict_layers")); predictors > 0 || stale {
		m.number(key("nextn_predict_layers"), predictors)
	}
	m.number(key("context_length"), c.MaxPositionEmbeddings)
	m.number(key("embedding_length"), c.HiddenSize)
	if arch != deepseek4 {
		m.number(key("feed_forward_length"), c.IntermediateSize)
	}
	m.number(key("vocab_size"), c.VocabSize)
	m.number(key("attention.head_count"), c.NumAttentionHeads)
	m.float(key("attention.layer_norm_rms_epsilon"), c.RMSNormEps)
	m.float(key("rope.freq_base"), c.RopeTheta)
	switch arch {
	case deepseek2, deepseek32:
		m.latentKeys(key, c)
	case deepseek4:
		m.v4Keys(key, c, layers)
	default:
		m.number(key("attention.head_count_kv"), c.NumKeyValueHeads)
		m.number(key("attention.key_length"), c.HeadDim)
		m.number(key("attention.value_length"), c.HeadDim)
		m.number(key("rope.dimension_count"), c.HeadDim)
	}
	if arch == deepseek32 || arch == deepseek4 {
		m.number(key("attention.indexer.head_count"), c.IndexNHeads)
		m.number(key("attention.indexer.key_length"), c.IndexHeadDim)
		m.number(key("attention.indexer.top_k"), c.IndexTopK)
	}
	m.expertKeys(key, arch, c)
	if rope {
		m.ropeKeys(key, arch, c)
	}
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
}

// v4Keys describe the attention and the residual streams of V4.
func (m *metadata) v4Keys(key func(string) string, c *model.Config, layers int) {
	m.number(key("attention.head_count_kv"), 1)
	m.number(key("attention.key_length"), c.HeadDim)
	m.number(key("attention.value_length"), c.HeadDim)
	m.number(key("rope.dimension_count"), c.QKRopeHeadDim)
	m.number(key("attention.q_lora_rank"), c.QLoraRank)
	m.number(key("attention.output_group_count"), c.OGroups)
	m.number(key("attention.output_lora_rank"), c.OLoraRank)
	m.number(key("attention.sliding_window"), c.SlidingWindow)
	m.numbers(key("attention.compress_ratios"), c.CompressRatios[:layers])
	m.float(key("attention.compress_rope_freq_base"), c.CompressRopeTheta)
	m.number(key("hyper_connection.count"), c.HCMult)
	m.number(key("hyper_connection.sinkhorn_iterations"), c.HCSinkhornIters)
	m.float(key("hyper_connection.epsilon"), c.HCEps)
	m.number(key("hash_layer_count"), c.NumHashLayers)
	clamp := make([]float32, layers)
	for i := range clamp {
		clamp[i] = float32(c.SwigluLimit)
	}
	m.Set(key("swiglu_clamp_exp"), clamp)
	m.Set(key("swiglu_clamp_shexp"), clamp)
}

// gatings are the values of expert_gating_func.
var gatings = map[string]int{"softmax": 1, "sigmoid": 2, "sqrtsoftplus": 4}

// expertKeys describe the MoE layers. MLA readers ask for two of the keys in dense models too.
func (m *metadata) expertKeys(key func(string) string, arch string, c *model.Config) {
	latent := arch == deepseek2 || arch == deepseek32
	if latent || arch == deepseek {
		m.number(key("leading_dense_block_count"), min(c.FirstKDenseReplace, c.NumHiddenLayers))
	}
	moe := gatings[c.ScoringFunc] > 0 && c.FirstKDenseReplace < c.NumHiddenLayers
	if latent || moe {
		m.number(key("expert_shared_count"), c.NSharedExperts)
		m.number(key("expert_feed_forward_length"), c.MoEIntermediateSize)
	}
	if !moe {
		return
	}
	m.number(key("expert_count"), c.NRoutedExperts)
	m.number(key("expert_used_count"), c.NumExpertsPerTok)
	m.float(key("expert_weights_scale"), c.RoutedScalingFactor)
	m.boolean(key("expert_weights_norm"), c.NormTopKProb)
	m.number(key("expert_gating_func"), gatings[c.ScoringFunc])
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
		if arch == deepseek2 || arch == deepseek32 {
			m.float(key("rope.scaling.yarn_log_multiplier"), 0.1*r.MScaleAllDim)
		}
	}
}
