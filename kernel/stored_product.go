package kernel

// Products with stored matrices: y = W x and y = Wᵀ x, where W is decoded a few rows at a time, while it
// is multiplied. In order: the arguments, the cut into parts, then what a part does with few rows of x
// (dot products) and with many (panels for the micro-kernels).
//
// A decoder writes float32 rows to the scratch of a worker. Types with kernels of their own are multiplied
// with few rows where they lie (quantised.go).

// StoredProduct is one product:
//
//	Y[r,:] = W X[g(r),:]     Y [Rows,N] stride LDY written   X [·,K] stride LDX read
//	Y[r,:] = Wᵀ X[g(r),:]    when Transposed: Y [Rows,K], X [·,N]
//
// added to Y when Accumulate. g(r) is Gather[r], or r when Gather is nil.
type StoredProduct struct {
	W          *Stored
	Y, X       []float32
	LDY, LDX   int
	Gather     []int32
	Rows       int
	Transposed bool
	Accumulate bool
}

// FewRows is up to how many rows a product computes as dot products, each row as if it were alone: its
// bits do not depend on the others. With more rows they do not depend on the others either, as long as
// there are more than FewRows. Small matrices know no such border, see smallMatrix.
const FewRows = 16

// smallMatrix is up to how many elements a matrix of plain numbers stays in a core's caches. Memory does not
// bound its products, so that in float32 the micro-kernels make all of them: their bits do not depend on the
// rows at all, and a small model gives the same logits however a text is cut. Blocks would have to be
// unpacked for that.
const smallMatrix = 1 << 16

// MultiplyStored computes independent products in parallel; what they write must not overlap. dt is the
// arithmetic of products of more than FewRows rows; the others are made in float32.
//
// 2·Rows·N·K FLOPs and one decoding of W each (of many rows: one per 128 columns at most).
func (e *Engine) MultiplyStored(ps []StoredProduct, dt DType) {
	t := &e.stored
	t.r, t.ps = e.route(dt), ps
	t.cut(e.pool.Threads())
	if len(t.lefts) > 0 {
		t.packing = true
		e.pool.Run(len(t.lefts), t)
	}
	t.packing = false
	e.pool.Run(len(t.parts), t)
	t.ps = nil
}

// StoredGroup says that rows [Lo,Hi) of the activations meet the stored matrix W.
type StoredGroup struct {
	W      *Stored
	Lo, Hi int
}

// LinearStored computes y[r,:] = W_g x[row(r),:] for every row r of every group, like Linear.
//
//	y [rows,N] stride ldy written   x [tokens,K] stride ldx read
func (e *Engine) LinearStored(y []float32, ldy int, x []float32, ldx int, gather []int32, groups []StoredGroup, dt DType, accumulate bool) {
	ps := e.stored.list[:0]
	for _, g := range groups {
		if g.Lo >= g.Hi {
			continue
		}
		p := StoredProduct{W: g.W, Y: y[g.Lo*ldy:], LDY: ldy, X: x, LDX: ldx, Rows: g.Hi - g.Lo, Accumulate: accumulate}
		if gather != nil {
			p.Gather = gather[g.Lo:g.Hi]
		} else {
			p.X = x[g.Lo*ldx:]
		}
		ps = append(ps, p)
	}
	e.MultiplyStored(ps, dt)
	clear(ps)
	e.stored.list = ps[:0]
}

type storedTask struct {
	e       *Engine
	r       *route
	ps      []StoredProduct
	list    []StoredProduct // of LinearStored
	packing bool
	lefts   []storedPart // rows of X to pack before the parts
	parts   []storedPart
	offset  []int     // of every product: where its packed X begins in left, or -1
	left    []float32 // packed X of all products
}

// storedPart is outputs [lo,hi) of a product; in lefts, rows [lo,hi) of its X.
type storedPart struct{ product, lo, hi int32 }

const (
	decodeFloats = 1 << 14 // decoded at once for few rows: they stay in a core's first caches
	panelWords   = 5 << 18 // most words of the panels of a part
	leftRows     = 32      // rows of X packed by one task
	partsEach    = 4       // parts for every worker
)

// sizes are the reduced and the produced size of p.
func (p *StoredProduct) sizes() (k, n int) {
	if p.Transposed {
		return p.W.N, p.W.K
	}
	return p.W.K, p.W.N
}

