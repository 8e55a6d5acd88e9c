// This file holds CheckModel: the conventions for keys and tensor names by
// which a GGUF file describes a language model of the family, as far as they
// can be checked without knowing what the tensors mean.
//
// Source: gguf-py of the llama.cpp project, which writes these keys and names.

package gguf

import (
	"errors"
	"fmt"
	"slices"
)

// families are the architectures of the DeepSeek family and of its distilled models.
var families = []string{"llama", "qwen2", "qwen3", "deepseek", "deepseek2", "deepseek32", "deepseek4", "deepseek41"}

// CheckModel returns what would keep the file from loading as a language
// model: missing or impossible keys, lists of different lengths, missing
// tensors; all faults found, joined. Tensors are looked at only in the
// architectures of the DeepSeek family and its dense relatives, and not in one
// file of a split model, where they may be in another.
func (f *File) CheckModel() error {
	m := &f.Metadata
	arch, err := m.String("general.architecture")
	if err != nil {
		return err
	}
	var faults []error
	fault := func(err error) {
		if err != nil {
			faults = append(faults, err)
		}
	}
	for _, key := range []string{".embedding_length", ".attention.head_count"} {
		fault(positive(m, arch+key))
	}
	fault(m.checkTokens())

	blocksKey := arch + ".block_count"
	blocks, err := m.Uint(blocksKey)
	split, serr := m.Uint("split.count")
	whole := serr != nil || split <= 1 || f.merged
	switch {
	case err != nil:
		fault(err)
	case blocks == 0:
		fault(fmt.Errorf("gguf: key %q is 0", blocksKey))
	case whole && blocks > uint64(len(f.tensors)):
		fault(fmt.Errorf("gguf: key %q is %d, but the file has only %d tensors", blocksKey, blocks, len(f.tensors)))
	case whole && slices.Contains(families, arch):
		extra, _ := m.Uint(arch + ".nextn_predict_layers")
		fault(f.need("token_embd.weight"))
		fault(f.need("output_norm.weight"))
		for n := range blocks - min(extra, blocks) {
			fault(f.checkBlock(n))
			if len(faults) >= 10 {
				break // one broken file needs no hundred lines
			}
		}
	}
	return errors.Join(faults...)
}

// positive checks a number, or every number of an array with one per block.
func positive(m *Metadata, key string) error {
	values, err := m.Ints(key)
	if err != nil {
		u, err := m.Uint(key)
		if err == nil && u == 0 {
			err = fmt.Errorf("gguf: key %q is 0", key)
		}
		return err
	}
	if i := slices.IndexFunc(values, func(v int64) bool { return v <= 0 }); i >= 0 {
		return fmt.Errorf("gguf: key %q is %d for block %d", key, values[i], i)
	}
	return nil
}

// checkTokens compares the lengths of the lists that describe a vocabulary.
func (m *Metadata) checkTokens() error {
	const list = "tokenizer.ggml.tokens"
	tokens, err := m.Strings(list)
	if errors.Is(err, ErrNoKey) {
		return nil // a model without a tokenizer
	}
	if err != nil {
		return err
	}
	types, err := m.Ints("tokenizer.ggml.token_type")
	if err == nil && len(types) != len(tokens) {
		err = fmt.Errorf("gguf: %d token types for %d tokens", len(types), len(tokens))
	}
	if err != nil && !errors.Is(err, ErrNoKey) {
		return err
	}
	scores, err := m.Floats("tokenizer.ggml.scores")
	if err == nil && len(scores) != len(tokens) {
		err = fmt.Errorf("gguf: %d scores for %d tokens", len(scores), len(tokens))
	}
	if err != nil && !errors.Is(err, ErrNoKey) {
		return err
	}
	return nil
}

// checkBlock looks for what every block has: an attention output, and the three
// matrices of each kind of feed-forward layer of which it has any.
func (f *File) checkBlock(n uint64) error {
	name := func(s string) string { return fmt.Sprintf("blk.%d.%s.weight", n, s) }
	has := func(s string) bool {
		_, ok := f.byName[name(s)]
		return ok
	}
	var faults []error
	for _, s := range []string{"attn_norm", "ffn_norm"} {
		faults = append(faults, f.need(name(s)))
	}
	if !has("attn_output") && !(has("attn_output_a") && has("attn_output_b")) {
		faults = append(faults, f.need(name("attn_output")))
	}
	kinds := 0
	for _, kind := range []string{"", "_exps", "_shexp"} {
		gate, up, down := "ffn_gate"+kind, "ffn_up"+kind, "ffn_down"+kind
		fused := has("ffn_gate_up" + kind)
		if !fused && !has(gate) && !has(up) && !has(down) {
			continue
		}
		if kind != "_shexp" {
			kinds++
		}
		faults = append(faults, f.need(name(down)))
		if !fused {
			faults = append(faults, f.need(name(gate)), f.need(name(up)))
		}
	}
	if kinds == 0 {
		faults = append(faults, fmt.Errorf("gguf: block %d has no feed-forward tensors", n))
	}
	return errors.Join(faults...)
}

func (f *File) need(name string) error {
	if _, ok := f.byName[name]; !ok {
		return fmt.Errorf("gguf: tensor %q is missing", name)
	}
	return nil
}
