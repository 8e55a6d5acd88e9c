// This file holds the absorbed form of latent attention: queries go to the space of the latents, so that
// these are never expanded:
//
//	q'_h = [W_UK[h]ᵀ q_h^nope | q_h^pe];  o_h = W_UV[h] Σ_t softmax_t(scale q'_h·c_t) ckv_t
//
// Source: DeepSeek-V2 report, section 2.1.2.

package forward

import "github.com/haenyeo/haenyeo/kernel"

// absorbed writes o [n,H,W] for queries q [n,H,N+P].
func (m *mla) absorbed(p *pass, i int, o, q []float32) {
	mark := p.mark()
	w, H := m.width(), m.heads
	a, u := p.floats(p.n*H*w), p.floats(p.n*H*m.r)
	m.absorb(p, a, q)
	lo, hi := p.ints(p.n), p.ints(p.n)
	for r := range p.n {
		lo[r], hi[r] = 0, p.pos[r]+1
	}
	for j := range p.spans {
		s := &p.spans[j]
		p.sets[0] = latentsOf(s, i).entries()
		p.sets[0].Lo, p.sets[0].Hi = lo[s.lo:s.hi], hi[s.lo:s.hi]
		p.shared = kernel.Shared{T: s.hi - s.lo, H: H, DK: w, DV: m.r, Scale: m.scale,
			Q: kernel.View{Data: a[s.lo*H*w:], Row: H * w, Head: w}, O: kernel.View{Data: u[s.lo*H*m.r:], Row: H * m.r, Head: m.r},
			Sets: p.sets[:]}
		p.attendShared(&p.shared)
	}
	m.values(p, o, u)
	p.rewind(mark)
}

// absorb writes the queries a [n,H,R+P] that meet cached rows.
func (m *mla) absorb(p *pass, a, q []float32) {
	w, H := m.width(), m.heads
	p.products = p.products[:0]
	for h := range H {
		p.products = append(p.products, kernel.StoredProduct{W: &m.up.Key[h], Y: a[h*w:], LDY: H * w,
			X: q[h*m.qk():], LDX: H * m.qk(), Rows: p.n, Transposed: !m.up.KeyTransposed})
	}
	p.multiply(kernel.F32)
	p.share = shareTask{m, a, q}
	p.e.Pool().Run(p.n, &p.share)
	p.share = shareTask{}
}

// shareTask copies the rotated parts of queries behind their absorbed ones.
type shareTask struct {
	m    *mla
	a, q []float32
}

// Do handles one row.
func (t *shareTask) Do(_, r int) {
	m := t.m
	for h := r * m.heads; h < (r+1)*m.heads; h++ {
		copy(t.a[h*m.width()+m.r:][:m.pe], t.q[h*m.qk()+m.nope:])
	}
}

// values writes o [n,H,W] from attended latents u [n,H,R].
func (m *mla) values(p *pass, o, u []float32) {
	H := m.heads
	p.products = p.products[:0]
	for h := range H {
		p.products = append(p.products, kernel.StoredProduct{W: &m.up.Value[h], Y: o[h*m.v:], LDY: H * m.v,
			X: u[h*m.r:], LDX: H * m.r, Rows: p.n})
	}
	p.multiply(kernel.F32)
}