// cut fills parts, lefts and offset. The parts depend on the number of workers, the bits do not: every
// element is summed in the same order in any part.
func (t *storedTask) cut(workers int) {
	t.parts, t.lefts, t.offset = t.parts[:0], t.lefts[:0], t.offset[:0]
	work, words := 0, 0
	for i := range t.ps {
		p := &t.ps[i]
		work += p.W.N * p.W.K * (p.Rows + 8)
		at := -1
		if t.tiles(p) && t.packs(p) {
			if at = t.same(i); at < 0 {
				k, _ := p.sizes()
				at = words
				words += t.r.leftLen(p.Rows, k)
				for lo := 0; lo < p.Rows; lo += leftRows {
					t.lefts = append(t.lefts, storedPart{int32(i), int32(lo), int32(min(lo+leftRows, p.Rows))})
				}
			}
		}
		t.offset = append(t.offset, at)
	}
	if words > 0 {
		room(&t.left, words)
	}
	share := max(smallWork, work/(partsEach*workers))
	if workers == 1 {
		share = max(1, work)
	}
	for i := range t.ps {
		t.cutProduct(i, share)
	}
}

// cutProduct divides product i into parts of about share multiplications.
func (t *storedTask) cutProduct(i, share int) {
	p := &t.ps[i]
	k, n := p.sizes()
	if p.Rows == 0 || n == 0 {
		return
	}
	pieces := (p.W.N*p.W.K*(p.Rows+8) + share - 1) / share
	width := (n + pieces - 1) / pieces
	switch {
	case p.Transposed: // every part would decode all of W
		width = n
	case t.tiles(p):
		unit := t.r.nr
		width = min((width+unit-1)/unit, t.r.wide) * unit
		for width > unit && width*padSteps(stepsOf(k, t.r.pair)) > panelWords {
			width = (width/unit + 1) / 2 * unit
		}
	default:
		width = (width + 15) / 16 * 16 // whole cache lines of y
	}
	for lo := 0; lo < n; lo += width {
		t.parts = append(t.parts, storedPart{int32(i), int32(lo), int32(min(lo+width, n))})
	}
}

// tiles says whether the micro-kernels compute p.
func (t *storedTask) tiles(p *StoredProduct) bool {
	return p.Rows > FewRows || !t.r.pair && p.W.N*p.W.K <= smallMatrix && (p.W.Decode != nil || p.W.Type.Block() == 1)
}

// packs says whether the route cannot multiply X of p where it lies.
func (t *storedTask) packs(p *StoredProduct) bool {
	return t.r.pair || p.Gather != nil || p.LDX%1024 == 0
}

// same returns where X of product i was packed for the product before, or -1.
func (t *storedTask) same(i int) int {
	if i == 0 || t.offset[i-1] < 0 {
		return -1
	}
	p, q := &t.ps[i], &t.ps[i-1]
	k, _ := p.sizes()
	l, _ := q.sizes()
	if k != l || p.Rows != q.Rows || p.LDX != q.LDX || &p.X[0] != &q.X[0] || (p.Gather == nil) != (q.Gather == nil) ||
		p.Gather != nil && &p.Gather[0] != &q.Gather[0] {
		return -1
	}
	return t.offset[i-1]
}

// Do packs rows of an X, or computes a part.
func (t *storedTask) Do(worker, i int) {
	sc := &t.e.workers[worker]
	if t.packing {
		part := t.lefts[i]
		t.packLeft(sc, &t.ps[part.product], t.offset[part.product], int(part.lo), int(part.hi))
		return
	}
	part := t.parts[i]
	p, lo, hi := &t.ps[part.product], int(part.lo), int(part.hi)
	switch {
	case t.tiles(p):
		t.many(sc, p, t.offset[part.product], lo, hi)
	case p.Transposed:
		t.fewTransposed(sc, p)
	default:
		t.few(sc, p, lo, hi)
	}
}

func (t *storedTask) packLeft(sc *worker, p *StoredProduct, at, lo, hi int) {
	k, _ := p.sizes()
	x, idx := p.X, p.Gather
	if idx == nil {
		x = x[lo*p.LDX:]
	} else {
		idx = idx[lo:hi]
	}
	b := &sc.block
	b.pack = pack{src: x, idx: idx, lds: p.LDX, rows: hi - lo, cols: k, dst: t.left[at+lo*t.r.rowWords(k):], ldd: t.r.rowWords(k)}
	t.r.packRows(&b.pack)
}

