// This file composes V4: sliding-window attention with compressed entries (csa.go), hyper-connections
// (mhc.go), and experts (moe.go), chosen by token id in the first layers.
// Source: DeepSeek-V4 report; names of tensors as published.

package forward

import (
	"fmt"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/quant"
)

// v4 puts the layers of V4 together.
func (b *builder) v4() {
	c, n := b.cfg, b.net
	n.streams = c.HCMult
	n.embed = b.matrix("embed.weight", c.VocabSize, c.HiddenSize)
	n.head = b.matrix("head.weight", c.VocabSize, c.HiddenSize)
	n.output = b.hyperOutput("")
	r := b.v4Ropes()
	for i := range c.NumHiddenLayers {
		n.layers = append(n.layers, b.v4Layer(fmt.Sprintf("layers.%d.", i), i, r))
	}
	if n.opt.MTP && b.hasPredictor() {
		b.v4MTP(r)
	}
}

// v4Ropes are the rotations of layers without and with compressed entries.
type v4Ropes struct{ plain, compressed *rope }

func (b *builder) v4Ropes() (r v4Ropes) {
	c := b.cfg
	for i, ratio := range c.CompressRatios {
		if i >= c.NumHiddenLayers && !b.net.opt.MTP {
			break
		}
		switch {
		case ratio == 0 && r.plain == nil:
			f, factor := model.RopeScaling{}.Frequencies(c.QKRopeHeadDim, c.RopeTheta)
			r.plain = b.rope(c.QKRopeHeadDim, f, factor, true)
		case ratio != 0 && r.compressed == nil:
			f, factor := c.RopeScaling.Frequencies(c.QKRopeHeadDim, c.CompressRopeTheta)
			r.compressed = b.rope(c.QKRopeHeadDim, f, factor, true)
		}
	}
	return r
}

// v4Layer is the layer whose tensors begin with prefix; i counts MTP layers after the others.
func (b *builder) v4Layer(prefix string, i int, r v4Ropes) *hyperBlock {
	c := b.cfg
	return &hyperBlock{
		hyper1:    b.hyper(prefix+"hc_attn", c.HCMult*(2+c.HCMult), 3),
		hyper2:    b.hyper(prefix+"hc_ffn", c.HCMult*(2+c.HCMult), 3),
		norm1:     b.norm(prefix+"attn_norm.weight", c.HiddenSize, c.RMSNormEps),
		norm2:     b.norm(prefix+"ffn_norm.weight", c.HiddenSize, c.RMSNormEps),
		attention: b.windowAttention(prefix+"attn.", c.CompressRatios[i], r),
		mlp:       b.v4MoE(prefix, i < c.NumHashLayers),
	}
}

// hyper is the hyper-connection whose tensors begin with prefix.
func (b *builder) hyper(prefix string, n, scales int) *hyper {
	c := b.cfg
	return &hyper{
		streams: c.HCMult, d: c.HiddenSize, iterations: c.HCSinkhornIters, eps: float32(c.HCEps),
		norm: onesNorm(c.HCMult*c.HiddenSize, c.RMSNormEps),
		fn:   b.matrix(prefix+"_fn", n, c.HCMult*c.HiddenSize),
		base: b.vector(prefix+"_base", n), scale: b.vector(prefix+"_scale", scales),
	}
}

// hyperOutput is the mix of the streams at the head, with the final norm.
func (b *builder) hyperOutput(prefix string) hyperOutput {
	c := b.cfg
	return hyperOutput{b.hyper(prefix+"hc_head", c.HCMult, 1), b.norm(prefix+"norm.weight", c.HiddenSize, c.RMSNormEps)}
}

// onesNorm is a norm without a learned weight.
func onesNorm(n int, eps float64) *norm {
	w := make([]float32, n)
	for i := range w {
		w[i] = 1
	}
	return &norm{n: n, eps: float32(eps), w: w}
}

