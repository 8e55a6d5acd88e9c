package optim

// This file holds Muon with the hybrid Newton-Schulz iteration of DeepSeek-V4, for matrices W [n,m]:
//
//	M ← μ M + G;  A = G + μ M                  Nesterov form, μ = 0.95
//	X = A/‖A‖_F;  8 × (3.4445, −4.7750, 2.0315), then 2 × (2, −1.5, 0.5):
//	              X ← aX + b(XXᵀ)X + c(XXᵀ)²X
//	W ← W (1 − η λ) − η·0.18·sqrt(max(n,m))·X
//
// The first eight iterations pull all singular values near 1 fast, the last two settle them there.
// 0.18·sqrt(max) gives the update the size of an AdamW update, so both share one learning rate.
// When n > m the Gram matrix XᵀX is the small one; a polynomial in it from the right is the same X.
// Source: DeepSeek-V4 report, optimiser section.

import (
	"cmp"
	"math"
	"slices"

	"github.com/haenyeo/haenyeo/internal/par"
	"github.com/haenyeo/haenyeo/kernel"
)

const (
	updateScale  = 0.18
	chunk        = 16 << 10 // elements that one task of an elementwise loop handles
	batchScratch = 4 << 20  // elements of scratch that one batch of matrices may use
)

// Newton-Schulz coefficients: eight of the first, then two of the second.
var fast, settle = [3]float32{3.4445, -4.7750, 2.0315}, [3]float32{2, -1.5, 0.5}

type muon struct {
	engine   *kernel.Engine
	opt      Options
	matrices []matrix
	batches  []batch
	products []kernel.Product // of the batch being worked on
}

// matrix is one W with its momentum and its place in the scratch of its batch. The gradient's
// memory holds A and then X: it is spent once the momentum has it.
type matrix struct {
	Param
	rows, cols, small int // small = min(rows, cols)
	m                 []float32
	y                 []float32 // [rows,cols] the other X of an iteration
	gram, poly        []float32 // [small,small] XXᵀ (or XᵀX); bXXᵀ + c(XXᵀ)² + a
	norm              float32   // 1/‖A‖, 0 when A is zero
	sums              []float64 // sum of squares of A per chunk
}

// batch is a run of matrices that share the scratch, worked on together to fill the processor.
type batch struct {
	matrices []matrix
	chunks   []span // of all matrices
}

// span is elements [lo,hi) of a matrix of the batch.
type span struct{ matrix, lo, hi int }

func newMuon(e *kernel.Engine, params []Param, opt Options) *muon {
	u := &muon{engine: e, opt: opt}
	for _, p := range params {
		n, m := p.Shape[0], p.Shape[1]
		u.matrices = append(u.matrices, matrix{
			Param: p, rows: n, cols: m, small: min(n, m),
			m: make([]float32, n*m), sums: make([]float64, (n*m+chunk-1)/chunk),
		})
	}
	// Equal shapes next to each other: products of a batch then take equally long.
	slices.SortStableFunc(u.matrices, func(a, b matrix) int {
		return cmp.Or(cmp.Compare(a.rows*a.cols, b.rows*b.cols), cmp.Compare(a.rows, b.rows))
	})
	most, need, lo := 0, 0, 0
	for i := range u.matrices {
		n := u.matrices[i].scratch()
		if i > lo && need+n > batchScratch {
			u.batches = append(u.batches, batch{matrices: u.matrices[lo:i]})
			lo, need = i, 0
		}
		need += n
		most = max(most, need)
	}
	u.batches = append(u.batches, batch{matrices: u.matrices[lo:]})
	scratch := make([]float32, most)
	for i := range u.batches {
		b := &u.batches[i]
		b.place(scratch)
		u.products = slices.Grow(u.products, len(b.matrices))
	}
	return u
}

func (m *matrix) scratch() int { return m.rows*m.cols + 2*m.small*m.small }

// place cuts the scratch and the chunks of the batch's matrices.
func (b *batch) place(scratch []float32) {
	cut := func(n int) []float32 {
		s := scratch[:n:n]
		scratch = scratch[n:]
		return s
	}
	for i := range b.matrices {
		m := &b.matrices[i]
		m.y, m.gram, m.poly = cut(m.rows*m.cols), cut(m.small*m.small), cut(m.small*m.small)
		for lo := 0; lo < len(m.m); lo += chunk {
			b.chunks = append(b.chunks, span{i, lo, min(lo+chunk, len(m.m))})
		}
	}
}

func (u *muon) step(lr, scale float64) {
	pool := u.engine.Pool()
	momentum := momentumTask{mu: float32(u.opt.Momentum), scale: float32(scale)}
	apply := applyTask{lr: lr, keep: float32(1 - lr*u.opt.Decay)}
	for i := range u.batches {
		b := &u.batches[i]
		momentum.b, apply.b = b, b
		pool.Run(len(b.chunks), &momentum)
		for j := range b.matrices {
			b.matrices[j].setNorm()
		}
		pool.Run(len(b.chunks), (*normalise)(b))
		u.orthogonalise(b)
		pool.Run(len(b.chunks), &apply)
	}
}

