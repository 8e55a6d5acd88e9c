package kernel

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Gradients written over the values they belong to have the bits of gradients written elsewhere.
func TestGradientsInPlace(t *testing.T) {
	eachTier(t, func(t *testing.T, e *Engine, dt DType, rng *rand.Rand) {
		random := func(n int) []float32 { return to32(normal(rng, n)) }
		same := func(name string, got, want []float32) {
			t.Helper()
			if !slices.Equal(got, want) {
				t.Errorf("%s differs in place", name)
			}
		}
		const rows, n = 5, 37

		gu, dh := random(rows*2*n), random(rows*n)
		dgu, h := make([]float32, len(gu)), make([]float32, len(dh))
		e.SwiGLUGrad(dgu, 2*n, h, n, dh, n, gu, 2*n, rows, n)
		e.SwiGLUGrad(gu, 2*n, dh, n, dh, n, gu, 2*n, rows, n)
		same("SwiGLUGrad dgu", gu, dgu)
		same("SwiGLUGrad h", dh, h)

		x, dy, w, rstd := random(rows*n), random(rows*n), random(n), random(rows)
		dx, dw, dw2 := make([]float32, len(x)), make([]float32, n), make([]float32, n)
		e.RMSNormGrad(dx, n, dw, dy, n, x, n, w, rstd, rows, n, false)
		e.RMSNormGrad(x, n, dw2, dy, n, x, n, w, rstd, rows, n, false)
		same("RMSNormGrad dx", x, dx)
		same("RMSNormGrad dw", dw2, dw)

		src, weights, row := random(rows*n), random(rows), []int32{3, 0, 4, 1, 2}
		dsrc, dweights, dweights2 := make([]float32, len(src)), make([]float32, rows), make([]float32, rows)
		e.CombineGrad(dsrc, dweights, dy, src, row, weights, rows, 1, n)
		e.CombineGrad(src, dweights2, dy, src, row, weights, rows, 1, n)
		same("CombineGrad dsrc", src, dsrc)
		same("CombineGrad dw", dweights2, dweights)

		const tokens, heads, width = queryChunk + 41, 4, 8
		view := func(x []float32, heads int) View { return View{Data: x, Row: heads * width, Head: width} }
		q, k, v, o := random(tokens*heads*width), random(tokens*heads*width/2), random(tokens*heads*width/2), random(tokens*heads*width)
		a := &Attention{B: 1, T: tokens, H: heads, HK: heads / 2, DK: width, DV: width, Scale: 0.3,
			Q: view(q, heads), K: view(k, heads/2), V: view(v, heads/2), O: view(o, heads),
			LSE: make([]float32, tokens*heads), DType: dt}
		e.Attention(a)
		do, dq := random(len(o)), make([]float32, len(q))
		dk, dv := make([]float32, len(k)), make([]float32, len(v))
		dk2, dv2 := make([]float32, len(k)), make([]float32, len(v))
		e.AttentionGrad(a, view(do, heads), view(dq, heads), view(dk, heads/2), view(dv, heads/2))
		e.AttentionGrad(a, view(do, heads), a.Q, view(dk2, heads/2), view(dv2, heads/2))
		same("AttentionGrad dq", q, dq)
		same("AttentionGrad dk", dk2, dk)
		same("AttentionGrad dv", dv2, dv)
	})
}
