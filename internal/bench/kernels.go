package bench

import (
	"context"
	"fmt"

	"github.com/haenyeo/haenyeo/kernel"
)

// Kernels measures the operations of a training step of preset S, B16 T256: products forward and
// backward, plain and grouped over experts, and attention.
func Kernels(ctx context.Context, e *kernel.Engine, runs int, emit func(Result) error) error {
	for _, dt := range []kernel.DType{kernel.BF16, kernel.F32} {
		peak := e.Peak(dt)
		report := func(name string, flops float64, f func()) error {
			rates, err := repeat(ctx, runs, flops/1e9, func() error { f(); return nil })
			if err != nil {
				return err
			}
			peak = max(peak, e.Peak(dt))
			return emit(result(fmt.Sprintf("%s %v", name, dt), "GFLOP/s", rates, peak, e.Pool().Threads()))
		}
		for _, s := range products {
			if err := s.measure(e, dt, report); err != nil {
				return err
			}
		}
		if err := attention(e, dt, report); err != nil {
			return err
		}
	}
	return nil
}

// product is a layer [n,k] over rows activations, or groups of them.
type product struct {
	name              string
	rows, n, k, split int // split: experts
}

const rows = 16 * 256

var products = []product{
	{"query up 256x128", rows, 256, 128, 1},
	{"dense gate and up 1536x256", rows, 1536, 256, 1},
	{"dense down 256x768", rows, 256, 768, 1},
	{"experts gate and up 384x256 in 16", 2 * rows, 384, 256, 16},
	{"experts down 256x192 in 16", 2 * rows, 256, 192, 16},
	{"head 8192x256", 1024, 8192, 256, 1},
}

func (p *product) measure(e *kernel.Engine, dt kernel.DType, report func(string, float64, func()) error) error {
	x, y := values(p.rows*p.k), values(p.rows*p.n)
	w, g := values(p.split*p.n*p.k), make([]float32, p.split*p.n*p.k)
	var groups []kernel.Group
	var ws []*kernel.Weight
	var sources [][]float32
	per := p.n * p.k
	for i := range p.split {
		ws = append(ws, e.NewWeight(p.n, p.k, dt))
		sources = append(sources, w[i*per:(i+1)*per])
		groups = append(groups, kernel.Group{W: ws[i], Lo: i * p.rows / p.split, Hi: (i + 1) * p.rows / p.split, Grad: g[i*per : (i+1)*per]})
	}
	e.Pack(ws, sources)
	flops := 2 * float64(p.rows) * float64(p.n) * float64(p.k)
	if err := report(p.name+", forward", flops, func() { e.Linear(y, p.n, x, p.k, nil, groups, false) }); err != nil {
		return err
	}
	dy := values(p.rows * p.n)
	if err := report(p.name+", input gradient", flops, func() { e.LinearInputGrad(x, p.k, dy, p.n, groups, false) }); err != nil {
		return err
	}
	return report(p.name+", weight gradient", flops, func() { e.LinearWeightGrad(dy, p.n, x, p.k, nil, groups) })
}

// attention is that of preset S: 4 heads, keys of 64, values of 64.
func attention(e *kernel.Engine, dt kernel.DType, report func(string, float64, func()) error) error {
	const b, t, h, d = 16, 256, 4, 64
	view := func(x []float32) kernel.View { return kernel.View{Data: x, Row: h * d, Head: d} }
	q, k, v, o := values(b*t*h*d), values(b*t*h*d), values(b*t*h*d), make([]float32, b*t*h*d)
	a := &kernel.Attention{
		B: b, T: t, H: h, HK: h, DK: d, DV: d, Scale: 1. / 8, Q: view(q), K: view(k), V: view(v), O: view(o),
		LSE: make([]float32, b*t*h), DType: dt,
	}
	flops := 2 * float64(b*h) * t * t / 2 * 2 * d
	if err := report("attention B16 T256 H4x64, forward", flops, func() { e.Attention(a) }); err != nil {
		return err
	}
	do, dq, dk, dv := values(len(q)), make([]float32, len(q)), make([]float32, len(q)), make([]float32, len(q))
	return report("attention B16 T256 H4x64, backward", 2.5*flops, func() { e.AttentionGrad(a, view(do), view(dq), view(dk), view(dv)) })
}

// values are small numbers without denormals.
func values(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i%17-8) / 16
	}
	return x
}
