// This file holds the head and the cross-entropy, forward and backward at once and in chunks of rows: the
// whole [T,V] matrix of logits is never there.

package model

// logitFloats bounds the logits of one chunk (16 MiB), which is also what caches like.
const logitFloats = 4 << 20

// logitRows is the number of rows of a chunk for a vocabulary of v.
func logitRows(v int) int { return min(max(logitFloats/v, 16), 1024) }

// crossEntropy returns Σ −log softmax(W_head h_r)[target_r] over the rows whose target is not −1, and
// writes each row's term to nll. With dh it also writes scale times the gradient of that sum and adds
// to the gradient of the head.
//
//	h [T,D] read   targets, nll [T]   dh [T,D] written, or nil
func (m *Model) crossEntropy(p *pass, h, dh []float32, targets []int32, nll []float32, scale float32) float64 {
	d, v := m.cfg.HiddenSize, m.cfg.VocabSize
	if dh == nil {
		scale = 0
	}
	step := logitRows(v)
	for lo := 0; lo < p.n; lo += step {
		rows := min(step, p.n-lo)
		m.head.forward(p, p.logits, v, h[lo*d:], d, rows, false)
		p.e.CrossEntropy(nll[lo:], p.logits, v, targets[lo:], rows, v, scale)
		if dh != nil {
			m.head.backward(p, dh[lo*d:], d, p.logits, v, h[lo*d:], d, rows, false)
		}
	}
	var sum float64
	for _, l := range nll[:p.n] {
		sum += float64(l)
	}
	return sum
}
