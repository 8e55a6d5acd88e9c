package kernel

// dW += dyᵀ x. The reduction runs over tokens, so both operands are packed by columns. dW is cut into
// blocks, and whoever computes a block packs what it needs of dy and x, pass by pass over the tokens,
// into buffers of its own: packing some columns twice costs less than passing them between cores.

type gradTask struct {
	e         *Engine
	groups    []Group
	dy, x     []float32
	lddy, ldx int
	gather    []int32
	parts     []gradPart
}

// gradPart is rows [n0,n1) and columns [k0,k1) of dW of a group.
type gradPart struct{ group, n0, n1, k0, k1 int32 }

const (
	gradBlock    = 512 // most rows and columns of a block: the operands of a pass fit a core's cache
	gradBlockMin = 48  // a side that is not worth dividing
)

func (e *Engine) weightGrad(dy []float32, lddy int, x []float32, ldx int, gather []int32, groups []Group) {
	t := &e.grad
	t.groups, t.dy, t.x, t.lddy, t.ldx, t.gather = groups, dy, x, lddy, ldx, gather
	t.cut(e.pool.Threads())
	e.pool.Run(len(t.parts), t)
	t.groups, t.dy, t.x, t.gather = nil, nil, nil, nil
}

// cut fills t.parts. Squarish blocks need the least packing. Few blocks are divided until the workers
// have equal shares.
func (t *gradTask) cut(workers int) {
	t.parts = t.parts[:0]
	work, blocks := 0, 0
	for _, g := range t.groups {
		if rows := g.Hi - g.Lo; rows > 0 {
			work += g.W.N * g.W.K * rows
			blocks += divide(g.W.N, gradBlock) * divide(g.W.K, gradBlock)
		}
	}
	want := partsWanted(work, workers)
	for i, g := range t.groups {
		if g.Hi <= g.Lo {
			continue
		}
		rows, cols := divide(g.W.N, gradBlock), divide(g.W.K, gradBlock)
		for uneven := true; blocks < want && uneven; {
			h, w := g.W.N/rows, g.W.K/cols
			switch {
			case max(h, w) < 2*gradBlockMin:
				uneven = false
			case h >= w:
				rows++
			default:
				cols++
			}
			uneven = uneven && (rows*cols)%workers != 0
		}
		width := divide(divide(g.W.K, g.W.r.nr), cols) * g.W.r.nr
		for b := range rows {
			n0, n1 := g.W.N*b/rows, g.W.N*(b+1)/rows
			for k0 := 0; k0 < g.W.K; k0 += width {
				t.parts = append(t.parts, gradPart{int32(i), int32(n0), int32(n1), int32(k0), int32(min(g.W.K, k0+width))})
			}
		}
	}
}

// divide is n/by, rounded up.
func divide(n, by int) int { return (n + by - 1) / by }

// Do computes part i.
func (t *gradTask) Do(worker, i int) {
	part := t.parts[i]
	g, sc := t.groups[part.group], &t.e.workers[worker]
	r, b, tokens := g.W.r, &sc.block, g.Hi-g.Lo
	n0, m := int(part.n0), int(part.n1-part.n0)
	k0, n := int(part.k0), int(part.k1-part.k0)
	pass := r.elems(r.passSteps(tokens, r.kc/2))
	left, right := room(&sc.a, r.leftLen(m, pass)), room(&sc.b, r.rightLen(n, pass))
	b.c, b.ldc, b.alpha, b.beta = g.Grad[n0*g.W.K+k0:], g.W.K, 1, 1
	for lo := g.Lo; lo < g.Hi; lo += pass {
		k := min(pass, g.Hi-lo)
		if t.gather != nil {
			r.right(b, right, t.x[k0:], t.ldx, t.gather[lo:], k, n)
		} else {
			r.right(b, right, t.x[lo*t.ldx+k0:], t.ldx, nil, k, n)
		}
		r.leftT(b, left, t.dy[lo*t.lddy+n0:], t.lddy, m, k)
		r.product(&b.tile, m, n)
	}
}
