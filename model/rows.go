// This file holds the small loops over rows that the layers run themselves, on the engine's pool: copy,
// bias and its gradient. The task struct lives in the pass, so that a step allocates nothing.

package model

// rowChunk is how many rows one task takes. It is fixed: results must not depend on the threads.
const rowChunk = 64

func chunks(n int) int { return (n + rowChunk - 1) / rowChunk }

// span is the range of rows of chunk i of n rows.
func span(i, n int) (lo, hi int) { return i * rowChunk, min((i+1)*rowChunk, n) }

type rowLoop struct {
	do       func(l *rowLoop, lo, hi int) // rows or columns [lo,hi)
	y, x     []float32
	ldy, ldx int
	count    int // rows, or columns, to be cut
	n        int // the other dimension
	idx      []int32
	a        float32
}

// Do handles one chunk.
func (l *rowLoop) Do(_, i int) {
	lo, hi := span(i, l.count)
	l.do(l, lo, hi)
}

func (p *pass) run(l rowLoop) {
	p.loop = l
	p.e.Pool().Run(chunks(l.count), &p.loop)
	p.loop = rowLoop{}
}

// copyRows computes y[r] = x[r] for rows rows of n channels, unless they are the same memory.
func (p *pass) copyRows(y []float32, ldy int, x []float32, ldx, rows, n int) {
	if rows == 0 || &y[0] == &x[0] {
		return
	}
	p.run(rowLoop{do: doCopy, y: y, ldy: ldy, x: x, ldx: ldx, count: rows, n: n})
}

func doCopy(l *rowLoop, lo, hi int) {
	if l.ldy == l.n && l.ldx == l.n {
		copy(l.y[lo*l.n:hi*l.n], l.x[lo*l.n:hi*l.n])
		return
	}
	for r := lo; r < hi; r++ {
		copy(l.y[r*l.ldy:][:l.n], l.x[r*l.ldx:][:l.n])
	}
}

// gatherRows computes y[i] = x[idx[i]] for rows of n channels; scatterRows y[idx[i]] = x[i].
func (p *pass) gatherRows(y, x []float32, idx []int32, n int) {
	p.run(rowLoop{do: doGather, y: y, x: x, count: len(idx), n: n, idx: idx})
}

func doGather(l *rowLoop, lo, hi int) {
	for i := lo; i < hi; i++ {
		copy(l.y[i*l.n:][:l.n], l.x[int(l.idx[i])*l.n:])
	}
}

func (p *pass) scatterRows(y, x []float32, idx []int32, n int) {
	p.run(rowLoop{do: doScatter, y: y, x: x, count: len(idx), n: n, idx: idx})
}

func doScatter(l *rowLoop, lo, hi int) {
	for i := lo; i < hi; i++ {
		copy(l.y[int(l.idx[i])*l.n:][:l.n], l.x[i*l.n:])
	}
}

// scaleRows computes y[r] *= a for rows rows of n channels.
func (p *pass) scaleRows(y []float32, a float32, rows, n int) {
	p.run(rowLoop{do: doScale, y: y, a: a, count: rows, n: n})
}

func doScale(l *rowLoop, lo, hi int) {
	for i := range l.y[lo*l.n : hi*l.n] {
		l.y[lo*l.n+i] *= l.a
	}
}

// addBias computes y[r] += b for rows rows of len(b) channels.
func (p *pass) addBias(y []float32, ldy int, b []float32, rows int) {
	p.run(rowLoop{do: doAddBias, y: y, ldy: ldy, x: b, count: rows, n: len(b)})
}

func doAddBias(l *rowLoop, lo, hi int) {
	for r := lo; r < hi; r++ {
		y := l.y[r*l.ldy:][:l.n]
		for c, v := range l.x {
			y[c] += v
		}
	}
}

// addBiasGrad computes db += sum_r dy[r], cut by columns, rows in ascending order.
func (p *pass) addBiasGrad(db, dy []float32, lddy, rows int) {
	p.run(rowLoop{do: doBiasGrad, y: db, x: dy, ldx: lddy, count: len(db), n: rows})
}

func doBiasGrad(l *rowLoop, lo, hi int) {
	y := l.y[lo:hi]
	for r := range l.n {
		for c, v := range l.x[r*l.ldx+lo:][:hi-lo] {
			y[c] += v
		}
	}
}
