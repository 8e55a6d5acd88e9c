package optim

// This file holds the Optimizer: which parameter gets which rule, the step, and the state that a
// checkpoint must keep. The rules are in adamw.go and muon.go, the moving average in ema.go.
// Source: DeepSeek-V3 report 4.2 (AdamW, clipping), V4 report (Muon and which tensors it gets).

import (
	"fmt"
	"math"

	"github.com/haenyeo/haenyeo/kernel"
)

// Param is one tensor to train. A weight matrix is [out,in]; each expert's matrix is a Param of its
// own.
type Param struct {
	Name   string
	Shape  []int
	W, G   []float32 // weight, updated by Step; gradient, cleared by Step
	Hidden bool      // a matrix inside the network: neither embedding nor output head
}

// Kind chooses the rule of the hidden matrices.
type Kind string

const (
	AdamW Kind = "adamw" // for every parameter
	Muon  Kind = "muon"  // for hidden matrices; AdamW for the rest
)

// Options are the constants of a run. Tensors of two dimensions are decayed, others are not.
type Options struct {
	Kind         Kind
	Beta1, Beta2 float64
	Eps          float64
	Decay        float64
	Clip         float64      // largest global gradient norm; 0 does not clip
	Momentum     float64      // Muon's
	DType        kernel.DType // of Muon's matrix products
	EMA          float64      // decay of the moving average of the weights; 0 keeps none
}

// Defaults are the published constants: V3's for AdamW, V4's for Muon.
func Defaults(kind Kind) Options {
	o := Options{Kind: kind, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1, Clip: 1, Momentum: 0.95}
	if kind == Muon {
		o.Eps = 1e-20
	}
	return o
}

// Optimizer updates a fixed set of parameters. It is not safe for concurrent use.
type Optimizer struct {
	engine *kernel.Engine
	opt    Options
	params []Param
	grads  [][]float32
	adam   adamw
	muon   *muon // nil when no parameter is Muon's
	ema    *ema  // nil when not asked for
	steps  int64
}

// New prepares moments, all zero, for params. Names must be distinct.
func New(e *kernel.Engine, params []Param, opt Options) (*Optimizer, error) {
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	o := &Optimizer{engine: e, opt: opt, params: params}
	seen := map[string]bool{}
	var matrices []Param
	for _, p := range params {
		n := 1
		for _, d := range p.Shape {
			n *= d
		}
		if len(p.W) != n || len(p.G) != n {
			return nil, fmt.Errorf("optim: parameter %q: shape %v has %d elements, weight has %d and gradient %d", p.Name, p.Shape, n, len(p.W), len(p.G))
		}
		if seen[p.Name] {
			return nil, fmt.Errorf("optim: parameter %q is listed twice", p.Name)
		}
		seen[p.Name] = true
		o.grads = append(o.grads, p.G)
		if opt.Kind == Muon && p.Hidden && len(p.Shape) == 2 {
			matrices = append(matrices, p)
		} else {
			o.adam.add(p, opt)
		}
	}
	if len(matrices) > 0 {
		o.muon = newMuon(e, matrices, opt)
	}
	if opt.EMA > 0 {
		o.ema = newEMA(params)
	}
	return o, nil
}

// Validate reports the first option that makes no sense.
func (o Options) Validate() error {
	in := func(x, lo, hi float64) bool { return x >= lo && x < hi } // false for NaN
	switch {
	case o.Kind != AdamW && o.Kind != Muon:
		return fmt.Errorf("optim: optimizer %q: use %q or %q", o.Kind, AdamW, Muon)
	case !in(o.Beta1, 0, 1) || !in(o.Beta2, 0, 1):
		return fmt.Errorf("optim: betas %g,%g: each must be at least 0 and below 1", o.Beta1, o.Beta2)
	case !in(o.Momentum, 0, 1):
		return fmt.Errorf("optim: momentum %g: must be at least 0 and below 1", o.Momentum)
	case !in(o.EMA, 0, 1):
		return fmt.Errorf("optim: EMA decay %g: must be at least 0 and below 1", o.EMA)
	case !(o.Eps > 0) || float32(o.Eps) == 0 || math.IsInf(o.Eps, 0):
		return fmt.Errorf("optim: eps %g: must be positive and representable in float32", o.Eps)
	case !in(o.Decay, 0, math.MaxFloat32):
		return fmt.Errorf("optim: weight decay %g: must not be negative", o.Decay)
	case !in(o.Clip, 0, math.MaxFloat32):
		return fmt.Errorf("optim: clip %g: must not be negative (0 does not clip)", o.Clip)
	}
	return nil
}

// Norm is the 2-norm over all gradients. It is NaN or infinite when one of them is: do not Step
// then.
func (o *Optimizer) Norm() float64 { return math.Sqrt(o.engine.SumSquares(o.grads)) }

// Step updates every weight with learning rate lr and clears the gradients. norm is what Norm
// returned.
func (o *Optimizer) Step(lr, norm float64) {
	scale := 1.0
	if o.opt.Clip > 0 {
		scale = min(1, o.opt.Clip/(norm+1e-6))
	}
	o.steps++
	o.adam.step(o.engine, lr, scale, o.opt, o.steps)
	if o.muon != nil {
		o.muon.step(lr, scale)
	}
	if o.ema != nil {
		o.ema.update(o.engine.Pool(), o.opt.EMA, o.steps)
	}
}

// ClearGrads drops the gradients of a batch that must not be applied.
func (o *Optimizer) ClearGrads() {
	for _, g := range o.grads {
		clear(g)
	}
}

// Steps is the number of steps taken.
func (o *Optimizer) Steps() int64 { return o.steps }

// Tensor is one piece of state: a live view, to be saved or filled.
type Tensor struct {
	Name  string // m.PARAM, v.PARAM or ema.PARAM
	Shape []int
	Data  []float32
}

// State lists what must be saved, beside the weights and Steps, so that a run continues exactly.
func (o *Optimizer) State() []Tensor {
	ts := o.adam.state()
	if o.muon != nil {
		ts = append(ts, o.muon.state()...)
	}
	if o.ema != nil {
		ts = append(ts, o.ema.state()...)
	}
	return ts
}

// Restore sets the number of steps taken, after the caller filled the tensors of State.
func (o *Optimizer) Restore(steps int64) { o.steps = steps }

// Reset forgets all moments, as if New had just been called. A moving average starts again from
// the present weights.
func (o *Optimizer) Reset() {
	o.steps = 0
	for _, t := range o.State() {
		clear(t.Data)
	}
	if o.ema != nil {
		o.ema.start()
	}
}
