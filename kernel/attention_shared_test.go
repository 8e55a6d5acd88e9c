package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/haenyeo/haenyeo/quant"
)

// sharedCase is a Shared with its operands in float64 and the entries of every token written out.
type sharedCase struct {
	t, h, dk, dv int
	q            []float64
	entries      [][]float64 // of each set, [entries, max(dk,dv)]
	read         [][][]int32 // of each set and token
	listed       []bool
	sink         []float64
}

// newSharedCase has one set of consecutive entries and one with lists.
func newSharedCase(seed uint64, t, h, dk, dv, most int, sink bool) *sharedCase {
	rng := rand.New(rand.NewPCG(seed, 11))
	c := &sharedCase{t: t, h: h, dk: dk, dv: dv, q: normal(rng, t*h*dk), listed: []bool{false, true}}
	if sink {
		c.sink = normal(rng, h)
		c.sink[0] = 60 // above every score
	}
	for range c.listed {
		c.entries = append(c.entries, normal(rng, most*max(dk, dv)))
		c.read = append(c.read, make([][]int32, t))
	}
	for i := range t {
		lo := rng.IntN(most)
		for s := lo; s < lo+rng.IntN(most-lo+1); s++ {
			c.read[0][i] = append(c.read[0][i], int32(s))
		}
		for s := range most {
			if rng.IntN(3) == 0 && i != t/2 {
				c.read[1][i] = append(c.read[1][i], int32(s))
			}
		}
	}
	if t > 1 {
		c.read[0][t/2] = nil // a token without entries
	}
	return c
}

func (c *sharedCase) want() []float64 {
	o, scale, width := make([]float64, c.t*c.h*c.dv), 1/math.Sqrt(float64(c.dk)), max(c.dk, c.dv)
	for i := range c.t * c.h {
		q := c.q[i*c.dk:][:c.dk]
		high, sum := math.Inf(-1), 0.0
		if c.sink != nil {
			high = c.sink[i%c.h]
		}
		for set, read := range c.read {
			for _, s := range read[i/c.h] {
				high = max(high, scale*dot64(q, c.entries[set][int(s)*width:]))
			}
		}
		if c.sink != nil {
			sum = math.Exp(c.sink[i%c.h] - high)
		}
		for set, read := range c.read {
			for _, s := range read[i/c.h] {
				e := c.entries[set][int(s)*width:]
				p := math.Exp(scale*dot64(q, e) - high)
				sum += p
				for j := range c.dv {
					o[i*c.dv+j] += p * e[j]
				}
			}
		}
		for j := range c.dv {
			if o[i*c.dv+j] != 0 {
				o[i*c.dv+j] /= sum
			}
		}
	}
	return o
}

func (c *sharedCase) run(e *Engine, dt DType) []float32 {
	a := Shared{T: c.t, H: c.h, DK: c.dk, DV: c.dv, Scale: float32(1 / math.Sqrt(float64(c.dk))), DType: dt}
	a.Q = View{Data: to32(c.q), Row: c.h * c.dk, Head: c.dk}
	o := make([]float32, c.t*c.h*c.dv)
	a.O = View{Data: o, Row: c.h * c.dv, Head: c.dv}
	if c.sink != nil {
		a.Sink = to32(c.sink)
	}
	for set, read := range c.read {
		s := Entries{Data: to32(c.entries[set]), Row: max(c.dk, c.dv)}
		for _, r := range read {
			lo, hi := int32(len(s.List)), int32(len(s.List)+len(r))
			if c.listed[set] {
				s.List = append(s.List, r...)
			} else if lo, hi = 0, 0; len(r) > 0 {
				lo, hi = r[0], r[len(r)-1]+1
			}
			s.Lo, s.Hi = append(s.Lo, lo), append(s.Hi, hi)
		}
		a.Sets = append(a.Sets, s)
	}
	e.Shared(&a)
	return o
}

func TestShared(t *testing.T) {
	for _, c := range []*sharedCase{
		newSharedCase(1, 1, 1, 1, 1, 1, false),
		newSharedCase(2, 1, 1, 5, 3, 9, true),
		newSharedCase(3, 7, 4, 20, 12, 40, false),
		newSharedCase(4, 5, 5, 12, 20, 40, true),
		newSharedCase(5, 3, 33, 24, 24, 100, true),
		newSharedCase(6, 2, 130, 40, 32, 1700, true),
		newSharedCase(7, 9, 2, 33, 31, 1300, false),
	} {
		t.Run(fmt.Sprintf("T%d,H%d,DK%d,DV%d", c.t, c.h, c.dk, c.dv), func(t *testing.T) {
			want := c.want()
			forEachTier(t, 3, func(t *testing.T, e *Engine) {
				wantClose(t, "f32", c.run(e, F32), want, 2e-6)
				wantClose(t, "bf16", c.run(e, BF16), want, 2e-2)
			})
		})
	}
}

// TestSharedIsolated checks that neither the number of threads nor the neighbours of a token change a
// bit, and that a list of consecutive entries is the same as their range.
func TestSharedIsolated(t *testing.T) {
	c := newSharedCase(8, 6, 24, 24, 16, 1500, true)
	for _, tier := range Tiers() { // not the fastest, which the probe may see otherwise the next time
		for _, dt := range []DType{F32, BF16} {
			var want []float32
			for threads := 1; threads <= 3; threads++ {
				e, err := New(threads, tier)
				if err != nil {
					t.Fatal(err)
				}
				got := c.run(e, dt)
				if want == nil {
					want = got
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s, %v: bits differ between 1 and %d threads", tier, dt, threads)
				}
				listed := *c
				listed.listed = []bool{true, true}
				if !slices.Equal(listed.run(e, dt), want) {
					t.Errorf("%s, %v: bits differ between a range and a list", tier, dt)
				}
				one := *c
				one.t = 1
				for i := range c.t {
					one.q = c.q[i*c.h*c.dk:][:c.h*c.dk]
					one.read = [][][]int32{c.read[0][i:], c.read[1][i:]}
					for set := range one.read {
						one.read[set] = one.read[set][:1]
					}
					if got := one.run(e, dt); !slices.Equal(got, want[i*c.h*c.dv:][:c.h*c.dv]) {
						t.Errorf("%s, %v: token %d differs when it is alone", tier, dt, i)
					}
				}
				e.Close()
			}
		}
	}
}

