package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/quant"
)

// packed makes rows of heads random vectors in the form f, and what they decode to [rows,heads,Width].
func packed(t *testing.T, e *Engine, f Form, heads, rows int) (*Vectors, []float32) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(f.Width), uint64(f.Type)))
	p, vectors := Vectors{Form: f, Heads: heads}, rows*heads
	x := make([]float32, vectors*p.Width)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	for lo := 0; lo < rows; lo += BlockRows {
		p.Blocks = append(p.Blocks, p.NewBlock(min(BlockRows, rows-lo), Block{}))
	}
	// In two calls, as a cache grows.
	half := rows / 2
	if err := e.PackVectors(&p, 0, x, half); err != nil {
		t.Fatal(err)
	}
	if err := e.PackVectors(&p, half, x[half*heads*p.Width:], rows-half); err != nil {
		t.Fatal(err)
	}
	y := make([]float32, len(x))
	var scratch []float32
	for h := range heads {
		wide, ld := p.rows(e, &scratch, 0, h, rows)
		for r := range rows {
			copy(y[(r*heads+h)*p.Width:][:p.Width], wide[r*ld:])
		}
	}
	for i, v := range y {
		limit := float32(1) / 64 // half a step of bf16 between 4 and 8
		switch body := i%p.Width < p.Width-p.Tail; {
		case p.Codes == E2M1x32 && body:
			limit = 1 // half a step between 4 and 6
		case p.Codes != NoCodes && body:
			limit = 0.25 // half a step between 4 and 8, of 3 bits
		case p.Type == quant.Q8_0 && body:
			limit = 5.0 / 254
		}
		if d := v - x[i]; !(d <= limit && -d <= limit) {
			t.Fatalf("%v: number %d of a vector is %g, was %g", p.Form, i%p.Width, v, x[i])
		}
	}
	return &p, y
}

var packedForms = []Form{
	{Type: quant.F32, Width: 9},
	{Type: quant.F16, Width: 64}, {Type: quant.BF16, Width: 64}, {Type: quant.Q8_0, Width: 64},
	{Type: quant.F16, Width: 10}, {Type: quant.BF16, Width: 7}, {Type: quant.Q8_0, Width: 40},
	{Type: quant.Q8_0, Width: 72, Tail: 8, TailType: quant.F16}, {Type: quant.Q8_0, Width: 30, Tail: 6, TailType: quant.F16},
	{Type: quant.BF16, Width: 20, Tail: 4, TailType: quant.F16},
	{Codes: E4M3x64, Width: 300, Tail: 20, TailType: quant.BF16}, {Codes: E4M3x64, Width: 40, Tail: 8, TailType: quant.F32},
	{Codes: E4M3x128, Width: 128}, {Codes: E4M3x128, Width: 24}, {Codes: E2M1x32, Width: 128}, {Codes: E2M1x32, Width: 20},
}

// Attention over packed vectors has the bits of attention over what they decode to.
func TestPackedAttention(t *testing.T) {
	eachTier(t, func(t *testing.T, e *Engine, dt DType, _ *rand.Rand) {
		for _, form := range packedForms {
			const h, hk, T, past = 6, 2, 40, 550 // more than one chunk of keys
			w := form.Width
			kp, k := packed(t, e, form, hk, past+T)
			values := form
			if values.Codes == NoCodes {
				values.Type = quant.F16
			}
			vp, v := packed(t, e, values, hk, past+T)
			q := make([]float32, T*h*w)
			for i := range q {
				q[i] = float32(i%17) / 17
			}
			compare := func(f func(K, V, O View)) {
				t.Helper()
				want, got := make([]float32, T*h*w), make([]float32, T*h*w)
				f(View{Data: k, Row: hk * w, Head: w}, View{Data: v, Row: hk * w, Head: w}, View{Data: want, Row: h * w, Head: w})
				f(View{Vectors: kp}, View{Vectors: vp}, View{Data: got, Row: h * w, Head: w})
				if !slices.Equal(want, got) {
					t.Errorf("%v: differs from attention over float32", form)
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
			p, x := packed(t, e, form, 1, entries)
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
					p *Vectors
					o []float32
				}{{x, nil, want}, {nil, p, got}} {
					set.Data, set.Vectors = o.x, o.p
					e.Shared(&Shared{T: T, H: h, DK: w, DV: dv, Scale: 0.2, Q: View{Data: q, Row: h * w, Head: w},
						O: View{Data: o.o, Row: h * dv, Head: dv}, Sets: []Entries{set}, DType: dt})
				}
				if !slices.Equal(want, got) {
					t.Errorf("%v, list %v: differs from attention over float32", form, set.List != nil)
				}
			}
		}
	})
}

