package kernel

import "math"

// Operations on one row of logits, for loops that the caller cuts into tasks itself (a loss that is more
// than cross-entropy). Unlike the other operations they run on the calling goroutine and may be called by
// several at once. Their bits depend on the row alone.

// LogSumExp returns log Σ exp(x). A row that holds NaN or +Inf gives NaN.
func (e *Engine) LogSumExp(x []float32) float64 {
	m := e.Maximum(x)
	var z float64
	for lo := 0; lo < len(x); lo += chunk {
		z += e.vec.sumExp(x[lo:min(lo+chunk, len(x))], -m)
	}
	return float64(m) + math.Log(z)
}

// Maximum returns the largest of x, -Inf when it is empty. NaN may be skipped.
func (e *Engine) Maximum(x []float32) float32 {
	m := minusInf
	for lo := 0; lo < len(x); lo += chunk {
		m = max(m, e.vec.maximum(x[lo:min(lo+chunk, len(x))]))
	}
	return m
}

// ExpSum computes y = exp(x + shift), of the length of x, and returns its sum. y may be x.
func (e *Engine) ExpSum(y, x []float32, shift float32) float64 {
	var z float64
	for lo := 0; lo < len(x); lo += chunk {
		hi := min(lo+chunk, len(x))
		z += e.vec.expSum(y[lo:hi], x[lo:hi], 1, shift)
	}
	return z
}

// Dot returns Σ x·y over the length of x, in float64.
func (e *Engine) Dot(x, y []float32) float64 {
	var s float64
	for lo := 0; lo < len(x); lo += chunk {
		hi := min(lo+chunk, len(x))
		s += e.vec.dot(x[lo:hi], y[lo:hi])
	}
	return s
}

// Scale computes y = a·x, of the length of x. y may be x.
func (e *Engine) Scale(y, x []float32, a float32) {
	for lo := 0; lo < len(x); lo += chunk {
		hi := min(lo+chunk, len(x))
		e.vec.scale(y[lo:hi], x[lo:hi], a)
	}
}

// Axpy computes y += a·x, over the length of x.
func (e *Engine) Axpy(y, x []float32, a float32) {
	for lo := 0; lo < len(x); lo += chunk {
		hi := min(lo+chunk, len(x))
		e.vec.axpy(y[lo:hi], x[lo:hi], a)
	}
}
