// This file holds pass, one walk of some rows through the layers, and the arena of its activations.

package forward

import "github.com/haenyeo/haenyeo/kernel"

// pass is one walk through the layers: n rows, the tokens of one or several sequences. A Net has one,
// whose memory is used again by every walk.
type pass struct {
	net      *Net
	e        *kernel.Engine
	dtype    kernel.DType
	rounding Rounding

	n      int
	tokens []int32 // [n]
	pos    []int32 // [n] position in its sequence
	row    []int32 // [n] 0, 1, 2...
	bad    []int32 // [n] see firstBad
	spans  []span
	stream []float32 // [n,D]; [n,streams,D] with hyper-connections

	arena
	err error // what went wrong in a layer

	tracer Tracer // nil: nobody asks
	layer  int    // that is run, -1 for none
	kind   Kind   // of what is done

	// Arguments of the operation that runs.
	products  []kernel.StoredProduct
	seqs      []kernel.CachedSeq
	attention kernel.Attention
	cached    kernel.Cached
	shared    kernel.Shared
	sets      [1]kernel.Entries
	share     shareTask
	join      joinTask
	clamp     clampTask
	routing   routerTask
	rope      ropeTask
	bias      biasTask
}

// span is the rows of a pass that belong to one sequence.
type span struct {
	cache  *Cache
	lo, hi int     // rows
	start  int     // tokens cached before
	tokens []int32 // [hi-lo]
}

// arena hands out memory that is taken back in the reverse order, by mark and rewind. What it hands
// out holds what was there before.
type arena struct {
	f      []float32
	i      []int32
	nf, ni int // taken of f and i
	needF  int // most that was ever taken
	needI  int
	spillF int // floats handed out beside f, because it was full
	spillI int
}

// lineFloats keeps every slice on its own 64-byte cache lines.
const lineFloats = 16

// mark is a state of an arena.
type mark struct{ nf, ni, spillF, spillI int }

func (a *arena) mark() mark { return mark{a.nf, a.ni, a.spillF, a.spillI} }

// rewind takes back all that was handed out since m.
func (a *arena) rewind(m mark) { a.nf, a.ni, a.spillF, a.spillI = m.nf, m.ni, m.spillF, m.spillI }

// reset takes everything back and makes room for the most that was ever taken at once.
func (a *arena) reset() {
	a.rewind(mark{})
	a.grow()
}

// grow makes room for the most that was ever taken at once. What was handed out stays where it is: between two layers
// of the first walk it keeps the second from leaving as much garbage as the first.
func (a *arena) grow() {
	if a.needF > len(a.f) {
		a.f = make([]float32, a.needF+a.needF/8)
	}
	if a.needI > len(a.i) {
		a.i = make([]int32, a.needI+a.needI/8)
	}
}

// floats hands out n floats.
func (a *arena) floats(n int) []float32 {
	room := (n + lineFloats - 1) &^ (lineFloats - 1)
	a.needF = max(a.needF, a.nf+a.spillF+room)
	if a.nf+room > len(a.f) {
		a.spillF += room
		return make([]float32, n)
	}
	a.nf += room
	return a.f[a.nf-room:][:n:n]
}

// ints hands out n integers.
func (a *arena) ints(n int) []int32 {
	a.needI = max(a.needI, a.ni+a.spillI+n)
	if a.ni+n > len(a.i) {
		a.spillI += n
		return make([]int32, n)
	}
	a.ni += n
	return a.i[a.ni-n:][:n:n]
}

// begin sets up a walk over the tokens of spans, whose rows follow each other.
func (p *pass) begin(n *Net, spans []span) {
	p.err, p.layer = nil, -1
	p.enter(Small)
	p.net, p.e, p.dtype, p.rounding = n, n.e, n.opt.DType, n.opt.Rounding
	p.reset()
	p.spans, p.n = spans, spans[len(spans)-1].hi
	p.tokens, p.pos, p.bad = p.ints(p.n), p.ints(p.n), p.ints(p.n)
	for len(p.row) < p.n {
		p.row = append(p.row, int32(len(p.row)))
	}
	for _, s := range spans {
		copy(p.tokens[s.lo:s.hi], s.tokens)
		for r := s.lo; r < s.hi; r++ {
			p.pos[r] = int32(s.start + r - s.lo)
		}
	}
	for _, r := range n.ropes {
		r.prepare(p)
	}
	p.stream = p.floats(p.n * n.streams * n.cfg.HiddenSize)
}

// spoil makes the stream NaN, which is noticed after the layer, in every row whose width numbers of x are not
// all finite. It is for what is only compared afterwards, and would be passed over.
//
//	x [n,width]
func (p *pass) spoil(x []float32, width int) {
	for r := range p.n {
		if s := taint(x[r*width:][:width]); s != s {
			p.stream[r*(len(p.stream)/p.n)] = s
		}
	}
}

// taint is 0 where x is finite, else NaN: x − x is, and a sum keeps it.
func taint(x []float32) (s float32) {
	for _, v := range x {
		s += v - v
	}
	return s
}

// fail keeps the first error of a walk, which ends behind the layer.
func (p *pass) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// addBias computes y[r] += b for rows rows of y.
//
//	y [rows,N] stride ldy read and written   b [N] read
func (p *pass) addBias(y []float32, ldy int, b []float32, rows int) {
	p.bias = biasTask{y, b, ldy}
	p.e.Pool().Run(rows, &p.bias)
	p.bias = biasTask{}
}

type biasTask struct {
	y, b []float32
	ldy  int
}

// Do handles row r.
func (t *biasTask) Do(_, r int) {
	y := t.y[r*t.ldy:][:len(t.b)]
	for c, v := range t.b {
		y[c] += v
	}
}

// rowChunk is how many rows a task takes whose rows are little work.
const rowChunk = 16
