package kernel

// dW += dyᵀ x. The reduction runs over tokens, so both operands are packed by columns. First all
// workers pack x, every group into panels of its own; then each task takes some rows of dW (columns
// of dy), packs them pass by pass over the tokens, and adds the product to dW.

type gradTask struct {
	e         *Engine
	groups    []Group
	dy, x     []float32
	lddy, ldx int
	gather    []int32
	base      []int // where the panels of each group start
	panels    []float32
	multiply  bool // second phase
	parts     []gradPart
}

// gradPart is tokens [lo,hi) of a group in the first phase, rows [lo,hi) of its dW in the second.
type gradPart struct{ group, lo, hi int32 }

const (
	gradTokens = 256 // tokens that a task of the first phase packs
	gradRows   = 112 // rows of dW in a task of the second
)

func (e *Engine) weightGrad(dy []float32, lddy int, x []float32, ldx int, gather []int32, groups []Group) {
	t := &e.grad
	t.groups, t.dy, t.x, t.lddy, t.ldx, t.gather = groups, dy, x, lddy, ldx, gather
	t.base, t.parts, t.multiply = t.base[:0], t.parts[:0], false
	size := 0
	for i, g := range groups {
		rows := g.Hi - g.Lo
		t.base = append(t.base, size)
		if rows <= 0 {
			continue
		}
		size += g.W.r.rightLen(g.W.K, rows)
		for lo := 0; lo < rows; lo += gradTokens {
			t.parts = append(t.parts, gradPart{int32(i), int32(lo), int32(min(rows, lo+gradTokens))})
		}
	}
	t.panels = room(&e.shared, size)
	e.pool.Run(len(t.parts), t)

	t.parts, t.multiply = t.parts[:0], true
	workers := e.pool.Threads()
	for i, g := range groups {
		if g.Hi <= g.Lo {
			continue
		}
		blocks := (g.W.N + gradRows - 1) / gradRows
		if len(groups) == 1 {
			blocks = (blocks + workers - 1) / workers * workers
		}
		for b := range blocks {
			lo, hi := g.W.N*b/blocks, g.W.N*(b+1)/blocks
			if lo < hi {
				t.parts = append(t.parts, gradPart{int32(i), int32(lo), int32(hi)})
			}
		}
	}
	e.pool.Run(len(t.parts), t)
	t.groups, t.dy, t.x, t.gather = nil, nil, nil, nil
}

// Do does part i of the current phase.
func (t *gradTask) Do(worker, i int) {
	part := t.parts[i]
	g, sc := t.groups[part.group], &t.e.workers[worker]
	lo, hi := int(part.lo), int(part.hi)
	if t.multiply {
		t.rows(g, t.panels[t.base[part.group]:], sc, lo, hi)
	} else {
		t.pack(g, t.panels[t.base[part.group]:], sc, lo, hi)
	}
}

// pack makes the steps of tokens [lo,hi) of g; lo is even.
func (t *gradTask) pack(g Group, panels []float32, sc *worker, lo, hi int) {
	r, tokens := g.W.r, g.Hi-g.Lo
	x, idx := t.x, t.gather
	if idx == nil {
		x = x[(g.Lo+lo)*t.ldx:]
	} else {
		idx = idx[g.Lo+lo:]
	}
	first := stepsOf(lo, r.pair)
	steps := stepsOf(hi, r.pair) - first
	if hi == tokens {
		steps = r.steps(tokens) - first
	}
	p := &sc.block.pack
	*p = pack{src: x, idx: idx, lds: t.ldx, rows: hi - lo, cols: g.W.K, dst: panels[first*r.nr:], ldd: r.nr,
		next: r.nr * padSteps(stepsOf(tokens, r.pair)), steps: steps}
	r.packCols(p)
}

// rows computes rows [lo,hi) of dW.
func (t *gradTask) rows(g Group, panels []float32, sc *worker, lo, hi int) {
	r, b, tokens, m := g.W.r, &sc.block, g.Hi-g.Lo, hi-lo
	kc := r.passSteps(tokens)
	buf := room(&sc.a, r.leftLen(m, r.elems(kc)))
	b.bNext = r.nr * padSteps(stepsOf(tokens, r.pair))
	b.c, b.ldc, b.alpha, b.beta = g.Grad[lo*g.W.K:], g.W.K, 1, 1
	for k0 := 0; k0 < tokens; k0 += r.elems(kc) {
		r.leftT(b, buf, t.dy[(g.Lo+k0)*t.lddy+lo:], t.lddy, m, min(r.elems(kc), tokens-k0))
		b.b = panels[stepsOf(k0, r.pair)*r.nr:]
		r.product(&b.tile, m, g.W.K)
	}
}
