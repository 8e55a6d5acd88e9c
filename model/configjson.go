// This file holds ReadConfig and ParseConfig, which know both spellings of config.json (the published
// one and that of transformers 5), and JSON, which writes the published one.

package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"

	"github.com/haenyeo/haenyeo/internal/regular"
)

// maxConfigBytes is far above any real config.json.
const maxConfigBytes = 8 << 20

// ReadConfig reads config.json in dir.
func ReadConfig(dir string) (*Config, error) {
	path := filepath.Join(dir, "config.json")
	data, err := regular.ReadFile(path, maxConfigBytes)
	if err != nil {
		return nil, fmt.Errorf("model: %w: is %q a model directory?", err, dir)
	}
	return parseConfigOf(path, data)
}

// ReadConfigFile reads a config.json by its own name.
func ReadConfigFile(path string) (*Config, error) {
	data, err := regular.ReadFile(path, maxConfigBytes)
	if err != nil {
		return nil, fmt.Errorf("model: configuration: %w: give the config.json of a model", err)
	}
	return parseConfigOf(path, data)
}

func parseConfigOf(path string, data []byte) (*Config, error) {
	c, err := ParseConfig(data)
	if err != nil {
		return nil, fmt.Errorf("%w (in %q)", err, path)
	}
	return c, nil
}

