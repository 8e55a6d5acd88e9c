// This file holds the gated MLP: y = W_down( silu(W_gate x) ⊙ W_up x ).
// Source: Shazeer 2020 (SwiGLU); the clamp of V4: DeepSeek-V4 report.

package forward

import "github.com/haenyeo/haenyeo/kernel"

// mlp is a dense MLP, or the shared expert of an MoE layer, of width f.
type mlp struct {
	f              int
	gate, up, down *kernel.Stored // [F,D], [F,D], [D,F]
	limit          float32        // see clampGates
}

func (b *builder) mlp(prefix string, f int) *mlp {
	d := b.cfg.HiddenSize
	return &mlp{f: f,
		gate: b.matrix(prefix+".gate_proj.weight", f, d),
		up:   b.matrix(prefix+".up_proj.weight", f, d),
		down: b.matrix(prefix+".down_proj.weight", d, f),
	}
}

// feed writes y.
//
//	y [n,D] written   x [n,D] normalised input
func (m *mlp) feed(p *pass, y, x []float32) {
	p.enter(Dense)
	mark := p.mark()
	n, d := p.n, m.down.N
	gu, h := p.floats(n*2*m.f), p.floats(n*m.f)
	p.products = append(p.products[:0],
		kernel.StoredProduct{W: m.gate, Y: gu, LDY: 2 * m.f, X: x, LDX: d, Rows: n},
		kernel.StoredProduct{W: m.up, Y: gu[m.f:], LDY: 2 * m.f, X: x, LDX: d, Rows: n})
	p.multiply(p.dtype)
	p.clampGates(gu, m.limit, n, m.f)
	p.e.SwiGLU(h, m.f, gu, 2*m.f, n, m.f)
	p.linear(y, d, m.down, h, m.f, false)
	p.rewind(mark)
}

// clampGates bounds gates from above and the other half from both sides, unless limit is 0.
//
//	gu [rows,2F] = [g | u] read and written: min(g,limit), clamp(u,±limit)
func (p *pass) clampGates(gu []float32, limit float32, rows, f int) {
	if limit == 0 {
		return
	}
	p.clamp = clampTask{gu, limit, f}
	p.e.Pool().Run(rows, &p.clamp)
	p.clamp = clampTask{}
}

type clampTask struct {
	gu    []float32
	limit float32
	f     int
}

// Do handles row r.
func (t *clampTask) Do(_, r int) {
	gu := t.gu[r*2*t.f:][:2*t.f]
	for j, v := range gu[:t.f] {
		gu[j] = min(v, t.limit)
	}
	for j, v := range gu[t.f:] {
		gu[t.f+j] = max(-t.limit, min(v, t.limit))
	}
}
