package kernel

// y = W x and dx = Wᵀ dy. The rows of every group are cut into blocks that stay in a core's cache
// once packed; a task packs its block and runs it past all panels of the weight. When there are
// fewer blocks than workers can share, the panels are cut too.

type linearTask struct {
	e          *Engine
	groups     []Group
	inverse    bool
	y, x       []float32
	ldy, ldx   int
	gather     []int32
	accumulate bool
	parts      []linearPart
}

// linearPart is rows [lo,hi) times columns [n0,n1) of one group.
type linearPart struct{ group, lo, hi, n0, n1 int32 }

// features returns the reduced and the produced size of a weight.
func (t *linearTask) features(w *Weight) (k, n int) {
	if t.inverse {
		return w.N, w.K
	}
	return w.K, w.N
}

func (e *Engine) linear(inverse bool, y []float32, ldy int, x []float32, ldx int, gather []int32, groups []Group, accumulate bool) {
	t := &e.lin
	t.groups, t.inverse, t.y, t.x, t.ldy, t.ldx, t.gather, t.accumulate = groups, inverse, y, x, ldy, ldx, gather, accumulate
	t.cut(e.pool.Threads())
	e.pool.Run(len(t.parts), t)
	t.groups, t.y, t.x, t.gather = nil, nil, nil, nil
}

// cut fills t.parts. The parts depend on the number of workers; the bits of the result do not,
// because every element is summed in the same order in any part. Blocks are halved when there are
// too few for the workers, and their columns divided when there still are.
func (t *linearTask) cut(workers int) {
	t.parts = t.parts[:0]
	work := 0
	for _, g := range t.groups {
		work += g.W.N * g.W.K * (max(0, g.Hi-g.Lo) + 8) // reading a weight costs as much as some rows
	}
	want := partsWanted(work, workers)
	part := 1
	if t.blocks(part, workers) < want {
		part = 2
	}
	blocks := t.blocks(part, workers)
	split := (want + blocks - 1) / max(1, blocks)
	for i, g := range t.groups {
		rows := g.Hi - g.Lo
		if rows <= 0 {
			continue
		}
		_, n := t.features(g.W)
		unit := g.W.r.nr
		if rows <= g.W.r.thin {
			unit *= g.W.r.wide
		}
		width := ((n+unit-1)/unit + split - 1) / split * unit
		nb := blocksOf(rows, g.W.r.mc/part, workers, len(t.groups) == 1)
		for b := range nb {
			lo, hi := g.Lo+rows*b/nb, g.Lo+rows*(b+1)/nb
			for n0 := 0; n0 < n; n0 += width {
				t.parts = append(t.parts, linearPart{int32(i), int32(lo), int32(hi), int32(n0), int32(min(n, n0+width))})
			}
		}
	}
}

// blocks counts the blocks of all groups when each has mc/part rows.
func (t *linearTask) blocks(part, workers int) int {
	n := 0
	for _, g := range t.groups {
		n += blocksOf(g.Hi-g.Lo, g.W.r.mc/part, workers, len(t.groups) == 1)
	}
	return n
}

// smallWork is a number of multiplications that one worker does in the time it takes to call another.
const smallWork = 1 << 20

// partsWanted is how many parts keep the workers busy to the end, or fewer when there is little work.
func partsWanted(work, workers int) int {
	if workers == 1 {
		return 1
	}
	return min(2*workers, 1+work/smallWork)
}

// blocksOf cuts n rows into blocks of up to height; if they are all there is to do, into as many for
// each worker.
func blocksOf(n, height, workers int, alone bool) int {
	if n <= 0 {
		return 0
	}
	blocks := (n + height - 1) / height
	if alone && blocks > 1 {
		blocks = min(n, (blocks+workers-1)/workers*workers)
	}
	return blocks
}

// Do computes part i.
func (t *linearTask) Do(worker, i int) {
	part := &t.parts[i]
	w, sc := t.groups[part.group].W, &t.e.workers[worker]
	r, b := w.r, &sc.block
	k, _ := t.features(w)
	panels := w.forward
	if t.inverse {
		panels = w.inverse
	}
	lo, n0, m, n := int(part.lo), int(part.n0), int(part.hi-part.lo), int(part.n1-part.n0)
	x, idx := t.x, t.gather
	if idx == nil {
		x = x[lo*t.ldx:]
	} else {
		idx = idx[lo:]
	}
	kc := r.passSteps(k, r.kc)
	buf := room(&sc.a, r.leftLen(m, r.elems(kc)))
	b.bNext = r.nr * padSteps(stepsOf(k, r.pair))
	b.c, b.ldc, b.alpha, b.beta = t.y[lo*t.ldy+n0:], t.ldy, 1, 0
	if t.accumulate {
		b.beta = 1
	}
	for k0 := 0; k0 == 0 || k0 < k; k0 += r.elems(kc) {
		r.left(b, buf, x[k0:], t.ldx, idx, m, min(r.elems(kc), k-k0))
		b.b = panels[n0*padSteps(stepsOf(k, r.pair))+stepsOf(k0, r.pair)*r.nr:]
		r.product(&b.tile, m, n)
		b.beta = 1
	}
}

// passSteps is the number of steps in each of the passes, equal but for the last, of at most limit
// steps that a product over k is cut into.
func (r *route) passSteps(k, limit int) int {
	steps := stepsOf(k, r.pair)
	passes := max(1, (steps+limit-1)/limit)
	return max(stepBlock, padSteps((steps+passes-1)/passes))
}
