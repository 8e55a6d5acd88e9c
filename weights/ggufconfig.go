// This file holds ConfigOfGGUF: the shape of a model from the metadata of its file. Where keys are missing
// or speak of one of several layouts, the tensors decide.
//
// Source: the keys of gguf-py of the llama.cpp project; family notes 14.2.

package weights

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/haenyeo/haenyeo/format/gguf"
	"github.com/haenyeo/haenyeo/model"
)

// modelTypes are the architectures that can be read.
var modelTypes = map[string]string{
	"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "deepseek": "deepseek", "deepseek2": "deepseek_v3",
	"deepseek32": "deepseek_v32", "deepseek4": "deepseek_v4",
}

const supported = "llama, qwen2, qwen3, deepseek, deepseek2, deepseek32 and deepseek4"

// Values of the key expert_gating_func.
const (
	gatingSoftmax      = 1
	gatingSigmoid      = 2
	gatingSqrtSoftplus = 4
)

// ConfigOfGGUF returns the shape of the model in f, with defaults filled in.
func ConfigOfGGUF(f *gguf.File) (*model.Config, error) {
	arch, err := f.Metadata.String("general.architecture")
	if err != nil {
		return nil, err
	}
	if err := refuse(arch); err != nil {
		return nil, err
	}
	if err := f.CheckModel(); err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	k := &keys{f: f, arch: arch}
	c := &model.Config{
		ModelType:             modelTypes[arch],
		NumHiddenLayers:       k.size("block_count"),
		MaxPositionEmbeddings: k.sizeOr("context_length", 2048),
		HiddenSize:            k.size("embedding_length"),
		NumAttentionHeads:     k.size("attention.head_count"),
		RMSNormEps:            k.float("attention.layer_norm_rms_epsilon", missing),
		RopeTheta:             k.float("rope.freq_base", 10000),
	}
	k.readVocabulary(c)
	k.readPredictors(c)
	switch arch {
	case "deepseek2", "deepseek32":
		k.readLatent(c)
		k.readExperts(c)
		if arch == "deepseek32" {
			k.readIndexer(c)
		}
	case "deepseek4":
		k.readV4(c)
		k.readExperts(c)
	case "deepseek":
		k.readGrouped(c)
		k.readExperts(c)
	default:
		k.readGrouped(c)
		c.IntermediateSize = k.size("feed_forward_length")
		if n := k.sizeOr("expert_count", 0); n > 0 {
			k.fail("architecture %s with experts is not supported: experts are read in %s", arch, "deepseek, deepseek2, deepseek32 and deepseek4")
		}
	}
	k.readRope(c)
	if k.err != nil {
		return nil, k.err
	}
	done, err := c.Complete()
	var key *model.KeyError
	if errors.As(err, &key) {
		if own, ok := configKeys[key.Key]; ok {
			return nil, fmt.Errorf("%w (key %q)", err, arch+"."+own)
		}
	}
	return done, err
}

// refuse explains an architecture that is not supported.
func refuse(arch string) error {
	if _, ok := modelTypes[arch]; ok {
		return nil
	}
	reason := "is not supported"
	switch {
	case arch == "deepseek41":
		reason = "(DeepSeek-V4.1) is not supported yet"
	case strings.Contains(arch, "ocr") || arch == "clip" || strings.HasSuffix(arch, "vl"):
		reason = "reads images, which is not supported yet: only language models are"
	case arch == "dflash":
		reason = "is a drafter, which is not a model of its own and not supported yet"
	}
	return fmt.Errorf("weights: architecture %.100q %s; supported are %s", arch, reason, supported)
}

