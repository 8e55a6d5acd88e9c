package kernel

import (
	"math/rand/v2"
	"testing"
	"time"
)

// BenchmarkOps times the row operations at the sizes of training preset S (4096 tokens, 256
// channels, 16 experts of width 192 of which 2 are taken, vocabulary 8192, 18.6M parameters). GB/s
// counts every array once for each time it must be read or written. share compares with a plain
// y += x over as many bytes, measured just before: it is what the machine can move.
func BenchmarkOps(b *testing.B) {
	const rows, d, f, k, v, params = 4096, 256, 192, 2, 8192, 18_600_000
	rng := rand.New(rand.NewPCG(1, 1))
	floats := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(rng.Float64() - 0.5)
		}
		return x
	}
	e, err := New(0, "")
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	x, y, dy, w, rstd, dw := floats(rows*d), floats(rows*d), floats(rows*d), floats(d), floats(rows), floats(d)
	gu, h, dgu := floats(2*rows*k*f), floats(rows*k*f), floats(2*rows*k*f)
	logits, nll := floats(1024*v), floats(1024)
	ids, pos, row, top := make([]int32, rows), make([]int32, rows), make([]int32, rows*k), make([]int32, rows*k)
	for i := range ids {
		ids[i], pos[i] = int32(rng.IntN(v)), int32(i%256)
	}
	for i, p := range rng.Perm(rows * k) {
		row[i] = int32(p)
	}
	src, wk, scores, table := floats(rows*k*d), floats(rows*k), floats(rows*16), floats(v*d)
	cos, sin := floats(256*8), floats(256*8)
	step := []AdamWStep{{W: floats(params), G: floats(params), M: floats(params), V: make([]float32, params),
		LR: 1e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1, Correct1: 0.1, Correct2: 0.05, GradScale: 1}}
	const copied = 12 // bytes per element that y += x moves
	for _, op := range []struct {
		name  string
		bytes int
		run   func()
	}{
		{"RMSNorm", 8 * rows * d, func() { e.RMSNorm(y, d, rstd, x, d, w, rows, d, 1e-6) }},
		{"RMSNormGrad", 12 * rows * d, func() { e.RMSNormGrad(y, d, dw, dy, d, x, d, w, rstd, rows, d, false) }},
		{"SwiGLU", 12 * rows * k * f, func() { e.SwiGLU(h, f, gu, 2*f, rows*k, f) }},
		{"SwiGLUGrad", 24 * rows * k * f, func() { e.SwiGLUGrad(dgu, 2*f, h, f, h, f, gu, 2*f, rows*k, f) }},
		{"Sigmoid", 8 * rows * 16, func() { e.Sigmoid(scores, scores) }},
		{"Rope", 8 * rows * 4 * 16, func() { e.Rope(View{Data: x, Row: d, Head: 64}, rows, 4, 16, pos, cos, sin, true, false) }},
		{"CrossEntropy", 24 * 1024 * v, func() { e.CrossEntropy(nll, logits, v, ids, 1024, v, 1) }},
		{"CrossEntropyEval", 8 * 1024 * v, func() { e.CrossEntropy(nll, logits, v, ids, 1024, v, 0) }},
		{"TopK", 4 * rows * 16, func() { e.TopK(top, scores, rows, 16, k) }},
		{"Embed", 8 * rows * d, func() { e.Embed(y, table, ids, d) }},
		{"EmbedGrad", 12 * rows * d, func() { e.EmbedGrad(table, dy, ids, d) }},
		{"Combine", 4 * rows * d * (k + 1), func() { e.Combine(y, src, row, wk, rows, k, d, false) }},
		{"CombineGrad", 4 * rows * d * (1 + 2*k), func() { e.CombineGrad(src, wk, dy, src, row, wk, rows, k, d) }},
		{"Add", 12 * rows * d, func() { e.Add(y, x) }},
		{"AdamW", 28 * params, func() { e.AdamW(step) }},
		{"SumSquares", 4 * params, func() { e.SumSquares([][]float32{step[0].G}) }},
	} {
		b.Run(op.name, func(b *testing.B) {
			n := op.bytes / copied
			to, from := make([]float32, n), make([]float32, n)
			e.Add(to, from)
			start, times := time.Now(), 0
			for time.Since(start) < 20*time.Millisecond || times < 3 {
				e.Add(to, from)
				times++
			}
			limit := float64(times) * float64(op.bytes) / time.Since(start).Seconds()
			b.ReportAllocs()
			for b.Loop() {
				op.run()
			}
			rate := float64(op.bytes) * float64(b.N) / b.Elapsed().Seconds()
			b.ReportMetric(rate/1e9, "GB/s")
			b.ReportMetric(rate/limit, "share")
		})
	}
}