// row is row r of X.
func (p *StoredProduct) row(r, k int) []float32 {
	if p.Gather != nil {
		r = int(p.Gather[r])
	}
	return p.X[r*p.LDX:][:k]
}

// rowsOf returns rows [lo,hi) of w: where they lie when they are float32, else decoded to scratch.
func (t *storedTask) rowsOf(sc *worker, w *Stored, lo, hi int) []float32 {
	if x := w.floats(lo, hi); x != nil {
		return x
	}
	x := room(&sc.a, (hi-lo)*w.K)
	if d := t.e.directOf(w); d != nil {
		d.rows(&sc.dots, x, w, lo, hi)
	} else {
		w.Rows(x, lo, hi)
	}
	return x
}

// few computes outputs [lo,hi) as dot products.
func (t *storedTask) few(sc *worker, p *StoredProduct, lo, hi int) {
	if d := t.e.directOf(p.W); d != nil {
		t.fewDirect(sc, d, p, lo, hi)
		return
	}
	k := p.W.K
	step := max(1, decodeFloats/max(1, k))
	for n0 := lo; n0 < hi; n0 += step {
		n1 := min(n0+step, hi)
		w := t.rowsOf(sc, p.W, n0, n1)
		for r := range p.Rows {
			x, y := p.row(r, k), p.Y[r*p.LDY:][n0:n1]
			for i := range y {
				v := float32(t.e.vec.dot(x, w[i*k:][:k]))
				if p.Accumulate {
					v += y[i]
				}
				y[i] = v
			}
		}
	}
}

// fewTransposed computes y = Σ_n x_n W[n,:], n ascending.
func (t *storedTask) fewTransposed(sc *worker, p *StoredProduct) {
	k := p.W.K
	if !p.Accumulate {
		for r := range p.Rows {
			clear(p.Y[r*p.LDY:][:k])
		}
	}
	step := max(1, decodeFloats/max(1, k))
	for n0 := 0; n0 < p.W.N; n0 += step {
		n1 := min(n0+step, p.W.N)
		w := t.rowsOf(sc, p.W, n0, n1)
		for r := range p.Rows {
			x, y := p.row(r, p.W.N), p.Y[r*p.LDY:][:k]
			for n := n0; n < n1; n++ {
				t.e.vec.axpy(y, w[(n-n0)*k:][:k], x[n])
			}
		}
	}
}

// many computes outputs [lo,hi) with the micro-kernels: it packs that part of W as the right side and
// runs all rows past it, pass by pass over what is reduced.
func (t *storedTask) many(sc *worker, p *StoredProduct, at, lo, hi int) {
	r, b := t.r, &sc.block
	k, _ := p.sizes()
	steps := padSteps(stepsOf(k, r.pair))
	panels := room(&sc.b, r.rightLen(hi-lo, k))
	if p.Transposed {
		r.right(b, panels, t.rowsOf(sc, p.W, 0, k), p.W.K, nil, k, hi)
	} else {
		for n := lo; n < hi; n += r.nr {
			end := min(n+r.nr, hi)
			r.rightT(b, panels[(n-lo)*steps:], t.rowsOf(sc, p.W, n, end), k, k, end-n)
		}
	}
	b.bNext, b.aStep = r.nr*steps, 1
	b.alpha, b.beta = 1, 0
	if p.Accumulate {
		b.beta = 1
	}
	left, row := p.X, p.LDX
	if at >= 0 {
		left, row = t.left[at:], r.rowWords(k)
	}
	pass := r.passSteps(k, r.kc)
	for s := 0; s == 0 || s < stepsOf(k, r.pair); s += pass {
		b.steps = r.steps(min(r.elems(pass), k-r.elems(s)))
		b.b = panels[s*r.nr:]
		for i := 0; i < p.Rows; i += r.mc {
			b.a, b.aRow = left[i*row+s:], row
			b.c, b.ldc = p.Y[i*p.LDY+lo:], p.LDY
			r.product(&b.tile, min(r.mc, p.Rows-i), hi-lo)
		}
		b.beta = 1
	}
}
