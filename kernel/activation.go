package kernel

import "math"

// SwiGLU computes h = silu(g) ⊙ u with gu = [g | u].
//
//	h [rows,F] stride ldh written   gu [rows,2F] stride ldgu read
func (e *Engine) SwiGLU(h []float32, ldh int, gu []float32, ldgu int, rows, f int) {
	t := &e.ops.swiglu
	*t = swigluTask{&e.vec, h, gu, ldh, ldgu, rows, f, rowsPerTask(f)}
	e.run(rows, t.per, t)
	*t = swigluTask{}
}

type swigluTask struct {
	vec                     *vector
	h, gu                   []float32
	ldh, ldgu, rows, f, per int
}

func (t *swigluTask) Do(_, i int) {
	f := t.f
	for r := i * t.per; r < min((i+1)*t.per, t.rows); r++ {
		gu := t.gu[r*t.ldgu:][:2*f]
		t.vec.swiglu(t.h[r*t.ldh:][:f], gu[:f], gu[f:])
	}
}

// SwiGLUGrad writes dgu = [dg | du] from dh, and h again (so that the forward value need not be
// kept): du = dh·silu(g), dg = dh·u·σ(g)(1 + g(1−σ(g))). dgu may be gu and h may be dh: to write where
// one has just read is less for the memory to do.
//
// Source: Shazeer 2020 (GLU variants), differentiated.
func (e *Engine) SwiGLUGrad(dgu []float32, lddgu int, h []float32, ldh int, dh []float32, lddh int, gu []float32, ldgu int, rows, f int) {
	t := &e.ops.swigluGrad
	*t = swigluGradTask{&e.vec, dgu, h, dh, gu, lddgu, ldh, lddh, ldgu, rows, f, rowsPerTask(f)}
	e.run(rows, t.per, t)
	*t = swigluGradTask{}
}

type swigluGradTask struct {
	vec                                  *vector
	dgu, h, dh, gu                       []float32
	lddgu, ldh, lddh, ldgu, rows, f, per int
}

func (t *swigluGradTask) Do(_, i int) {
	f := t.f
	for r := i * t.per; r < min((i+1)*t.per, t.rows); r++ {
		dgu, gu := t.dgu[r*t.lddgu:][:2*f], t.gu[r*t.ldgu:][:2*f]
		t.vec.swigluGrad(dgu[:f], dgu[f:], t.h[r*t.ldh:][:f], t.dh[r*t.lddh:][:f], gu[:f], gu[f:])
	}
}

// Sigmoid computes y = 1/(1+exp(-x)).
func (e *Engine) Sigmoid(y, x []float32) {
	t := &e.ops.sigmoid
	*t = sigmoidTask{&e.vec, y, x}
	e.run(len(x), chunk, t)
	*t = sigmoidTask{}
}

type sigmoidTask struct {
	vec  *vector
	y, x []float32
}

func (t *sigmoidTask) Do(_, i int) {
	lo, hi := i*chunk, min((i+1)*chunk, len(t.x))
	t.vec.sigmoid(t.y[lo:hi], t.x[lo:hi])
}

func sigmoid32(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }

func sigmoidPortable(y, x []float32) {
	for i := range y {
		y[i] = sigmoid32(x[i])
	}
}

func swigluPortable(h, g, u []float32) {
	for i := range h {
		h[i] = g[i] * sigmoid32(g[i]) * u[i]
	}
}

func swigluGradPortable(dg, du, h, dh, g, u []float32) {
	for i := range dg {
		g, u, s, d := g[i], u[i], sigmoid32(g[i]), dh[i]
		h[i] = g * s * u
		du[i] = d * g * s
		dg[i] = d * u * s * (1 + g*(1-s))
	}
}
