// This file holds the mixture of experts: dispatch of tokens to experts, the grouped products, the
// weighted sum and the shared expert, forward and backward. The choice itself is in router.go.
// Sources: DeepSeekMoE (Dai et al. 2024); DeepSeek-V3 report, section 2.1.2.

package model

import (
	"fmt"
	"slices"

	"github.com/haenyeo/haenyeo/kernel"
)

// moe is one layer of E experts of width F, K of them per token, and a shared MLP.
//
// The (token, choice) pairs are sorted by expert once per layer; row r of the sorted order belongs to
// token gather[r], and choice j of token t is row rows[t,j]. Each projection is then one grouped
// product. Experts without tokens take no part.
type moe struct {
	f            int
	router       *router
	shared       *mlp // nil without shared experts
	gateUp, down []*linear
	groups       []kernel.Group // reused, at most E

	gateUpAdapters, downAdapters []adapter
}

func (b *builder) moe(c *Config, layer int) *moe {
	m := &moe{f: c.MoEIntermediateSize}
	m.router = b.router(c, layer)
	if c.NSharedExperts > 0 {
		m.shared = b.mlp(layerName(layer, "mlp.shared_experts"), c.HiddenSize, m.f*c.NSharedExperts)
		m.shared.slot = 1
	}
	for x := range c.NRoutedExperts {
		expert := b.mlp(layerName(layer, fmt.Sprintf("mlp.experts.%d", x)), c.HiddenSize, m.f)
		m.gateUp, m.down = append(m.gateUp, expert.gateUp), append(m.down, expert.down)
	}
	m.gateUpAdapters, m.downAdapters = ofExperts(m.gateUp), ofExperts(m.down)
	m.groups = make([]kernel.Group, 0, c.NRoutedExperts)
	return m
}

type moeKeep struct {
	router routerKeep
	start  []int32   // [E+1] first sorted row of each expert
	gather []int32   // [TK] token of a sorted row
	rows   []int32   // [T,K] sorted row of a choice
	gu     []float32 // [TK,2F]; backward turns it into its gradient
	y      []float32 // [TK,D] outputs of the experts; backward turns them into their gradient
}

func (m *moe) keep(k *layerKeep, a *arena, n int) {
	r := m.router
	r.keep(&k.moe.router, a, n)
	k.moe.start, k.moe.gather, k.moe.rows = a.ints(r.e+1), a.ints(n*r.k), a.ints(n*r.k)
	k.moe.gu, k.moe.y = a.floats(n*r.k*2*m.f), a.floats(n*r.k*r.gate.k)
	if m.shared != nil {
		m.shared.keep(k, a, n)
	}
}

type moeScratch struct {
	router routerScratch
	h      []float32 // [TK,F]
	dw     []float32 // [T,K]
}

func (m *moe) scratch(s *scratch, a *arena, n int, train bool) {
	r := m.router
	r.scratch(&s.moe.router, a, n, train)
	s.moe.h = a.floats(n * r.k * m.f)
	if train {
		s.moe.dw = a.floats(n * r.k)
	}
	if m.shared != nil {
		m.shared.scratch(s, a, n, train)
	}
}

// sort fills start, gather and rows of k from its expert ids: a stable counting sort.
func (m *moe) sort(k *moeKeep, n int) {
	ids := k.router.ids[:n*m.router.k]
	start := k.start
	clear(start)
	for _, id := range ids {
		start[id+1]++
	}
	for x := range m.router.e {
		start[x+1] += start[x]
	}
	for i, id := range ids {
		at := start[id]
		start[id]++
		k.gather[at] = int32(i / m.router.k)
		k.rows[i] = at
	}
	copy(start[1:], start) // the loop above moved every start to the next expert's
	start[0] = 0
}

