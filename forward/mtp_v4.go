// This file holds the multi-token prediction layer of V4, which works on all residual streams.
// Source: DeepSeek-V4 reference code; the shift of the tokens is that of V3.

package forward

import "github.com/haenyeo/haenyeo/kernel"

// hyperMTP predicts with streams: X_c = W_e enorm(Emb(t_{i+1})) + W_h hnorm(H_c), H the streams of the main
// model after its last layer; then a layer, a mix of the streams and a norm of its own.
type hyperMTP struct {
	enorm, hnorm *norm
	wE, wH       *kernel.Stored // [D,D]
	block        *hyperBlock
	output       hyperOutput
}

// v4MTP sets the MTP layer.
func (b *builder) v4MTP(r v4Ropes) {
	c, at := b.cfg, "mtp.0."
	d := c.HiddenSize
	b.net.mtp = &hyperMTP{
		enorm: b.norm(at+"enorm.weight", d, c.RMSNormEps), hnorm: b.norm(at+"hnorm.weight", d, c.RMSNormEps),
		wE: b.matrix(at+"e_proj.weight", d, d), wH: b.matrix(at+"h_proj.weight", d, d),
		block: b.v4Layer(at, c.NumHiddenLayers, r), output: b.hyperOutput(at),
	}
}

func (m *hyperMTP) newCache() layerCache { return m.block.newCache() }

func (m *hyperMTP) predict(p *pass, i int, y []float32, next []int32, _ bool) {
	mark := p.mark()
	d, s := m.wE.N, p.net.streams
	x, e := p.floats(p.n*s*d), p.floats(p.n*d)
	p.net.embedTokens(x, next) // once for every stream
	m.enorm.strided(p, e, d, x, s*d, p.n)
	p.linear(y, d, m.wE, e, d, false)
	m.hnorm.apply(p, x, p.stream, p.n*s)
	p.products = append(p.products[:0], kernel.StoredProduct{W: m.wH, Y: p.stream, LDY: d, X: x, LDX: d, Rows: p.n * s})
	p.multiply(p.dtype)
	row := p.ints(p.n * s)
	for j := range row {
		row[j] = int32(j / s)
	}
	p.e.Combine(p.stream, y, row, nil, p.n*s, 1, d, true)
	m.block.forward(p, i)
	m.output.finish(p, y, 0, p.n)
	p.rewind(mark)
}
