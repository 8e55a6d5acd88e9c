// This file holds the mixture of experts: dispatch of tokens to experts, the products, the weighted sum
// and the shared expert. The choice itself is in router.go.
// Sources: DeepSeekMoE (Dai et al. 2024); DeepSeek-V3 report, section 2.1.2.

package forward

import "github.com/haenyeo/haenyeo/kernel"

// moe is E experts of width F, K of them per token, and a shared MLP.
//
// The (token, choice) pairs are sorted by expert; row r of the sorted order belongs to token gather[r],
// and choice j of token t is row rows[t,j]. Experts without tokens take no part.
type moe struct {
	f              int
	prefix         string // of the names of the layer's tensors
	router         *router
	gate, up, down []*kernel.Stored // [F,D], [F,D], [D,F] of every expert
	shared         *mlp             // nil without shared experts
	limit          float32          // see clampGates
	inside         bool             // weights multiply what goes into down, as in V4, not what comes out of it
	streamed                        // zero without a memory budget
}

// moe reads the MoE part of a layer by its published names.
func (b *builder) moe(layer int) *moe {
	c, at := b.cfg, layerPrefix(layer)+"mlp."
	m := &moe{f: c.MoEIntermediateSize, prefix: layerPrefix(layer), router: b.router()}
	d := c.HiddenSize
	m.router.gate = b.matrix(at+"gate.weight", m.router.e, d)
	if c.TopKMethod == "noaux_tc" {
		m.router.bias = b.vector(at+"gate.e_score_correction_bias", m.router.e)
	}
	m.gate = b.experts(layerPrefix(layer), "gate_proj", m.f, d)
	m.up = b.experts(layerPrefix(layer), "up_proj", m.f, d)
	m.down = b.experts(layerPrefix(layer), "down_proj", d, m.f)
	if c.NSharedExperts > 0 {
		m.shared = b.mlp(at+"shared_experts", m.f*c.NSharedExperts)
	}
	return m
}

// dispatch says which rows meet which expert.
type dispatch struct {
	start  []int32 // [E+1] first sorted row of each expert
	gather []int32 // [nK] token of a sorted row
	rows   []int32 // [n,K] sorted row of a choice
}

// sort makes the dispatch of ids [n,K], in the arena: a stable counting sort.
func (m *moe) sort(p *pass, ids []int32) dispatch {
	e, k := m.router.e, m.router.k
	d := dispatch{p.ints(e + 1), p.ints(len(ids)), p.ints(len(ids))}
	clear(d.start)
	for _, id := range ids {
		d.start[id+1]++
	}
	for x := range e {
		d.start[x+1] += d.start[x]
	}
	for i, id := range ids {
		at := d.start[id]
		d.start[id]++
		d.gather[at] = int32(i / k)
		d.rows[i] = at
	}
	copy(d.start[1:], d.start) // the loop above moved every start to the next expert's
	d.start[0] = 0
	return d
}

// feed writes the experts' answers.
//
//	y [n,D] written   x [n,D] normalised input
//	y = Σ_j w_j FFN_{I_j}(x) + FFN_shared(x)
func (m *moe) feed(p *pass, y, x []float32) {
	mark := p.mark()
	p.enter(Routing)
	ids, w := m.router.choose(p, x)
	s := m.sort(p, ids)
	if m.residents != nil {
		m.announce(p, s, x)
	}
	if m.shared != nil {
		m.shared.feed(p, y, x)
	}
	p.enter(Experts)
	rows, d, f := len(ids), m.router.gate.K, m.f
	gu, h, z := p.floats(rows*2*f), p.floats(rows*f), p.floats(rows*d)
	m.multiply(p, s, 0, func(e, lo, hi int) {
		to := gu[lo*2*f:]
		p.products = append(p.products,
			kernel.StoredProduct{W: m.gate[e], Y: to, LDY: 2 * f, X: x, LDX: d, Gather: s.gather[lo:hi], Rows: hi - lo},
			kernel.StoredProduct{W: m.up[e], Y: to[f:], LDY: 2 * f, X: x, LDX: d, Gather: s.gather[lo:hi], Rows: hi - lo})
	})
	p.clampGates(gu, m.limit, rows, f)
	p.e.SwiGLU(h, f, gu, 2*f, rows, f)
	if m.inside {
		m.weigh(p, h, s, w)
		w = nil
	}
	m.multiply(p, s, 1, func(e, lo, hi int) {
		p.products = append(p.products, kernel.StoredProduct{W: m.down[e], Y: z[lo*d:], LDY: d, X: h[lo*f:], LDX: f, Rows: hi - lo})
	})
	p.e.Combine(y, z, s.rows, w, p.n, m.router.k, d, m.shared != nil)
	p.rewind(mark)
}

// multiply runs the products that add makes for every expert e with sorted rows [lo,hi). half says which matrices
// of the expert they need, see residents.
func (m *moe) multiply(p *pass, d dispatch, half int, add func(e, lo, hi int)) {
	if m.residents != nil {
		m.multiplyResident(p, d, half, add)
		return
	}
	p.products = p.products[:0]
	for e := range m.gate {
		if lo, hi := int(d.start[e]), int(d.start[e+1]); lo < hi {
			add(e, lo, hi)
		}
	}
	p.multiply(p.dtype)
}

// weigh multiplies the sorted rows of h [nK,F] by the weights [n,K] of their choices.
func (m *moe) weigh(p *pass, h []float32, d dispatch, w []float32) {
	mark := p.mark()
	sorted, at := p.floats(len(w)), p.ints(len(w))
	for i, r := range d.rows {
		sorted[r], at[i] = w[i], int32(i)
	}
	p.e.Combine(h, h, at, sorted, len(w), 1, m.f, false)
	p.rewind(mark)
}
