package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Helpers for gradient checks: the forward pass is written once more in plain float64, its loss
// sum(result ⊙ upstream) is differentiated numerically, and the backward kernel must agree.

// numeric returns the central differences of loss with respect to x.
func numeric(x []float64, loss func() float64) []float64 {
	g := make([]float64, len(x))
	for i, v := range x {
		const h = 1e-5
		x[i] = v + h
		up := loss()
		x[i] = v - h
		g[i] = (up - loss()) / (2 * h)
		x[i] = v
	}
	return g
}

// wantClose fails when |got − want| exceeds tol in the 2-norm relative to want, as the issue states
// the exactness of gradients.
func wantClose(t *testing.T, name string, got []float32, want []float64, tol float64) {
	t.Helper()
	var d, n float64
	for i := range want {
		d += (float64(got[i]) - want[i]) * (float64(got[i]) - want[i])
		n += want[i] * want[i]
	}
	if !(math.Sqrt(d) <= tol*math.Sqrt(n)+1e-30) {
		t.Errorf("%s: relative difference %.3g, at most %.3g allowed", name, math.Sqrt(d/n), tol)
	}
}

func normal(rng *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = float64(float32(rng.NormFloat64())) // exact in both precisions
	}
	return x
}

func to32(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

func to64(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

func dot64(x, y []float64) float64 {
	var s float64
	for i, v := range x {
		s += v * y[i]
	}
	return s
}

// forEachTier runs a test on an engine of every tier, with the given number of threads.
func forEachTier(t *testing.T, threads int, f func(t *testing.T, e *Engine)) {
	for _, tier := range Tiers() {
		t.Run(tier, func(t *testing.T) {
			e, err := New(threads, tier)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			f(t, e)
		})
	}
}