func (b *builder) windowAttention(prefix string, ratio int, r v4Ropes) *windowAttention {
	c := b.cfg
	a := &windowAttention{
		heads: c.NumAttentionHeads, dim: c.HeadDim, window: c.SlidingWindow, groups: c.OGroups,
		wqa:      b.matrix(prefix+"wq_a.weight", c.QLoraRank, c.HiddenSize),
		wqb:      b.matrix(prefix+"wq_b.weight", c.NumAttentionHeads*c.HeadDim, c.QLoraRank),
		wkv:      b.matrix(prefix+"wkv.weight", c.HeadDim, c.HiddenSize),
		wob:      b.matrix(prefix+"wo_b.weight", c.HiddenSize, c.OGroups*c.OLoraRank),
		qNorm:    b.norm(prefix+"q_norm.weight", c.QLoraRank, c.RMSNormEps),
		kvNorm:   b.norm(prefix+"kv_norm.weight", c.HeadDim, c.RMSNormEps),
		headNorm: onesNorm(c.HeadDim, c.RMSNormEps),
		sink:     b.vector(prefix+"attn_sink", c.NumAttentionHeads),
		rope:     r.plain,
		round:    b.net.opt.Rounding == Publisher,
	}
	if w := b.matrix(prefix+"wo_a.weight", c.OGroups*c.OLoraRank, c.NumAttentionHeads*c.HeadDim/c.OGroups); w != nil {
		for g := range c.OGroups {
			part := w.Slice(g*c.OLoraRank, (g+1)*c.OLoraRank)
			a.woa = append(a.woa, &part)
		}
	}
	if ratio == 0 {
		return a
	}
	a.rope = r.compressed
	indexed := ratio == 4
	a.compressor = b.compressor(prefix+"compressor.", c.HeadDim, ratio, indexed, r.compressed)
	a.compressor.form = rowForm(b.net.opt.KV, c.HeadDim, c.QKRopeHeadDim)
	if a.round {
		plain := c.HeadDim - c.QKRopeHeadDim
		a.compressor.form = b.entryForm(c.HeadDim, c.QKRopeHeadDim)
		a.compressor.round = func(entry []float32) { quant.RoundFP8(entry[:plain], keyBlock, true) }
	}
	if !indexed {
		return a
	}
	a.indexKeys = b.compressor(prefix+"indexer.compressor.", c.IndexHeadDim, ratio, true, r.compressed)
	a.indexKeys.form = rowForm(b.net.opt.KV, c.IndexHeadDim, 0)
	a.indexer = &lightning{
		heads: c.IndexNHeads, dim: c.IndexHeadDim, topK: c.IndexTopK,
		wq:      b.matrix(prefix+"indexer.wq_b.weight", c.IndexNHeads*c.IndexHeadDim, c.QLoraRank),
		weights: b.matrix(prefix+"indexer.weights_proj.weight", c.IndexNHeads, c.HiddenSize),
		rope:    r.compressed, at: c.IndexHeadDim - c.QKRopeHeadDim,
	}
	if a.round {
		round := func(v []float32) {
			hadamard(v)
			quant.RoundFP4(v, indexBlock)
		}
		a.indexKeys.round, a.indexer.round = round, round
		a.indexKeys.form = kernel.Form{Codes: kernel.E2M1x32, Width: c.IndexHeadDim}
	}
	return a
}

// entryForm is the publisher's form of compressed entries: what is rounded to 8 bits takes as many, and the rotated
// channels are bfloat16, unless caches are to be exact.
func (b *builder) entryForm(w, rotated int) kernel.Form {
	f := kernel.Form{Codes: kernel.E4M3x64, Width: w, Tail: rotated, TailType: quant.BF16}
	if b.net.opt.KV == quant.F32 {
		f.TailType = quant.F32
	}
	return f
}

func (b *builder) compressor(prefix string, dim, ratio int, overlap bool, r *rope) *compressor {
	k := &compressor{ratio: ratio, dim: dim, overlap: overlap, rope: r}
	w := k.projected()
	k.wkv = b.matrix(prefix+"wkv.weight", w, b.cfg.HiddenSize)
	k.wgate = b.matrix(prefix+"wgate.weight", w, b.cfg.HiddenSize)
	k.ape = b.vector(prefix+"ape", ratio*w)
	k.norm = b.norm(prefix+"norm.weight", dim, b.cfg.RMSNormEps)
	return k
}

// v4MoE is the mixture of experts of the layer whose tensors begin with prefix. hashed layers choose by
// token id; the score of a choice is the router's all the same.
func (b *builder) v4MoE(prefix string, hashed bool) *moe {
	c, at := b.cfg, prefix+"ffn."
	d, f := c.HiddenSize, c.MoEIntermediateSize
	m := &moe{f: f, prefix: prefix, router: b.router(), limit: float32(c.SwigluLimit), inside: true}
	m.router.gate = b.matrix(at+"gate.weight", m.router.e, d)
	if hashed {
		m.router.table = b.expertTable(at+"gate.tid2eid", m.router)
	} else {
		m.router.bias = b.vector(at+"gate.bias", m.router.e)
	}
	m.gate, m.up, m.down = b.experts(prefix, "gate_proj", f, d), b.experts(prefix, "up_proj", f, d), b.experts(prefix, "down_proj", d, f)
	at += "shared_experts."
	m.shared = &mlp{f: f, gate: b.matrix(at+"w1.weight", f, d), up: b.matrix(at+"w3.weight", f, d), down: b.matrix(at+"w2.weight", d, f), limit: m.limit}
	return m
}

// expertTable is the table [V,K] of the experts of every token id.
func (b *builder) expertTable(name string, r *router) []int32 {
	if b.err != nil {
		return nil
	}
	table, err := b.src.Ints(name, b.cfg.VocabSize*r.k)
	if err != nil {
		b.fail(err)
	}
	for i, x := range table {
		if x < 0 || int(x) >= r.e {
			b.fail(fmt.Errorf("forward: tensor %q gives expert %d to token id %d, but there are %d: the file is damaged", name, x, i/r.k, r.e))
			break
		}
	}
	return table
}
