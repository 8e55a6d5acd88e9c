// This file holds the expanded form of latent attention: keys and values of every head are computed from
// the latents, some heads at a time, so that memory stays bounded however long the context is.
// Source: DeepSeek-V2 report, section 2.1.

package forward

import "github.com/haenyeo/haenyeo/kernel"

// expands says whether the expanded form is less work for s: it expands every token once, but its
// queries meet keys of N+P and values of W channels instead of R+P and R. Short steps are always
// absorbed, so that each of their tokens has the bits that it has alone.
func (m *mla) expands(s *span) bool {
	n, t := s.hi-s.lo, s.start+s.hi-s.lo
	expanded := t*m.r*(m.nope+m.v) + n*t*(m.qk()+m.v)
	absorbed := n*m.r*(m.nope+m.v) + n*t*(m.width()+m.r)
	return n > Short && expanded < absorbed
}

// expandedFloats bounds the expanded keys and values that are alive at once, unless one head needs more.
const expandedFloats = 1 << 24

// expanded writes o [n,H,W] for queries q [n,H,N+P] of the only span.
func (m *mla) expanded(p *pass, i int, o, q []float32) {
	mark := p.mark()
	s := &p.spans[0]
	c := latentsOf(s, i)
	t, qk := s.start+p.n, m.qk()
	some := min(m.heads, max(1, expandedFloats/(t*(qk+m.v))))
	k, v := p.floats(t*some*qk), p.floats(t*some*m.v)
	lse := p.floats(p.n * some)
	for h0 := 0; h0 < m.heads; h0 += some {
		heads := min(some, m.heads-h0)
		for lo := 0; lo < t; lo += unpackedRows {
			hi := min(lo+unpackedRows, t)
			m.expand(p, c, k[lo*heads*qk:], v[lo*heads*m.v:], h0, heads, lo, hi)
		}
		p.attention = kernel.Attention{B: 1, T: p.n, Past: s.start, H: heads, HK: heads, DK: qk, DV: m.v, Scale: m.scale,
			Q:   kernel.View{Data: q[h0*qk:], Row: m.heads * qk, Head: qk},
			K:   kernel.View{Data: k, Row: heads * qk, Head: qk},
			V:   kernel.View{Data: v, Row: heads * m.v, Head: m.v},
			O:   kernel.View{Data: o[h0*m.v:], Row: m.heads * m.v, Head: m.v},
			LSE: lse, DType: p.dtype}
		p.attendLong(&p.attention)
	}
	p.rewind(mark)
}

// expand writes keys k [hi-lo,heads,N+P] and values v [hi-lo,heads,W] of cached rows [lo,hi), for heads from h0 on.
func (m *mla) expand(p *pass, c *rowCache, k, v []float32, h0, heads, lo, hi int) {
	mark := p.mark()
	qk := m.qk()
	x, ld := c.some(p, lo, hi)
	p.products = p.products[:0]
	for h := range heads {
		p.products = append(p.products,
			kernel.StoredProduct{W: &m.up.Key[h0+h], Y: k[h*qk:], LDY: heads * qk, X: x, LDX: ld, Rows: hi - lo, Transposed: m.up.KeyTransposed},
			kernel.StoredProduct{W: &m.up.Value[h0+h], Y: v[h*m.v:], LDY: heads * m.v, X: x, LDX: ld, Rows: hi - lo})
	}
	p.multiply(p.dtype)
	p.join = joinTask{m, heads, hi - lo, k, x, ld}
	p.e.Pool().Run((hi-lo+joinRows-1)/joinRows, &p.join)
	p.rewind(mark)
}

// joinTask writes the shared rotated key behind the key of every head.
type joinTask struct {
	m        *mla
	heads, t int
	k, c     []float32 // [T,heads,N+P], cached rows [T,R+P] stride ld
	ld       int
}

const joinRows = 16 // cached rows of one task

// Do handles some cached rows.
func (j *joinTask) Do(_, i int) {
	m := j.m
	for t := i * joinRows; t < min((i+1)*joinRows, j.t); t++ {
		pe := j.c[t*j.ld+m.r:][:m.pe]
		for h := range j.heads {
			copy(j.k[(t*j.heads+h)*m.qk()+m.nope:], pe)
		}
	}
}
