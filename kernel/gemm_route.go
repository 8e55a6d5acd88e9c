package kernel

// A route is one way to multiply: an arithmetic, the kernels of one tier for it, and the shapes
// they like. In order: the route, how a product in cache is made with it (block: left, right,
// product), and the sizes of packed operands. The drivers over whole layers (gemm_linear.go,
// gemm_weightgrad.go, gemm_multiply.go) and attention are loops around blocks.

// route holds the kernels as a table of functions, chosen once per Engine. They are called only
// by multiply and the pack methods below, which check bounds and are never inlined: the prologue
// of such a call is where a goroutine that does nothing but multiply can be stopped for the
// garbage collector. One call lasts less than about 100 µs.
type route struct {
	name  string
	pair  bool // words are pairs of bfloat16
	exact bool // steps must be whole multiples of stepBlock, and A row-major
	nr    int  // columns of a panel
	mr    int  // rows of the largest tile
	mc    int  // rows of A to keep in cache at once
	kc    int  // steps in one pass over K, a multiple of stepBlock
	thin  int  // tiles of so few rows
	wide  int  // can take so many panels at once

	tile  func(*tile)
	rows  func(*pack)
	cols  func(*pack)
	trans func(*pack)
	turn  func(*pack) // exact only
}

// block is the work space of one product inside a task. It must live on the heap (in a worker's
// scratch): its parts are passed to functions that the compiler cannot see through.
type block struct {
	tile
	pack pack
}

//go:noinline
func (r *route) multiply(t *tile) {
	t.check(r.nr)
	r.tile(t)
}

//go:noinline
func (r *route) packRows(p *pack) {
	p.checkRows(r.pair)
	if p.rows > 0 {
		r.rows(p)
	}
}

//go:noinline
func (r *route) packCols(p *pack) {
	p.checkPanels(r.nr, p.cols, p.steps)
	if p.cols > 0 && p.steps > 0 {
		r.cols(p)
	}
}

//go:noinline
func (r *route) packTrans(p *pack) {
	p.checkPanels(r.nr, p.rows, padSteps(stepsOf(p.cols, r.pair)))
	if p.rows > 0 && p.cols > 0 {
		r.trans(p)
	}
}

//go:noinline
func (r *route) packTurn(p *pack) {
	p.checkSource()
	if p.rows > 0 && p.cols > 0 {
		_ = p.dst[((p.cols+15)/16*16-1)*p.ldd+padSteps(stepsOf(p.rows, r.pair))-1]
		r.turn(p)
	}
}

// steps is the number of steps of a product over k.
func (r *route) steps(k int) int {
	n := stepsOf(k, r.pair)
	if r.exact {
		n = padSteps(n)
	}
	return n
}

// elems is the number of elements of k in n steps.
func (r *route) elems(n int) int {
	if r.pair {
		return 2 * n
	}
	return n
}

// padCols rounds n up to whole panels.
func (r *route) padCols(n int) int { return (n + r.nr - 1) / r.nr * r.nr }

// leftLen and rightLen are the words that left or leftT of [m,k], and right or rightT of [k,n],
// may fill.
func (r *route) leftLen(m, k int) int  { return r.padCols(m) * r.rowWords(k) }
func (r *route) rightLen(n, k int) int { return r.padCols(n) * padSteps(stepsOf(k, r.pair)) }

// rowWords is the stride of packed rows of k elements. Tiles load 16 rows at once, which must not
// fall into the same cache sets.
func (r *route) rowWords(k int) int {
	n := padSteps(stepsOf(k, r.pair))
	if r.exact {
		n += stepBlock
	}
	return n
}

// left makes A of x [m,k], rows idx when it is not nil, and sets the steps of b. Float32 rows that
// follow each other are used in place.
func (r *route) left(b *block, buf, x []float32, ld int, idx []int32, m, k int) {
	b.steps = r.steps(k)
	b.aStep = 1
	if !r.pair && idx == nil && ld%1024 != 0 {
		b.a, b.aRow = x, ld
		return
	}
	b.a, b.aRow = buf, r.rowWords(k)
	b.pack = pack{src: x, idx: idx, lds: ld, rows: m, cols: k, dst: buf, ldd: b.aRow}
	r.packRows(&b.pack)
}

// leftT makes A of xᵀ, x [k,m].
func (r *route) leftT(b *block, buf, x []float32, ld, m, k int) {
	b.steps = r.steps(k)
	if r.exact {
		b.a, b.aRow, b.aStep = buf, r.rowWords(k), 1
		b.pack = pack{src: x, lds: ld, rows: k, cols: m, dst: buf, ldd: b.aRow}
		r.packTurn(&b.pack)
		return
	}
	b.a, b.aRow, b.aStep = buf, 1, r.padCols(m)
	b.pack = pack{src: x, lds: ld, rows: k, cols: m, dst: buf, ldd: b.aStep, next: r.nr, steps: b.steps}
	r.packCols(&b.pack)
}

// right makes B of x [k,n], rows idx when it is not nil.
func (r *route) right(b *block, buf, x []float32, ld int, idx []int32, k, n int) {
	b.b, b.bNext = buf, r.nr*padSteps(stepsOf(k, r.pair))
	b.pack = pack{src: x, idx: idx, lds: ld, rows: k, cols: n, dst: buf, ldd: r.nr, next: b.bNext, steps: r.steps(k)}
	r.packCols(&b.pack)
}

// rightT makes B of xᵀ, x [n,k].
func (r *route) rightT(b *block, buf, x []float32, ld, k, n int) {
	b.b, b.bNext = buf, r.nr*padSteps(stepsOf(k, r.pair))
	b.pack = pack{src: x, lds: ld, rows: n, cols: k, dst: buf, ldd: r.nr, next: b.bNext}
	r.packTrans(&b.pack)
}

// product computes C [m,n] = alpha·A·B + beta·C, single-threaded, from the a, b, c, strides, steps,
// alpha and beta of t; the other fields are scratch. Every element of C is summed over the steps in
// ascending order, whatever m and n are.
func (r *route) product(t *tile, m, n int) {
	if m == 0 || n == 0 {
		return
	}
	a, b, c := t.a, t.b, t.c
	tiles := (m + r.mr - 1) / r.mr
	small, large := m/tiles, m%tiles // large tiles have one more row
	for j := 0; j < n; {
		t.panels, t.cols = 1, min(r.nr, n-j)
		if m <= r.thin && n-j >= r.wide*r.nr {
			t.panels = r.wide
		}
		t.b, t.a = b[j/r.nr*t.bNext:], a
		if large > 0 {
			t.c, t.rows, t.count = c[j:], small+1, large
			r.multiply(t)
			t.a = a[large*(small+1)*t.aRow:]
		}
		t.c, t.rows, t.count = c[large*(small+1)*t.ldc+j:], small, tiles-large
		r.multiply(t)
		j += r.nr * t.panels
	}
	t.a, t.b, t.c = a, b, c
}
