package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// attentionCase is an Attention with its operands in float64, densely [tokens,heads,width].
type attentionCase struct {
	b, t, h, hk, dk, dv int
	first               []int32
	q, k, v, up         []float64
	scale               float64
}

func newAttentionCase(seed uint64, b, t, h, hk, dk, dv, doc int) *attentionCase {
	rng := rand.New(rand.NewPCG(seed, 7))
	c := &attentionCase{b: b, t: t, h: h, hk: hk, dk: dk, dv: dv, scale: 1 / math.Sqrt(float64(dk))}
	c.q, c.k, c.v, c.up = normal(rng, b*t*h*dk), normal(rng, b*t*hk*dk), normal(rng, b*t*hk*dv), normal(rng, b*t*h*dv)
	if doc > 0 {
		for range b {
			start := 0
			for i := range t {
				if i > 0 && rng.IntN(doc) == 0 {
					start = i
				}
				c.first = append(c.first, int32(start))
			}
		}
	}
	return c
}

// forward is the definition of attention. It returns O and LSE.
func (c *attentionCase) forward() (o, lse []float64) {
	o, lse = make([]float64, c.b*c.t*c.h*c.dv), make([]float64, c.b*c.t*c.h)
	p := make([]float64, c.t)
	for i := range c.b * c.t {
		lo, at := 0, i%c.t
		if c.first != nil {
			lo = int(c.first[i])
		}
		base := i - at
		for h := range c.h {
			hk := h * c.hk / c.h
			q := c.q[(i*c.h+h)*c.dk:][:c.dk]
			m, z := math.Inf(-1), 0.0
			for s := lo; s <= at; s++ {
				p[s] = c.scale * dot64(q, c.k[((base+s)*c.hk+hk)*c.dk:])
				m = max(m, p[s])
			}
			for s := lo; s <= at; s++ {
				p[s] = math.Exp(p[s] - m)
				z += p[s]
			}
			for s := lo; s <= at; s++ {
				for j := range c.dv {
					o[(i*c.h+h)*c.dv+j] += p[s] / z * c.v[((base+s)*c.hk+hk)*c.dv+j]
				}
			}
			lse[i*c.h+h] = m + math.Log(z)
		}
	}
	return o, lse
}

// spread copies dense data into a guarded View with gaps between heads and rows.
func spread(x []float64, tokens, heads, width, gap int) (View, guarded[float32]) {
	head := width + gap
	row := heads*head + gap
	g := newGuarded[float32](max(0, (tokens-1)*row+(heads-1)*head+width), gap%3)
	for i := range g.data {
		g.data[i] = float32(math.NaN())
	}
	v := View{Data: g.data, Row: row, Head: head}
	for t := range tokens {
		for h := range heads {
			for j := range width {
				v.at(t, h, width)[j] = float32(x[(t*heads+h)*width+j])
			}
		}
	}
	return v, g
}

// gather is the inverse of spread. It fails when something between the heads was written.
func gather(t *testing.T, name string, v View, tokens, heads, width int) []float32 {
	t.Helper()
	var out []float32
	gaps := slices.Clone(v.Data)
	for i := range tokens {
		for h := range heads {
			out = append(out, v.at(i, h, width)...)
			for j := range width {
				gaps[i*v.Row+h*v.Head+j] = float32(math.NaN())
			}
		}
	}
	for _, x := range gaps {
		if x == x {
			t.Errorf("%s: written between rows or heads", name)
			break
		}
	}
	return out
}

type attentionResult struct{ o, lse, dq, dk, dv []float32 }

