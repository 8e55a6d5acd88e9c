// This file holds ReadConfig and ParseConfig. What they read of each generation stands in configread.go.

package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

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

// ParseConfig reads the text of a config.json and checks it, in the published spelling or that of
// transformers 5. A missing key takes the default of the published configuration class; settings that
// would change the arithmetic in a way that is not implemented are errors.
func ParseConfig(data []byte) (*Config, error) {
	k := keys{}
	if err := json.Unmarshal(data, &k.m); err != nil {
		return nil, fmt.Errorf("model: config: not a JSON object: %w", err)
	}
	if k.m == nil {
		return nil, errors.New("model: config: not a JSON object")
	}
	c := &Config{ModelType: k.text("model_type", "")}
	if err := k.refuse(c.ModelType); err != nil {
		return nil, err
	}
	if !slices.Contains(Types(), c.ModelType) {
		if k.err != nil {
			return nil, k.err
		}
		return nil, c.Validate()
	}
	c.VocabSize = k.integer("vocab_size", required)
	c.HiddenSize = k.integer("hidden_size", required)
	c.NumHiddenLayers = k.integer("num_hidden_layers", required)
	c.NumAttentionHeads = k.integer("num_attention_heads", required)
	c.MaxPositionEmbeddings = k.integer("max_position_embeddings", 2048)
	c.RMSNormEps = k.nonzero("rms_norm_eps", 1e-6)
	c.TieWordEmbeddings = k.boolean("tie_word_embeddings", false)
	c.AttentionBias = k.boolean("attention_bias", false)
	c.InitializerRange = k.float("initializer_range", 0.02)
	c.BOSTokenID = k.integer("bos_token_id", -1)
	c.EOSTokenID = k.integers("eos_token_id")
	c.TorchDType = k.text("torch_dtype", k.text("dtype", ""))
	switch c.ModelType {
	case v4:
		c.readV4(&k)
	case v2, v3, v32:
		c.IntermediateSize = k.integer("intermediate_size", required)
		c.readLatent(&k)
		c.readExperts(&k)
		c.readRope(&k)
	default:
		c.IntermediateSize = k.integer("intermediate_size", required)
		c.readDense(&k)
		if c.ModelType == moe16b {
			c.readExperts(&k)
		}
		c.readRope(&k)
	}
	c.readQuantization(&k)
	k.only("hidden_act", k.text("hidden_act", "silu"), "silu")
	k.only("mlp_bias", k.boolean("mlp_bias", false), false)
	if k.err != nil {
		return nil, k.err
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c.withDefaults(), nil
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

// has says whether key is there with a value.
func (k *keys) has(key string) bool {
	raw, ok := k.m[key]
	return ok && string(raw) != "null"
}

// null says whether key is there without a value.
func (k *keys) null(key string) bool { return string(k.m[key]) == "null" }

// hasPrefix says whether any key begins with prefix.
func (k *keys) hasPrefix(prefix string) bool {
	for key := range k.m {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

func (k *keys) get(key string, dst any, want string) bool {
	if !k.has(key) {
		return false
	}
	if err := json.Unmarshal(k.m[key], dst); err != nil {
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

// nonzero is float for a key whose 0 would mean its default further on.
func (k *keys) nonzero(key string, missing float64) float64 {
	f := k.float(key, missing)
	if f == 0 && k.has(key) {
		k.fail(key, "positive, it is 0")
	}
	return f
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
	switch {
	case f != math.Trunc(f):
		k.fail(key, "a whole number")
		return 0
	case math.Abs(f) > 1<<40:
		k.fail(key, fmt.Sprintf("at most %d: %v is too large", 1<<40, f))
		return 0
	}
	return int(f)
}

// integers reads a number or a list of numbers.
func (k *keys) integers(key string) []int {
	if !k.has(key) {
		return nil
	}
	if k.m[key][0] != '[' {
		return []int{k.integer(key, 0)}
	}
	var list []int
	k.get(key, &list, "a number or a list of numbers")
	return list
}

// texts reads a list of texts.
func (k *keys) texts(key string) []string {
	var list []string
	k.get(key, &list, "a list of texts")
	return list
}

// every refuses a list that holds anything but want.
func (k *keys) every(key, want string) {
	for _, s := range k.texts(key) {
		k.only(key, s, want)
	}
}

// only refuses a setting that is not implemented.
func (k *keys) only(key string, got, want any) {
	if got != want && k.err == nil {
		k.err = fmt.Errorf("model: config: %s%s is %v, only %v is implemented", k.path, key, got, want)
	}
}
