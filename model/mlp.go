// This file holds the gated MLP, forward and backward: y = W_down( silu(W_gate x) ⊙ W_up x ).
// Source: Shazeer 2020 (SwiGLU).

package model

// mlp is a dense MLP, or the shared expert of an MoE layer, of width f.
type mlp struct {
	f      int
	slot   int     // of the scratch: 0 dense layers, 1 shared experts, which may have another width
	gateUp *linear // [2F,D]: gate_proj above up_proj
	down   *linear // [D,F]
}

func (b *builder) mlp(prefix string, d, f int) *mlp {
	return &mlp{f: f,
		gateUp: b.matrices(d, matrix{prefix + ".gate_proj", f, Matrix}, matrix{prefix + ".up_proj", f, Matrix}),
		down:   b.matrices(f, matrix{prefix + ".down_proj", d, Matrix}),
	}
}

type mlpKeep struct {
	gu []float32 // [T,2F]; backward turns it into its gradient
}

func (m *mlp) keep(k *layerKeep, a *arena, n int) { k.mlp.gu = a.floats(n * 2 * m.f) }

type mlpScratch struct {
	h []float32 // [T,F]
}

func (m *mlp) scratch(s *scratch, a *arena, n int, train bool) {
	s.mlp[m.slot].h = a.floats(n * m.f)
}

// forward adds MLP(x) to y.
//
//	y [T,D] read and written   x [T,D] normalised input
func (m *mlp) forward(p *pass, k *layerKeep, y, x []float32) {
	h := p.s.mlp[m.slot].h
	m.gateUp.forward(p, k.mlp.gu, 2*m.f, x, m.gateUp.k, p.n, false)
	p.e.SwiGLU(h, m.f, k.mlp.gu, 2*m.f, p.n, m.f)
	m.down.forward(p, y, m.down.n, h, m.f, p.n, true)
}

// backward writes dx, given dy.
//
//	dx [T,D] written   dy [T,D] read   x [T,D] as in forward
func (m *mlp) backward(p *pass, k *layerKeep, dx, dy, x []float32) {
	h, gu := p.s.mlp[m.slot].h, k.mlp.gu
	// h holds its gradient until SwiGLUGrad computes h again, for the weight gradient of down.
	m.down.inputGrad(p, h, m.f, dy, m.down.n, p.n, false)
	p.e.SwiGLUGrad(gu, 2*m.f, h, m.f, h, m.f, gu, 2*m.f, p.n, m.f)
	m.down.weightGrad(p, dy, m.down.n, h, m.f, p.n)
	m.gateUp.backward(p, dx, m.gateUp.k, gu, 2*m.f, x, m.gateUp.k, p.n, false)
}
