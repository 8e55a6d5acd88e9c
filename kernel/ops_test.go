package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The row operations on odd sizes and strides: results against float64, gradients against finite
// differences of a float64 forward pass, threads against each other, and no allocations.

// strided lays rows of n out with stride ld, NaN in between, before a guard page.
func strided(x []float64, rows, n, ld int) guarded[float32] {
	g := newGuarded[float32]((rows-1)*ld+n, 0)
	for i := range g.data {
		g.data[i] = float32(math.NaN())
	}
	for r := range rows {
		copy(g.data[r*ld:][:n], to32(x[r*n:][:n]))
	}
	return g
}

func unstrided(t *testing.T, x []float32, rows, n, ld int) []float32 {
	t.Helper()
	var out []float32
	for r := range rows {
		out = append(out, x[r*ld:][:n]...)
		if r < rows-1 {
			for _, v := range x[r*ld+n : (r+1)*ld] {
				if v == v {
					t.Error("written between rows")
				}
			}
		}
	}
	return out
}

func TestRMSNormGradient(t *testing.T) {
	for _, s := range [][2]int{{1, 1}, {3, 7}, {5, 33}, {2, 64}} {
		rows, n := s[0], s[1]
		rng := rand.New(rand.NewPCG(1, uint64(n)))
		x, w, dy, before := normal(rng, rows*n), normal(rng, n), normal(rng, rows*n), normal(rng, rows*n)
		const eps = 0.01
		forward := func() []float64 {
			var y []float64
			for r := range rows {
				xr := x[r*n:][:n]
				rs := 1 / math.Sqrt(dot64(xr, xr)/float64(n)+eps)
				for i, v := range xr {
					y = append(y, w[i]*v*rs)
				}
			}
			return y
		}
		loss := func() float64 { return dot64(forward(), dy) }
		dx, dw := numeric(x, loss), numeric(w, loss)
		forEachTier(t, 2, func(t *testing.T, e *Engine) {
			gx, gy := strided(x, rows, n, n+3), strided(make([]float64, rows*n), rows, n, n+1)
			gdy, gdx := strided(dy, rows, n, n+2), strided(before, rows, n, n+5)
			defer gx.release()
			defer gy.release()
			defer gdy.release()
			defer gdx.release()
			rstd, gw := make([]float32, rows), make([]float32, n)
			e.RMSNorm(gy.data, n+1, rstd, gx.data, n+3, to32(w), rows, n, eps)
			wantClose(t, "y", unstrided(t, gy.data, rows, n, n+1), forward(), 3e-7)
			e.RMSNormGrad(gdx.data, n+5, gw, gdy.data, n+2, gx.data, n+3, to32(w), rstd, rows, n, true)
			sum := slices.Clone(before)
			for i := range sum {
				sum[i] += dx[i]
			}
			wantClose(t, "dx added", unstrided(t, gdx.data, rows, n, n+5), sum, 2e-6)
			wantClose(t, "dw", gw, dw, 2e-6)
			e.RMSNormGrad(gdx.data, n+5, gw, gdy.data, n+2, gx.data, n+3, to32(w), rstd, rows, n, false)
			if n > 1 {
				wantClose(t, "dx", unstrided(t, gdx.data, rows, n, n+5), dx, 2e-6)
			}
			for i := range dw {
				dw[i] *= 2
			}
			wantClose(t, "dw added", gw, dw, 2e-6)
			for i := range dw {
				dw[i] /= 2
			}
		})
	}
}

func TestSwiGLUGradient(t *testing.T) {
	for _, s := range [][2]int{{1, 1}, {3, 7}, {4, 50}} {
		rows, f := s[0], s[1]
		rng := rand.New(rand.NewPCG(2, uint64(f)))
		gu, dh := normal(rng, rows*2*f), normal(rng, rows*f)
		for i := range gu {
			gu[i] *= 3
		}
		forward := func() []float64 {
			var h []float64
			for r := range rows {
				for i := range f {
					g, u := gu[r*2*f+i], gu[r*2*f+f+i]
					h = append(h, g/(1+math.Exp(-g))*u)
				}
			}
			return h
		}
		want := numeric(gu, func() float64 { return dot64(forward(), dh) })
		forEachTier(t, 2, func(t *testing.T, e *Engine) {
			ggu, gh := strided(gu, rows, 2*f, 2*f+3), strided(make([]float64, rows*f), rows, f, f+1)
			gdgu := strided(make([]float64, rows*2*f), rows, 2*f, 2*f+2)
			defer ggu.release()
			defer gh.release()
			defer gdgu.release()
			e.SwiGLU(gh.data, f+1, ggu.data, 2*f+3, rows, f)
			wantClose(t, "h", unstrided(t, gh.data, rows, f, f+1), forward(), 3e-7)
			e.SwiGLUGrad(gdgu.data, 2*f+2, gh.data, f+1, to32(dh), f, ggu.data, 2*f+3, rows, f)
			wantClose(t, "h", unstrided(t, gh.data, rows, f, f+1), forward(), 3e-7)
			wantClose(t, "dgu", unstrided(t, gdgu.data, rows, 2*f, 2*f+2), want, 2e-6)
		})
	}
}