// The forms of published code take the bytes that it gives them, and hold what it rounds without loss.
func TestPublishedForms(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	eachTier(t, func(t *testing.T, e *Engine, _ DType, _ *rand.Rand) {
		for _, c := range []struct {
			form  Form
			bytes int
			round func(x []float32)
		}{
			{Form{Codes: E4M3x64, Width: 512, Tail: 64, TailType: quant.BF16}, 584, func(x []float32) { quant.RoundFP8(x[:448], 64, true) }},
			{Form{Codes: E4M3x128, Width: 128}, 132, func(x []float32) { quant.RoundFP8(x, 128, true) }},
			{Form{Codes: E2M1x32, Width: 128}, 68, func(x []float32) { quant.RoundFP4(x, 32) }},
		} {
			v := Vectors{Form: c.form, Heads: 1}
			if got := v.VectorBytes(); got != c.bytes {
				t.Errorf("%v: %d bytes, want %d", c.form, got, c.bytes)
			}
			const rows = 40
			v.Blocks = []Block{v.NewBlock(rows, Block{})}
			x := make([]float32, rows*c.form.Width)
			for r := range rows {
				row := x[r*c.form.Width:][:c.form.Width]
				size := float32(math.Ldexp(1, rng.IntN(60)-30))
				for i := range row {
					row[i] = quant.FromBF16(quant.ToBF16(size * float32(rng.NormFloat64())))
				}
				c.round(row)
			}
			if err := e.PackVectors(&v, 0, x, rows); err != nil {
				t.Fatal(err)
			}
			y := make([]float32, len(x))
			e.UnpackVectors(y, &v, 0, rows)
			if !slices.Equal(x, y) {
				t.Errorf("%v: what was rounded is changed", c.form)
			}
		}
	})
}

// Copies of Vectors share blocks until one is made anew.
func TestNewBlock(t *testing.T) {
	e, err := New(2, "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, f := range []Form{{Type: quant.F32, Width: 3}, {Type: quant.BF16, Width: 3}} {
		a, x := packed(t, e, f, 2, 10)
		b := Vectors{Form: f, Heads: 2, Blocks: []Block{a.NewBlock(20, a.Blocks[0])}}
		if err := e.PackVectors(a, 0, make([]float32, len(x)), 10); err != nil {
			t.Fatal(err)
		}
		var scratch []float32
		for h := range 2 {
			y, ld := b.rows(e, &scratch, 0, h, 10)
			for r := range 10 {
				if got, want := y[r*ld:][:3], x[(2*r+h)*3:][:3]; !slices.Equal(got, want) {
					t.Fatalf("%v: row %d of head %d is %v, want %v", f, r, h, got, want)
				}
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
		f    Form
		x    float32
		want string
	}{{Form{Type: quant.F16, Width: 4}, 7e4, "F16"}, {Form{Type: quant.Q8_0, Width: 40, Tail: 4, TailType: quant.F16}, 1e9, "Q8_0"}} {
		v := Vectors{Form: c.f, Heads: 1}
		v.Blocks = []Block{v.NewBlock(3, Block{})}
		x := make([]float32, 3*v.Width)
		x[v.Width+1] = c.x
		if err := e.PackVectors(&v, 0, x, 3); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%g as %v: %v", c.x, v.Type, err)
		}
		x[v.Width+1] = 1
		if err := e.PackVectors(&v, 0, x, 3); err != nil {
			t.Errorf("after an error: %v", err)
		}
	}
}
