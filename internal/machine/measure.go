package machine

import (
	"time"

	"github.com/haenyeo/haenyeo/kernel"
)

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