// grouped lists the products of experts that have rows.
func (m *moe) grouped(k *moeKeep, experts []*linear) []kernel.Group {
	g := m.groups[:0]
	for x, l := range experts {
		if lo, hi := int(k.start[x]), int(k.start[x+1]); lo < hi {
			g = append(g, kernel.Group{W: l.w, Lo: lo, Hi: hi, Grad: l.grad})
		}
	}
	return g
}

// trained lists those of grouped that have a gradient.
func (m *moe) trained(k *moeKeep, experts []*linear) []kernel.Group {
	return slices.DeleteFunc(m.grouped(k, experts), func(g kernel.Group) bool { return g.Grad == nil })
}

// forward adds the experts' answers to y.
//
//	y [T,D] read and written   x [T,D] normalised input
//	y += Σ_j w_j FFN_{I_j}(x) + FFN_shared(x)
func (m *moe) forward(p *pass, lk *layerKeep, y, x []float32) {
	k, d, f, n := &lk.moe, m.router.gate.k, m.f, p.n*m.router.k
	m.router.forward(p, &k.router, x)
	m.sort(k, p.n)
	p.e.Linear(k.gu, 2*f, x, d, k.gather, m.grouped(k, m.gateUp), false)
	for i := range m.gateUpAdapters {
		p.adapt(&m.gateUpAdapters[i], k.start, k.gu, 2*f, x, d, k.gather, n)
	}
	p.e.SwiGLU(p.s.moe.h, f, k.gu, 2*f, n, f)
	p.e.Linear(k.y, d, p.s.moe.h, f, nil, m.grouped(k, m.down), false)
	for i := range m.downAdapters {
		p.adapt(&m.downAdapters[i], k.start, k.y, d, p.s.moe.h, f, nil, n)
	}
	if m.shared != nil {
		m.shared.forward(p, lk, y, x)
	}
	p.e.Combine(y, k.y, k.rows, k.router.w, p.n, m.router.k, d, true)
}

// backward writes dx, given dy.
//
//	dx [T,D] written   dy [T,D] read   x [T,D] as in forward
func (m *moe) backward(p *pass, lk *layerKeep, dx, dy, x []float32) {
	k, s, d, f, n := &lk.moe, &p.s.moe, m.router.gate.k, m.f, p.n*m.router.k
	if m.shared != nil {
		m.shared.backward(p, lk, dx, dy, x)
	}
	p.e.CombineGrad(k.y, s.dw, dy, k.y, k.rows, k.router.w, p.n, m.router.k, d)

	p.e.LinearInputGrad(s.h, f, k.y, d, m.grouped(k, m.down), false)
	for i := range m.downAdapters {
		p.adapterInputGrad(i, &m.downAdapters[i], k.start, s.h, f, k.y, d, n)
	}
	p.e.SwiGLUGrad(k.gu, 2*f, s.h, f, s.h, f, k.gu, 2*f, n, f)
	p.e.LinearWeightGrad(k.y, d, s.h, f, nil, m.trained(k, m.down))
	for i := range m.downAdapters {
		p.adapterWeightGrad(i, &m.downAdapters[i], k.start, k.y, d, s.h, f, nil, n)
	}

	dxs := k.y // of the sorted rows
	p.e.LinearInputGrad(dxs, d, k.gu, 2*f, m.grouped(k, m.gateUp), false)
	for i := range m.gateUpAdapters {
		p.adapterInputGrad(i, &m.gateUpAdapters[i], k.start, dxs, d, k.gu, 2*f, n)
	}
	p.e.LinearWeightGrad(k.gu, 2*f, x, d, k.gather, m.trained(k, m.gateUp))
	for i := range m.gateUpAdapters {
		p.adapterWeightGrad(i, &m.gateUpAdapters[i], k.start, k.gu, 2*f, x, d, k.gather, n)
	}
	p.e.Combine(dx, dxs, k.rows, nil, p.n, m.router.k, d, m.shared != nil)
	m.router.backward(p, &k.router, dx, s.dw, x)
}