// ParseConfig reads the text of a config.json and checks it. A missing key takes the default of the
// published configuration class, as in transformers; settings that would change the arithmetic in a
// way that is not implemented are errors.
func ParseConfig(data []byte) (*Config, error) {
	k := keys{}
	if err := json.Unmarshal(data, &k.m); err != nil {
		return nil, fmt.Errorf("model: config: not a JSON object: %w", err)
	}
	if k.m == nil {
		return nil, errors.New("model: config: not a JSON object")
	}
	c := &Config{ModelType: k.text("model_type", "")}
	switch c.ModelType {
	case v3, llama, qwen2, qwen3:
	default:
		if err := c.Validate(); err != nil {
			return nil, err
		}
	}
	c.VocabSize = k.integer("vocab_size", required)
	c.HiddenSize = k.integer("hidden_size", required)
	c.IntermediateSize = k.integer("intermediate_size", required)
	c.NumHiddenLayers = k.integer("num_hidden_layers", required)
	c.NumAttentionHeads = k.integer("num_attention_heads", required)
	c.MaxPositionEmbeddings = k.integer("max_position_embeddings", 2048)
	c.RMSNormEps = k.float("rms_norm_eps", 1e-6)
	c.TieWordEmbeddings = k.boolean("tie_word_embeddings", false)
	c.AttentionBias = k.boolean("attention_bias", false)
	c.InitializerRange = k.float("initializer_range", 0.02)
	c.BOSTokenID = k.integer("bos_token_id", -1)
	c.EOSTokenID = k.integers("eos_token_id")
	c.TorchDType = k.text("torch_dtype", k.text("dtype", ""))
	if c.ModelType == v3 {
		c.readV3(&k)
	} else {
		c.readLlama(&k)
	}
	c.readRope(&k)
	k.only("hidden_act", k.text("hidden_act", "silu"), "silu")
	if raw, ok := k.m["quantization_config"]; ok && string(raw) != "null" && k.err == nil {
		k.err = errors.New("model: config: quantization_config: quantised checkpoints are not supported yet: convert the weights to BF16 first")
	}
	if k.err != nil {
		return nil, k.err
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c.withDefaults(), nil
}

func (c *Config) readV3(k *keys) {
	c.QLoraRank = k.integer("q_lora_rank", 1536)
	if raw, ok := k.m["q_lora_rank"]; ok && string(raw) == "null" {
		c.QLoraRank = 0
	}
	c.KVLoraRank = k.integer("kv_lora_rank", 512)
	c.QKNopeHeadDim = k.integer("qk_nope_head_dim", 128)
	c.QKRopeHeadDim = k.integer("qk_rope_head_dim", 64)
	c.VHeadDim = k.integer("v_head_dim", 128)
	c.MoEIntermediateSize = k.integer("moe_intermediate_size", 2048)
	c.NRoutedExperts = k.integer("n_routed_experts", 256)
	c.NSharedExperts = k.integer("n_shared_experts", 1)
	c.NumExpertsPerTok = k.integer("num_experts_per_tok", 8)
	c.FirstKDenseReplace = k.integer("first_k_dense_replace", 3)
	c.MoELayerFreq = k.integer("moe_layer_freq", 1)
	c.NGroup = k.integer("n_group", 8)
	c.TopKGroup = k.integer("topk_group", 4)
	if raw, ok := k.m["n_group"]; ok && string(raw) == "null" {
		c.NGroup, c.TopKGroup = 1, 1
	}
	c.RoutedScalingFactor = k.float("routed_scaling_factor", 2.5)
	c.NormTopKProb = k.boolean("norm_topk_prob", true)
	c.NumNextnPredictLayers = k.integer("num_nextn_predict_layers", 0)
	k.only("scoring_func", k.text("scoring_func", "sigmoid"), "sigmoid")
	k.only("topk_method", k.text("topk_method", "noaux_tc"), "noaux_tc")
	k.only("rope_interleave", k.boolean("rope_interleave", true), true)
}

func (c *Config) readLlama(k *keys) {
	c.NumKeyValueHeads = k.integer("num_key_value_heads", 0)
	headDim := 0
	if c.ModelType == qwen3 {
		headDim = 128
	}
	c.HeadDim = k.integer("head_dim", headDim)
	k.only("use_sliding_window", k.boolean("use_sliding_window", false), false)
	k.only("mlp_bias", k.boolean("mlp_bias", false), false)
	k.only("partial_rotary_factor", k.float("partial_rotary_factor", 1), 1.0)
}

// readRope reads rope_theta and rope_scaling (published), or rope_parameters (transformers 5).
func (c *Config) readRope(k *keys) {
	c.RopeTheta = k.float("rope_theta", 1e4)
	raw := k.m["rope_scaling"]
	if r, ok := k.m["rope_parameters"]; ok && string(r) != "null" {
		raw = r
	}
	if len(raw) == 0 || string(raw) == "null" {
		return
	}
	s := keys{path: "rope_scaling."}
	if err := json.Unmarshal(raw, &s.m); err != nil {
		k.fail("rope_scaling", "an object")
		return
	}
	c.RopeTheta = s.float("rope_theta", c.RopeTheta)
	r := &c.RopeScaling
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
		if r.Factor == 0 && r.OriginalMaxPosition > 0 {
			r.Factor = float64(c.MaxPositionEmbeddings) / float64(r.OriginalMaxPosition)
		}
		r.BetaFast, r.BetaSlow = s.float("beta_fast", 0), s.float("beta_slow", 0)
		r.MScale, r.MScaleAllDim = s.float("mscale", 0), s.float("mscale_all_dim", 0)
		r.AttentionFactor = s.float("attention_factor", 0)
		r.NoTruncate = !s.boolean("truncate", true)
		// A checkpoint of this line carries a key that loaders do not know; with it cos and sin
		// stay unscaled (family notes on R1-0528-Qwen3).
		if f := s.float("attn_factor", 0); f > 0 && r.AttentionFactor == 0 && r.Factor > 1 {
			r.AttentionFactor = f * yarnScale(r.Factor, 1)
		}
	}
	s.only("partial_rotary_factor", s.float("partial_rotary_factor", 1), 1.0)
	if k.err == nil {
		k.err = s.err
	}
}

// keys reads single keys of a JSON object and keeps the first error. A null is a missing key.
type keys struct {
	m    map[string]json.RawMessage
	path string
	err  error
}

const required = math.MinInt

