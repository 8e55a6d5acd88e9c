// This file holds multi-head latent attention: weights, forward and backward in expanded form (for
// training; package forward has the absorbed form).
// Source: DeepSeek-V2 report, section 2.1; DeepSeek-V3 report, section 2.1.1.

package model

import "github.com/haenyeo/haenyeo/kernel"

// mla are the weights of one layer. Letters: H heads, N = qk_nope_head_dim, P = qk_rope_head_dim,
// W = v_head_dim, R = kv_lora_rank, Q = q_lora_rank, or H(N+P) where queries have no low rank.
type mla struct {
	heads, nope, pe, v int
	q, r               int
	scale              float32
	rope               *rope

	down   *linear // [Q+R+P,D]: q_a_proj (or q_proj) above kv_a_proj_with_mqa
	qNorm  *norm   // nil without query low-rank
	qUp    *linear // [H(N+P),Q] q_b_proj; nil without query low-rank
	kvNorm *norm
	kvUp   *linear // [H(N+W),R] kv_b_proj: of each head first N rows for the key, then W for the value
	out    *linear // [D,H·W]
}

func (b *builder) mla(c *Config, layer int, r *rope) *mla {
	at := func(rest string) string { return layerName(layer, "self_attn."+rest) }
	m := &mla{heads: c.NumAttentionHeads, nope: c.QKNopeHeadDim, pe: c.QKRopeHeadDim, v: c.VHeadDim,
		q: c.QLoraRank, r: c.KVLoraRank, scale: float32(c.SoftmaxScale()), rope: r}
	qName := "q_a_proj"
	if m.q == 0 {
		m.q, qName = m.heads*m.qk(), "q_proj"
	}
	m.down = b.matrices(c.HiddenSize, matrix{at(qName), m.q, Matrix}, matrix{at("kv_a_proj_with_mqa"), m.r + m.pe, Matrix})
	if c.QLoraRank > 0 {
		m.qNorm = b.norm(at("q_a_layernorm"), m.q, latentEps)
		m.qUp = b.matrices(m.q, matrix{at("q_b_proj"), m.heads * m.qk(), Matrix})
	}
	m.kvNorm = b.norm(at("kv_a_layernorm"), m.r, latentEps)
	m.kvUp = b.matrices(m.r, matrix{at("kv_b_proj"), m.heads * m.kv(), Matrix})
	m.out = b.matrices(m.heads*m.v, matrix{at("o_proj"), c.HiddenSize, Matrix})
	return m
}

func (m *mla) qk() int    { return m.nope + m.pe }    // width of a query or key head
func (m *mla) kv() int    { return m.nope + m.v }     // rows of kv_b_proj per head
func (m *mla) width() int { return m.q + m.r + m.pe } // row of the down projection

// mlaKeep is what the backward pass of one layer needs, besides the layer's input. It turns a and q
// into their gradients.
type mlaKeep struct {
	a            []float32 // [T,Q+R+P] down projection; its last P channels are already rotated
	qRstd, kRstd []float32 // [T]
	q            []float32 // [T,H,N+P] rotated; unused without query low-rank, where a holds it
	kv           []float32 // [T,H,N+W] unrotated key part and value
	o            []float32 // [T,H,W]
	lse          []float32 // [T,H]
}

func (m *mla) keep(k *layerKeep, a *arena, n int) {
	k.mla.a = a.floats(n * m.width())
	k.mla.qRstd, k.mla.kRstd = a.floats(n), a.floats(n)
	if m.qUp != nil {
		k.mla.q = a.floats(n * m.heads * m.qk())
	}
	k.mla.kv = a.floats(n * m.heads * m.kv())
	k.mla.o = a.floats(n * m.heads * m.v)
	k.mla.lse = a.floats(n * m.heads)
}

