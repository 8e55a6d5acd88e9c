// This file holds what a model is made of: the interfaces of layers and their parts, RMSNorm, and the
// block that nearly every generation uses.

package forward

import "github.com/haenyeo/haenyeo/kernel"

// layer is one of the layers that a pass walks through. It reads and writes p.stream.
type layer interface {
	// forward runs the layer; its caches are those of number i of the spans' caches.
	forward(p *pass, i int)
	newCache() layerCache
}

// attention mixes tokens of a sequence.
type attention interface {
	// attend writes y.
	//
	//	y [n,D] written   x [n,D] normalised input of the layer
	attend(p *pass, i int, y, x []float32)
	newCache() layerCache
}

// feedForward works on every token by itself.
type feedForward interface {
	// feed writes y.
	//
	//	y [n,D] written   x [n,D] normalised input
	feed(p *pass, y, x []float32)
}

// output turns the streams that the last layer leaves into what the head multiplies.
type output interface {
	// finish writes y for rows [lo,hi) of the pass: the normalised states.
	//
	//	y [hi-lo,D] written
	finish(p *pass, y []float32, lo, hi int)
}

// block is the pre-norm residual layer: x += attend(norm1(x)); x += feed(norm2(x)).
type block struct {
	d            int
	norm1, norm2 *norm
	attention    attention
	mlp          feedForward
}

func (b *block) forward(p *pass, i int) {
	mark := p.mark()
	x, y := p.floats(p.n*b.d), p.floats(p.n*b.d)
	b.norm1.apply(p, x, p.stream, p.n)
	p.enter(Projection)
	b.attention.attend(p, i, y, x)
	p.enter(Small)
	p.e.Add(p.stream, y)
	b.norm2.apply(p, x, p.stream, p.n)
	b.mlp.feed(p, y, x)
	p.enter(Small)
	p.e.Add(p.stream, y)
	p.rewind(mark)
}

func (b *block) newCache() layerCache { return b.attention.newCache() }

// norm is RMSNorm over n channels. Source: Zhang and Sennrich 2019.
type norm struct {
	n   int
	eps float32
	w   []float32 // [n]
}

// apply computes y = w ⊙ x·(mean x² + eps)^(-1/2) for rows rows that follow each other. y may be x.
func (m *norm) apply(p *pass, y, x []float32, rows int) { m.strided(p, y, m.n, x, m.n, rows) }

// strided is apply with strides of y and x.
func (m *norm) strided(p *pass, y []float32, ldy int, x []float32, ldx, rows int) {
	mark, was := p.mark(), p.enter(Small)
	p.e.RMSNorm(y, ldy, p.floats(rows), x, ldx, m.w, rows, m.n, m.eps)
	p.enter(was)
	p.rewind(mark)
}

// plainOutput is the final norm.
type plainOutput struct{ norm *norm }

func (o plainOutput) finish(p *pass, y []float32, lo, hi int) {
	d := o.norm.n
	o.norm.apply(p, y, p.stream[lo*d:hi*d], hi-lo)
}

// linear computes y = W x for all rows of the pass, added to y when accumulate.
//
//	y [n,N] stride ldy written   x [n,K] stride ldx read
func (p *pass) linear(y []float32, ldy int, w *kernel.Stored, x []float32, ldx int, accumulate bool) {
	p.products = append(p.products[:0], kernel.StoredProduct{W: w, Y: y, LDY: ldy, X: x, LDX: ldx, Rows: p.n, Accumulate: accumulate})
	p.multiply(p.dtype)
}
