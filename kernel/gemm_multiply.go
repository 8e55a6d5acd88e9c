package kernel

// Independent products of any kind, made for the many middling ones of an optimiser. They are taken
// in batches whose packed right sides fit in a shared buffer; each batch is packed in parallel, then
// multiplied in blocks of rows of C. Of a symmetric C a block only has the columns up to its diagonal;
// what is right of it is copied at last.

type productTask struct {
	e      *Engine
	r      *route
	ps     []Product
	base   []int
	panels []float32
	phase  productPhase
	parts  []productPart
}

type productPhase uint8

const (
	packRight productPhase = iota // parts are panels [lo,hi) of op(B)
	multiply                      // rows [lo,hi) of C
	mirror                        // rows [lo,hi) of a symmetric C
)

type productPart struct{ product, lo, hi int32 }

// symmetricRows is the height of the blocks of a symmetric C: a multiple of every panel width and of
// what packers write at once, so that the copy can use them.
const symmetricRows = 64

// batchWords bounds the packed right sides of a batch, unless a single product has more.
const batchWords = 1 << 21

func (e *Engine) products(ps []Product, dt DType) {
	t := &e.prod
	t.r = e.route(dt)
	for len(ps) > 0 {
		n, size := 0, 0
		t.base = t.base[:0]
		for n < len(ps) {
			l := t.r.rightLen(ps[n].N, ps[n].K)
			if n > 0 && size+l > batchWords {
				break
			}
			t.base = append(t.base, size)
			size += l
			n++
		}
		t.ps, ps = ps[:n], ps[n:]
		t.panels = room(&e.shared, size)
		for _, phase := range []productPhase{packRight, multiply, mirror} {
			t.cut(phase)
			e.pool.Run(len(t.parts), t)
		}
	}
	t.ps = nil
}

// cut fills t.parts for one phase.
func (t *productTask) cut(phase productPhase) {
	t.parts, t.phase = t.parts[:0], phase
	for i, p := range t.ps {
		total, unit := p.N, max(1, packElems/max(1, p.K)/t.r.nr)*t.r.nr
		if phase != packRight {
			total = p.M
			blocks := max(1, (total+t.r.mc/2-1)/(t.r.mc/2))
			unit = max(1, (total+blocks-1)/blocks)
			if p.Symmetric {
				unit = symmetricRows
			}
		}
		if phase == mirror && !p.Symmetric {
			continue
		}
		for lo := 0; lo < total; lo += unit {
			t.parts = append(t.parts, productPart{int32(i), int32(lo), int32(min(total, lo+unit))})
		}
	}
}

// Do does part i of the current phase.
func (t *productTask) Do(worker, i int) {
	part := t.parts[i]
	p, sc := &t.ps[part.product], &t.e.workers[worker]
	panels := t.panels[t.base[part.product]:]
	lo, hi := int(part.lo), int(part.hi)
	switch t.phase {
	case packRight:
		t.right(p, &sc.block, panels, lo, hi)
	case multiply:
		t.rows(p, sc, panels, lo, hi)
	case mirror:
		t.copyRight(p, &sc.block, lo, hi)
	}
}

// right packs columns [lo,hi) of op(B).
func (t *productTask) right(p *Product, b *block, panels []float32, lo, hi int) {
	if p.K == 0 {
		return
	}
	dst := panels[lo*padSteps(stepsOf(p.K, t.r.pair)):]
	if p.TransB {
		t.r.rightT(b, dst, p.B[lo*p.LDB:], p.LDB, p.K, hi-lo)
	} else {
		t.r.right(b, dst, p.B[lo:], p.LDB, nil, p.K, hi-lo)
	}
}

// rows computes rows [lo,hi) of C, up to the diagonal if that is enough.
func (t *productTask) rows(p *Product, sc *worker, panels []float32, lo, hi int) {
	b, r, n := &sc.block, t.r, p.N
	if p.Symmetric {
		n = hi
	}
	m, kc := hi-lo, r.passSteps(p.K, r.kc)
	buf := room(&sc.a, r.leftLen(m, r.elems(kc)))
	b.bNext = r.nr * padSteps(stepsOf(p.K, r.pair))
	b.c, b.ldc, b.alpha, b.beta = p.C[lo*p.LDC:], p.LDC, p.Alpha, p.Beta
	for k0 := 0; k0 == 0 || k0 < p.K; k0 += r.elems(kc) {
		k := min(r.elems(kc), p.K-k0)
		if p.TransA {
			r.leftT(b, buf, p.A[k0*p.LDA+lo:], p.LDA, m, k)
		} else {
			r.left(b, buf, p.A[lo*p.LDA+k0:], p.LDA, nil, m, k)
		}
		b.b = panels[stepsOf(k0, r.pair)*r.nr:]
		r.product(&b.tile, m, n)
		b.beta = 1
	}
}

// copyRight fills what lies right of the diagonal block in rows [lo,hi) from what lies below it.
func (t *productTask) copyRight(p *Product, b *block, lo, hi int) {
	r, rest := t.e.f32, p.N-hi
	switch {
	case rest == 0:
	case rest%r.nr == 0: // a packer that transposes into whole panels does the same
		b.pack = pack{src: p.C[hi*p.LDC+lo:], lds: p.LDC, rows: rest, cols: hi - lo, dst: p.C[lo*p.LDC+hi:], ldd: p.LDC, next: r.nr}
		r.packTrans(&b.pack)
	default:
		for i := hi; i < p.N; i++ {
			for j := lo; j < hi; j++ {
				p.C[j*p.LDC+i] = p.C[i*p.LDC+j]
			}
		}
	}
}