// readVocabulary takes the size of the vocabulary from the embedding, and the ids that begin and end a
// text.
func (k *keys) readVocabulary(c *model.Config) {
	table, ok := k.f.Tensor("token_embd.weight")
	if !ok || len(table.Shape) != 2 {
		k.fail("tensor \"token_embd.weight\" is missing: this file holds no language model")
		return
	}
	c.VocabSize = table.Shape[0]
	_, untied := k.f.Tensor("output.weight")
	c.TieWordEmbeddings = !untied
	m := &k.f.Metadata
	if tokens, err := m.Strings("tokenizer.ggml.tokens"); err == nil && len(tokens) > c.VocabSize {
		k.fail("the tokenizer has %d tokens, but the embedding %d rows: they do not belong together", len(tokens), c.VocabSize)
	}
	if n := k.sizeOr("vocab_size", c.VocabSize); n != c.VocabSize {
		k.fail("key %q is %d, but the embedding has %d rows: the file is damaged", k.arch+".vocab_size", n, c.VocabSize)
	}
	id := func(key string) int {
		n, err := m.Uint("tokenizer.ggml." + key)
		if err != nil || n >= uint64(c.VocabSize) {
			return -1
		}
		return int(n)
	}
	c.BOSTokenID = id("bos_token_id")
	for _, key := range []string{"eos_token_id", "eot_token_id"} {
		if n := id(key); n >= 0 && (len(c.EOSTokenID) == 0 || c.EOSTokenID[0] != n) {
			c.EOSTokenID = append(c.EOSTokenID, n)
		}
	}
}

// readPredictors tells layers from multi-token prediction layers, which block_count includes and which
// many files leave out.
func (k *keys) readPredictors(c *model.Config) {
	n := k.sizeOr("nextn_predict_layers", 0)
	if n == 0 || k.err != nil {
		return
	}
	if n >= c.NumHiddenLayers {
		k.fail("key %q is %d, of %d blocks: nothing is left", k.arch+".nextn_predict_layers", n, c.NumHiddenLayers)
		return
	}
	body := c.NumHiddenLayers - n
	if k.has(fmt.Sprintf("blk.%d.nextn.eh_proj.weight", body)) {
		c.NumHiddenLayers, c.NumNextnPredictLayers = body, n
	} else if !k.has(fmt.Sprintf("blk.%d.attn_norm.weight", body)) {
		c.NumHiddenLayers = body
	}
}

// readGrouped reads grouped-query attention.
func (k *keys) readGrouped(c *model.Config) {
	c.NumKeyValueHeads = k.sizeOr("attention.head_count_kv", c.NumAttentionHeads)
	c.HeadDim = k.sizeOr("attention.key_length", c.HiddenSize/max(1, c.NumAttentionHeads))
	if v := k.sizeOr("attention.value_length", c.HeadDim); v != c.HeadDim {
		k.fail("keys of %d channels with values of %d are not supported in architecture %s", c.HeadDim, v, k.arch)
	}
	if r := k.sizeOr("rope.dimension_count", c.HeadDim); r != c.HeadDim {
		k.fail("rotating %d of %d channels is not supported in architecture %s", r, c.HeadDim, k.arch)
	}
	c.AttentionBias = k.arch != "qwen2" && k.has("blk.0.attn_q.bias")
	if c.AttentionBias != (k.arch != "qwen2" && k.has("blk.0.attn_output.bias")) {
		k.fail("biases on some of q, k, v and o are not supported in architecture %s", k.arch)
	}
}

// readLatent reads MLA. Its widths come from tensors: keys name those of expanded heads in some files and
// those of the latent in others.
func (k *keys) readLatent(c *model.Config) {
	c.KVLoraRank = k.sizeOr("attention.kv_lora_rank", k.dim("blk.0.attn_kv_a_norm.weight", 0))
	c.QKRopeHeadDim = k.sizeOr("rope.dimension_count", k.dim("blk.0.attn_kv_a_mqa.weight", 0)-c.KVLoraRank)
	queries := "blk.0.attn_q.weight"
	if !k.has(queries) {
		queries = "blk.0.attn_q_b.weight"
		c.QLoraRank = k.dim("blk.0.attn_q_a.weight", 0)
	}
	h := max(1, c.NumAttentionHeads)
	c.QKNopeHeadDim = k.dim(queries, 0)/h - c.QKRopeHeadDim
	c.VHeadDim = k.dim("blk.0.attn_output.weight", 1) / h
	if n := k.sizeOr("attention.key_length_mla", c.QKNopeHeadDim+c.QKRopeHeadDim); n != c.QKNopeHeadDim+c.QKRopeHeadDim {
		k.fail("key %q is %d, but tensor %q makes keys of %d: the file is damaged", k.arch+".attention.key_length_mla", n, queries, c.QKNopeHeadDim+c.QKRopeHeadDim)
	}
	if n := k.sizeOr("attention.value_length_mla", c.VHeadDim); n != c.VHeadDim {
		k.fail("key %q is %d, but tensor %q takes values of %d: the file is damaged", k.arch+".attention.value_length_mla", n, "blk.0.attn_output.weight", c.VHeadDim)
	}
	c.NumKeyValueHeads = c.NumAttentionHeads
}

