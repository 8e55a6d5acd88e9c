package kernel

// Packing of weights. It runs over every matrix after every optimiser step, so it is cut into
// parts of about packElems elements that make both forms from one read of the source.

const packElems = 1 << 16

type packForms uint8

const (
	packBoth    packForms = iota // forward, and inverse where it exists
	packInverse                  // inverse only
)

type packTask struct {
	e     *Engine
	ws    []*Weight
	only  packForms
	parts []packPart
}

type packPart struct{ weight, lo, hi int32 } // rows of W

// cut appends the parts of ws[i]: whole panels of rows.
func (t *packTask) cut(i int, w *Weight) {
	rows := max(1, packElems/max(1, w.K)/w.r.nr) * w.r.nr
	for lo := 0; lo < w.N; lo += rows {
		t.parts = append(t.parts, packPart{int32(i), int32(lo), int32(min(lo+rows, w.N))})
	}
}

// Do packs part i.
func (t *packTask) Do(worker, i int) {
	part := t.parts[i]
	w, b := t.ws[part.weight], &t.e.workers[worker].block
	lo, hi := int(part.lo), int(part.hi)
	src, r := w.source[lo*w.K:], w.r
	if t.only == packBoth {
		r.rightT(b, w.forward[lo*padSteps(stepsOf(w.K, r.pair)):], src, w.K, w.K, hi-lo)
	}
	if w.inverse == nil {
		return
	}
	// The rows of this part are steps of every panel of the inverse form.
	first := stepsOf(lo, r.pair)
	steps := stepsOf(hi-lo, r.pair)
	if hi == w.N {
		steps = r.steps(w.N) - first
	}
	b.pack = pack{src: src, lds: w.K, rows: hi - lo, cols: w.K, dst: w.inverse[first*r.nr:], ldd: r.nr,
		next: r.nr * padSteps(stepsOf(w.N, r.pair)), steps: steps}
	r.packCols(&b.pack)
}

// needInverse makes the inverse form of weights that have none yet.
func (e *Engine) needInverse(groups []Group) {
	t := &e.packing
	t.ws, t.parts, t.only = t.ws[:0], t.parts[:0], packInverse
	for _, g := range groups {
		if w := g.W; w.inverse == nil {
			w.inverse = aligned(w.r.rightLen(w.K, w.N))
			if w.source == nil { // never packed: zero
				continue
			}
			t.ws = append(t.ws, w)
			t.cut(len(t.ws)-1, w)
		}
	}
	if len(t.parts) > 0 {
		e.pool.Run(len(t.parts), t)
	}
	clear(t.ws)
	t.ws = t.ws[:0]
}
