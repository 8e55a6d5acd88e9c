package optim

// This file prepares the AdamW steps that kernel.Engine.AdamW runs: one per parameter, made once.
// Source: Loshchilov and Hutter 2019; bias correction as in Kingma and Ba 2015, algorithm 1.

import (
	"math"

	"github.com/haenyeo/haenyeo/kernel"
)

type adamw struct {
	params []Param
	steps  []kernel.AdamWStep
}

func (a *adamw) add(p Param, opt Options) {
	a.params = append(a.params, p)
	s := kernel.AdamWStep{
		W: p.W, G: p.G, M: make([]float32, len(p.W)), V: make([]float32, len(p.W)),
		Beta1: float32(opt.Beta1), Beta2: float32(opt.Beta2), Eps: float32(opt.Eps), ZeroGrad: true,
	}
	if len(p.Shape) == 2 {
		s.Decay = float32(opt.Decay)
	}
	a.steps = append(a.steps, s)
}

func (a *adamw) step(e *kernel.Engine, lr, scale float64, opt Options, t int64) {
	c1 := float32(1 - math.Pow(opt.Beta1, float64(t)))
	c2 := float32(1 - math.Pow(opt.Beta2, float64(t)))
	for i := range a.steps {
		s := &a.steps[i]
		s.LR, s.GradScale, s.Correct1, s.Correct2 = float32(lr), float32(scale), c1, c2
	}
	e.AdamW(a.steps)
}

func (a *adamw) state() []Tensor {
	var ts []Tensor
	for i, p := range a.params {
		ts = append(ts,
			Tensor{"m." + p.Name, p.Shape, a.steps[i].M},
			Tensor{"v." + p.Name, p.Shape, a.steps[i].V})
	}
	return ts
}
