package kernel

// Row movement: embedding lookup, the weighted sum that ends an MoE layer, and their gradients.

// Embed copies table[ids[r],:] to y[r,:]. table [V,D], y [rows,D].
func (e *Engine) Embed(y, table []float32, ids []int32, d int) {
	t := &e.ops.embed
	*t = embedTask{y, table, ids, d, rowsPerTask(d)}
	e.run(len(ids), t.per, t)
	*t = embedTask{}
}

type embedTask struct {
	y, table []float32
	ids      []int32
	d, per   int
}

func (t *embedTask) Do(_, i int) {
	for r := i * t.per; r < min((i+1)*t.per, len(t.ids)); r++ {
		copy(t.y[r*t.d:][:t.d], t.table[int(t.ids[r])*t.d:][:t.d])
	}
}

// EmbedGrad adds dy[r,:] to dtable[ids[r],:], rows in ascending order. Tasks take columns, so
// that rows of the same id meet in one task.
func (e *Engine) EmbedGrad(dtable, dy []float32, ids []int32, d int) {
	t := &e.ops.embedGrad
	*t = embedGradTask{&e.vec, dtable, dy, ids, d}
	e.run(d, embedColumns, t)
	*t = embedGradTask{}
}

const embedColumns = 64

type embedGradTask struct {
	vec        *vector
	dtable, dy []float32
	ids        []int32
	d          int
}

func (t *embedGradTask) Do(_, i int) {
	lo := i * embedColumns
	n := min(embedColumns, t.d-lo)
	for r, id := range t.ids {
		t.vec.add(t.dtable[int(id)*t.d+lo:][:n], t.dy[r*t.d+lo:][:n])
	}
}

// Combine computes y[t,:] = sum_j w[t,j]·src[row[t,j],:], added to y when accumulate. w nil means 1.
//
//	y [T,D] written   src [rows,D] read   row [T,K] read   w [T,K] read
func (e *Engine) Combine(y, src []float32, row []int32, w []float32, t, k, d int, accumulate bool) {
	c := &e.ops.combine
	*c = combineTask{&e.vec, y, src, row, w, t, k, d, rowsPerTask(k * d), accumulate}
	e.run(t, c.per, c)
	*c = combineTask{}
}

type combineTask struct {
	vec          *vector
	y, src       []float32
	row          []int32
	w            []float32
	t, k, d, per int
	accumulate   bool
}

func (t *combineTask) Do(_, i int) {
	for r := i * t.per; r < min((i+1)*t.per, t.t); r++ {
		y := t.y[r*t.d:][:t.d]
		if t.k == 0 && !t.accumulate {
			clear(y)
		}
		for j := range t.k {
			s := t.src[int(t.row[r*t.k+j])*t.d:][:t.d]
			f := float32(1)
			if t.w != nil {
				f = t.w[r*t.k+j]
			}
			if j == 0 && !t.accumulate {
				t.vec.scale(y, s, f)
			} else {
				t.vec.axpy(y, s, f)
			}
		}
	}
}

// CombineGrad writes dsrc[row[t,j],:] = w[t,j]·dy[t,:] and dw[t,j] = dy[t,:]·src[row[t,j],:]. The
// rows must be distinct. dsrc may be src.
func (e *Engine) CombineGrad(dsrc, dw, dy, src []float32, row []int32, w []float32, t, k, d int) {
	c := &e.ops.combineGrad
	*c = combineGradTask{&e.vec, dsrc, dw, dy, src, row, w, t, k, d, rowsPerTask(k * d)}
	e.run(t, c.per, c)
	*c = combineGradTask{}
}

type combineGradTask struct {
	vec               *vector
	dsrc, dw, dy, src []float32
	row               []int32
	w                 []float32
	t, k, d, per      int
}

func (t *combineGradTask) Do(_, i int) {
	for r := i * t.per; r < min((i+1)*t.per, t.t); r++ {
		g := t.dy[r*t.d:][:t.d]
		for j := r * t.k; j < (r+1)*t.k; j++ {
			at := int(t.row[j]) * t.d
			t.dw[j] = float32(t.vec.scaleDot(t.dsrc[at:][:t.d], g, t.src[at:][:t.d], t.w[j]))
		}
	}
}

// Add computes dst += src.
func (e *Engine) Add(dst, src []float32) {
	t := &e.ops.add
	*t = addTask{&e.vec, dst, src}
	e.run(len(dst), chunk, t)
	*t = addTask{}
}

type addTask struct {
	vec      *vector
	dst, src []float32
}

func (t *addTask) Do(_, i int) {
	lo, hi := i*chunk, min((i+1)*chunk, len(t.dst))
	t.vec.add(t.dst[lo:hi], t.src[lo:hi])
}
