// This file holds Expected, the tensors that a model of some shape has, and Check, which looks for them.

package weights

import (
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/haenyeo/haenyeo/model"
)

// Tensor is what a configuration says of one tensor.
type Tensor struct {
	Name  string
	Shape []int // [n,k] of a matrix, one number where only the count of elements matters
	Ints  bool  // whole numbers
}

// Expected lists the tensors of a model of shape c under their published names, without the multi-token
// prediction layers: many files leave these out. LatentUp stands for kv_b_proj, which some files divide.
func Expected(c *model.Config) iter.Seq[Tensor] {
	return func(yield func(Tensor) bool) {
		e := expecting{c: c, yield: yield, ok: true}
		if c.ModelType == "deepseek_v4" {
			e.v4()
			return
		}
		e.matrix("model.embed_tokens.weight", c.VocabSize, c.HiddenSize)
		e.vector("model.norm.weight", c.HiddenSize)
		if !c.TieWordEmbeddings {
			e.matrix("lm_head.weight", c.VocabSize, c.HiddenSize)
		}
		for i := range c.NumHiddenLayers {
			e.layer(i)
		}
	}
}

// ExpectedMTP lists the tensors of the multi-token prediction layers, without the copies of embedding and
// head that published checkpoints of V3 carry.
func ExpectedMTP(c *model.Config) iter.Seq[Tensor] {
	return func(yield func(Tensor) bool) {
		e := expecting{c: c, yield: yield, ok: true}
		d := c.HiddenSize
		for i := range c.NumNextnPredictLayers {
			if c.ModelType == "deepseek_v4" {
				e.layerV4(fmt.Sprintf("mtp.%d.", i), c.NumHiddenLayers+i)
				e.matrix("e_proj.weight", d, d)
				e.matrix("h_proj.weight", d, d)
				e.vector("enorm.weight", d)
				e.vector("hnorm.weight", d)
				e.vector("norm.weight", d)
				e.hcHead()
				continue
			}
			e.layer(c.NumHiddenLayers + i)
			e.matrix("eh_proj.weight", d, 2*d)
			e.vector("enorm.weight", d)
			e.vector("hnorm.weight", d)
			e.vector("shared_head.norm.weight", d)
		}
	}
}

// expecting walks a shape until yield has had enough.
type expecting struct {
	c      *model.Config
	prefix string
	yield  func(Tensor) bool
	ok     bool
}

func (e *expecting) put(t Tensor) {
	t.Name = e.prefix + t.Name
	e.ok = e.ok && e.yield(t)
}

func (e *expecting) matrix(name string, n, k int) { e.put(Tensor{Name: name, Shape: []int{n, k}}) }

func (e *expecting) vector(name string, n int) { e.put(Tensor{Name: name, Shape: []int{n}}) }

// layer is layer i of any generation but V4.
func (e *expecting) layer(i int) {
	if !e.ok {
		return
	}
	c := e.c
	d := c.HiddenSize
	e.prefix = fmt.Sprintf("model.layers.%d.", i)
	e.vector("input_layernorm.weight", d)
	e.vector("post_attention_layernorm.weight", d)
	if c.KVLoraRank > 0 {
		e.latent()
	} else {
		e.grouped()
	}
	if !c.IsMoE(i) {
		e.mlp("mlp.", c.IntermediateSize)
		return
	}
	e.matrix("mlp.gate.weight", c.NRoutedExperts, d)
	if c.TopKMethod == "noaux_tc" {
		e.vector("mlp.gate.e_score_correction_bias", c.NRoutedExperts)
	}
	for x := 0; x < c.NRoutedExperts && e.ok; x++ {
		e.mlp(fmt.Sprintf("mlp.experts.%d.", x), c.MoEIntermediateSize)
	}
	if c.NSharedExperts > 0 {
		e.mlp("mlp.shared_experts.", c.NSharedExperts*c.MoEIntermediateSize)
	}
}

func (e *expecting) mlp(prefix string, f int) {
	d := e.c.HiddenSize
	e.matrix(prefix+"gate_proj.weight", f, d)
	e.matrix(prefix+"up_proj.weight", f, d)
	e.matrix(prefix+"down_proj.weight", d, f)
}