// mlaScratch is shared by all layers.
type mlaScratch struct {
	qn, cn    []float32 // [T,Q], [T,R] normalised latents
	k         []float32 // [T,H,N+P] whole keys
	dk        []float32 // [T,H,N+P]
	dkv       []float32 // [T,H,N+W]
	do        []float32 // [T,H,W]
	dqn, dcn  []float32 // [T,Q], [T,R]
	attention kernel.Attention
	join      joinKeys
	split     splitKeys
}

func (m *mla) scratch(s *scratch, a *arena, n int, train bool) {
	if m.qUp != nil {
		s.mla.qn = a.floats(n * m.q)
	}
	s.mla.cn = a.floats(n * m.r)
	s.mla.k = a.floats(n * m.heads * m.qk())
	if !train {
		return
	}
	if m.qUp != nil {
		s.mla.dqn = a.floats(n * m.q)
	}
	s.mla.dk = a.floats(n * m.heads * m.qk())
	s.mla.dkv = a.floats(n * m.heads * m.kv())
	s.mla.do = a.floats(n * m.heads * m.v)
	s.mla.dcn = a.floats(n * m.r)
}

// forward adds the attention of x to y.
//
//	y [T,D] read and written   x [T,D] normalised input of the layer
func (m *mla) forward(p *pass, k *layerKeep, y, x []float32) {
	m.project(p, k, x)
	m.expand(p, k)
	p.e.Attention(m.core(p, k))
	m.out.forward(p, y, m.out.n, k.mla.o, m.out.k, p.n, true)
}

// project computes the latents, the rotated queries and the rotated shared key.
func (m *mla) project(p *pass, k *layerKeep, x []float32) {
	m.down.forward(p, k.mla.a, m.width(), x, m.down.k, p.n, false)
	if m.qUp != nil {
		m.qNorm.forward(p, p.s.mla.qn, m.q, k.mla.qRstd, k.mla.a, m.width(), p.n)
		m.qUp.forward(p, k.mla.q, m.qUp.n, p.s.mla.qn, m.q, p.n, false)
	}
	m.kvNorm.forward(p, p.s.mla.cn, m.r, k.mla.kRstd, k.mla.a[m.q:], m.width(), p.n)
	m.rope.forward(p, m.queries(&k.mla, m.nope), m.heads)
	m.rope.forward(p, m.sharedKey(k.mla.a), 1)
}

// queries views [T,H,...] from channel c of every query head on: in q, or in the row a of the down
// projection where queries have no low rank.
func (m *mla) queries(k *mlaKeep, c int) kernel.View {
	if m.qUp == nil {
		return kernel.View{Data: k.a[c:], Row: m.width(), Head: m.qk()}
	}
	return kernel.View{Data: k.q[c:], Row: m.heads * m.qk(), Head: m.qk()}
}

func (m *mla) sharedKey(a []float32) kernel.View {
	return kernel.View{Data: a[m.q+m.r:], Row: m.width()}
}

// expand computes keys and values of every head from the normalised latents.
func (m *mla) expand(p *pass, k *layerKeep) {
	m.kvUp.forward(p, k.mla.kv, m.kvUp.n, p.s.mla.cn, m.r, p.n, false)
	m.joinKeys(p, k)
}

// core describes the attention of the pass in expanded form.
func (m *mla) core(p *pass, k *layerKeep) *kernel.Attention {
	s := &p.s.mla
	s.attention = kernel.Attention{B: p.b, T: p.t, H: m.heads, HK: m.heads, DK: m.qk(), DV: m.v, Scale: m.scale,
		Q:     m.queries(&k.mla, 0),
		K:     kernel.View{Data: s.k, Row: m.heads * m.qk(), Head: m.qk()},
		V:     kernel.View{Data: k.mla.kv[m.nope:], Row: m.heads * m.kv(), Head: m.kv()},
		O:     kernel.View{Data: k.mla.o, Row: m.heads * m.v, Head: m.v},
		First: p.first, LSE: k.mla.lse, DType: p.dtype}
	return &s.attention
}

