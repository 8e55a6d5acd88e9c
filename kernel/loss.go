package kernel

import "math"

// CrossEntropy turns logits into their gradient and writes the loss of each row.
//
//	logits [rows,V] stride ld, in: logits, out: (softmax − onehot(target))·scale, 0 where target < 0
//	nll    [rows] −log softmax(logits)[target], 0 where target < 0
//	targets [rows]
//
// With scale 0 the logits are left as they are (evaluation). A row that holds NaN or +Inf gives
// NaN.
func (e *Engine) CrossEntropy(nll []float32, logits []float32, ld int, targets []int32, rows, v int, scale float32) {
	t := &e.ops.crossEntropy
	*t = crossEntropyTask{&e.vec, nll, logits, ld, targets, rows, v, rowsPerTask(v), scale}
	e.run(rows, t.per, t)
	*t = crossEntropyTask{}
}

type crossEntropyTask struct {
	vec          *vector
	nll, logits  []float32
	ld           int
	targets      []int32
	rows, v, per int
	scale        float32
}

func (t *crossEntropyTask) Do(_, i int) {
	for r := i * t.per; r < min((i+1)*t.per, t.rows); r++ {
		t.row(r, t.logits[r*t.ld:][:t.v], int(t.targets[r]))
	}
}

// row goes over the logits three times: maximum, exponentials and their sum, scaling.
func (t *crossEntropyTask) row(r int, l []float32, target int) {
	if target < 0 {
		t.nll[r] = 0
		if t.scale != 0 {
			clear(l)
		}
		return
	}
	m := minusInf
	for lo := 0; lo < len(l); lo += chunk {
		m = max(m, t.vec.maximum(l[lo:min(lo+chunk, len(l))]))
	}
	right := float64(l[target])
	var z float64
	for lo := 0; lo < len(l); lo += chunk {
		part := l[lo:min(lo+chunk, len(l))]
		if t.scale == 0 {
			z += t.vec.sumExp(part, -m)
		} else {
			z += t.vec.expSum(part, part, 1, -m)
		}
	}
	t.nll[r] = float32(float64(m) - right + math.Log(z))
	if t.scale == 0 {
		return
	}
	// The target's p − 1 is formed from the others' share, which keeps its digits when p is near 1.
	a := float32(float64(t.scale) / z)
	p := l[target]
	for lo := 0; lo < len(l); lo += chunk {
		part := l[lo:min(lo+chunk, len(l))]
		t.vec.scale(part, part, a)
	}
	l[target] = float32(-float64(t.scale) * ((z - float64(p)) / z))
}
