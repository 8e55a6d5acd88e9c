package kernel

import "math"

// SwiGLU computes h = silu(g) ⊙ u with gu = [g | u].
//
//	h [rows,F] stride ldh written   gu [rows,2F] stride ldgu read
func (e *Engine) SwiGLU(h []float32, ldh int, gu []float32, ldgu int, rows, f int) {
	for r := range rows {
		g, u, hr := gu[r*ldgu:][:f], gu[r*ldgu+f:][:f], h[r*ldh:][:f]
		for i := range hr {
			hr[i] = g[i] * sigmoid(g[i]) * u[i]
		}
	}
}

// SwiGLUGrad writes dgu = [dg | du] from dh, and h again (so that the forward value need not be
// kept): du = dh·silu(g), dg = dh·u·σ(g)(1 + g(1−σ(g))).
func (e *Engine) SwiGLUGrad(dgu []float32, lddgu int, h []float32, ldh int, dh []float32, lddh int, gu []float32, ldgu int, rows, f int) {
	for r := range rows {
		g, u := gu[r*ldgu:][:f], gu[r*ldgu+f:][:f]
		dg, du := dgu[r*lddgu:][:f], dgu[r*lddgu+f:][:f]
		hr, dhr := h[r*ldh:][:f], dh[r*lddh:][:f]
		for i := range dhr {
			s := sigmoid(g[i])
			hr[i] = g[i] * s * u[i]
			d := dhr[i]
			du[i] = d * g[i] * s
			dg[i] = d * u[i] * s * (1 + g[i]*(1-s))
		}
	}
}

// Sigmoid computes y = 1/(1+exp(-x)).
func (e *Engine) Sigmoid(y, x []float32) {
	for i, v := range x {
		y[i] = sigmoid(v)
	}
}

func sigmoid(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }
