package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The naive definition of every matrix operation, in float64, against every tier of this machine.
// Small integers must agree bit by bit, whatever the order of summation; other values to within the
// rounding of a sum of so many terms. Slices lie against guard pages.

// values fills x with small integers, or with normal deviates.
func values(rng *rand.Rand, x []float32, exact bool) {
	for i := range x {
		if exact {
			x[i] = float32(rng.IntN(9) - 4)
		} else {
			x[i] = float32(rng.NormFloat64())
		}
	}
}

// matrix is a guarded [rows,cols] matrix with a row stride.
type matrix struct {
	guarded[float32]
	rows, cols, ld int
}

func newMatrix(t *testing.T, rng *rand.Rand, rows, cols int, exact bool) matrix {
	ld := cols
	if rng.IntN(2) == 0 {
		ld += rng.IntN(20)
	}
	n := 0
	if rows > 0 && cols > 0 {
		n = (rows-1)*ld + cols
	}
	m := matrix{newGuarded[float32](n, rng.IntN(2)*rng.IntN(16)), rows, cols, ld}
	t.Cleanup(m.release)
	values(rng, m.data, exact)
	return m
}

func (m matrix) at(i, j int) float64 { return float64(m.data[i*m.ld+j]) }

// sum is an expected element and how far off a correct one may be.
type sum struct {
	v, abs float64
	n      int
}

// reference sums products in float64, of operands rounded to bfloat16 when the route does that.
type reference struct{ rounded bool }

func (r reference) round(x float64) float64 {
	if !r.rounded {
		return x
	}
	lo, _ := unpair(pair(float32(x), 0))
	return float64(lo)
}

func (r reference) add(s *sum, a, b float64) {
	p := r.round(a) * r.round(b)
	s.v += p
	s.abs += math.Abs(p)
	s.n++
}

func (s sum) check(got float32, exact bool) error {
	tol := 0.0
	if !exact {
		tol = (float64(s.n) + 4) * 0x1p-24 * s.abs
	}
	if d := math.Abs(float64(got) - s.v); !(d <= tol) {
		return fmt.Errorf("got %v, want %v, difference %.3g above %.3g", got, s.v, d, tol)
	}
	return nil
}

func eachTier(t *testing.T, f func(t *testing.T, e *Engine, dt DType, rng *rand.Rand)) {
	for _, tier := range Tiers() {
		for _, dt := range []DType{F32, BF16} {
			t.Run(tier+"/"+dt.String(), func(t *testing.T) {
				e, err := New(2, tier)
				if err != nil {
					t.Fatal(err)
				}
				defer e.Close()
				f(t, e, dt, rand.New(rand.NewPCG(1, uint64(dt))))
			})
		}
	}
	for _, r := range twinRoutes() {
		t.Run(r.name+" twin", func(t *testing.T) {
			e, err := New(2, "")
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			e.bf16 = r
			f(t, e, BF16, rand.New(rand.NewPCG(1, 2)))
		})
	}
}

// trials is n, or a fifth of it where tests should be quick (under emulation).
func trials(n int) int {
	if testing.Short() {
		return n / 5
	}
	return n
}

// size draws a dimension: mostly around the edges of tiles, now and then larger.
func size(rng *rand.Rand) int {
	switch rng.IntN(6) {
	case 0:
		return 1 + rng.IntN(3)
	case 1:
		return 13 + rng.IntN(4)
	case 2:
		return 31 + rng.IntN(3)
	case 3:
		return 120 + rng.IntN(20)
	default:
		return 1 + rng.IntN(70)
	}
}

