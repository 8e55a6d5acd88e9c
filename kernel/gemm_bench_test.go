package kernel

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// Shapes of preset S: tokens 4096, projections of attention, the head, 32 experts of 512 rows.
var benchShapes = []struct{ rows, n, k, groups int }{
	{4096, 256, 256, 1},
	{4096, 96, 256, 1},
	{4096, 768, 256, 1},
	{4096, 256, 768, 1},
	{4096, 384, 128, 1},
	{512, 8192, 256, 1},
	{4096, 8192, 256, 1},
	{512, 384, 256, 16},
	{512, 256, 192, 16},
	{1, 256, 256, 1},
	{1, 8192, 256, 1},
	{8, 768, 256, 1},
	{1024, 1024, 1024, 1},
}

func BenchmarkLinear(b *testing.B) {
	for _, tier := range Tiers()[1:] {
		e, err := New(0, tier)
		if err != nil {
			b.Fatal(err)
		}
		defer e.Close()
		for _, dt := range []DType{F32, BF16} {
			if dt == BF16 && !e.bf16.pair {
				continue
			}
			for _, s := range benchShapes {
				ops := []string{"y", "dx", "dw"}
				if s.rows < 16 {
					ops = ops[:1]
				}
				for _, op := range ops {
					b.Run(fmt.Sprintf("%s/%s/%dx%dx%dx%d/%s", tier, dt, s.groups, s.rows, s.n, s.k, op), func(b *testing.B) {
						benchLinear(b, e, dt, s.rows, s.n, s.k, s.groups, op)
					})
				}
			}
		}
	}
}

func benchLinear(b *testing.B, e *Engine, dt DType, rows, n, k, groups int, op string) {
	x, y := make([]float32, groups*rows*k), make([]float32, groups*rows*n)
	for i := range x {
		x[i] = float32(i%7) - 3
	}
	for i := range y {
		y[i] = float32(i%5) - 2
	}
	var ws []*Weight
	var src [][]float32
	var gs []Group
	for g := range groups {
		ws, src = append(ws, e.NewWeight(n, k, dt)), append(src, make([]float32, n*k))
		for i := range src[g] {
			src[g][i] = float32(i%3) - 1
		}
		gs = append(gs, Group{W: ws[g], Lo: g * rows, Hi: (g + 1) * rows, Grad: make([]float32, n*k)})
	}
	e.Pack(ws, src)
	run := func() {
		switch op {
		case "y":
			e.Linear(y, n, x, k, nil, gs, false)
		case "dx":
			e.LinearInputGrad(x, k, y, n, gs, false)
		case "dw":
			e.LinearWeightGrad(y, n, x, k, nil, gs)
		}
	}
	measure(b, e, dt, 2*float64(groups*rows)*float64(n)*float64(k), run)
}

// measure reports the GFLOP/s of run, best and median of its calls, and the best as a share of the
// peak that the engine measures beside it.
func measure(b *testing.B, e *Engine, dt DType, flops float64, run func()) {
	run()
	peak := e.Peak(dt)
	var times []float64
	for b.Loop() {
		began := time.Now()
		run()
		times = append(times, time.Since(began).Seconds())
	}
	slices.Sort(times)
	best := flops / times[0] / 1e9
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(best, "best-GFLOP/s")
	b.ReportMetric(flops/times[len(times)/2]/1e9, "median-GFLOP/s")
	b.ReportMetric(100*best/max(peak, e.Peak(dt)), "%-of-peak")
}

// BenchmarkMultiply has the products of one Muon iteration over the matrices of preset S: X·Xᵀ of
// many middling matrices.
func BenchmarkMultiply(b *testing.B) {
	e, err := New(0, "")
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	for _, dt := range []DType{F32, BF16} {
		for _, s := range [][3]int{{256, 256, 384}, {256, 384, 256}, {192, 256, 192}} {
			b.Run(fmt.Sprintf("%v/64x%dx%dx%d", dt, s[0], s[1], s[2]), func(b *testing.B) {
				var ps []Product
				for range 64 {
					p := Product{M: s[0], N: s[1], K: s[2], LDA: s[2], LDB: s[2], LDC: s[1], TransB: true, Alpha: 0.5, Beta: 1}
					p.A, p.B, p.C = make([]float32, s[0]*s[2]), make([]float32, s[1]*s[2]), make([]float32, s[0]*s[1])
					for i := range p.A {
						p.A[i] = float32(i%7) - 3
					}
					ps = append(ps, p)
				}
				measure(b, e, dt, 2*64*float64(s[0])*float64(s[1])*float64(s[2]), func() { e.Multiply(ps, dt) })
			})
		}
	}
}

// BenchmarkPackWeights packs as many weights as preset S has, both forms.
func BenchmarkPackWeights(b *testing.B) {
	e, err := New(0, "")
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	for _, dt := range []DType{F32, BF16} {
		b.Run(dt.String(), func(b *testing.B) {
			var ws []*Weight
			var src [][]float32
			var groups []Group
			const n, k, count = 384, 256, 190
			for range count {
				ws, src = append(ws, e.NewWeight(n, k, dt)), append(src, make([]float32, n*k))
				groups = append(groups, Group{W: ws[len(ws)-1]})
			}
			e.Pack(ws, src)
			e.LinearInputGrad(nil, 0, nil, 0, groups, false)
			for b.Loop() {
				e.Pack(ws, src)
			}
			b.ReportMetric(count*n*k*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gweights/s")
		})
	}
}