func TestSigmoid(t *testing.T) {
	x := []float32{0, 1, -1, 30, -30, 88, -88, -103, 200, -200, 1e-10, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}
	forEachTier(t, 1, func(t *testing.T, e *Engine) {
		y := make([]float32, len(x))
		e.Sigmoid(y, x)
		for i, v := range x {
			want := 1 / (1 + math.Exp(-float64(v)))
			// Below 2^-126, where exp(-x) overflows or the quotient is subnormal, zero will do.
			if e := ulpError(y[i], want); !(e <= 3) && !(want < 0x1p-126 && y[i] >= 0 && y[i] < 0x1p-126) {
				t.Errorf("sigmoid(%g) = %g, want %g", v, y[i], want)
			}
		}
	})
}

func TestRopeOddWidths(t *testing.T) {
	for _, width := range []int{2, 6, 20, 34, 64, 66} {
		rows, heads := 5, 3
		rng := rand.New(rand.NewPCG(3, uint64(width)))
		x := normal(rng, rows*heads*width)
		pos := []int32{4, 0, 2, 2, 3}
		cos, sin := normal(rng, 5*width/2), normal(rng, 5*width/2)
		for _, interleaved := range []bool{true, false} {
			want := slices.Clone(x)
			for r := range rows {
				for h := range heads {
					for i := range width / 2 {
						p, q := (r*heads+h)*width+i, (r*heads+h)*width+i+width/2
						if interleaved {
							p, q = (r*heads+h)*width+2*i, (r*heads+h)*width+2*i+1
						}
						c, s := cos[int(pos[r])*width/2+i], sin[int(pos[r])*width/2+i]
						want[p], want[q] = x[p]*c-x[q]*s, x[p]*s+x[q]*c
					}
				}
			}
			forEachTier(t, 2, func(t *testing.T, e *Engine) {
				v, g := spread(x, rows, heads, width, 3)
				defer g.release()
				e.Rope(v, rows, heads, width, pos, to32(cos), to32(sin), interleaved, false)
				wantClose(t, fmt.Sprint("width ", width), gather(t, "rope", v, rows, heads, width), want, 3e-7)
				if err := g.check(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestCrossEntropyGradient(t *testing.T) {
	for _, v := range []int{2, 37, 1000, 3*chunk + 5} {
		rows := 4
		rng := rand.New(rand.NewPCG(4, uint64(v)))
		x := normal(rng, rows*v)
		targets := []int32{int32(rng.IntN(v)), -1, int32(v - 1), 0}
		want, nll := make([]float64, rows*v), make([]float64, rows)
		const scale = 0.25
		for r, target := range targets {
			if target < 0 {
				continue
			}
			x[r*v+int(target)] += float64(8 * r) // from unlikely to nearly certain
			var z float64
			for _, l := range x[r*v:][:v] {
				z += math.Exp(l)
			}
			nll[r] = math.Log(z) - x[r*v+int(target)]
			for i, l := range x[r*v:][:v] {
				want[r*v+i] = scale * math.Exp(l) / z
			}
			want[r*v+int(target)] -= scale
		}
		if v < 100 {
			loss := func() float64 {
				var s float64
				for r, target := range targets {
					if target < 0 {
						continue
					}
					var z float64
					for _, l := range x[r*v:][:v] {
						z += math.Exp(l)
					}
					s += scale * (math.Log(z) - x[r*v+int(target)])
				}
				return s
			}
			wantClose(t, "formula", to32(want), numeric(x, loss), 1e-6)
		}
		forEachTier(t, 2, func(t *testing.T, e *Engine) {
			g, got := strided(x, rows, v, v+3), make([]float32, rows)
			defer g.release()
			e.CrossEntropy(got, g.data, v+3, targets, rows, v, 0)
			wantClose(t, "nll", got, nll, 3e-7)
			e.CrossEntropy(got, g.data, v+3, targets, rows, v, scale)
			wantClose(t, "nll", got, nll, 3e-7)
			wantClose(t, "dlogits", unstrided(t, g.data, rows, v, v+3), want, 1e-6)
		})
	}
	forEachTier(t, 1, func(t *testing.T, e *Engine) {
		for _, bad := range []float64{math.NaN(), math.Inf(1)} {
			x := make([]float32, 40)
			x[20] = float32(bad)
			nll := []float32{0}
			e.CrossEntropy(nll, x, 40, []int32{3}, 1, 40, 1)
			if nll[0] == nll[0] {
				t.Errorf("logit %g: loss %g, want NaN", bad, nll[0])
			}
		}
	})
}

func TestTopK(t *testing.T) {
	nan := float32(math.NaN())
	cases := []struct {
		x    []float32
		want []int32
	}{
		{[]float32{3, 1, 2}, []int32{0, 1, 2}},
		{[]float32{1, 1, 1, 1}, []int32{0, 1}},
		{[]float32{0, 5, 5, 7, 5}, []int32{1, 3}},
		{[]float32{nan, 1, nan, 2}, []int32{1, 3}},
		{[]float32{nan, 1, nan, nan}, []int32{0, 1}},
		{[]float32{nan, nan}, []int32{0, 1}},
		{[]float32{1}, []int32{}},
	}
	e, err := New(1, "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, c := range cases {
		got := make([]int32, len(c.want))
		e.TopK(got, c.x, 1, len(c.x), len(c.want))
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.x, got, c.want)
		}
	}
	rng := rand.New(rand.NewPCG(5, 5))
	for range 200 {
		n := 1 + rng.IntN(70)
		k := 1 + rng.IntN(n)
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(rng.IntN(10)) // many ties
		}
		order := make([]int32, n)
		for i := range order {
			order[i] = int32(i)
		}
		slices.SortStableFunc(order, func(a, b int32) int { return int(x[b] - x[a]) })
		want := slices.Sorted(slices.Values(order[:k]))
		got := make([]int32, k)
		e.TopK(got, x, 1, n, k)
		if !slices.Equal(got, want) {
			t.Fatalf("k=%d of %v: got %v, want %v", k, x, got, want)
		}
	}
}

func TestEmbed(t *testing.T) {
	for _, d := range []int{1, 17, 64, 200} {
		rng := rand.New(rand.NewPCG(6, uint64(d)))
		table, dy := normal(rng, 11*d), normal(rng, 40*d)
		ids := make([]int32, 40)
		want, grad := make([]float64, 40*d), slices.Clone(table)
		for r := range ids {
			ids[r] = int32(rng.IntN(11))
			for j := range d {
				want[r*d+j] = table[int(ids[r])*d+j]
				grad[int(ids[r])*d+j] += dy[r*d+j]
			}
		}
		forEachTier(t, 3, func(t *testing.T, e *Engine) {
			y, g := make([]float32, 40*d), to32(table)
			e.Embed(y, g, ids, d)
			wantClose(t, "y", y, want, 0)
			e.EmbedGrad(g, to32(dy), ids, d)
			wantClose(t, "dtable", g, grad, 3e-7)
		})
	}
}

func TestCombineGradient(t *testing.T) {
	for _, s := range [][3]int{{1, 1, 1}, {5, 3, 7}, {9, 2, 100}, {4, 0, 6}} {
		n, k, d := s[0], s[1], s[2]
		rng := rand.New(rand.NewPCG(7, uint64(d)))
		src, w, dy, y0 := normal(rng, n*k*d), normal(rng, n*k), normal(rng, n*d), normal(rng, n*d)
		row := make([]int32, n*k)
		for i, p := range rng.Perm(n * k) {
			row[i] = int32(p)
		}
		forward := func() []float64 {
			y := make([]float64, n*d)
			for i := range n {
				for j := range k {
					for c := range d {
						y[i*d+c] += w[i*k+j] * src[int(row[i*k+j])*d+c]
					}
				}
			}
			return y
		}
		loss := func() float64 { return dot64(forward(), dy) }
		dsrc, dw := numeric(src, loss), numeric(w, loss)
		forEachTier(t, 2, func(t *testing.T, e *Engine) {
			y := to32(y0)
			e.Combine(y, to32(src), row, to32(w), n, k, d, false)
			wantClose(t, "y", y, forward(), 3e-7)
			e.Combine(y, to32(src), row, to32(w), n, k, d, true)
			twice := forward()
			for i := range twice {
				twice[i] *= 2
			}
			wantClose(t, "y added", y, twice, 3e-7)
			gs, gw := make([]float32, n*k*d), make([]float32, n*k)
			e.CombineGrad(gs, gw, to32(dy), to32(src), row, to32(w), n, k, d)
			wantClose(t, "dsrc", gs, dsrc, 1e-6)
			wantClose(t, "dw", gw, dw, 1e-6)
			ones := make([]float32, n*k)
			for i := range ones {
				ones[i] = 1
			}
			weighted := make([]float32, n*d)
			e.Combine(weighted, to32(src), row, ones, n, k, d, false)
			e.Combine(y, to32(src), row, nil, n, k, d, false)
			wantClose(t, "y unweighted", y, to64(weighted), 0)
		})
	}
}

func TestAdamW(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	sizes := []int{1, 0, 37, chunk, 2*chunk + 3}
	var steps []AdamWStep
	var want [][4][]float64
	for i, n := range sizes {
		s := AdamWStep{W: to32(normal(rng, n)), G: to32(normal(rng, n)), M: to32(normal(rng, n)), V: to32(normal(rng, n)),
			LR: 0.01, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1, Correct1: 1 - 0.9*0.9, Correct2: 1 - 0.95*0.95,
			GradScale: 0.5, ZeroGrad: i%2 == 0}
		for j := range s.V {
			s.V[j] *= s.V[j]
		}
		w := [4][]float64{to64(s.W), to64(s.G), to64(s.M), to64(s.V)}
		for j := range n {
			g := w[1][j] * float64(s.GradScale)
			w[2][j] = float64(s.Beta1)*w[2][j] + (1-float64(s.Beta1))*g
			w[3][j] = float64(s.Beta2)*w[3][j] + (1-float64(s.Beta2))*g*g
			w[0][j] *= 1 - float64(s.LR)*float64(s.Decay)
			w[0][j] -= float64(s.LR) * w[2][j] / float64(s.Correct1) / (math.Sqrt(w[3][j]/float64(s.Correct2)) + float64(s.Eps))
			if s.ZeroGrad {
				w[1][j] = 0
			}
		}
		steps, want = append(steps, s), append(want, w)
	}
	forEachTier(t, 3, func(t *testing.T, e *Engine) {
		got := make([]AdamWStep, len(steps))
		for i, s := range steps {
			s.W, s.G, s.M, s.V = slices.Clone(s.W), slices.Clone(s.G), slices.Clone(s.M), slices.Clone(s.V)
			got[i] = s
		}
		e.AdamW(got)
		for i, s := range got {
			wantClose(t, "w", s.W, want[i][0], 3e-7)
			wantClose(t, "g", s.G, want[i][1], 0)
			wantClose(t, "m", s.M, want[i][2], 3e-7)
			wantClose(t, "v", s.V, want[i][3], 3e-7)
		}
	})
}

func TestSumSquares(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	var xs [][]float32
	var want float64
	for _, n := range []int{0, 1, 100, chunk, 3*chunk + 1} {
		x := normal(rng, n)
		want += dot64(x, x)
		xs = append(xs, to32(x))
	}
	forEachTier(t, 3, func(t *testing.T, e *Engine) {
		if got := e.SumSquares(xs); math.Abs(got-want) > 1e-7*want {
			t.Errorf("got %.9g, want %.9g", got, want)
		}
	})
}

// rowOperations runs every row operation once on odd sizes and returns all that they wrote.
func rowOperations() (run func(e *Engine) [][]float32) {
	rng := rand.New(rand.NewPCG(10, 10))
	const rows, n, k = 300, 77, 3
	f := func(n int) []float32 { return to32(normal(rng, n)) }
	x, w, dy, gu, table := f(rows*n), f(n), f(rows*n), f(rows*2*n), f(50*n)
	pos, ids, row := make([]int32, rows), make([]int32, rows), make([]int32, rows*k)
	for i := range rows {
		pos[i], ids[i] = int32(rng.IntN(9)), int32(rng.IntN(50))
	}
	for i, p := range rng.Perm(rows * k) {
		row[i] = int32(p)
	}
	src, wk, cos, sin := f(rows*k*n), f(rows*k), f(9*38), f(9*38)
	y, rstd, dx, dw := f(rows*n), f(rows), f(rows*n), f(n)
	h, dgu, rotated := f(rows*n), f(rows*2*n), f(rows*n)
	nll, logits, top := f(rows), f(rows*n), make([]int32, rows*k)
	dtable, combined, dsrc, dwk := f(50*n), f(rows*n), f(rows*k*n), f(rows*k)
	steps := []AdamWStep{{W: f(20000), G: f(20000), M: f(20000), V: make([]float32, 20000), LR: 0.1, Beta1: 0.9, Beta2: 0.9, Eps: 1e-8, Correct1: 1, Correct2: 1, GradScale: 1}}
	sum := make([]float32, 1)
	xs := [][]float32{x, gu, src}
	out := [][]float32{y, rstd, dx, dw, h, dgu, rotated, nll, logits, dtable, combined, dsrc, dwk, steps[0].W, sum}
	return func(e *Engine) [][]float32 {
		e.RMSNorm(y, n, rstd, x, n, w, rows, n, 1e-6)
		e.RMSNormGrad(dx, n, dw, dy, n, x, n, w, rstd, rows, n, false)
		e.SwiGLU(h, n, gu, 2*n, rows, n)
		e.SwiGLUGrad(dgu, 2*n, h, n, dy, n, gu, 2*n, rows, n)
		e.Sigmoid(y, dx)
		e.Rope(View{Data: rotated, Row: n, Head: 76}, rows, 1, 76, pos, cos, sin, true, false)
		e.CrossEntropy(nll, logits, n, ids, rows, n, 0.1)
		e.TopK(top, logits, rows, n, k)
		e.Embed(y, table, ids, n)
		e.EmbedGrad(dtable, dy, ids, n)
		e.Combine(combined, src, row, wk, rows, k, n, false)
		e.CombineGrad(dsrc, dwk, dy, src, row, wk, rows, k, n)
		e.Add(combined, dy)
		e.AdamW(steps)
		sum[0] = float32(e.SumSquares(xs))
		return out
	}
}

func TestRowOperationsThreads(t *testing.T) {
	var want [][]float32
	for threads := 1; threads <= 3; threads++ {
		e, err := New(threads, "")
		if err != nil {
			t.Fatal(err)
		}
		got := rowOperations()(e)
		e.Close()
		if threads == 1 {
			want = got
		}
		for i := range got {
			if !slices.Equal(got[i], want[i]) {
				t.Errorf("output %d differs between 1 and %d threads", i, threads)
			}
		}
	}
}

func TestNoAllocations(t *testing.T) {
	e, err := New(2, "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	run := rowOperations()
	if n := allocations(func() { run(e) }); n > 0 {
		t.Errorf("row operations allocate %g times", n)
	}
	c := newAttentionCase(1, 2, 70, 4, 2, 16, 8, 30)
	view := func(heads, width int) View {
		return View{Data: make([]float32, c.b*c.t*heads*width), Row: heads * width, Head: width}
	}
	a := &Attention{B: c.b, T: c.t, H: c.h, HK: c.hk, DK: c.dk, DV: c.dv, Scale: 1, First: c.first,
		Q: view(c.h, c.dk), K: view(c.hk, c.dk), V: view(c.hk, c.dv), O: view(c.h, c.dv), LSE: make([]float32, c.b*c.t*c.h)}
	do, dq, dk, dv := view(c.h, c.dv), view(c.h, c.dk), view(c.hk, c.dk), view(c.hk, c.dv)
	for _, a.DType = range []DType{F32, BF16} {
		for range 50 { // every worker has met a task
			e.Attention(a)
			e.AttentionGrad(a, do, dq, dk, dv)
		}
		if n := allocations(func() {
			e.Attention(a)
			e.AttentionGrad(a, do, dq, dk, dv)
		}); n > 0 {
			t.Errorf("attention in %v allocates %g times", a.DType, n)
		}
	}
}