func TestLinear(t *testing.T) {
	eachTier(t, func(t *testing.T, e *Engine, dt DType, rng *rand.Rand) {
		ref := reference{e.route(dt).pair}
		for trial := range trials(60) {
			exact, acc := trial%2 == 0, rng.IntN(2) == 0
			l := newLayer(t, rng, e, dt, exact)
			desc := fmt.Sprintf("trial %d: N %d K %d groups %v gather %v accumulate %v", trial, l.n, l.k, l.bounds, l.gather != nil, acc)

			before := append([]float32(nil), l.dy.data...)
			e.Linear(l.dy.data, l.dy.ld, l.x.data, l.x.ld, l.gather, l.groups, acc)
			l.each(func(g, r int, w matrix) {
				for j := range l.n {
					var s sum
					if acc {
						s.v, s.abs = float64(before[r*l.dy.ld+j]), math.Abs(float64(before[r*l.dy.ld+j]))
					}
					for k := range l.k {
						ref.add(&s, l.x.at(l.row(r), k), w.at(j, k))
					}
					if err := s.check(l.dy.data[r*l.dy.ld+j], exact); err != nil {
						t.Fatalf("%s: y[%d,%d]: %v", desc, r, j, err)
					}
				}
			})
			l.checkRest(t, desc, l.dy, before)

			values(rng, l.dy.data, exact)
			before = append([]float32(nil), l.dx.data...)
			e.LinearInputGrad(l.dx.data, l.dx.ld, l.dy.data, l.dy.ld, l.groups, acc)
			l.each(func(g, r int, w matrix) {
				for k := range l.k {
					var s sum
					if acc {
						s.v, s.abs = float64(before[r*l.dx.ld+k]), math.Abs(float64(before[r*l.dx.ld+k]))
					}
					for j := range l.n {
						ref.add(&s, l.dy.at(r, j), w.at(j, k))
					}
					if err := s.check(l.dx.data[r*l.dx.ld+k], exact); err != nil {
						t.Fatalf("%s: dx[%d,%d]: %v", desc, r, k, err)
					}
				}
			})
			l.checkRest(t, desc, l.dx, before)

			e.LinearWeightGrad(l.dy.data, l.dy.ld, l.x.data, l.x.ld, l.gather, l.groups)
			for g, b := range l.bounds {
				for j := range l.n {
					for k := range l.k {
						s := sum{v: 1, abs: 1}
						for r := b[0]; r < b[1]; r++ {
							ref.add(&s, l.dy.at(r, j), l.x.at(l.row(r), k))
						}
						if err := s.check(l.groups[g].Grad[j*l.k+k], exact); err != nil {
							t.Fatalf("%s: dW %d [%d,%d]: %v", desc, g, j, k, err)
						}
					}
				}
			}
			l.checkGuards(t, desc)
		}
	})
}

// layer is a random grouped linear layer with its operands.
type layer struct {
	n, k      int
	bounds    [][2]int
	w         []matrix
	groups    []Group
	grads     []matrix
	gather    []int32
	x, dy, dx matrix
}

func newLayer(t *testing.T, rng *rand.Rand, e *Engine, dt DType, exact bool) *layer {
	l := &layer{n: size(rng), k: size(rng)}
	long := 0 // one long dimension needs several passes
	switch rng.IntN(12) {
	case 0:
		l.n, l.k = 1+rng.IntN(40), 500+rng.IntN(700)
	case 1:
		l.n, l.k = 500+rng.IntN(700), 1+rng.IntN(40)
	case 2:
		l.n, l.k, long = 1+rng.IntN(40), 1+rng.IntN(40), 500+rng.IntN(700)
	}
	rows := 0
	for range 1 + rng.IntN(3)*rng.IntN(2) {
		rows += rng.IntN(3) // rows that belong to no group
		n := size(rng)*min(1, rng.IntN(8)) + long
		l.bounds = append(l.bounds, [2]int{rows, rows + n})
		rows += n
	}
	tokens := rows
	if rng.IntN(2) == 0 {
		tokens = 1 + rng.IntN(rows+1)
		for range rows {
			l.gather = append(l.gather, int32(rng.IntN(tokens)))
		}
	}
	l.x, l.dy, l.dx = newMatrix(t, rng, tokens, l.k, exact), newMatrix(t, rng, rows, l.n, exact), newMatrix(t, rng, rows, l.k, exact)
	var ws []*Weight
	var src [][]float32
	for _, b := range l.bounds {
		m := matrix{newGuarded[float32](l.n*l.k, 0), l.n, l.k, l.k}
		t.Cleanup(m.release)
		values(rng, m.data, exact)
		g := matrix{newGuarded[float32](l.n*l.k, rng.IntN(3)), l.n, l.k, l.k}
		t.Cleanup(g.release)
		for i := range g.data {
			g.data[i] = 1
		}
		l.w, l.grads = append(l.w, m), append(l.grads, g)
		ws, src = append(ws, e.NewWeight(l.n, l.k, dt)), append(src, m.data)
		l.groups = append(l.groups, Group{W: ws[len(ws)-1], Lo: b[0], Hi: b[1], Grad: g.data})
	}
	e.Pack(ws, src)
	return l
}

func (l *layer) row(r int) int {
	if l.gather != nil {
		return int(l.gather[r])
	}
	return r
}