// run does the forward and the backward pass on e.
func (c *attentionCase) run(t *testing.T, e *Engine, dt DType, gap int) attentionResult {
	t.Helper()
	n := c.b * c.t
	var guards []guarded[float32]
	view := func(x []float64, heads, width int) View {
		if x == nil {
			x = make([]float64, n*heads*width)
			for i := range x {
				x[i] = 1e30 // outputs must be written, not added to
			}
		}
		v, g := spread(x, n, heads, width, gap)
		guards = append(guards, g)
		return v
	}
	a := &Attention{B: c.b, T: c.t, H: c.h, HK: c.hk, DK: c.dk, DV: c.dv, Scale: float32(c.scale), First: c.first, DType: dt,
		Q: view(c.q, c.h, c.dk), K: view(c.k, c.hk, c.dk), V: view(c.v, c.hk, c.dv), O: view(nil, c.h, c.dv), LSE: make([]float32, n*c.h)}
	e.Attention(a)
	do, dq, dk, dv := view(c.up, c.h, c.dv), view(nil, c.h, c.dk), view(nil, c.hk, c.dk), view(nil, c.hk, c.dv)
	e.AttentionGrad(a, do, dq, dk, dv)
	r := attentionResult{
		gather(t, "o", a.O, n, c.h, c.dv), a.LSE,
		gather(t, "dq", dq, n, c.h, c.dk), gather(t, "dk", dk, n, c.hk, c.dk), gather(t, "dv", dv, n, c.hk, c.dv),
	}
	for _, g := range guards {
		if err := g.check(); err != nil {
			t.Error(err)
		}
		g.release()
	}
	return r
}

// backward is the gradient of sum(o ⊙ up) in float64, by the derivative of softmax, term by term.
func (c *attentionCase) backward() (dq, dk, dv []float64) {
	o, lse := c.forward()
	dq, dk, dv = make([]float64, len(c.q)), make([]float64, len(c.k)), make([]float64, len(c.v))
	for i := range c.b * c.t {
		lo, at := 0, i%c.t
		if c.first != nil {
			lo = int(c.first[i])
		}
		for h := range c.h {
			hk := h * c.hk / c.h
			ih := i*c.h + h
			g := c.up[ih*c.dv:][:c.dv]
			delta := dot64(g, o[ih*c.dv:])
			for s := lo; s <= at; s++ {
				j := (i-at+s)*c.hk + hk
				p := math.Exp(c.scale*dot64(c.q[ih*c.dk:][:c.dk], c.k[j*c.dk:]) - lse[ih])
				ds := c.scale * p * (dot64(g, c.v[j*c.dv:]) - delta)
				for x := range c.dk {
					dq[ih*c.dk+x] += ds * c.k[j*c.dk+x]
					dk[j*c.dk+x] += ds * c.q[ih*c.dk+x]
				}
				for x := range c.dv {
					dv[j*c.dv+x] += p * g[x]
				}
			}
		}
	}
	return dq, dk, dv
}

// TestAttentionFormulas holds the float64 backward, which the other tests use, against finite
// differences.
func TestAttentionFormulas(t *testing.T) {
	c := newAttentionCase(1, 2, 7, 4, 2, 5, 3, 3)
	loss := func() float64 {
		o, _ := c.forward()
		return dot64(o, c.up)
	}
	dq, dk, dv := c.backward()
	wantClose(t, "dq", to32(dq), numeric(c.q, loss), 1e-6)
	wantClose(t, "dk", to32(dk), numeric(c.k, loss), 1e-6)
	wantClose(t, "dv", to32(dv), numeric(c.v, loss), 1e-6)
}

func TestAttention(t *testing.T) {
	cases := []*attentionCase{
		newAttentionCase(1, 1, 1, 1, 1, 1, 1, 0),
		newAttentionCase(2, 3, 2, 2, 1, 20, 12, 0),
		newAttentionCase(3, 2, 33, 2, 2, 20, 12, 0),
		newAttentionCase(4, 2, 33, 6, 2, 7, 5, 9),
		newAttentionCase(5, 1, 64, 2, 1, 64, 64, 0),
		newAttentionCase(6, 1, 65, 1, 1, 64, 64, 30),
		newAttentionCase(7, 1, 150, 2, 2, 24, 40, 3),
		newAttentionCase(8, 1, 257, 4, 2, 32, 16, 90),
		newAttentionCase(9, 1, 300, 1, 1, 33, 31, 0),
		newAttentionCase(10, 1, 1100, 1, 1, 8, 8, 0),
		newAttentionCase(11, 1, 1100, 2, 1, 8, 12, 400),
	}
	for _, c := range cases {
		name := fmt.Sprintf("B%d,T%d,H%d,HK%d,DK%d,DV%d", c.b, c.t, c.h, c.hk, c.dk, c.dv)
		t.Run(name, func(t *testing.T) {
			if testing.Short() && c.t > 500 {
				t.Skip("SKIPPED: slow under the race detector and emulation")
			}
			o, lse := c.forward()
			dq, dk, dv := c.backward()
			check := func(t *testing.T, e *Engine) {
				for _, dt := range []DType{F32, BF16} {
					tol := 2e-6
					if dt == BF16 {
						tol = 2e-2
					}
					for _, gap := range []int{0, 1, 13} {
						r := c.run(t, e, dt, gap)
						wantClose(t, dt.String()+" o", r.o, o, tol)
						wantClose(t, dt.String()+" lse", r.lse, lse, tol)
						if c.t == 1 { // one key: the scores have no gradient
							continue
						}
						wantClose(t, dt.String()+" dq", r.dq, dq, tol)
						wantClose(t, dt.String()+" dk", r.dk, dk, tol)
						wantClose(t, dt.String()+" dv", r.dv, dv, tol)
					}
				}
			}
			forEachTier(t, 3, check)
			for _, r := range twinRoutes() {
				t.Run(r.name+" twin", func(t *testing.T) {
					e, err := New(2, "")
					if err != nil {
						t.Fatal(err)
					}
					defer e.Close()
					e.bf16 = r
					check(t, e)
				})
			}
		})
	}
}

