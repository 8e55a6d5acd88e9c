package kernel

import "math"

// CrossEntropy turns logits into their gradient and writes the loss of each row.
//
//	logits [rows,V] stride ld, in: logits, out: (softmax − onehot(target))·scale, 0 where target < 0
//	nll    [rows] −log softmax(logits)[target], 0 where target < 0
//	targets [rows]
//
// With scale 0 the logits are left as they are (evaluation).
func (e *Engine) CrossEntropy(nll []float32, logits []float32, ld int, targets []int32, rows, v int, scale float32) {
	for r := range rows {
		l := logits[r*ld:][:v]
		t := int(targets[r])
		if t < 0 {
			nll[r] = 0
			if scale != 0 {
				clear(l)
			}
			continue
		}
		m := l[0]
		for _, x := range l {
			m = max(m, x)
		}
		var z float64
		for _, x := range l {
			z += math.Exp(float64(x - m))
		}
		lse := float64(m) + math.Log(z)
		nll[r] = float32(lse - float64(l[t]))
		if scale == 0 {
			continue
		}
		for i, x := range l {
			l[i] = scale * float32(math.Exp(float64(x)-lse))
		}
		l[t] -= scale
	}
}

// TopK writes, for each row of x [rows,n], the indices of its k largest values in ascending order
// of index; ties take the lower index.
func (e *Engine) TopK(idx []int32, x []float32, rows, n, k int) {
	for r := range rows {
		xr, out := x[r*n:][:n], idx[r*k:][:k]
		got := out[:0]
		for i := range xr {
			if len(got) == k {
				// drop the smallest (the later one on ties) if the new value is larger
				low := 0
				for j := range got {
					if xr[got[j]] <= xr[got[low]] {
						low = j
					}
				}
				if xr[i] <= xr[got[low]] {
					continue
				}
				got = append(got[:low], got[low+1:]...)
			}
			got = append(got, int32(i))
		}
	}
}
