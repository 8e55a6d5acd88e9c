package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Attention that continues a sequence gives, bit by bit, the rows that it gives for the whole of it, and
// Cached the last row to within rounding.
func TestContinuedAttention(t *testing.T) {
	eachTier(t, func(t *testing.T, e *Engine, dt DType, rng *rand.Rand) {
		for _, c := range []struct{ t, h, hk, dk, dv int }{
			{1, 1, 1, 4, 4}, {2, 4, 2, 8, 6}, {33, 6, 2, 16, 16}, {70, 3, 3, 20, 12}, {700, 4, 1, 24, 24},
		} {
			a := newAttentionCase(9, 1, c.t, c.h, c.hk, c.dk, c.dv, 0)
			want, _ := a.forward()
			view := func(x []float64, heads, width, gap int) View {
				v, g := spread(x, c.t, heads, width, gap)
				t.Cleanup(g.release)
				return v
			}
			q, k, v := view(a.q, c.h, c.dk, 1), view(a.k, c.hk, c.dk, 3), view(a.v, c.hk, c.dv, 2)
			lse := make([]float32, c.t*c.h)
			whole := View{Data: make([]float32, c.t*c.h*c.dv), Row: c.h * c.dv, Head: c.dv}
			spec := Attention{B: 1, T: c.t, H: c.h, HK: c.hk, DK: c.dk, DV: c.dv, Scale: float32(a.scale), Q: q, K: k, V: v, O: whole, LSE: lse, DType: dt}
			e.Attention(&spec)
			for _, past := range []int{1, c.t / 3, c.t - 1, 520} {
				if past >= c.t || past == 0 {
					continue
				}
				n := c.t - past
				part := View{Data: make([]float32, n*c.h*c.dv), Row: c.h * c.dv, Head: c.dv}
				cont := spec
				cont.T, cont.Past, cont.O, cont.Q = n, past, part, View{Data: q.Data[past*q.Row:], Row: q.Row, Head: q.Head}
				e.Attention(&cont)
				if !slices.Equal(part.Data, whole.Data[past*whole.Row:]) {
					t.Errorf("%+v: rows after %d differ from those of the whole", c, past)
				}
			}
			last := View{Data: make([]float32, c.h*c.dv), Row: c.h * c.dv, Head: c.dv}
			e.Cached(&Cached{H: c.h, HK: c.hk, DK: c.dk, DV: c.dv, Scale: float32(a.scale), O: last,
				Q: View{Data: q.Data[(c.t-1)*q.Row:], Row: q.Row, Head: q.Head}, Seqs: []CachedSeq{{k, v, c.t}}})
			for i, w := range want[(c.t-1)*c.h*c.dv:] {
				if d := math.Abs(float64(last.Data[i]) - w); !(d < 1e-5) {
					t.Fatalf("%+v: Cached: element %d is %v, want %v", c, i, last.Data[i], w)
				}
			}
		}
	})
}

// A row of Cached has the same bits beside others and on any number of threads.
func TestCachedRowsAreIndependent(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	const h, hk, w = 6, 2, 20
	lengths := []int{1, 40, 513, 1100}
	q := make([]float32, len(lengths)*h*w)
	values(rng, q, false)
	var seqs []CachedSeq
	for _, n := range lengths {
		k, v := make([]float32, n*hk*w), make([]float32, n*hk*w)
		values(rng, k, false)
		values(rng, v, false)
		seqs = append(seqs, CachedSeq{View{Data: k, Row: hk * w, Head: w}, View{Data: v, Row: hk * w, Head: w}, n})
	}
	var first []float32
	for _, threads := range []int{1, 2, 7} {
		e, err := New(threads, "")
		if err != nil {
			t.Fatal(err)
		}
		run := func(lo, hi int) []float32 {
			o := make([]float32, (hi-lo)*h*w)
			e.Cached(&Cached{H: h, HK: hk, DK: w, DV: w, Scale: 0.3, Q: View{Data: q[lo*h*w:], Row: h * w, Head: w}, O: View{Data: o, Row: h * w, Head: w}, Seqs: seqs[lo:hi]})
			return o
		}
		all := run(0, len(seqs))
		if first == nil {
			first = all
		}
		if !slices.Equal(all, first) {
			t.Errorf("%d threads: results differ", threads)
		}
		for r := range seqs {
			if !slices.Equal(run(r, r+1), all[r*h*w:][:h*w]) {
				t.Errorf("%d threads: row %d differs when it is alone", threads, r)
			}
		}
		e.Close()
	}
}

func BenchmarkCached(b *testing.B) {
	e, err := New(0, "")
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	const h, hk, w = 32, 8, 128
	for _, n := range []int{128, 4096} {
		k, v, q, o := make([]float32, n*hk*w), make([]float32, n*hk*w), make([]float32, h*w), make([]float32, h*w)
		c := &Cached{H: h, HK: hk, DK: w, DV: w, Scale: 0.1, Q: View{Data: q, Row: h * w, Head: w}, O: View{Data: o, Row: h * w, Head: w},
			Seqs: []CachedSeq{{View{Data: k, Row: hk * w, Head: w}, View{Data: v, Row: hk * w, Head: w}, n}}}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				e.Cached(c)
			}
		})
	}
}
