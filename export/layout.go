package export

// Which tensors the file to be written has, and where their rows come from: published lists them as a
// directory does, arranged as a GGUF does.
//
// Source: names of gguf-py's tensor map; MLA in the flavour with separate attn_k_b and attn_v_b that
// llama.cpp computes in absorbed form.

import (
	"fmt"
	"iter"
	"strings"

	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/weights"
)

// origin gives out the tensors of a source.
type origin struct {
	src *weights.Source
	c   *model.Config
	mtp bool // with the multi-token prediction layers

	interleaved bool // whether the file to be written rotates neighbouring channels
}

// expected lists what the model consists of.
func (o *origin) expected() iter.Seq[weights.Tensor] {
	return func(yield func(weights.Tensor) bool) {
		for t := range weights.Expected(o.c) {
			if !yield(t) {
				return
			}
		}
		if !o.mtp {
			return
		}
		for t := range weights.ExpectedMTP(o.c) {
			if !yield(t) {
				return
			}
		}
	}
}

// hasMTP says whether the source has every multi-token prediction layer of its configuration.
func hasMTP(src *weights.Source) bool {
	c := src.Config()
	for t := range weights.ExpectedMTP(c) {
		latent := strings.TrimSuffix(t.Name, "kv_b_proj.weight")
		if !src.Has(t.Name) && (latent == t.Name || !src.Has(latent+"k_b_proj.weight")) {
			return false
		}
	}
	return c.NumNextnPredictLayers > 0
}

// published lists the tensors under their published names.
func (o *origin) published() ([]tensor, error) {
	var ts []tensor
	add := func(w weights.Tensor) error {
		t, err := o.tensor(w)
		ts = append(ts, t)
		return err
	}
	for w := range o.expected() {
		if err := add(w); err != nil {
			return nil, err
		}
	}
	if !o.mtp || o.c.ModelType == "deepseek_v4" {
		return ts, nil
	}
	for i := range o.c.NumNextnPredictLayers { // copies of embedding and head, which checkpoints of V3 carry
		for _, name := range []string{"embed_tokens.weight", "shared_head.head.weight"} {
			name = fmt.Sprintf("model.layers.%d.%s", o.c.NumHiddenLayers+i, name)
			if !o.src.Has(name) {
				continue
			}
			if err := add(weights.Tensor{Name: name, Shape: []int{o.c.VocabSize, o.c.HiddenSize}}); err != nil {
				return nil, err
			}
		}
	}
	return ts, nil
}

// tensor finds one tensor in the published form.
func (o *origin) tensor(w weights.Tensor) (t tensor, err error) {
	t = tensor{name: w.Name, shape: w.Shape, kind: kindOf(w)}
	if prefix, ok := strings.CutSuffix(w.Name, "kv_b_proj.weight"); ok && !o.src.Has(w.Name) {
		u, err := o.latentUp(prefix)
		if err != nil {
			return t, err
		}
		for h := range u.Key {
			k := stored(&u.Key[h])
			if u.KeyTransposed {
				k = transposed(&u.Key[h])
			}
			t.parts = append(t.parts, k, stored(&u.Value[h]))
		}
		return t, nil
	}
	if w.Ints {
		t.ints, err = o.src.Ints(w.Name, t.len())
		return t, err
	}
	order := o.order(w.Name)
	if len(w.Shape) == 2 {
		m, err := o.src.Matrix(w.Name, w.Shape[0], w.Shape[1])
		if err != nil {
			return t, err
		}
		if order != nil {
			t.parts = []rows{permuted(m, order)}
		} else {
			t.parts = []rows{stored(m)}
		}
		return t, nil
	}
	v, err := o.src.Vector(w.Name, t.len())
	if order != nil && err == nil {
		moved := make([]float32, len(v))
		for i := range moved {
			moved[i] = v[order(i)]
		}
		v = moved
	}
	t.parts = []rows{vector(w.Name, v)}
	return t, err
}

// order is the row of the source that comes to each row of a tensor, nil where nothing moves. Only queries
// and keys of grouped-query attention are stored in two ways.
func (o *origin) order(name string) func(i int) int {
	rotated := strings.Contains(name, ".q_proj.") || strings.Contains(name, ".k_proj.")
	switch {
	case !rotated || o.c.KVLoraRank > 0 || o.src.RopeInterleaved() == o.interleaved:
		return nil
	case o.interleaved:
		return interleave(o.c.HeadDim)
	}
	return apart(o.c.HeadDim)
}

func (o *origin) latentUp(prefix string) (*weights.LatentUp, error) {
	c := o.c
	return o.src.LatentUp(prefix, c.NumAttentionHeads, c.QKNopeHeadDim, c.VHeadDim, c.KVLoraRank)
}

