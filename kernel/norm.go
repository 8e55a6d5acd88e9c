package kernel

import "math"

// RMSNorm computes y = w ⊙ x·rstd, rstd = (mean x² + eps)^(-1/2), for each of rows rows of n
// channels.
//
//	y [rows,n] stride ldy written   rstd [rows] written   x [rows,n] stride ldx read   w [n] read
//
// Source: DeepSeek-V3 reference code; family of Zhang and Sennrich 2019.
func (e *Engine) RMSNorm(y []float32, ldy int, rstd []float32, x []float32, ldx int, w []float32, rows, n int, eps float32) {
	t := &e.ops.norm
	*t = normTask{&e.vec, y, rstd, x, w, ldy, ldx, rows, n, rowsPerTask(n), eps}
	e.run(rows, t.per, t)
	*t = normTask{}
}

type normTask struct {
	vec                    *vector
	y, rstd, x, w          []float32
	ldy, ldx, rows, n, per int
	eps                    float32
}

func (t *normTask) Do(_, i int) {
	for r := i * t.per; r < min((i+1)*t.per, t.rows); r++ {
		x := t.x[r*t.ldx:][:t.n]
		rs := float32(1 / math.Sqrt(t.vec.sumSquares(x)/float64(t.n)+float64(t.eps)))
		t.rstd[r] = rs
		t.vec.normApply(t.y[r*t.ldy:][:t.n], x, t.w, rs)
	}
}

// RMSNormGrad adds to dw and writes dx (adds to it when accumulate):
//
//	x̂ = x·rstd   a = w ⊙ dy   dw += dy ⊙ x̂   dx = rstd·(a − x̂·mean(a ⊙ x̂))
//
// dw is summed over blocks of normRows rows, then over the blocks in order. dx may be x.
// Source: Zhang and Sennrich 2019, differentiated.
func (e *Engine) RMSNormGrad(dx []float32, lddx int, dw []float32, dy []float32, lddy int, x []float32, ldx int, w, rstd []float32, rows, n int, accumulate bool) {
	t, s := &e.ops.normGrad, &e.ops.normGradSum
	for lo := 0; lo < rows; lo += normRows * normBlocks {
		part := min(rows-lo, normRows*normBlocks)
		blocks := (part + normRows - 1) / normRows
		s.dw, s.partial = dw, grow(s.partial, blocks*n)
		*t = normGradTask{&e.vec, s.partial, dx[lo*lddx:], dy[lo*lddy:], x[lo*ldx:], w, rstd[lo:], lddx, lddy, ldx, part, n, accumulate}
		e.pool.Run(blocks, t)
		s.vec, s.n, s.blocks = &e.vec, n, blocks
		e.run(n, normColumns, s)
	}
	*t = normGradTask{}
	s.dw = nil
}

const (
	normRows    = 64  // rows in one partial sum of dw
	normBlocks  = 64  // partial sums kept at once
	normColumns = 512 // channels in one task of the final sum
)

type normGradTask struct {
	vec                         *vector
	partial, dx, dy, x, w, rstd []float32
	lddx, lddy, ldx, rows, n    int
	accumulate                  bool
}

func (t *normGradTask) Do(_, i int) {
	n := t.n
	dw := t.partial[i*n:][:n]
	clear(dw)
	for r := i * normRows; r < min((i+1)*normRows, t.rows); r++ {
		x, dy, dx, rs := t.x[r*t.ldx:][:n], t.dy[r*t.lddy:][:n], t.dx[r*t.lddx:][:n], t.rstd[r]
		c := rs * float32(t.vec.normGradSum(dw, dy, x, t.w, rs)/float64(n))
		if t.accumulate {
			t.vec.normGradAdd(dx, dy, x, t.w, rs, c)
		} else {
			t.vec.normGradApply(dx, dy, x, t.w, rs, c)
		}
	}
}

type normGradSumTask struct {
	vec         *vector
	dw, partial []float32
	n, blocks   int
}

func (t *normGradSumTask) Do(_, i int) {
	lo, hi := i*normColumns, min((i+1)*normColumns, t.n)
	for b := range t.blocks {
		t.vec.add(t.dw[lo:hi], t.partial[b*t.n+lo:][:hi-lo])
	}
}

func normApplyPortable(y, x, w []float32, rstd float32) {
	for i := range y {
		y[i] = w[i] * (x[i] * rstd)
	}
}

func normGradSumPortable(dw, dy, x, w []float32, rstd float32) float64 {
	var s float64
	for i := range dw {
		t := dy[i] * (x[i] * rstd)
		dw[i] += t
		s += float64(w[i]) * float64(t)
	}
	return s
}

func normGradApplyPortable(dx, dy, x, w []float32, rstd, c float32) {
	for i := range dx {
		dx[i] = rstd * (w[i]*dy[i] - x[i]*c)
	}
}

func normGradAddPortable(dx, dy, x, w []float32, rstd, c float32) {
	for i := range dx {
		dx[i] += rstd * (w[i]*dy[i] - x[i]*c)
	}
}
