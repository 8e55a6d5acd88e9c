package kernel

// Independent products of any kind, made for the many middling ones of an optimiser. They are taken
// in batches whose packed right sides fit in a shared buffer; each batch is packed in parallel, then
// cut by rows of C.

type productTask struct {
	e        *Engine
	r        *route
	ps       []Product
	base     []int
	panels   []float32
	multiply bool
	parts    []productPart
}

// productPart is panels [lo,hi) of op(B) in the first phase, rows [lo,hi) of C in the second.
type productPart struct{ product, lo, hi int32 }

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
		t.cut(false)
		e.pool.Run(len(t.parts), t)
		t.cut(true)
		e.pool.Run(len(t.parts), t)
	}
	t.ps = nil
}

// cut fills t.parts for one phase.
func (t *productTask) cut(multiply bool) {
	t.parts, t.multiply = t.parts[:0], multiply
	for i, p := range t.ps {
		total, unit := p.N, max(1, packElems/max(1, p.K)/t.r.nr)*t.r.nr
		if multiply {
			total = p.M
			blocks := max(1, (total+t.r.mc/2-1)/(t.r.mc/2))
			unit = max(1, (total+blocks-1)/blocks)
		}
		for lo := 0; lo < total; lo += unit {
			t.parts = append(t.parts, productPart{int32(i), int32(lo), int32(min(total, lo+unit))})
		}
	}
}

// Do does part i of the current phase.
func (t *productTask) Do(worker, i int) {
	part := t.parts[i]
	p, sc, r := &t.ps[part.product], &t.e.workers[worker], t.r
	lo, hi := int(part.lo), int(part.hi)
	panels := t.panels[t.base[part.product]:]
	b := &sc.block
	if !t.multiply {
		if p.K == 0 {
			return
		}
		dst := panels[lo*padSteps(stepsOf(p.K, r.pair)):]
		if p.TransB {
			r.rightT(b, dst, p.B[lo*p.LDB:], p.LDB, p.K, hi-lo)
		} else {
			r.right(b, dst, p.B[lo:], p.LDB, nil, p.K, hi-lo)
		}
		return
	}
	m, kc := hi-lo, r.passSteps(p.K)
	buf := room(&sc.a, r.leftLen(m, r.elems(kc)))
	b.bStep, b.bNext = r.nr, r.nr*padSteps(stepsOf(p.K, r.pair))
	b.c, b.ldc, b.alpha, b.beta = p.C[lo*p.LDC:], p.LDC, p.Alpha, p.Beta
	for k0 := 0; k0 == 0 || k0 < p.K; k0 += r.elems(kc) {
		k := min(r.elems(kc), p.K-k0)
		if p.TransA {
			r.leftT(b, buf, p.A[k0*p.LDA+lo:], p.LDA, nil, m, k)
		} else {
			r.left(b, buf, p.A[lo*p.LDA+k0:], p.LDA, nil, m, k)
		}
		b.b = panels[stepsOf(k0, r.pair)*r.nr:]
		r.product(&b.tile, m, p.N)
		b.beta = 1
	}
}
