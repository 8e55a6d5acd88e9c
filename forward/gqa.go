// This file holds grouped-query attention of the Llama line and MoE-16B, with the biases of Qwen2 and the
// head norms of Qwen3, and its cache of keys and values.
// Sources: Touvron et al. 2023; Ainslie et al. 2023 (GQA).

package forward

import (
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/quant"
)

// gqa are the weights of one layer. Query head h uses key head h·G/H (G key heads of W channels).
type gqa struct {
	heads, groups, w             int
	kv                           quant.Type // of the cache
	scale                        float32
	rope                         *rope
	q, k, v, out                 *kernel.Stored
	qBias, kBias, vBias, outBias []float32 // nil where there are none
	qNorm, kNorm                 *norm     // Qwen3, over the channels of a head, before the rotation; else nil
}

func (b *builder) gqa(layer int, r *rope) *gqa {
	c, at := b.cfg, layerPrefix(layer)+"self_attn."
	m := &gqa{heads: c.NumAttentionHeads, groups: c.NumKeyValueHeads, w: c.HeadDim, scale: float32(c.SoftmaxScale()), rope: r, kv: b.net.opt.KV}
	d, q, kv := c.HiddenSize, m.heads*m.w, m.groups*m.w
	m.q = b.matrix(at+"q_proj.weight", q, d)
	m.k = b.matrix(at+"k_proj.weight", kv, d)
	m.v = b.matrix(at+"v_proj.weight", kv, d)
	m.out = b.matrix(at+"o_proj.weight", d, q)
	if c.QKVBias {
		m.qBias, m.kBias, m.vBias = b.vector(at+"q_proj.bias", q), b.vector(at+"k_proj.bias", kv), b.vector(at+"v_proj.bias", kv)
	}
	if c.AttentionBias {
		m.outBias = b.optional(at+"o_proj.bias", d)
	}
	if c.QKNorm {
		m.qNorm = b.norm(at+"q_norm.weight", m.w, c.RMSNormEps)
		m.kNorm = b.norm(at+"k_norm.weight", m.w, c.RMSNormEps)
	}
	return m
}

// gqaCache holds rotated keys and values [tokens,G,W].
type gqaCache struct{ k, v rowCache }

func (m *gqa) newCache() layerCache {
	f := rowForm(m.kv, m.w, 0)
	return &gqaCache{newRows(f, m.groups), newRows(f, m.groups)}
}

func (c *gqaCache) reserve(tokens int)     { c.k.reserve(tokens); c.v.reserve(tokens) }
func (c *gqaCache) bytes(tokens int) int64 { return c.k.bytes(tokens) + c.v.bytes(tokens) }
func (c *gqaCache) truncate(n int) int     { return n }

func (c *gqaCache) save(w *stateWriter, lo, n int) {
	c.k.save(w, lo, n)
	c.v.save(w, lo, n)
}

func (c *gqaCache) load(r *stateReader, lo, n int) error {
	c.k.load(r, lo, n)
	c.v.load(r, lo, n)
	return nil
}

func (m *gqa) view(x []float32, heads int) kernel.View {
	return kernel.View{Data: x, Row: heads * m.w, Head: m.w}
}

// attend writes the attention of x to everything in its caches and to itself.
//
//	y [n,D] written   x [n,D] normalised input of the layer
func (m *gqa) attend(p *pass, i int, y, x []float32) {
	mark := p.mark()
	q, o := p.floats(p.n*m.q.N), p.floats(p.n*m.q.N)
	m.project(p, i, q, x)
	if p.n > Short {
		m.long(p, i, o, q)
	} else {
		m.short(p, i, o, q)
	}
	p.linear(y, m.out.N, m.out, o, m.out.K, false)
	if m.outBias != nil {
		p.addBias(y, m.out.N, m.outBias, p.n)
	}
	p.rewind(mark)
}

// project computes rotated queries, and adds rotated keys and values to the caches.
//
//	q [n,H,W] written
func (m *gqa) project(p *pass, i int, q, x []float32) {
	mark := p.mark()
	n, kv, d := p.n, m.k.N, m.q.K
	k, v := p.floats(n*kv), p.floats(n*kv)
	p.products = append(p.products[:0],
		kernel.StoredProduct{W: m.q, Y: q, LDY: m.q.N, X: x, LDX: d, Rows: n},
		kernel.StoredProduct{W: m.k, Y: k, LDY: kv, X: x, LDX: d, Rows: n},
		kernel.StoredProduct{W: m.v, Y: v, LDY: kv, X: x, LDX: d, Rows: n})
	p.multiply(p.dtype)
	if m.qBias != nil {
		p.addBias(q, m.q.N, m.qBias, n)
		p.addBias(k, kv, m.kBias, n)
		p.addBias(v, kv, m.vBias, n)
	}
	if m.qNorm != nil {
		m.qNorm.apply(p, q, q, n*m.heads)
		m.kNorm.apply(p, k, k, n*m.groups)
	}
	m.rope.rotate(p, m.view(q, m.heads), m.heads, false)
	m.rope.rotate(p, m.view(k, m.groups), m.groups, false)
	for _, s := range p.spans {
		c := s.cache.layers[i].(*gqaCache)
		c.k.put(p, s.start, k[s.lo*kv:s.hi*kv])
		c.v.put(p, s.start, v[s.lo*kv:s.hi*kv])
	}
	p.rewind(mark)
}

// long attends with the rows of one sequence.
func (m *gqa) long(p *pass, i int, o, q []float32) {
	mark := p.mark()
	s := p.spans[0]
	c := s.cache.layers[i].(*gqaCache)
	p.attention = kernel.Attention{B: 1, T: p.n, Past: s.start, H: m.heads, HK: m.groups, DK: m.w, DV: m.w, Scale: m.scale,
		Q: m.view(q, m.heads), K: c.k.view(), V: c.v.view(), O: m.view(o, m.heads),
		LSE: p.floats(p.n * m.heads), DType: p.dtype}
	p.attendLong(&p.attention)
	p.rewind(mark)
}

// short attends with few rows of each sequence, each row as if it were alone.
func (m *gqa) short(p *pass, i int, o, q []float32) {
	p.seqs = p.seqs[:0]
	for _, s := range p.spans {
		c := s.cache.layers[i].(*gqaCache)
		for r := s.lo; r < s.hi; r++ {
			p.seqs = append(p.seqs, kernel.CachedSeq{K: c.k.view(), V: c.v.view(), N: int(p.pos[r]) + 1})
		}
	}
	p.cached = kernel.Cached{H: m.heads, HK: m.groups, DK: m.w, DV: m.w, Scale: m.scale,
		Q: m.view(q, m.heads), O: m.view(o, m.heads), Seqs: p.seqs}
	p.attendCached(&p.cached)
}
