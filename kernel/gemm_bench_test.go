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
	{256, 384, 256, 80}, // more than caches hold
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

// BenchmarkMultiply has the products of a Newton-Schulz iteration (Muon) over a batch of matrices of
// preset S: gram = X·Xᵀ, gram·gram + gram, poly·X.
func BenchmarkMultiply(b *testing.B) {
	e, err := New(0, "")
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	const count = 12
	for _, dt := range []DType{F32, BF16} {
		for _, s := range [][2]int{{256, 384}, {192, 256}, {256, 1024}} {
			small, large := s[0], s[1]
			kinds := map[string][]Product{}
			for range count {
				x, y := make([]float32, small*large), make([]float32, small*large)
				gram, poly := make([]float32, small*small), make([]float32, small*small)
				for i := range x {
					x[i] = float32(i%7) - 3
				}
				kinds["gram"] = append(kinds["gram"], Product{C: gram, A: x, B: x, LDC: small, LDA: large, LDB: large,
					TransB: true, M: small, N: small, K: large, Alpha: 1, Symmetric: true})
				kinds["poly"] = append(kinds["poly"], Product{C: poly, A: gram, B: gram, LDC: small, LDA: small, LDB: small,
					M: small, N: small, K: small, Alpha: 0.5, Beta: 1, Symmetric: true})
				kinds["x"] = append(kinds["x"], Product{C: y, A: poly, B: x, LDC: large, LDA: small, LDB: large,
					M: small, N: large, K: small, Alpha: 1})
			}
			for _, kind := range []string{"gram", "poly", "x"} {
				ps := kinds[kind]
				b.Run(fmt.Sprintf("%v/%dx%d/%s", dt, small, large, kind), func(b *testing.B) {
					flops := 2 * count * float64(ps[0].M) * float64(ps[0].N) * float64(ps[0].K)
					measure(b, e, dt, flops, func() { e.Multiply(ps, dt) })
				})
			}
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