func (k *keys) readIndexer(c *model.Config) {
	c.IndexNHeads = k.size("attention.indexer.head_count")
	c.IndexHeadDim = k.size("attention.indexer.key_length")
	c.IndexTopK = k.size("attention.indexer.top_k")
}

// readExperts reads the MoE layers, and from the way of scoring which generation a deepseek2 is.
func (k *keys) readExperts(c *model.Config) {
	c.FirstKDenseReplace = k.sizeOr("leading_dense_block_count", 0)
	if c.FirstKDenseReplace > 0 {
		c.IntermediateSize = k.size("feed_forward_length")
	} else {
		c.IntermediateSize = k.sizeOr("feed_forward_length", 0)
	}
	c.NRoutedExperts = k.sizeOr("expert_count", 0)
	if c.NRoutedExperts == 0 {
		c.FirstKDenseReplace = c.NumHiddenLayers
		return
	}
	c.MoEIntermediateSize = k.size("expert_feed_forward_length")
	c.NumExpertsPerTok = k.size("expert_used_count")
	c.NSharedExperts = k.sizeOr("expert_shared_count", k.dim(fmt.Sprintf("blk.%d.ffn_up_shexp.weight", c.FirstKDenseReplace), 0)/max(1, c.MoEIntermediateSize))
	c.RoutedScalingFactor = k.float("expert_weights_scale", 1)
	if c.RoutedScalingFactor == 0 { // written by programs that mean: no scaling
		c.RoutedScalingFactor = 1
	}
	c.NormTopKProb = k.boolean("expert_weights_norm", false)
	c.NGroup = k.sizeOr("expert_group_count", 1)
	c.TopKGroup = k.sizeOr("expert_group_used_count", c.NGroup)
	if c.NGroup == 0 { // as above
		c.NGroup, c.TopKGroup = 1, 1
	}
	k.publishedGroups(c)
	want, unsaid := gatingSoftmax, gatingSoftmax
	if k.arch == "deepseek2" && k.has(fmt.Sprintf("blk.%d.exp_probs_b.bias", c.FirstKDenseReplace)) {
		unsaid = gatingSigmoid // only the generation that scores so has this bias
	}
	switch gating := k.sizeOr("expert_gating_func", unsaid); {
	case k.arch == "deepseek2" && gating == gatingSoftmax:
		c.ModelType = "deepseek_v2"
		c.TopKMethod = "greedy"
		if c.NGroup > 1 {
			c.TopKMethod = "group_limited_greedy"
		}
	case k.arch == "deepseek2" || k.arch == "deepseek32":
		want = gatingSigmoid
		fallthrough
	default:
		if k.arch == "deepseek4" {
			want = gatingSqrtSoftplus
		}
		if gating != want {
			k.fail("expert gating function %d in architecture %s is not supported, only %d", gating, k.arch, want)
		}
	}
}

// publishedGroups fills in the groups of experts of the two published shapes that have them: most files
// were written before the keys existed. Without them every expert could be chosen, which is another model.
func (k *keys) publishedGroups(c *model.Config) {
	if _, ok := k.f.Metadata.Get(k.arch + ".expert_group_count"); ok {
		return
	}
	switch {
	case c.NRoutedExperts == 256 && c.NumExpertsPerTok == 8 && c.HiddenSize == 7168 && c.KVLoraRank == 512:
		c.NGroup, c.TopKGroup = 8, 4 // V3, R1, V3.1, V3.2
	case c.NRoutedExperts == 160 && c.NumExpertsPerTok == 6 && c.HiddenSize == 5120 && c.KVLoraRank == 512:
		c.NGroup, c.TopKGroup = 8, 3 // V2, V2.5, Coder-V2
	}
}

