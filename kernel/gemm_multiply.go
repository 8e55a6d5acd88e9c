package kernel

// Independent products of any kind, made for the many middling ones of an optimiser. Each C is cut
// into blocks, and whoever computes a block packs its operands, pass by pass over K.
//
// Of a symmetric C only the blocks on and below the diagonal are computed; a block on the diagonal is
// itself computed in strips up to the diagonal. The rest is copied by whoever computed its mirror
// image.

type productTask struct {
	e     *Engine
	r     *route
	ps    []Product
	parts []productPart
}

// productPart is rows [m0,m1) and columns [n0,n1) of C of a product.
type productPart struct{ product, m0, m1, n0, n1 int32 }

const (
	productBlock = 512 // most rows and columns of a block: the operands of a pass fit a core's cache
	productStrip = 64  // rows of a strip; blocks of a symmetric C are multiples of it
)

func (e *Engine) products(ps []Product, dt DType) {
	t := &e.prod
	t.r, t.ps = e.route(dt), ps
	t.cut(e.pool.Threads())
	e.pool.Run(len(t.parts), t)
	t.ps = nil
}

// cut fills t.parts, with blocks small enough to keep all workers busy.
func (t *productTask) cut(workers int) {
	work := 0
	for _, p := range t.ps {
		work += p.M * p.N * p.K
	}
	want := partsWanted(work, workers)
	for side := productBlock; ; side /= 2 {
		t.parts = t.parts[:0]
		for i, p := range t.ps {
			rows, cols := p.side(p.M, side), p.side(p.N, side)
			for m := 0; m < p.M; m += rows {
				end := p.N
				if p.Symmetric {
					end = min(p.N, m+rows)
				}
				for n := 0; n < end; n += cols {
					t.parts = append(t.parts, productPart{int32(i), int32(m), int32(min(p.M, m+rows)), int32(n), int32(min(end, n+cols))})
				}
			}
		}
		if len(t.parts) >= want || side <= productStrip {
			return
		}
	}
}

// side is the side of the blocks that n is cut into, at most limit.
func (p *Product) side(n, limit int) int {
	s := divide(n, max(1, divide(n, limit)))
	if p.Symmetric {
		s = divide(s, productStrip) * productStrip
	}
	return max(1, s)
}

// Do computes part i.
func (t *productTask) Do(worker, i int) {
	part := &t.parts[i]
	p, sc, r := &t.ps[part.product], &t.e.workers[worker], t.r
	b := &sc.block
	m0, m := int(part.m0), int(part.m1-part.m0)
	n0, n := int(part.n0), int(part.n1-part.n0)
	pass := r.elems(r.passSteps(p.K, r.kc))
	left, right := room(&sc.a, r.leftLen(m, pass)), room(&sc.b, r.rightLen(n, pass))
	c := p.C[m0*p.LDC+n0:]
	b.c, b.ldc, b.alpha, b.beta = c, p.LDC, p.Alpha, p.Beta
	for k0 := 0; k0 == 0 || k0 < p.K; k0 += pass {
		k := min(pass, p.K-k0)
		if p.TransB {
			r.rightT(b, right, p.B[n0*p.LDB+k0:], p.LDB, k, n)
		} else {
			r.right(b, right, p.B[k0*p.LDB+n0:], p.LDB, nil, k, n)
		}
		if p.TransA {
			r.leftT(b, left, p.A[k0*p.LDA+m0:], p.LDA, m, k)
		} else {
			r.left(b, left, p.A[m0*p.LDA+k0:], p.LDA, nil, m, k)
		}
		if p.Symmetric && m0 == n0 {
			r.triangle(&b.tile, m)
		} else {
			r.product(&b.tile, m, n)
		}
		b.c, b.beta = c, 1
	}
	if p.Symmetric {
		t.mirror(p, b, m0, m, n0, n)
	}
}

// triangle is product for strips of rows of a square C, each up to the diagonal.
func (r *route) triangle(t *tile, m int) {
	a, c := t.a, t.c
	for i := 0; i < m; i += productStrip {
		rows := min(productStrip, m-i)
		t.a, t.c = a[i*t.aRow:], c[i*t.ldc:]
		r.product(t, rows, i+rows)
	}
	t.a, t.c = a, c
}

// mirror copies a block of a symmetric C, or the part of it that lies below the diagonal, to where
// it belongs above.
func (t *productTask) mirror(p *Product, b *block, m0, m, n0, n int) {
	if m0 != n0 {
		t.copyTransposed(p, b, m0, m, n0, n)
		return
	}
	for i := productStrip; i < m; i += productStrip {
		t.copyTransposed(p, b, m0+i, min(productStrip, m-i), n0, i)
	}
}

// copyTransposed copies rows [m0,m0+m) and columns [n0,n0+n) of C to columns and rows. A packer that
// transposes into panels does the same when nothing has to be filled up.
func (t *productTask) copyTransposed(p *Product, b *block, m0, m, n0, n int) {
	r := t.e.f32
	src, dst := p.C[m0*p.LDC+n0:], p.C[n0*p.LDC+m0:]
	if m%r.nr == 0 && n%stepBlock == 0 {
		b.pack = pack{src: src, lds: p.LDC, rows: m, cols: n, dst: dst, ldd: p.LDC, next: r.nr}
		r.packTrans(&b.pack)
		return
	}
	for i := range m {
		for j := range n {
			dst[j*p.LDC+i] = src[i*p.LDC+j]
		}
	}
}