func (k *keys) fail(key, want string) {
	if k.err == nil {
		k.err = fmt.Errorf("model: config: %s%s must be %s", k.path, key, want)
	}
}

func (k *keys) get(key string, dst any, want string) bool {
	raw, ok := k.m[key]
	if !ok || string(raw) == "null" {
		return false
	}
	if err := json.Unmarshal(raw, dst); err != nil {
		k.fail(key, want)
		return false
	}
	return true
}

func (k *keys) text(key, missing string) string {
	var s string
	if k.get(key, &s, "a text") {
		return s
	}
	return missing
}

func (k *keys) boolean(key string, missing bool) bool {
	var b bool
	if k.get(key, &b, "true or false") {
		return b
	}
	return missing
}

func (k *keys) float(key string, missing float64) float64 {
	var f float64
	if k.get(key, &f, "a number") {
		return f
	}
	return missing
}

func (k *keys) integer(key string, missing int) int {
	var f float64
	if !k.get(key, &f, "a whole number") {
		if missing == required {
			k.fail(key, "given: the key is missing")
			return 0
		}
		return missing
	}
	if f != math.Trunc(f) || math.Abs(f) > 1<<40 {
		k.fail(key, "a whole number")
		return 0
	}
	return int(f)
}

// integers reads a number or a list of numbers.
func (k *keys) integers(key string) []int {
	raw, ok := k.m[key]
	if !ok || string(raw) == "null" {
		return nil
	}
	if raw[0] != '[' {
		return []int{k.integer(key, 0)}
	}
	var list []int
	k.get(key, &list, "a number or a list of numbers")
	return list
}

// only refuses a setting that is not implemented.
func (k *keys) only(key string, got, want any) {
	if got != want && k.err == nil {
		k.err = fmt.Errorf("model: config: %s%s is %v, only %v is implemented", k.path, key, got, want)
	}
}

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
	architecture := map[string]string{v3: "DeepseekV3ForCausalLM", llama: "LlamaForCausalLM", qwen2: "Qwen2ForCausalLM", qwen3: "Qwen3ForCausalLM"}
	o := object{
		{"architectures", []string{architecture[d.ModelType]}},
		{"model_type", d.ModelType},
		{"vocab_size", d.VocabSize},
		{"hidden_size", d.HiddenSize},
		{"intermediate_size", d.IntermediateSize},
		{"num_hidden_layers", d.NumHiddenLayers},
		{"num_attention_heads", d.NumAttentionHeads},
		{"num_key_value_heads", d.NumKeyValueHeads},
	}
	if d.ModelType == v3 {
		var q any // null without query low-rank
		if d.QLoraRank > 0 {
			q = d.QLoraRank
		}
		o = append(o, object{
			{"q_lora_rank", q},
			{"kv_lora_rank", d.KVLoraRank},
			{"qk_nope_head_dim", d.QKNopeHeadDim},
			{"qk_rope_head_dim", d.QKRopeHeadDim},
			{"v_head_dim", d.VHeadDim},
			{"moe_intermediate_size", d.MoEIntermediateSize},
			{"n_routed_experts", d.NRoutedExperts},
			{"n_shared_experts", d.NSharedExperts},
			{"num_experts_per_tok", d.NumExpertsPerTok},
			{"first_k_dense_replace", d.FirstKDenseReplace},
			{"moe_layer_freq", d.MoELayerFreq},
			{"n_group", d.NGroup},
			{"topk_group", d.TopKGroup},
			{"routed_scaling_factor", d.RoutedScalingFactor},
			{"norm_topk_prob", d.NormTopKProb},
			{"scoring_func", "sigmoid"},
			{"topk_method", "noaux_tc"},
			{"num_nextn_predict_layers", d.NumNextnPredictLayers},
			{"ep_size", 1},
		}...)
	} else {
		o = append(o, member{"head_dim", d.HeadDim})
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
