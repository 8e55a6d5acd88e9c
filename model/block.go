// This file holds the decoder layer that every generation here is made of, forward and backward:
//
//	x ← x + Attention(norm1(x));  x ← x + FFN(norm2(x))

package model

// attention is mla or gqa. forward adds to y; backward writes dx.
type attention interface {
	keep(k *layerKeep, a *arena, n int)
	scratch(s *scratch, a *arena, n int, train bool)
	forward(p *pass, k *layerKeep, y, x []float32)
	backward(p *pass, k *layerKeep, dx, dy, x []float32)
}

// feedForward is mlp or moe. forward adds to y; backward writes dx.
type feedForward interface {
	keep(k *layerKeep, a *arena, n int)
	scratch(s *scratch, a *arena, n int, train bool)
	forward(p *pass, k *layerKeep, y, x []float32)
	backward(p *pass, k *layerKeep, dx, dy, x []float32)
}

type block struct {
	norm1, norm2 *norm
	attention    attention
	ffn          feedForward
}

// layerKeep is what one layer keeps for its backward pass: its parts and the residual stream.
type layerKeep struct {
	x, mid, out  []float32 // [T,D] stream before the layer, between its halves, after it
	xn1, xn2     []float32 // [T,D] normalised inputs of the two halves
	rstd1, rstd2 []float32 // [T]
	mla          mlaKeep
	gqa          gqaKeep
	mlp          mlpKeep
	moe          moeKeep
}

// keep lays out the layer's part of the arena; [T,D] are laid out by the pass.
func (b *block) keep(k *layerKeep, a *arena, n int) {
	k.rstd1, k.rstd2 = a.floats(n), a.floats(n)
	b.attention.keep(k, a, n)
	b.ffn.keep(k, a, n)
}

func (b *block) forward(p *pass, k *layerKeep) {
	d := b.norm1.n
	p.copyRows(k.mid, d, k.x, d, p.n, d)
	b.norm1.forward(p, k.xn1, d, k.rstd1, k.x, d, p.n)
	b.attention.forward(p, k, k.mid, k.xn1)
	b.feed(p, k)
}

func (b *block) feed(p *pass, k *layerKeep) {
	d := b.norm2.n
	p.copyRows(k.out, d, k.mid, d, p.n, d)
	b.norm2.forward(p, k.xn2, d, k.rstd2, k.mid, d, p.n)
	b.ffn.forward(p, k, k.out, k.xn2)
}

// backward turns p.dx, the gradient of the stream after the layer, into that before it.
func (b *block) backward(p *pass, k *layerKeep) {
	d := b.norm1.n
	b.ffn.backward(p, k, p.s.dxn, p.dx, k.xn2)
	b.norm2.backward(p, p.dx, d, p.s.dxn, d, k.mid, d, k.rstd2, p.n, true)

	b.attention.backward(p, k, p.s.dxn, p.dx, k.xn1)
	b.norm1.backward(p, p.dx, d, p.s.dxn, d, k.x, d, k.rstd1, p.n, true)
}

// balance returns the balance loss of the layer, summed over the sequences of the pass. It must be
// called between forward and backward when p.balanceScale is set.
func (b *block) balance(p *pass, k *layerKeep) float64 {
	if m, ok := b.ffn.(*moe); ok {
		return m.router.balance(p, &k.moe.router)
	}
	return 0
}
