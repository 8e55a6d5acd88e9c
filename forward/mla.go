// This file holds multi-head latent attention: its projections and its cache of latents, the expanded form
// for many tokens of one sequence, the absorbed form for single tokens.
// Source: DeepSeek-V2 report, section 2.1; DeepSeek-V3 report, section 2.1.1.

package forward

import (
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/quant"
	"github.com/haenyeo/haenyeo/weights"
)

// latentEps is the eps of the norms on the query and key/value latents, whatever rms_norm_eps says.
// Source: the publisher's code.
const latentEps = 1e-6

// mla are the weights of one layer. Letters: H heads, N = qk_nope_head_dim, P = qk_rope_head_dim,
// W = v_head_dim, R = kv_lora_rank, Q = q_lora_rank.
type mla struct {
	heads, nope, pe, v, r int
	scale                 float32
	rope                  *rope
	kv                    quant.Type // of the cache

	q      *kernel.Stored    // [H(N+P),D], or [H(N+P),Q] behind the query low-rank
	qDown  *kernel.Stored    // [Q,D]; nil without query low-rank
	qNorm  *norm             // over Q; nil likewise
	kvDown *kernel.Stored    // [R+P,D]
	kvNorm *norm             // over R
	up     *weights.LatentUp // per head: latent to key [N,R] and to value [W,R]
	out    *kernel.Stored    // [D,H·W]
}

func (b *builder) mla(layer int, r *rope) *mla {
	c, at := b.cfg, layerPrefix(layer)+"self_attn."
	m := &mla{heads: c.NumAttentionHeads, nope: c.QKNopeHeadDim, pe: c.QKRopeHeadDim, v: c.VHeadDim,
		r: c.KVLoraRank, scale: float32(c.SoftmaxScale()), rope: r, kv: b.net.opt.KV}
	d := c.HiddenSize
	if c.QLoraRank > 0 {
		m.qDown = b.matrix(at+"q_a_proj.weight", c.QLoraRank, d)
		m.qNorm = b.norm(at+"q_a_layernorm.weight", c.QLoraRank, latentEps)
		m.q = b.matrix(at+"q_b_proj.weight", m.heads*m.qk(), c.QLoraRank)
	} else {
		m.q = b.matrix(at+"q_proj.weight", m.heads*m.qk(), d)
	}
	m.kvDown = b.matrix(at+"kv_a_proj_with_mqa.weight", m.width(), d)
	m.kvNorm = b.norm(at+"kv_a_layernorm.weight", m.r, latentEps)
	m.up = b.latentUp(at, m.heads, m.nope, m.v, m.r)
	m.out = b.matrix(at+"o_proj.weight", d, m.heads*m.v)
	return m
}

func (m *mla) qk() int    { return m.nope + m.pe } // width of a query or key head
func (m *mla) width() int { return m.r + m.pe }    // of a cached row

// mlaCache holds rows [tokens,R+P]: the normalised latent and the rotated key that all heads share. The key
// keeps 16 bits when the latent has 8.
type mlaCache struct{ latent rowCache }

func (m *mla) newCache() layerCache { return &mlaCache{m.newLatents()} }

// newLatents makes the rows of a cache.
func (m *mla) newLatents() rowCache { return newRows(rowForm(m.kv, m.width(), m.pe), 1) }

func (c *mlaCache) reserve(tokens int)             { c.latent.reserve(tokens) }
func (c *mlaCache) bytes(tokens int) int64         { return c.latent.bytes(tokens) }
func (c *mlaCache) truncate(n int) int             { return n }
func (c *mlaCache) save(w *stateWriter, lo, n int) { c.latent.save(w, lo, n) }

func (c *mlaCache) load(r *stateReader, lo, n int) error {
	c.latent.load(r, lo, n)
	return nil
}

// latentCache is a layer cache with rows of latents: that of MLA, or one that has more.
type latentCache interface{ latents() *rowCache }

func (c *mlaCache) latents() *rowCache { return &c.latent }

func latentsOf(s *span, i int) *rowCache { return s.cache.layers[i].(latentCache).latents() }

// attend writes the attention of x to everything in its caches and to itself.
//
//	y [n,D] written   x [n,D] normalised input of the layer
func (m *mla) attend(p *pass, i int, y, x []float32) {
	mark := p.mark()
	q, o := p.floats(p.n*m.heads*m.qk()), p.floats(p.n*m.out.K)
	m.queries(p, q, x)
	m.keep(p, i, x)
	if len(p.spans) == 1 && m.expands(&p.spans[0]) {
		m.expanded(p, i, o, q)
	} else {
		m.absorbed(p, i, o, q)
	}
	p.linear(y, m.out.N, m.out, o, m.out.K, false)
	p.rewind(mark)
}

// queries writes rotated queries q [n,H,N+P] and returns what they were made of: the normalised query
// latent [n,Q], valid until the caller rewinds, or nil without query low-rank.
func (m *mla) queries(p *pass, q, x []float32) (latent []float32) {
	if m.qDown == nil {
		p.linear(q, m.q.N, m.q, x, m.q.K, false)
	} else {
		latent = p.floats(p.n * m.qDown.N)
		p.linear(latent, m.qDown.N, m.qDown, x, m.qDown.K, false)
		m.qNorm.apply(p, latent, latent, p.n)
		p.linear(q, m.q.N, m.q, latent, m.q.K, false)
	}
	m.rope.rotate(p, kernel.View{Data: q[m.nope:], Row: m.q.N, Head: m.qk()}, m.heads, false)
	return latent
}

// keep adds the rows of x to the caches: normalised latents and the rotated shared key.
func (m *mla) keep(p *pass, i int, x []float32) {
	mark := p.mark()
	w := m.width()
	c := p.floats(p.n * w)
	p.linear(c, w, m.kvDown, x, m.kvDown.K, false)
	m.kvNorm.strided(p, c, w, c, w, p.n)
	m.rope.rotate(p, kernel.View{Data: c[m.r:], Row: w}, 1, false)
	for j := range p.spans {
		s := &p.spans[j]
		latentsOf(s, i).put(p, s.start, c[s.lo*w:s.hi*w])
	}
	p.rewind(mark)
}
