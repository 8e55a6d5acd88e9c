package kernel

import (
	"math"
	"sort"
)

// AdamWStep is one AdamW update of a parameter, with decoupled weight decay.
//
//	g ← GradScale·G;  M ← Beta1·M + (1−Beta1)·g;  V ← Beta2·V + (1−Beta2)·g²
//	W ← W·(1 − LR·Decay);  W ← W − LR·(M/Correct1) / (sqrt(V/Correct2) + Eps)
//
// Correct1 = 1−Beta1^t, Correct2 = 1−Beta2^t. G is cleared when ZeroGrad.
// Source: Loshchilov and Hutter 2019; DeepSeek-V3 report 4.2 for the constants.
type AdamWStep struct {
	W, G, M, V                    []float32
	LR, Beta1, Beta2, Eps, Decay  float32
	Correct1, Correct2, GradScale float32
	ZeroGrad                      bool
}

// AdamW applies independent steps in parallel, in one pass over 4 arrays: 28 or 32 bytes move per
// element.
func (e *Engine) AdamW(steps []AdamWStep) {
	t := &e.ops.adamw
	t.vec, t.steps = &e.vec, steps
	t.ends = grow(t.ends, len(steps))
	tasks := 0
	for i := range steps {
		tasks += (len(steps[i].W) + chunk - 1) / chunk
		t.ends[i] = tasks
	}
	e.pool.Run(tasks, t)
	t.steps = nil
}

type adamwTask struct {
	vec   *vector
	steps []AdamWStep
	ends  []int // number of chunks up to and including each step
}

func (t *adamwTask) Do(_, i int) {
	lo, hi, s := 0, 0, t.find(i)
	lo, hi = chunkOf(i, s, t.ends, len(t.steps[s].W))
	step := &t.steps[s]
	f := t.vec.adamw
	if step.ZeroGrad {
		f = t.vec.adamwClear
	}
	f(step.W[lo:hi], step.G[lo:hi], step.M[lo:hi], step.V[lo:hi], step.GradScale,
		step.Beta1, 1-step.Beta1, step.Beta2, 1-step.Beta2,
		1-step.LR*step.Decay, step.LR/step.Correct1, float32(1/math.Sqrt(float64(step.Correct2))), step.Eps)
}

func (t *adamwTask) find(i int) int { return sort.SearchInts(t.ends, i+1) }

// chunkOf is the range of chunk i inside slice s of n elements, when ends counts the chunks of all
// slices.
func chunkOf(i, s int, ends []int, n int) (lo, hi int) {
	if s > 0 {
		i -= ends[s-1]
	}
	return i * chunk, min((i+1)*chunk, n)
}

// SumSquares returns the sum of x² over all slices, each chunk summed in float32 lanes and the
// chunks in order in float64.
func (e *Engine) SumSquares(xs [][]float32) float64 {
	t := &e.ops.sumSquares
	t.vec, t.xs = &e.vec, xs
	t.ends = grow(t.ends, len(xs))
	tasks := 0
	for i, x := range xs {
		tasks += (len(x) + chunk - 1) / chunk
		t.ends[i] = tasks
	}
	t.sums = grow(t.sums, tasks)
	e.pool.Run(tasks, t)
	t.xs = nil
	var s float64
	for _, v := range t.sums {
		s += v
	}
	return s
}

type sumSquaresTask struct {
	vec  *vector
	xs   [][]float32
	ends []int
	sums []float64
}

func (t *sumSquaresTask) Do(_, i int) {
	s := sort.SearchInts(t.ends, i+1)
	lo, hi := chunkOf(i, s, t.ends, len(t.xs[s]))
	t.sums[i] = t.vec.sumSquares(t.xs[s][lo:hi])
}

func adamwPortable(w, g, m, v []float32, gs, b1, d1, b2, d2, keep, rate, root, eps float32) {
	for i := range w {
		x := gs * g[i]
		m[i] = b1*m[i] + d1*x
		v[i] = b2*v[i] + d2*x*x
		w[i] = keep*w[i] - rate*m[i]/(float32(math.Sqrt(float64(v[i])))*root+eps)
	}
}

func adamwClearPortable(w, g, m, v []float32, gs, b1, d1, b2, d2, keep, rate, root, eps float32) {
	adamwPortable(w, g, m, v, gs, b1, d1, b2, d2, keep, rate, root, eps)
	clear(g[:len(w)])
}
