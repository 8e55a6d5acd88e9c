// This file holds keys, which reads single keys of a GGUF's architecture.

package weights

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/haenyeo/haenyeo/format/gguf"
)

// keys reads the keys of one architecture and keeps the first error.
type keys struct {
	f    *gguf.File
	arch string
	err  error
}

// configKeys are the keys of a GGUF by what config.json calls the same.
var configKeys = map[string]string{
	"hidden_size": "embedding_length", "intermediate_size": "feed_forward_length", "num_hidden_layers": "block_count",
	"num_attention_heads": "attention.head_count", "num_key_value_heads": "attention.head_count_kv", "head_dim": "attention.key_length",
	"max_position_embeddings": "context_length", "rms_norm_eps": "attention.layer_norm_rms_epsilon", "rope_theta": "rope.freq_base",
	"num_nextn_predict_layers": "nextn_predict_layers", "q_lora_rank": "attention.q_lora_rank", "kv_lora_rank": "attention.kv_lora_rank",
	"qk_nope_head_dim": "attention.key_length_mla", "qk_rope_head_dim": "rope.dimension_count", "v_head_dim": "attention.value_length_mla",
	"first_k_dense_replace": "leading_dense_block_count", "n_routed_experts": "expert_count", "num_experts_per_tok": "expert_used_count",
	"moe_intermediate_size": "expert_feed_forward_length", "n_shared_experts": "expert_shared_count", "n_group": "expert_group_count",
	"topk_group": "expert_group_used_count", "routed_scaling_factor": "expert_weights_scale", "norm_topk_prob": "expert_weights_norm",
	"scoring_func": "expert_gating_func", "index_n_heads": "attention.indexer.head_count", "index_head_dim": "attention.indexer.key_length",
	"index_topk": "attention.indexer.top_k", "sliding_window": "attention.sliding_window", "compress_rope_theta": "attention.compress_rope_freq_base",
	"o_groups": "attention.output_group_count", "o_lora_rank": "attention.output_lora_rank", "hc_mult": "hyper_connection.count",
	"hc_sinkhorn_iters": "hyper_connection.sinkhorn_iterations", "hc_eps": "hyper_connection.epsilon", "num_hash_layers": "hash_layer_count",
	"swiglu_limit": "swiglu_clamp_exp", "rope_scaling.type": "rope.scaling.type", "rope_scaling.factor": "rope.scaling.factor",
	"rope_scaling.original_max_position_embeddings": "rope.scaling.original_context_length",
}

// missing stands for "no default" in float.
var missing = math.NaN()

func (k *keys) keep(err error) {
	if k.err == nil {
		k.err = err
	}
}

func (k *keys) fail(format string, args ...any) {
	k.keep(fmt.Errorf("weights: "+format, args...))
}

func (k *keys) has(tensor string) bool {
	_, ok := k.f.Tensor(tensor)
	return ok
}

// dim is dimension i of a tensor, 0 if there is none.
func (k *keys) dim(tensor string, i int) int {
	t, ok := k.f.Tensor(tensor)
	if !ok || i >= len(t.Shape) {
		return 0
	}
	return t.Shape[i]
}

// size reads a whole number that a model dimension can be.
func (k *keys) size(key string) int { return k.sizeOr(key, -1) }

// sizeOr gives def, if not negative, when the key is missing. An array holds a number for every layer;
// layers without the thing that it counts have 0, all others must be alike.
func (k *keys) sizeOr(key string, def int) int {
	key = k.arch + "." + key
	n, err := k.f.Metadata.Uint(key)
	if list, e := k.f.Metadata.Ints(key); e == nil {
		n, err = 0, nil
		for i, v := range list {
			if v < 0 || n != 0 && v != 0 && uint64(v) != n {
				k.fail("key %q is %d for layer %d and %d for others: layers of different shapes are not supported", key, v, i, n)
				return 0
			}
			n = max(n, uint64(v))
		}
	}
	switch {
	case errors.Is(err, gguf.ErrNoKey) && def >= 0:
		return def
	case err == nil && n > math.MaxInt32:
		err = fmt.Errorf("weights: key %q is %d: no model has such a size", key, n)
	}
	k.keep(err)
	return int(n)
}

func (k *keys) boolean(key string, def bool) bool {
	b, err := k.f.Metadata.Bool(k.arch + "." + key)
	if errors.Is(err, gguf.ErrNoKey) {
		return def
	}
	k.keep(err)
	return b
}

// float gives def, unless that is missing, when the key is missing. A float32 of the file becomes
// the shortest decimal that it stands for: 1e-6 and not 9.99999997e-7.
func (k *keys) float(key string, def float64) float64 {
	x, err := k.f.Metadata.Float(k.arch + "." + key)
	if errors.Is(err, gguf.ErrNoKey) && def == def {
		return def
	}
	k.keep(err)
	return shortest(x)
}

func shortest(x float64) float64 {
	if exact, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', -1, 32), 64); err == nil && float32(x) == float32(exact) {
		return exact
	}
	return x
}

// same reads a number, or an array of equal numbers with one for every layer.
func (k *keys) same(key string, def float64) float64 {
	list, err := k.f.Metadata.Floats(k.arch + "." + key)
	if err != nil {
		return k.float(key, def)
	}
	for i, x := range list {
		if x != list[0] {
			k.fail("key %q is %v for layer 0 and %v for layer %d: layers of different shapes are not supported", k.arch+"."+key, list[0], x, i)
			return def
		}
	}
	if len(list) == 0 {
		return def
	}
	return shortest(list[0])
}