// momentumTask: M ← μ M + s·G;  A = s·G + μ M, into the memory of G; its squares summed.
type momentumTask struct {
	b         *batch
	mu, scale float32
}

func (t *momentumTask) Do(_, i int) {
	c := t.b.chunks[i]
	x := &t.b.matrices[c.matrix]
	var sum float64
	g, m := x.G[c.lo:c.hi], x.m[c.lo:c.hi]
	for i, v := range g {
		v *= t.scale
		mi := t.mu*m[i] + v
		a := v + t.mu*mi
		m[i], g[i] = mi, a
		sum += float64(a) * float64(a)
	}
	x.sums[c.lo/chunk] = sum
}

func (m *matrix) setNorm() {
	var sum float64
	for _, s := range m.sums {
		sum += s
	}
	m.norm = 0 // an expert that never saw a token: only decay is applied
	if sum > 0 {
		m.norm = float32(1 / math.Sqrt(sum))
	}
}

// normalise is X = A/‖A‖.
type normalise batch

func (t *normalise) Do(_, i int) {
	c := t.chunks[i]
	x := &t.matrices[c.matrix]
	g, s := x.G[c.lo:c.hi], x.norm
	for i := range g {
		g[i] *= s
	}
}

// orthogonalise runs the ten iterations on every X of the batch, held in G before and after.
// About 10·(3·small²·large + small³) FLOPs a matrix: two of the three products are symmetric.
func (u *muon) orthogonalise(b *batch) {
	pool := u.engine.Pool()
	prepare := polyTask{b: b}
	for k := range 10 {
		co := fast
		if k >= 8 {
			co = settle
		}
		u.products = u.products[:0]
		for i := range b.matrices {
			m := &b.matrices[i]
			x, _ := m.sides(k)
			u.products = append(u.products, kernel.Product{
				C: m.gram, A: x, B: x, LDC: m.small, LDA: m.cols, LDB: m.cols,
				TransA: m.rows > m.cols, TransB: m.rows <= m.cols,
				M: m.small, N: m.small, K: max(m.rows, m.cols), Alpha: 1, Symmetric: true,
			})
		}
		u.engine.Multiply(u.products, u.opt.DType)

		// poly = b·gram + c·gram² + a·I: with a inside, X ← poly·X needs no copy of X.
		pool.Run(len(b.matrices), &prepare)
		u.products = u.products[:0]
		for i := range b.matrices {
			m := &b.matrices[i]
			u.products = append(u.products, kernel.Product{
				C: m.poly, A: m.gram, B: m.gram, LDC: m.small, LDA: m.small, LDB: m.small,
				M: m.small, N: m.small, K: m.small, Alpha: co[2], Beta: co[1], Symmetric: true,
			})
		}
		u.engine.Multiply(u.products, u.opt.DType)

		u.products = u.products[:0]
		for i := range b.matrices {
			m := &b.matrices[i]
			for d := 0; d < len(m.poly); d += m.small + 1 {
				m.poly[d] += co[0]
			}
			x, y := m.sides(k)
			p := kernel.Product{C: y, LDC: m.cols, M: m.rows, N: m.cols, K: m.small, Alpha: 1}
			if m.rows <= m.cols {
				p.A, p.LDA, p.B, p.LDB = m.poly, m.small, x, m.cols
			} else {
				p.A, p.LDA, p.B, p.LDB = x, m.cols, m.poly, m.small
			}
			u.products = append(u.products, p)
		}
		u.engine.Multiply(u.products, u.opt.DType)
	}
}

// sides are the X that iteration k reads and the one that it writes; the tenth writes G.
func (m *matrix) sides(k int) (x, y []float32) {
	if k%2 == 0 {
		return m.G, m.y
	}
	return m.y, m.G
}

// polyTask copies gram to poly, which the next product scales by b and adds to.
type polyTask struct{ b *batch }

func (t *polyTask) Do(_, i int) {
	m := &t.b.matrices[i]
	copy(m.poly, m.gram)
}

// applyTask is W ← W (1 − η λ) − η·0.18·sqrt(max)·X; it clears the gradient.
type applyTask struct {
	b    *batch
	lr   float64
	keep float32
}

func (t *applyTask) Do(_, i int) {
	c := t.b.chunks[i]
	x := &t.b.matrices[c.matrix]
	eta := float32(t.lr * updateScale * math.Sqrt(float64(max(x.rows, x.cols))))
	w, g := x.W[c.lo:c.hi], x.G[c.lo:c.hi]
	for i, v := range g {
		w[i] = w[i]*t.keep - eta*v
	}
	clear(g)
}

func (u *muon) state() []Tensor {
	var ts []Tensor
	for i := range u.matrices {
		m := &u.matrices[i]
		ts = append(ts, Tensor{"m." + m.Name, m.Shape, m.m})
	}
	return ts
}

var _ par.Task = (*momentumTask)(nil)