func (e *expecting) grouped() {
	c := e.c
	d, q, kv := c.HiddenSize, c.NumAttentionHeads*c.HeadDim, c.NumKeyValueHeads*c.HeadDim
	for _, p := range []struct {
		name string
		n    int
	}{{"q_proj", q}, {"k_proj", kv}, {"v_proj", kv}} {
		e.matrix("self_attn."+p.name+".weight", p.n, d)
		if c.QKVBias {
			e.vector("self_attn."+p.name+".bias", p.n)
		}
	}
	e.matrix("self_attn.o_proj.weight", d, q)
	if c.AttentionBias {
		e.vector("self_attn.o_proj.bias", d)
	}
	if c.QKNorm {
		e.vector("self_attn.q_norm.weight", c.HeadDim)
		e.vector("self_attn.k_norm.weight", c.HeadDim)
	}
}

func (e *expecting) latent() {
	c := e.c
	d, h, r, p, q := c.HiddenSize, c.NumAttentionHeads, c.KVLoraRank, c.QKRopeHeadDim, c.QLoraRank
	if q > 0 {
		e.matrix("self_attn.q_a_proj.weight", q, d)
		e.vector("self_attn.q_a_layernorm.weight", q)
		e.matrix("self_attn.q_b_proj.weight", h*(c.QKNopeHeadDim+p), q)
	} else {
		e.matrix("self_attn.q_proj.weight", h*(c.QKNopeHeadDim+p), d)
	}
	e.matrix("self_attn.kv_a_proj_with_mqa.weight", r+p, d)
	e.vector("self_attn.kv_a_layernorm.weight", r)
	e.matrix("self_attn.kv_b_proj.weight", h*(c.QKNopeHeadDim+c.VHeadDim), r)
	e.matrix("self_attn.o_proj.weight", d, h*c.VHeadDim)
	if c.ModelType == "deepseek_v32" {
		w := c.IndexHeadDim
		e.matrix("self_attn.indexer.wq_b.weight", c.IndexNHeads*w, q)
		e.matrix("self_attn.indexer.wk.weight", w, d)
		e.vector("self_attn.indexer.k_norm.weight", w)
		e.vector("self_attn.indexer.k_norm.bias", w)
		e.matrix("self_attn.indexer.weights_proj.weight", c.IndexNHeads, d)
	}
}

func (e *expecting) v4() {
	c := e.c
	e.matrix("embed.weight", c.VocabSize, c.HiddenSize)
	e.matrix("head.weight", c.VocabSize, c.HiddenSize)
	e.vector("norm.weight", c.HiddenSize)
	e.hcHead()
	for i := range c.NumHiddenLayers {
		e.layerV4(fmt.Sprintf("layers.%d.", i), i)
	}
}

func (e *expecting) hcHead() {
	m := e.c.HCMult
	e.matrix("hc_head_fn", m, m*e.c.HiddenSize)
	e.vector("hc_head_base", m)
	e.vector("hc_head_scale", 1)
}

// layerV4 is layer i of V4, or of its MTP layers, which count on.
func (e *expecting) layerV4(prefix string, i int) {
	if !e.ok {
		return
	}
	c := e.c
	d, h, w, q, m := c.HiddenSize, c.NumAttentionHeads, c.HeadDim, c.QLoraRank, c.HCMult
	e.prefix = prefix
	e.vector("attn_norm.weight", d)
	e.vector("ffn_norm.weight", d)
	for _, s := range []string{"hc_attn_", "hc_ffn_"} {
		e.matrix(s+"fn", (2+m)*m, m*d)
		e.vector(s+"base", (2+m)*m)
		e.vector(s+"scale", 3)
	}
	e.matrix("attn.wq_a.weight", q, d)
	e.vector("attn.q_norm.weight", q)
	e.matrix("attn.wq_b.weight", h*w, q)
	e.matrix("attn.wkv.weight", w, d)
	e.vector("attn.kv_norm.weight", w)
	e.vector("attn.attn_sink", h)
	e.matrix("attn.wo_a.weight", c.OGroups*c.OLoraRank, h*w/c.OGroups)
	e.matrix("attn.wo_b.weight", d, c.OGroups*c.OLoraRank)
	ratio := c.CompressRatios[i]
	if ratio > 0 {
		e.compressor("attn.compressor.", ratio, w)
	}
	if ratio == 4 {
		e.matrix("attn.indexer.wq_b.weight", c.IndexNHeads*c.IndexHeadDim, q)
		e.matrix("attn.indexer.weights_proj.weight", c.IndexNHeads, d)
		e.compressor("attn.indexer.compressor.", ratio, c.IndexHeadDim)
	}
	e.matrix("ffn.gate.weight", c.NRoutedExperts, d)
	if i < c.NumHashLayers {
		e.put(Tensor{Name: "ffn.gate.tid2eid", Shape: []int{c.VocabSize, c.NumExpertsPerTok}, Ints: true})
	} else {
		e.vector("ffn.gate.bias", c.NRoutedExperts)
	}
	for x := 0; x < c.NRoutedExperts && e.ok; x++ {
		e.expertV4(fmt.Sprintf("ffn.experts.%d.", x))
	}
	e.expertV4("ffn.shared_experts.")
}