// floatVectors is x [n,width] in blocks.
func floatVectors(x []float32, width int) *Vectors {
	v := &Vectors{Form: Form{Type: quant.F32, Width: width}, Heads: 1}
	for n := len(x) / width; n > 0; n -= BlockRows {
		rows := min(n, BlockRows)
		v.Blocks = append(v.Blocks, Block{Rows: rows, Floats: x[:rows*width]})
		x = x[rows*width:]
	}
	return v
}

func TestIndexScores(t *testing.T) {
	for _, c := range []struct{ rows, h, d, keys int }{{1, 1, 1, 1}, {3, 8, 32, 5}, {5, 64, 128, 700}, {300, 3, 20, 270}} {
		rng := rand.New(rand.NewPCG(5, uint64(c.rows)))
		q, w, k := normal(rng, c.rows*c.h*c.d), normal(rng, c.rows*c.h), normal(rng, c.keys*c.d)
		count := make([]int32, c.rows)
		for i := range count {
			count[i] = int32(rng.IntN(c.keys + 1))
		}
		count[c.rows-1] = int32(c.keys)
		want := make([]float64, c.rows*c.keys)
		for r := range c.rows {
			for s := range int(count[r]) {
				for h := range c.h {
					want[r*c.keys+s] += w[r*c.h+h] * max(0, dot64(q[(r*c.h+h)*c.d:][:c.d], k[s*c.d:]))
				}
			}
		}
		t.Run(fmt.Sprintf("rows%d,h%d,d%d,keys%d", c.rows, c.h, c.d, c.keys), func(t *testing.T) {
			forEachTier(t, 3, func(t *testing.T, e *Engine) {
				out := make([]float32, len(want))
				e.IndexScores(out, c.keys, to32(q), to32(w), floatVectors(to32(k), c.d), count, c.rows, c.h, c.d, F32)
				wantClose(t, "scores", out, want, 2e-6)
				one := make([]float32, c.keys)
				for r := range c.rows {
					n := int(count[r])
					e.IndexScores(one, c.keys, to32(q)[r*c.h*c.d:], to32(w)[r*c.h:], floatVectors(to32(k)[:n*c.d], c.d), count[r:], 1, c.h, c.d, F32)
					if !slices.Equal(one[:n], out[r*c.keys:][:n]) {
						t.Fatalf("query %d differs when it is alone", r)
					}
				}
			})
		})
	}
}

func TestGoldenShared(t *testing.T) {
	g := readGolden(t, "attention")
	h, d, n := g["q"].Shape[0], g["q"].Shape[1], g["entries"].Shape[0]
	forEachTier(t, 2, func(t *testing.T, e *Engine) {
		o := make([]float32, h*d)
		e.Shared(&Shared{T: 1, H: h, DK: d, DV: d, Scale: g["scale"].floats[0], Sink: g["sink"].floats,
			Q: View{Data: g["q"].floats, Row: h * d, Head: d}, O: View{Data: o, Row: h * d, Head: d},
			Sets: []Entries{{Data: g["entries"].floats, Row: d, Lo: []int32{0}, Hi: []int32{int32(n)}}}})
		wantClose(t, "o", o, to64(g["o"].floats), 5e-7)
	})
}

// BenchmarkShared reports a layer of V3 in absorbed form and one of V4, for one token and for many.
func BenchmarkShared(b *testing.B) {
	for _, s := range []struct{ t, h, dk, dv, n int }{{1, 128, 576, 512, 4096}, {16, 128, 576, 512, 2048}, {1, 64, 512, 512, 640}, {64, 64, 512, 512, 640}} {
		b.Run(fmt.Sprintf("T%d,H%d,DK%d,entries%d", s.t, s.h, s.dk, s.n), func(b *testing.B) {
			e, err := New(0, "")
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			rng := rand.New(rand.NewPCG(1, 1))
			q, o, x := to32(normal(rng, s.t*s.h*s.dk)), make([]float32, s.t*s.h*s.dv), to32(normal(rng, s.n*s.dk))
			set := Entries{Data: x, Row: s.dk, Lo: make([]int32, s.t), Hi: make([]int32, s.t)}
			for i := range s.n {
				set.List = append(set.List, int32(i))
			}
			for i := range set.Hi {
				set.Hi[i] = int32(s.n)
			}
			a := Shared{T: s.t, H: s.h, DK: s.dk, DV: s.dv, Scale: 0.05, Q: View{Data: q, Row: s.h * s.dk, Head: s.dk}, O: View{Data: o, Row: s.h * s.dv, Head: s.dv}, Sets: []Entries{set}}
			for b.Loop() {
				e.Shared(&a)
			}
			flops := 2 * float64(s.t) * float64(s.h) * float64(s.n) * float64(s.dk+s.dv)
			rate := flops * float64(b.N) / b.Elapsed().Seconds() / 1e9
			b.ReportMetric(rate, "GFLOP/s")
			b.ReportMetric(100*rate/e.Peak(F32), "%peak")
		})
	}
}
