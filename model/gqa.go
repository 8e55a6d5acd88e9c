// This file holds grouped-query attention of the Llama line, with the biases of Qwen2 and the head
// norms of Qwen3: weights, forward, backward.
// Sources: Touvron et al. 2023; Ainslie et al. 2023 (GQA).

package model

import (
	"math"

	"github.com/haenyeo/haenyeo/kernel"
)

// gqa are the weights of one layer. Query head h uses key head h·G/H (G key heads of W channels).
type gqa struct {
	heads, groups, w int
	rope             *rope
	q, k, v, out     *linear
	qNorm, kNorm     *norm // Qwen3, over the channels of a head, before the rotation; else nil
}

func (b *builder) gqa(c *Config, layer int, r *rope) *gqa {
	at := func(rest string) string { return layerName(layer, "self_attn."+rest) }
	m := &gqa{heads: c.NumAttentionHeads, groups: c.NumKeyValueHeads, w: c.HeadDim, rope: r}
	d, q, kv := c.HiddenSize, m.heads*m.w, m.groups*m.w
	m.q = b.matrices(d, matrix{at("q_proj"), q, Matrix})
	m.k = b.matrices(d, matrix{at("k_proj"), kv, Matrix})
	m.v = b.matrices(d, matrix{at("v_proj"), kv, Matrix})
	m.out = b.matrices(q, matrix{at("o_proj"), d, Matrix})
	if c.QKVBias {
		b.bias(m.q, at("q_proj"))
		b.bias(m.k, at("k_proj"))
		b.bias(m.v, at("v_proj"))
	}
	if c.AttentionBias {
		b.bias(m.out, at("o_proj"))
	}
	if c.QKNorm {
		m.qNorm = b.norm(at("q_norm"), m.w, c.RMSNormEps)
		m.kNorm = b.norm(at("k_norm"), m.w, c.RMSNormEps)
	}
	return m
}

// gqaKeep is what the backward pass needs besides the layer's input. It turns q, rawQ and rawK into
// their gradients.
type gqaKeep struct {
	q, k, v      []float32 // [T,H,W], [T,G,W] normalised and rotated; v as projected
	rawQ, rawK   []float32 // before the head norms; without them the same memory as q, k
	qRstd, kRstd []float32 // [T,H], [T,G]
	o, lse       []float32 // [T,H,W], [T,H]
}

func (m *gqa) keep(k *layerKeep, a *arena, n int) {
	g := &k.gqa
	g.q, g.k, g.v = a.floats(n*m.q.n), a.floats(n*m.k.n), a.floats(n*m.v.n)
	g.rawQ, g.rawK = g.q, g.k
	if m.qNorm != nil {
		g.rawQ, g.rawK = a.floats(n*m.q.n), a.floats(n*m.k.n)
		g.qRstd, g.kRstd = a.floats(n*m.heads), a.floats(n*m.groups)
	}
	g.o, g.lse = a.floats(n*m.q.n), a.floats(n*m.heads)
}

type gqaScratch struct {
	dk, dv    []float32
	do        []float32
	attention kernel.Attention
}

func (m *gqa) scratch(s *scratch, a *arena, n int, train bool) {
	if !train {
		return
	}
	s.gqa.dk, s.gqa.dv = a.floats(n*m.k.n), a.floats(n*m.v.n)
	s.gqa.do = a.floats(n * m.q.n)
}

func (m *gqa) scale() float32 { return float32(1 / math.Sqrt(float64(m.w))) }

func (m *gqa) view(x []float32, heads int) kernel.View {
	return kernel.View{Data: x, Row: heads * m.w, Head: m.w}
}

// forward adds the attention of x to y.
//
//	y [T,D] read and written   x [T,D] normalised input of the layer
func (m *gqa) forward(p *pass, k *layerKeep, y, x []float32) {
	m.project(p, k, x)
	p.e.Attention(m.core(p, k))
	m.out.forward(p, y, m.out.n, k.gqa.o, m.out.k, p.n, true)
}

// project computes rotated queries and keys, and values.
func (m *gqa) project(p *pass, k *layerKeep, x []float32) {
	g := &k.gqa
	m.q.forward(p, g.rawQ, m.q.n, x, m.q.k, p.n, false)
	m.k.forward(p, g.rawK, m.k.n, x, m.k.k, p.n, false)
	m.v.forward(p, g.v, m.v.n, x, m.v.k, p.n, false)
	if m.qNorm != nil {
		m.qNorm.forward(p, g.q, m.w, g.qRstd, g.rawQ, m.w, p.n*m.heads)
		m.kNorm.forward(p, g.k, m.w, g.kRstd, g.rawK, m.w, p.n*m.groups)
	}
	m.rope.forward(p, m.view(g.q, m.heads), m.heads)
	m.rope.forward(p, m.view(g.k, m.groups), m.groups)
}

func (m *gqa) core(p *pass, k *layerKeep) *kernel.Attention {
	a := &p.s.gqa.attention
	*a = kernel.Attention{B: p.b, T: p.t, H: m.heads, HK: m.groups, DK: m.w, DV: m.w, Scale: m.scale(),
		Q: m.view(k.gqa.q, m.heads), K: m.view(k.gqa.k, m.groups), V: m.view(k.gqa.v, m.groups), O: m.view(k.gqa.o, m.heads),
		First: p.first, LSE: k.gqa.lse, DType: p.dtype}
	return a
}

// backward writes the gradient dx of the normalised input x, given dy of the layer's output.
//
//	dx [T,D] written   dy [T,D] read   x [T,D] as in forward
func (m *gqa) backward(p *pass, k *layerKeep, dx, dy, x []float32) {
	g, s := &k.gqa, &p.s.gqa
	m.out.backward(p, s.do, m.out.k, dy, m.out.n, g.o, m.out.k, p.n, false)
	p.e.AttentionGrad(m.core(p, k), m.view(s.do, m.heads), m.view(g.q, m.heads), m.view(s.dk, m.groups), m.view(s.dv, m.groups))
	m.rope.backward(p, m.view(g.q, m.heads), m.heads)
	m.rope.backward(p, m.view(s.dk, m.groups), m.groups)
	dk := s.dk
	if m.qNorm != nil {
		dk = g.rawK
		m.qNorm.backward(p, g.rawQ, m.w, g.q, m.w, g.rawQ, m.w, g.qRstd, p.n*m.heads, false)
		m.kNorm.backward(p, dk, m.w, s.dk, m.w, g.rawK, m.w, g.kRstd, p.n*m.groups, false)
	}
	m.q.backward(p, dx, m.q.k, g.rawQ, m.q.n, x, m.q.k, p.n, false)
	m.k.backward(p, dx, m.k.k, dk, m.k.n, x, m.k.k, p.n, true)
	m.v.backward(p, dx, m.v.k, s.dv, m.v.n, x, m.v.k, p.n, true)
}
