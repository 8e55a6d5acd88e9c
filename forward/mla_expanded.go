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
	c := latentsOf(s, i).x
	t, qk, w := s.start+p.n, m.qk(), m.width()
	some := min(m.heads, max(1, expandedFloats/(t*(qk+m.v))))
	k, v := p.floats(t*some*qk), p.floats(t*some*m.v)
	lse := p.floats(p.n * some)
	for h0 := 0; h0 < m.heads; h0 += some {
		heads := min(some, m.heads-h0)
		p.products = p.products[:0]
		for h := range heads {
			p.products = append(p.products,
				kernel.StoredProduct{W: &m.up.Key[h0+h], Y: k[h*qk:], LDY: heads * qk, X: c, LDX: w, Rows: t, Transposed: m.up.KeyTransposed},
				kernel.StoredProduct{W: &m.up.Value[h0+h], Y: v[h*m.v:], LDY: heads * m.v, X: c, LDX: w, Rows: t})
		}
		p.e.MultiplyStored(p.products, p.dtype)
		p.join = joinTask{m, heads, t, k, c}
		p.e.Pool().Run((t+joinRows-1)/joinRows, &p.join)
		p.attention = kernel.Attention{B: 1, T: p.n, Past: s.start, H: heads, HK: heads, DK: qk, DV: m.v, Scale: m.scale,
			Q:   kernel.View{Data: q[h0*qk:], Row: m.heads * qk, Head: qk},
			K:   kernel.View{Data: k, Row: heads * qk, Head: qk},
			V:   kernel.View{Data: v, Row: heads * m.v, Head: m.v},
			O:   kernel.View{Data: o[h0*m.v:], Row: m.heads * m.v, Head: m.v},
			LSE: lse, DType: p.dtype}
		p.e.Attention(&p.attention)
	}
	p.rewind(mark)
}

// joinTask writes the shared rotated key behind the key of every head.
type joinTask struct {
	m        *mla
	heads, t int
	k, c     []float32 // [T,heads,N+P], cached rows [T,R+P]
}

const joinRows = 16 // cached rows of one task

// Do handles some cached rows.
func (j *joinTask) Do(_, i int) {
	m := j.m
	for t := i * joinRows; t < min((i+1)*joinRows, j.t); t++ {
		pe := j.c[t*m.width()+m.r:][:m.pe]
		for h := range j.heads {
			copy(j.k[(t*j.heads+h)*m.qk()+m.nope:], pe)
		}
	}
}