func (k *keys) readV4(c *model.Config) {
	c.HeadDim = k.size("attention.key_length")
	c.NumKeyValueHeads = 1
	c.QKRopeHeadDim = k.size("rope.dimension_count")
	c.QLoraRank = k.size("attention.q_lora_rank")
	c.OGroups = k.size("attention.output_group_count")
	c.OLoraRank = k.size("attention.output_lora_rank")
	c.SlidingWindow = k.size("attention.sliding_window")
	c.CompressRopeTheta = k.float("attention.compress_rope_freq_base", 160000)
	c.HCMult = k.size("hyper_connection.count")
	c.HCSinkhornIters = k.size("hyper_connection.sinkhorn_iterations")
	c.HCEps = k.float("hyper_connection.epsilon", 1e-6)
	c.NumHashLayers = k.sizeOr("hash_layer_count", 0)
	c.SwigluLimit = k.same("swiglu_clamp_exp", 10)
	if limit := k.same("swiglu_clamp_shexp", c.SwigluLimit); limit != c.SwigluLimit {
		k.fail("a clamp of %v in shared experts and %v in the others is not supported: they are equal in every published model", limit, c.SwigluLimit)
	}
	ratios, err := k.f.Metadata.Ints("deepseek4.attention.compress_ratios")
	if err != nil {
		k.keep(err)
		return
	}
	for _, r := range ratios[:min(len(ratios), max(0, c.NumHiddenLayers+c.NumNextnPredictLayers))] {
		c.CompressRatios = append(c.CompressRatios, int(min(max(r, -1), math.MaxInt32)))
	}
	k.readIndexer(c)
}

// readRope reads the scaling of rotary frequencies.
func (k *keys) readRope(c *model.Config) {
	kind, err := k.f.Metadata.String(k.arch + ".rope.scaling.type")
	if errors.Is(err, gguf.ErrNoKey) {
		kind, err = "none", nil
		if factor := k.float("rope.scaling.factor", k.float("rope.scale_linear", 1)); factor != 1 && factor != 0 {
			kind = "linear" // what it was before there was a key for it
		}
	}
	k.keep(err)
	latent := k.arch == "deepseek2" || k.arch == "deepseek32"
	if kind != "none" {
		r := &c.RopeScaling
		r.Type = kind
		r.Factor = k.float("rope.scaling.factor", k.float("rope.scale_linear", 1))
		if kind == "yarn" {
			r.OriginalMaxPosition = k.sizeOr("rope.scaling.original_context_length", c.MaxPositionEmbeddings)
			r.BetaFast = k.float("rope.scaling.yarn_beta_fast", 32)
			r.BetaSlow = k.float("rope.scaling.yarn_beta_slow", 1)
		}
		if kind == "yarn" && latent { // the key holds a tenth of mscale_all_dim
			r.MScaleAllDim = math.Round(1e7*k.float("rope.scaling.yarn_log_multiplier", 0)) / 1e6
			r.MScale = r.MScaleAllDim
		}
		if kind == "yarn" && !latent && k.arch != "deepseek4" {
			r.AttentionFactor = k.attentionFactor(r.Factor)
		}
	}
	divisors, ok := k.f.Tensor("rope_freqs.weight")
	if !ok || k.err != nil {
		return
	}
	if k.arch != "llama" || c.RopeScaling.Type != "" {
		k.fail("tensor \"rope_freqs.weight\" in architecture %s with rope scaling %q is not known: open the safetensors", k.arch, c.RopeScaling.Type)
		return
	}
	d, err := divisors.Float32(nil)
	if err == nil {
		c.RopeScaling, err = llama3Scaling(c, d)
	}
	k.keep(err)
}

// attentionFactor is what cos and sin are multiplied by with YaRN, 0 for the rule 0.1·ln(factor)+1. One
// published model, R1-0528-Qwen3, carries the reciprocal of that rule, which means 1.
func (k *keys) attentionFactor(factor float64) float64 {
	rule := 1.0
	if factor > 1 {
		rule = 0.1*math.Log(factor) + 1
	}
	if f := k.float("rope.scaling.attn_factor", 1); f != 1 {
		return f * rule
	}
	f := k.float("rope.scaling.yarn_attn_factor", 0)
	if math.Abs(f*rule-1) < 1e-4 {
		return 1
	}
	return max(f, 0)
}