// kindOf tells matrices from what is too small, or matters too much, to be rounded.
func kindOf(w weights.Tensor) kind {
	n := w.Name
	router := strings.HasSuffix(n, ".mlp.gate.weight") || strings.HasSuffix(n, ".ffn.gate.weight")
	switch {
	case len(w.Shape) < 2 || w.Ints || router || ofStreams(n) || strings.HasSuffix(n, ".ape"):
		return precise
	case strings.Contains(n, ".compressor."):
		return gentle
	}
	return matrix
}

// arranged lists the tensors as a GGUF has them: kv_b_proj, head by head nope key rows and v value rows over
// the latent channels, becomes attn_k_b [H,R,nope] (transposed) and attn_v_b [H,v,R]; the matrices of the
// experts are stacked, expert slowest.
func (o *origin) arranged() ([]tensor, error) {
	var ts []tensor
	stacks := map[string]int{} // name: index into ts
	for w := range o.expected() {
		if prefix, ok := strings.CutSuffix(w.Name, "kv_b_proj.weight"); ok {
			k, v, err := o.latentHalves(prefix)
			if err != nil {
				return nil, err
			}
			ts = append(ts, k, v)
			continue
		}
		t, err := o.tensor(w)
		if err != nil {
			return nil, err
		}
		if name, ok := stackName(w.Name); ok {
			i, found := stacks[name]
			if !found {
				i = len(ts)
				stacks[name] = i
				ts = append(ts, tensor{name: name, kind: stack, shape: []int{o.c.NRoutedExperts, w.Shape[0], w.Shape[1]}})
			}
			ts[i].parts = append(ts[i].parts, t.parts...)
			continue
		}
		var ok bool
		if t.name, ok = weights.GGUFName(o.c, w.Name); !ok {
			return nil, fmt.Errorf("export: no GGUF name is known for tensor %q", w.Name)
		}
		ts = append(ts, t)
	}
	if o.c.RopeScaling.Type == "llama3" {
		f := weights.RopeDivisors(o.c)
		ts = append(ts, tensor{name: ropeDivisors, shape: []int{len(f)}, kind: precise, parts: []rows{vector(ropeDivisors, f)}})
	}
	return ts, nil
}

const ropeDivisors = "rope_freqs.weight"

// latentHalves are attn_k_b and attn_v_b of the attention whose published names begin with prefix.
func (o *origin) latentHalves(prefix string) (k, v tensor, err error) {
	u, err := o.latentUp(prefix)
	if err != nil {
		return k, v, err
	}
	c := o.c
	h, r := c.NumAttentionHeads, c.KVLoraRank
	k = tensor{shape: []int{h, r, c.QKNopeHeadDim}}
	v = tensor{shape: []int{h, c.VHeadDim, r}}
	k.name, _ = weights.GGUFName(c, prefix+"k_b_proj.weight")
	v.name, _ = weights.GGUFName(c, prefix+"v_b_proj.weight")
	for i := range u.Key {
		if u.KeyTransposed {
			k.parts = append(k.parts, stored(&u.Key[i]))
		} else {
			k.parts = append(k.parts, transposed(&u.Key[i]))
		}
		v.parts = append(v.parts, stored(&u.Value[i]))
	}
	return k, v, nil
}

// stackName is the GGUF name of the stack that a matrix of an expert belongs to.
func stackName(published string) (string, bool) {
	head, tail, ok := strings.Cut(published, ".experts.") // "model.layers.3.mlp", "17.up_proj.weight"
	if !ok {
		return "", false
	}
	part := strings.Split(strings.TrimPrefix(head, "model."), ".")
	_, proj, _ := strings.Cut(tail, ".")
	return fmt.Sprintf("blk.%s.ffn_%s_exps.weight", part[1], expertNames[proj]), true
}

var expertNames = map[string]string{
	"gate_proj.weight": "gate", "up_proj.weight": "up", "down_proj.weight": "down",
	"w1.weight": "gate", "w3.weight": "up", "w2.weight": "down",
}

// exact says whether the publishers keep a tensor in float32 beside matrices of fewer bits: selection biases,
// and of V4 sinks, hyper-connections and positions of compressors.
func exact(name string) bool {
	for _, s := range []string{".e_score_correction_bias", ".ffn.gate.bias", ".attn_sink", ".ape"} {
		if strings.HasSuffix(name, s) {
			return true
		}
	}
	return ofStreams(name)
}

// ofStreams says whether a tensor of V4 belongs to the hyper-connections.
func ofStreams(name string) bool {
	return strings.Contains(name, "hc_attn_") || strings.Contains(name, "hc_ffn_") || strings.Contains(name, "hc_head_")
}
