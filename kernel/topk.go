package kernel

// TopK writes, for each row of x [rows,n], the indices of its k largest values in ascending order
// of index; ties take the lower index. NaN counts as smaller than everything else.
func (e *Engine) TopK(idx []int32, x []float32, rows, n, k int) {
	t := &e.ops.topK
	*t = topKTask{idx, x, rows, n, k, rowsPerTask(n)}
	e.run(rows, t.per, t)
	*t = topKTask{}
}

type topKTask struct {
	idx             []int32
	x               []float32
	rows, n, k, per int
}

func (t *topKTask) Do(_, i int) {
	for r := i * t.per; r < min((i+1)*t.per, t.rows); r++ {
		topKRow(t.idx[r*t.k:][:t.k], t.x[r*t.n:][:t.n])
	}
}

// topKRow keeps the best indices so far in order and, against each later value, the place of the
// smallest of them (the last one among equals).
func topKRow(best []int32, x []float32) {
	k := len(best)
	if k == 0 {
		return
	}
	for i := range best {
		best[i] = int32(i)
	}
	low, bound := lowest(best, x)
	for i := k; i < len(x); i++ {
		if !(x[i] > bound || bound != bound && x[i] == x[i]) {
			continue
		}
		copy(best[low:], best[low+1:])
		best[k-1] = int32(i)
		low, bound = lowest(best, x)
	}
}

func lowest(best []int32, x []float32) (at int, value float32) {
	value = x[best[0]]
	for i, b := range best {
		if v := x[b]; v <= value || v != v {
			at, value = i, v
		}
	}
	return at, value
}