func (l *layer) each(f func(g, r int, w matrix)) {
	for g, b := range l.bounds {
		for r := b[0]; r < b[1]; r++ {
			f(g, r, l.w[g])
		}
	}
}

// checkRest holds what lies between the columns and outside the groups against its old value.
func (l *layer) checkRest(t *testing.T, desc string, m matrix, before []float32) {
	t.Helper()
	in := make([]bool, m.rows)
	for _, b := range l.bounds {
		for r := b[0]; r < b[1]; r++ {
			in[r] = true
		}
	}
	for i := range m.data {
		if r, c := i/m.ld, i%m.ld; (c >= m.cols || !in[r]) && m.data[i] != before[i] {
			t.Fatalf("%s: element [%d,%d] outside the result was written", desc, r, c)
		}
	}
}

// checkGuards looks at the surroundings of every operand.
func (l *layer) checkGuards(t *testing.T, desc string) {
	t.Helper()
	for _, m := range slices.Concat([]matrix{l.x, l.dy, l.dx}, l.w, l.grads) {
		if err := m.check(); err != nil {
			t.Fatalf("%s: %v", desc, err)
		}
	}
}

func TestMultiply(t *testing.T) {
	eachTier(t, func(t *testing.T, e *Engine, dt DType, rng *rand.Rand) {
		ref := reference{e.route(dt).pair}
		for trial := range trials(40) {
			exact := trial%2 == 0
			var ps []Product
			var ms []matrix
			var before [][]float32
			for range 1 + rng.IntN(4) {
				p := Product{M: size(rng), N: size(rng), K: size(rng), Alpha: 1, TransA: rng.IntN(2) == 0, TransB: rng.IntN(2) == 0}
				if rng.IntN(6) == 0 {
					p.M, p.N, p.K = 1+p.M%40, 1+p.N%40, 500+rng.IntN(700)
				}
				if rng.IntN(2) == 0 {
					p.Alpha, p.Beta = float32(rng.IntN(4)), float32(rng.IntN(3))-0.5
				}
				a, b, c := newMatrix(t, rng, p.M, p.K, exact), newMatrix(t, rng, p.K, p.N, exact), newMatrix(t, rng, p.M, p.N, exact)
				if p.TransA {
					a = newMatrix(t, rng, p.K, p.M, exact)
				}
				if p.TransB {
					b = newMatrix(t, rng, p.N, p.K, exact)
				}
				if rng.IntN(3) == 0 { // op(A)·op(A)ᵀ
					if p.Symmetric = true; rng.IntN(2) == 0 {
						p.M = 32 * (1 + rng.IntN(5)) // what the fast copy wants
					}
					p.N, p.TransB = p.M, !p.TransA
					a, c = newMatrix(t, rng, p.M, p.K, exact), newMatrix(t, rng, p.M, p.M, exact)
					if p.TransA {
						a = newMatrix(t, rng, p.K, p.M, exact)
					}
					b = a
					for i := range p.M {
						for j := range i {
							c.data[j*c.ld+i] = c.data[i*c.ld+j]
						}
					}
				}
				p.A, p.B, p.C, p.LDA, p.LDB, p.LDC = a.data, b.data, c.data, a.ld, b.ld, c.ld
				ps, ms = append(ps, p), append(ms, a, b, c)
				before = append(before, append([]float32(nil), c.data...))
			}
			e.Multiply(ps, dt)
			for i, p := range ps {
				a, b, c := ms[3*i], ms[3*i+1], ms[3*i+2]
				for r := range p.M {
					for j := range p.N {
						var s sum
						for k := range p.K {
							ra, ca, rb, cb := r, k, k, j
							if p.TransA {
								ra, ca = k, r
							}
							if p.TransB {
								rb, cb = j, k
							}
							ref.add(&s, a.at(ra, ca), b.at(rb, cb))
						}
						old := float64(p.Beta) * float64(before[i][r*p.LDC+j])
						s.v, s.abs = float64(p.Alpha)*s.v+old, math.Abs(float64(p.Alpha))*s.abs+math.Abs(old)
						if err := s.check(c.data[r*p.LDC+j], exact); err != nil {
							t.Fatalf("trial %d, product %d of M %d N %d K %d, %v %v, alpha %v beta %v symmetric %v: C[%d,%d]: %v", trial, i, p.M, p.N, p.K, p.TransA, p.TransB, p.Alpha, p.Beta, p.Symmetric, r, j, err)
						}
					}
				}
			}
			for _, m := range ms {
				if err := m.check(); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