func (e *expecting) expertV4(prefix string) {
	d, f := e.c.HiddenSize, e.c.MoEIntermediateSize
	e.matrix(prefix+"w1.weight", f, d)
	e.matrix(prefix+"w3.weight", f, d)
	e.matrix(prefix+"w2.weight", d, f)
}

// compressor has twice the channels at ratio 4, where windows overlap.
func (e *expecting) compressor(prefix string, ratio, width int) {
	wide := width
	if ratio == 4 {
		wide *= 2
	}
	e.matrix(prefix+"wkv.weight", wide, e.c.HiddenSize)
	e.matrix(prefix+"wgate.weight", wide, e.c.HiddenSize)
	e.matrix(prefix+"ape", ratio, wide)
	e.vector(prefix+"norm.weight", width)
}

// Problems are what keeps a model from loading, on one line as an error.
type Problems []error

// maxProblems bounds a list that one mistake can make as long as the model, maxTold what an error repeats of it.
const (
	maxProblems = 20
	maxTold     = 3
)

func (p Problems) Error() string {
	var b strings.Builder
	for i, err := range p {
		if i == maxTold {
			b.WriteString("; and perhaps more")
			break
		}
		text := err.Error()
		if i > 0 {
			b.WriteString("; ")
			text = strings.TrimPrefix(text, "weights: ")
		}
		b.WriteString(text)
	}
	return b.String()
}

// Unwrap gives the single problems.
func (p Problems) Unwrap() []error { return p }

// Check returns what keeps the tensors from being those of the configuration, as Problems: tensors that are
// missing, have other shapes or cannot be decoded, and tensors that another configuration asks for. No numbers
// are read.
func (s *Source) Check() error {
	var problems Problems
	for want := range Expected(s.cfg) {
		if err := s.checkOne(want); err != nil {
			if problems = append(problems, err); len(problems) == maxProblems {
				return problems
			}
		}
	}
	if problems = append(problems, s.unasked()...); len(problems) == 0 {
		return nil
	}
	return problems[:min(len(problems), maxProblems)]
}

func (s *Source) checkOne(want Tensor) error {
	t, err := s.tensor(want.Name, want.Shape...)
	if errors.Is(err, errMissing) && s.dividedLatent(want.Name) {
		c := s.cfg
		i := 0
		if _, err := fmt.Sscanf(want.Name, "model.layers.%d.", &i); err != nil {
			return err
		}
		_, err = s.LatentUp(fmt.Sprintf("model.layers.%d.self_attn.", i), c.NumAttentionHeads, c.QKNopeHeadDim, c.VHeadDim, c.KVLoraRank)
		return err
	}
	if err != nil {
		return err
	}
	if want.Ints != t.whole() {
		kind := "numbers with a fraction"
		if want.Ints {
			kind = "whole numbers"
		}
		return fmt.Errorf("weights: tensor %s is stored as %v, but must hold %s: the file is damaged or was written by a program that does not know this model; fetch or convert it again", t.label(want.Name), t.typ, kind)
	}
	if want.Ints {
		return nil
	}
	k := 1
	if len(t.shape) > 0 {
		k = t.shape[len(t.shape)-1]
	}
	_, err = t.stored(t.len()/max(k, 1), k)
	return err
}

// dividedLatent says whether the kv_b_proj of that name is there in two parts.
func (s *Source) dividedLatent(name string) bool {
	const end = "kv_b_proj.weight"
	return len(name) > len(end) && name[len(name)-len(end):] == end && s.Has(name[:len(name)-len(end)]+"k_b_proj.weight")
}