// TestAttentionThreads compares the bits of 1, 2 and 3 threads. The second case is cut into
// different tasks.
func TestAttentionThreads(t *testing.T) {
	for _, c := range []*attentionCase{newAttentionCase(3, 1, 700, 4, 2, 16, 24, 300), newAttentionCase(4, 1, 700, 1, 1, 16, 24, 500)} {
		for _, dt := range []DType{F32, BF16} {
			var want attentionResult
			for threads := 1; threads <= 3; threads++ {
				e, err := New(threads, "")
				if err != nil {
					t.Fatal(err)
				}
				got := c.run(t, e, dt, 0)
				e.Close()
				if threads == 1 {
					want = got
					continue
				}
				for i, p := range [][2][]float32{{got.o, want.o}, {got.lse, want.lse}, {got.dq, want.dq}, {got.dk, want.dk}, {got.dv, want.dv}} {
					if !slices.Equal(p[0], p[1]) {
						t.Errorf("%v: result %d differs between 1 and %d threads", dt, i, threads)
					}
				}
			}
		}
	}
}

// BenchmarkAttention reports the FLOPs that a causal mask leaves, so that the share of the peak
// includes what block edges waste.
func BenchmarkAttention(b *testing.B) {
	for _, s := range []struct{ b, t, h, hk, dk, dv int }{{16, 256, 4, 4, 64, 64}, {1, 2048, 8, 2, 64, 64}, {1, 8192, 2, 2, 64, 64}} {
		for _, dt := range []DType{F32, BF16} {
			n := s.b * s.t
			e, err := New(0, "")
			if err != nil {
				b.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(1, 1))
			view := func(heads, width int) View {
				x := make([]float32, n*heads*width)
				for i := range x {
					x[i] = float32(rng.NormFloat64())
				}
				return View{Data: x, Row: heads * width, Head: width}
			}
			a := &Attention{B: s.b, T: s.t, H: s.h, HK: s.hk, DK: s.dk, DV: s.dv, Scale: 0.125, DType: dt,
				Q: view(s.h, s.dk), K: view(s.hk, s.dk), V: view(s.hk, s.dv), O: view(s.h, s.dv), LSE: make([]float32, n*s.h)}
			do, dq, dk, dv := view(s.h, s.dv), view(s.h, s.dk), view(s.hk, s.dk), view(s.hk, s.dv)
			flops := float64(n) * float64(s.t+1) * float64(s.h)
			name := fmt.Sprintf("B%d,T%d,H%d/%d,D%d/%s/%v", s.b, s.t, s.h, s.hk, s.dk, e.Tier(), dt)
			b.Run(name+"/forward", func(b *testing.B) {
				measure(b, e, dt, flops*float64(s.dk+s.dv), func() { e.Attention(a) })
			})
			b.Run(name+"/backward", func(b *testing.B) {
				measure(b, e, dt, flops*float64(3*s.dk+2*s.dv), func() { e.AttentionGrad(a, do, dq, dk, dv) })
			})
			e.Close()
		}
	}
}
