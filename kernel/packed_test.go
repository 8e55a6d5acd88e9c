package kernel

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/quant"
)

// packed makes vectors of random numbers in the form p, and what they decode to [vectors,Width].
func packed(t *testing.T, e *Engine, p Packed, vectors int) (*Packed, []float32) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(p.Width), uint64(p.Type)))
	x := make([]float32, vectors*p.Width)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	p.Data = make([]byte, vectors*p.VectorBytes())
	// In two calls, as a cache grows.
	half := vectors / 2
	if err := e.PackVectors(&p, 0, 1, 0, x, half); err != nil {
		t.Fatal(err)
	}
	if err := e.PackVectors(&p, half, 1, 0, x[half*p.Width:], vectors-half); err != nil {
		t.Fatal(err)
	}
	wide := make([]float32, vectors*p.Stride())
	e.UnpackVectors(wide, &p, 0, vectors)
	y := make([]float32, 0, len(x))
	for v := range vectors {
		y = append(y, wide[v*p.Stride():][:p.Width]...)
	}
	for i, v := range y {
		limit := float32(1) / 64 // half a step of bf16 between 4 and 8
		if p.Type == quant.Q8_0 && i%p.Width < p.Width-p.Tail {
			limit = 5.0 / 254
		}
		if d := v - x[i]; !(d <= limit && -d <= limit) {
			t.Fatalf("%v: number %d of a vector is %g, was %g", p.Type, i%p.Width, v, x[i])
		}
	}
	return &p, y
}

var packedForms = []Packed{
	{Type: quant.F16, Width: 64}, {Type: quant.BF16, Width: 64}, {Type: quant.Q8_0, Width: 64},
	{Type: quant.F16, Width: 10}, {Type: quant.BF16, Width: 7}, {Type: quant.Q8_0, Width: 40},
	{Type: quant.Q8_0, Width: 72, Tail: 8}, {Type: quant.Q8_0, Width: 30, Tail: 6}, {Type: quant.BF16, Width: 20, Tail: 4},
}

// Attention over packed vectors has the bits of attention over what they decode to.
func TestPackedAttention(t *testing.T) {
	eachTier(t, func(t *testing.T, e *Engine, dt DType, _ *rand.Rand) {
		for _, form := range packedForms {
			const h, hk, T, past = 6, 2, 40, 550 // more than one chunk of keys
			w := form.Width
			kp, k := packed(t, e, form, (past+T)*hk)
			values := form
			values.Type = quant.F16
			vp, v := packed(t, e, values, (past+T)*hk)
			q := make([]float32, T*h*w)
			for i := range q {
				q[i] = float32(i%17) / 17
			}
			compare := func(f func(K, V, O View)) {
				t.Helper()
				want, got := make([]float32, T*h*w), make([]float32, T*h*w)
				f(View{Data: k, Row: hk * w, Head: w}, View{Data: v, Row: hk * w, Head: w}, View{Data: want, Row: h * w, Head: w})
				f(View{Packed: kp, Row: hk, Head: 1}, View{Packed: vp, Row: hk, Head: 1}, View{Data: got, Row: h * w, Head: w})
				if !slices.Equal(want, got) {
					t.Errorf("%v of %d, %d: differs from attention over float32", form.Type, form.Width, form.Tail)
				}
			}
			Q := View{Data: q, Row: h * w, Head: w}
			compare(func(K, V, O View) {
				e.Attention(&Attention{B: 1, T: T, Past: past, H: h, HK: hk, DK: w, DV: w, Scale: 0.3, Q: Q, K: K, V: V, O: O, LSE: make([]float32, T*h), DType: dt})
			})
			compare(func(K, V, O View) {
				e.Cached(&Cached{H: h, HK: hk, DK: w, DV: w, Scale: 0.3, Q: Q, O: O, Seqs: []CachedSeq{{K: K, V: V, N: 530}, {K: K, V: V, N: 1}}})
			})
		}
	})
}

// The same for entries that all heads share, ranges and lists of them.
func TestPackedShared(t *testing.T) {
	eachTier(t, func(t *testing.T, e *Engine, dt DType, _ *rand.Rand) {
		for _, form := range packedForms {
			const h, T, entries = 5, 3, 700
			w, dv := form.Width, form.Width-form.Tail
			p, x := packed(t, e, form, entries)
			q := make([]float32, T*h*w)
			for i := range q {
				q[i] = float32(i%23) / 23
			}
			list := make([]int32, 0, entries)
			for i := range int32(entries) {
				if i%3 != 1 {
					list = append(list, i)
				}
			}
			for _, set := range []Entries{
				{Row: w, Lo: []int32{0, 5, 600}, Hi: []int32{1, 690, 700}},
				{Row: w, Lo: []int32{0, 5, 100}, Hi: []int32{1, 460, 466}, List: list},
			} {
				want, got := make([]float32, T*h*dv), make([]float32, T*h*dv)
				for _, o := range []struct {
					x []float32
					p *Packed
					o []float32
				}{{x, nil, want}, {nil, p, got}} {
					set.Data, set.Packed = o.x, o.p
					e.Shared(&Shared{T: T, H: h, DK: w, DV: dv, Scale: 0.2, Q: View{Data: q, Row: h * w, Head: w},
						O: View{Data: o.o, Row: h * dv, Head: dv}, Sets: []Entries{set}, DType: dt})
				}
				if !slices.Equal(want, got) {
					t.Errorf("%v of %d, %d, list %v: differs from attention over float32", form.Type, form.Width, form.Tail, set.List != nil)
				}
			}
		}
	})
}

// Rows of several heads are kept head by head.
func TestPackHeads(t *testing.T) {
	e, err := New(2, "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	const heads, room, tokens, w, at = 3, 50, 40, 5, 7
	p := Packed{Type: quant.BF16, Width: w}
	p.Data = make([]byte, heads*room*p.VectorBytes())
	x := make([]float32, tokens*heads*w)
	for i := range x {
		x[i] = float32(i % 128) // exact in bf16
	}
	if err := e.PackVectors(&p, at, heads, room, x, tokens*heads); err != nil {
		t.Fatal(err)
	}
	v := View{Packed: &p, Row: 1, Head: room}
	var scratch []float32
	for h := range heads {
		y, ld := v.rows(e, &scratch, at, h, tokens)
		for r := range tokens {
			if got, want := y[r*ld:][:w], x[(r*heads+h)*w:][:w]; !slices.Equal(got, want) {
				t.Fatalf("row %d of head %d is %v, want %v", r, h, got, want)
			}
		}
	}
}

func TestPackRefuses(t *testing.T) {
	e, err := New(2, "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, c := range []struct {
		p    Packed
		x    float32
		want string
	}{{Packed{Type: quant.F16, Width: 4}, 7e4, "F16"}, {Packed{Type: quant.Q8_0, Width: 40, Tail: 4}, 1e9, "Q8_0"}} {
		c.p.Data = make([]byte, 3*c.p.VectorBytes())
		x := make([]float32, 3*c.p.Width)
		x[c.p.Width+1] = c.x
		if err := e.PackVectors(&c.p, 0, 1, 0, x, 3); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%g as %v: %v", c.x, c.p.Type, err)
		}
		x[c.p.Width+1] = 1
		if err := e.PackVectors(&c.p, 0, 1, 0, x, 3); err != nil {
			t.Errorf("after an error: %v", err)
		}
	}
}