// joinKeys writes k [T,H,N+P] = [key part of kv | shared rotated key].
type joinKeys struct {
	m        *mla
	n        int
	k, kv, a []float32
}

func (m *mla) joinKeys(p *pass, k *layerKeep) {
	p.s.mla.join = joinKeys{m, p.n, p.s.mla.k, k.mla.kv, k.mla.a}
	p.e.Pool().Run(chunks(p.n), &p.s.mla.join)
}

func (j *joinKeys) Do(_, i int) {
	m := j.m
	lo, hi := span(i, j.n)
	for t := lo; t < hi; t++ {
		pe := j.a[t*m.width()+m.q+m.r:][:m.pe]
		for h := range m.heads {
			dst := j.k[(t*m.heads+h)*m.qk():][:m.qk()]
			copy(dst, j.kv[(t*m.heads+h)*m.kv():][:m.nope])
			copy(dst[m.nope:], pe)
		}
	}
}

// backward writes the gradient dx of the normalised input x, given dy of the layer's output.
//
//	dx [T,D] written   dy [T,D] read   x [T,D] as in forward
func (m *mla) backward(p *pass, k *layerKeep, dx, dy, x []float32) {
	s := &p.s.mla
	m.out.backward(p, s.do, m.out.k, dy, m.out.n, k.mla.o, m.out.k, p.n, false)
	m.joinKeys(p, k)
	p.e.AttentionGrad(m.core(p, k),
		kernel.View{Data: s.do, Row: m.heads * m.v, Head: m.v},
		m.queries(&k.mla, 0),
		kernel.View{Data: s.dk, Row: m.heads * m.qk(), Head: m.qk()},
		kernel.View{Data: s.dkv[m.nope:], Row: m.heads * m.kv(), Head: m.kv()})
	m.splitKeys(p, k)
	m.rope.backward(p, m.queries(&k.mla, m.nope), m.heads)
	m.rope.backward(p, m.sharedKey(k.mla.a), 1)

	m.kvNorm.forward(p, s.cn, m.r, k.mla.kRstd, k.mla.a[m.q:], m.width(), p.n)
	m.kvUp.backward(p, s.dcn, m.r, s.dkv, m.kvUp.n, s.cn, m.r, p.n, false)
	m.kvNorm.backward(p, k.mla.a[m.q:], m.width(), s.dcn, m.r, k.mla.a[m.q:], m.width(), k.mla.kRstd, p.n, false)
	if m.qUp != nil {
		m.qNorm.forward(p, s.qn, m.q, k.mla.qRstd, k.mla.a, m.width(), p.n)
		m.qUp.backward(p, s.dqn, m.q, k.mla.q, m.qUp.n, s.qn, m.q, p.n, false)
		m.qNorm.backward(p, k.mla.a, m.width(), s.dqn, m.q, k.mla.a, m.width(), k.mla.qRstd, p.n, false)
	}
	m.down.backward(p, dx, m.down.k, k.mla.a, m.width(), x, m.down.k, p.n, false)
}

// splitKeys takes dk [T,H,N+P] apart: its first part belongs to kv, the sum over heads of its second
// to the shared key in a.
type splitKeys struct {
	m          *mla
	n          int
	a, dkv, dk []float32
}

func (m *mla) splitKeys(p *pass, k *layerKeep) {
	s := &p.s.mla
	s.split = splitKeys{m, p.n, k.mla.a, s.dkv, s.dk}
	p.e.Pool().Run(chunks(p.n), &s.split)
}

func (j *splitKeys) Do(_, i int) {
	m := j.m
	lo, hi := span(i, j.n)
	for t := lo; t < hi; t++ {
		pe := j.a[t*m.width()+m.q+m.r:][:m.pe]
		clear(pe)
		for h := range m.heads {
			src := j.dk[(t*m.heads+h)*m.qk():][:m.qk()]
			copy(j.dkv[(t*m.heads+h)*m.kv():][:m.nope], src)
			for c, v := range src[m.nope:] {
				pe[c] += v
			}
		}
	}
}
