// This file holds pass: the activations of one forward (and backward) pass in one arena, and the walk
// through the layers in both directions.

package model

import "github.com/haenyeo/haenyeo/kernel"

// pass is the memory for up to capacity tokens, and the shape and inputs of the current one: b rows
// of t tokens, n = b·t.
type pass struct {
	e        *kernel.Engine
	dtype    kernel.DType
	capacity int
	b, t, n  int

	tokens, next       []int32   // [T] inputs; the tokens after them (for MTP)
	targets, mtpTarget []int32   // [T] −1: no loss
	pos                []int32   // [T] position of a token in its row
	firstBuf, first    []int32   // [T]; first is nil when no row holds a second document
	experts            [][]int32 // of each MoE layer [T,K], to be used; empty: routers choose
	routes             []Routes  // of each MoE layer, to be added to; nil: nobody asks

	countLoads   bool    // routers add to their loads
	balanceScale float32 // α over the sequences and tokens of the batch; 0: no balance loss

	layers []layerKeep
	mtp    mtpKeep
	rstd   []float32 // [T] of the final norm
	h, dh  []float32 // [T,D] after the final norm, and its gradient
	dx     []float32 // [T,D] gradient of the residual stream
	logits []float32 // [chunk,V]
	scored scored
	nll    []float32 // [T]
	s      scratch
	loop   rowLoop

	adapting adapting
}

// scratch is memory that one layer at a time uses. The parts share floats.
type scratch struct {
	xn, dxn []float32 // [T,D] a normalised input, where layers do not keep theirs, and its gradient
	mla     mlaScratch
	gqa     gqaScratch
	mlp     [2]mlpScratch
	moe     moeScratch
	mtp     mtpScratch
}

// passFor returns the pass, made larger if b·t tokens do not fit, with its shape set.
func (m *Model) passFor(b, t int) *pass {
	n := b * t
	if p := m.pass; p == nil || p.capacity < n {
		if p != nil && !m.opt.Train {
			n = max(n, min(2*p.capacity, m.opt.MaxTokens)) // prompts grow: do not follow one by one
		}
		m.pass = nil // let the old arena go first
		m.pass = m.newPass(n)
	}
	p := m.pass
	p.b, p.t, p.n = b, t, b*t
	p.first, p.countLoads, p.balanceScale = nil, false, 0
	p.experts, p.routes = p.experts[:0], nil
	for i := range p.n {
		p.pos[i] = int32(i % t)
	}
	m.rope.grow(t)
	return p
}

func (m *Model) newPass(n int) *pass {
	p := &pass{e: m.e, dtype: m.opt.DType, capacity: n, layers: make([]layerKeep, len(m.blocks))}
	newArena(func(a *arena) { m.layout(p, a, n) })
	return p
}

// layout places everything. A model that trains keeps the activations of all layers; otherwise they
// share the memory of one, and the residual stream is updated in place.
func (m *Model) layout(p *pass, a *arena, n int) {
	d, train := m.cfg.HiddenSize, m.opt.Train
	p.tokens, p.next, p.targets, p.mtpTarget = a.ints(n), a.ints(n), a.ints(n), a.ints(n)
	p.pos, p.firstBuf = a.ints(n), a.ints(n)
	p.rstd, p.nll = a.floats(n), a.floats(n)
	p.h = a.floats(n * d)
	m.layoutHead(p, a, n)
	m.layoutAdapters(p, a, n)
	if train {
		p.dh, p.dx = a.floats(n*d), a.floats(n*d)
	}

	p.s.xn = a.floats(n * d)
	stream := a.floats(n * d)
	shared := a.mark()
	for i, b := range m.blocks {
		k := &p.layers[i]
		k.x, k.mid, k.out = stream, stream, stream
		k.xn1, k.xn2 = p.s.xn, p.s.xn
		if train {
			k.mid, k.out = a.floats(n*d), a.floats(n*d)
			k.xn1, k.xn2 = a.floats(n*d), a.floats(n*d)
			stream = k.out
		} else {
			a.rewind(shared)
		}
		b.keep(k, a, n)
	}
	if !train {
		a.rewind(shared)
	}
	if m.mtp != nil {
		m.mtp.keep(&p.mtp, a, n)
	}
	if !train {
		a.nf = a.top // scratch is alive together with the largest layer
	}

	if train {
		p.s.dxn = a.floats(n * d)
	}
	parts := a.mark()
	for _, b := range m.allBlocks() {
		a.rewind(parts)
		b.attention.scratch(&p.s, a, n, train)
		a.rewind(parts)
		b.ffn.scratch(&p.s, a, n, train)
	}
	if m.mtp != nil {
		a.rewind(parts)
		m.mtp.scratch(&p.s, a, n, train)
	}
}

// forward runs the main model over p.tokens up to the final norm, p.h.
func (m *Model) forward(p *pass) {
	d := m.cfg.HiddenSize
	m.embed.forward(p, p.layers[0].x, p.tokens[:p.n])
	for i, b := range m.blocks {
		b.forward(p, &p.layers[i])
	}
	m.norm.forward(p, p.h, d, p.rstd, m.last(p), d, p.n)
}

// last is the residual stream after the last layer.
func (m *Model) last(p *pass) []float32 { return p.layers[len(p.layers)-1].out }

// state is what the MTP layer reads of the main model.
func (m *Model) state(p *pass) []float32 {
	if m.mtp.beforeNorm {
		return m.last(p)
	}
	return p.h
}

// mtpLoss returns the summed cross-entropy of the MTP layer, after headLoss. With grad it runs the
// layer's whole backward pass with scale times the gradient of that sum, and leaves the part that
// belongs to the main model in p.dh, or in p.s.dxn where the state is taken before the final norm.
//
// The layer's balance loss, if asked for, is added to balance.
func (m *Model) mtpLoss(p *pass, scale float32, grad bool, balance *float64) float64 {
	m.mtp.forward(p, &p.mtp, m.embed, p.s.xn, m.state(p))
	if p.balanceScale != 0 {
		*balance += m.mtp.block.balance(p, &p.mtp.layer)
	}
	if !grad {
		return m.headLoss(p, nil, 0, p.s.xn, nil, p.mtpTarget, p.nll, 0)
	}
	sum := m.headLoss(p, nil, 0, p.s.xn, p.s.dxn, p.mtpTarget, p.nll, scale)
	if m.mtp.beforeNorm {
		m.mtp.backward(p, &p.mtp, m.embed, p.s.dxn, p.s.dxn, m.state(p), false)
	} else {
		m.mtp.backward(p, &p.mtp, m.embed, p.dh, p.s.dxn, m.state(p), true)
	}
	return sum
}

// backward carries p.dh through the final norm and the layers, down to the lowest that trains.
func (m *Model) backward(p *pass, withMTP bool) {
	d := m.cfg.HiddenSize
	m.norm.backward(p, p.dx, d, p.dh, d, m.last(p), d, p.rstd, p.n, false)
	if withMTP && m.mtp.beforeNorm {
		p.e.Add(p.dx[:p.n*d], p.s.dxn[:p.n*d])
	}
	for i := len(m.blocks) - 1; i >= m.lowest; i-- {
		m.blocks[i].backward(p, &p.layers[i])
	}
	m.embed.backward(p, p.dx, p.tokens[:p.n])
}
