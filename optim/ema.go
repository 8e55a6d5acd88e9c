package optim

// This file keeps a moving average of the weights: Ŵ ← d·Ŵ + (1−d)·W after every step, with d
// smaller at first, min(decay, (1+t)/(10+t)), so that the average forgets the random start.
// Source: DeepSeek-V3 report 3.2 (EMA of parameters for an early estimate of the decayed model).

import "github.com/haenyeo/haenyeo/internal/par"

type ema struct {
	params []Param
	avg    [][]float32
	chunks []span
}

func newEMA(params []Param) *ema {
	a := &ema{params: params}
	for i, p := range params {
		a.avg = append(a.avg, make([]float32, len(p.W)))
		for lo := 0; lo < len(p.W); lo += chunk {
			a.chunks = append(a.chunks, span{i, lo, min(lo+chunk, len(p.W))})
		}
	}
	a.start()
	return a
}

func (a *ema) start() {
	for i, p := range a.params {
		copy(a.avg[i], p.W)
	}
}

func (a *ema) update(pool *par.Pool, decay float64, t int64) {
	d := min(decay, float64(1+t)/float64(10+t))
	pool.Run(len(a.chunks), &emaTask{a, float32(d)})
}

type emaTask struct {
	*ema
	d float32
}

func (t *emaTask) Do(_, i int) {
	c := t.chunks[i]
	avg := t.avg[c.matrix][c.lo:c.hi]
	for i, w := range t.params[c.matrix].W[c.lo:c.hi] {
		avg[i] += (1 - t.d) * (w - avg[i])
	}
}

func (a *ema) state() []Tensor {
	var ts []Tensor
	for i, p := range a.params {
		ts = append(ts, Tensor{"ema." + p.Name, p.Shape, a.avg[i]})
	}
	return ts
}

// SwapEMA exchanges the weights with their moving average: once to evaluate or save the average,
// once more to go on training. Without an average it does nothing and returns false.
func (o *Optimizer) SwapEMA() bool {
	if o.ema == nil {
		return false
	}
	for i, p := range o.ema.params {
		avg := o.ema.avg[i]
		for j, w := range p.W {
			p.W[j], avg[j] = avg[j], w
		}
	}
	return true
}
