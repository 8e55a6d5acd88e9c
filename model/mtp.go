// This file holds multi-token prediction: one more decoder layer that predicts token i+2 from the main
// model's state at i and the embedding of token i+1; forward and backward. It is stored as layer
// num_hidden_layers; embedding and head are the main model's.
// Source: DeepSeek-V3 report, section 2.2; order of the concatenation as in the published weights.

package model

type mtp struct {
	d            int
	layer        int // its layer number
	enorm, hnorm *norm
	proj         *linear // eh_proj [D,2D], columns [embedding | state]
	block        *block
	norm         *norm // shared_head.norm
	beforeNorm   bool  // the state is taken before the main model's final norm, not after it
}

func (b *builder) mtp(c *Config, r *rope, beforeNorm bool) *mtp {
	layer, d := c.NumHiddenLayers, c.HiddenSize
	return &mtp{d: d, layer: layer, beforeNorm: beforeNorm,
		enorm: b.norm(layerName(layer, "enorm"), d, c.RMSNormEps),
		hnorm: b.norm(layerName(layer, "hnorm"), d, c.RMSNormEps),
		proj:  b.matrices(2*d, matrix{layerName(layer, "eh_proj"), d, Matrix}),
		block: b.v3Block(c, layer, r),
		norm:  b.norm(layerName(layer, "shared_head.norm"), d, c.RMSNormEps),
	}
}

type mtpKeep struct {
	e            []float32 // [T,D] embeddings of the next tokens
	eRstd, hRstd []float32 // [T]
	yRstd        []float32 // [T]
	layer        layerKeep
}

func (m *mtp) keep(k *mtpKeep, a *arena, n int) {
	k.e = a.floats(n * m.d)
	k.eRstd, k.hRstd, k.yRstd = a.floats(n), a.floats(n), a.floats(n)
	k.layer.x, k.layer.mid, k.layer.out = a.floats(n*m.d), a.floats(n*m.d), a.floats(n*m.d)
	k.layer.xn1, k.layer.xn2 = a.floats(n*m.d), a.floats(n*m.d)
	m.block.keep(&k.layer, a, n)
}

type mtpScratch struct {
	u, du []float32 // [T,2D] eh_proj's input
	de    []float32 // [T,D]
}

func (m *mtp) scratch(s *scratch, a *arena, n int, train bool) {
	s.mtp.u = a.floats(n * 2 * m.d)
	if train {
		s.mtp.du, s.mtp.de = a.floats(n*2*m.d), a.floats(n*m.d)
	}
}

// forward writes the normalised states [T,D] that the head reads.
//
//	out [T,D] written   h [T,D] main model's state   p.next [T] tokens i+1
//	u_i = W_eh [ enorm(Emb(t_{i+1})) | hnorm(h_i) ];  out_i = norm(Block(u)_i)
func (m *mtp) forward(p *pass, k *mtpKeep, embed *embedding, out, h []float32) {
	embed.forward(p, k.e, p.next[:p.n])
	m.join(p, k, h)
	m.proj.forward(p, k.layer.x, m.d, p.s.mtp.u, 2*m.d, p.n, false)
	m.block.forward(p, &k.layer)
	m.norm.forward(p, out, m.d, k.yRstd, k.layer.out, m.d, p.n)
}

func (m *mtp) join(p *pass, k *mtpKeep, h []float32) {
	m.enorm.forward(p, p.s.mtp.u, 2*m.d, k.eRstd, k.e, m.d, p.n)
	m.hnorm.forward(p, p.s.mtp.u[m.d:], 2*m.d, k.hRstd, h, m.d, p.n)
}

// backward writes dh (adds to it when accumulate), given dout of forward's out. It uses p.dx.
//
//	dh [T,D] written   dout [T,D] read   h [T,D] as in forward
func (m *mtp) backward(p *pass, k *mtpKeep, embed *embedding, dh, dout, h []float32, accumulate bool) {
	s := &p.s.mtp
	m.norm.backward(p, p.dx, m.d, dout, m.d, k.layer.out, m.d, k.yRstd, p.n, false)
	m.block.backward(p, &k.layer)
	m.join(p, k, h)
	m.proj.backward(p, s.du, 2*m.d, p.dx, m.d, s.u, 2*m.d, p.n, false)
	m.enorm.backward(p, s.de, m.d, s.du, 2*m.d, k.e, m.d, k.eRstd, p.n, false)
	embed.backward(p, s.de, p.next[:p.n])
	m.hnorm.backward(p, dh, m.d, s.du[m.d:], 2*m.d, h, m.d, k.hRstd, p.n, accumulate)
}
