package kernel

import (
	"math"
	"slices"
	"testing"
)

// The operations on rows against sums in float64, at lengths around the chunk and with large values.
func TestOperationsOnOneRow(t *testing.T) {
	forEachTier(t, 1, func(t *testing.T, e *Engine) {
		for _, n := range []int{1, 2, 17, chunk - 1, chunk, chunk + 5, 3 * chunk} {
			x, y, z := make([]float32, n), make([]float32, n), make([]float32, n)
			most := math.Inf(-1)
			for i := range x {
				x[i] = float32(90 + 7*math.Sin(float64(i*i)))
				y[i] = float32(math.Cos(float64(i)))
				most = max(most, float64(x[i]))
			}
			var sum, dot float64
			for i := range x {
				sum += math.Exp(float64(x[i]) - most)
				dot += float64(x[i]) * float64(y[i])
			}
			if m := e.Maximum(x); float64(m) != most {
				t.Errorf("n=%d: maximum %g, want %g", n, m, most)
			}
			if got, want := e.LogSumExp(x), most+math.Log(sum); math.Abs(got-want) > 1e-5 { // of the sum, as below: some tiers add thousands in float32
				t.Errorf("n=%d: log-sum-exp %.9g, want %.9g", n, got, want)
			}
			if got := e.Dot(x, y); math.Abs(got-dot) > 1e-4*math.Sqrt(float64(n)) {
				t.Errorf("n=%d: dot %.9g, want %.9g", n, got, dot)
			}
			if got := e.ExpSum(z, x, -float32(most)); math.Abs(got-sum) > 1e-5*sum {
				t.Errorf("n=%d: sum of exponentials %.9g, want %.9g", n, got, sum)
			}
			e.Scale(z, z, 2)
			e.Axpy(z, slices.Clone(z), 0.5)
			for i := range z {
				if want := 3 * math.Exp(float64(x[i])-most); math.Abs(float64(z[i])-want) > 1e-5*want {
					t.Fatalf("n=%d: exponential %d is %g, want %g", n, i, z[i], want)
				}
			}
		}
		if l := e.LogSumExp([]float32{1, float32(math.Inf(1))}); !math.IsNaN(l) {
			t.Errorf("an infinity gives %g", l)
		}
	})
}
