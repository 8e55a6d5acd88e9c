package machine

import (
	"time"

	"github.com/haenyeo/haenyeo/kernel"
)

// Products returns the most FLOP/s that matrix products of dt reach within the given time: one layer
// of n inputs and outputs over n rows, its operands in cache.
func Products(e *kernel.Engine, dt kernel.DType, within time.Duration) float64 {
	const n = 768
	x, y, w := make([]float32, n*n), make([]float32, n*n), make([]float32, n*n)
	for i := range x {
		x[i], w[i] = float32(i%13)-6, float32(i%7)-3 // no denormals: they take an assist each
	}
	layer := e.NewWeight(n, n, dt)
	e.Pack([]*kernel.Weight{layer}, [][]float32{w})
	groups := []kernel.Group{{W: layer, Hi: n}}
	best := fastest(within, func() { e.Linear(y, n, x, n, nil, groups, false) })
	return 2 * n * n * n / best.Seconds()
}

// ReadBandwidth returns the bytes per second at which all threads together read memory that is in
// no cache.
func ReadBandwidth(e *kernel.Engine, within time.Duration) float64 {
	const bytes = 512 << 20
	x := make([]float32, bytes/4)
	for i := 0; i < len(x); i += 1024 {
		x[i] = 1 // pages that were never written are all the same one
	}
	xs := [][]float32{x}
	best := fastest(within, func() { e.SumSquares(xs) })
	return bytes / best.Seconds()
}

// fastest calls f until the time is over, at least three times, and returns the shortest call.
func fastest(within time.Duration, f func()) time.Duration {
	best := time.Duration(1 << 62)
	for begin, n := time.Now(), 0; n < 3 || time.Since(begin) < within; n++ {
		t := time.Now()
		f()
		best = min(best, time.Since(t))
	}
	return max(best, 1)
}
