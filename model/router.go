// This file holds the router of an MoE layer: sigmoid scores, choice of experts by biased scores within
// the best groups, weights from the unbiased scores; its backward pass; and the two balancing rules,
// the sequence-wise loss and the bias update.
// Source: DeepSeek-V3 report, section 2.1.2.

package model

import (
	"math"
	"slices"

	"github.com/haenyeo/haenyeo/kernel"
)

// router chooses K of E experts for every token. Its product always runs in float32.
type router struct {
	e, k, groups, topGroups int
	normalise               bool
	factor                  float32
	gate                    *linear   // [E,D]
	bias                    []float32 // [E] e_score_correction_bias: for choosing only
	loads                   []int64   // [E] tokens routed since the last reset
	layer                   int       // among the MoE layers
}

func (b *builder) router(c *Config, layer int) *router {
	r := &router{e: c.NRoutedExperts, k: c.NumExpertsPerTok, groups: c.NGroup, topGroups: c.TopKGroup,
		normalise: c.NormTopKProb, factor: float32(c.RoutedScalingFactor), loads: make([]int64, c.NRoutedExperts)}
	b.align()
	p := b.param(layerName(layer, "mlp.gate.weight"), Matrix, r.e, c.HiddenSize)
	r.gate = b.linear(p, r.e, c.HiddenSize, kernel.F32)
	bias := b.param(layerName(layer, "mlp.gate.e_score_correction_bias"), Bias, r.e)
	b.bind = append(b.bind, func() { r.bias = cut(bias.Data, r.e) })
	return r
}

type routerKeep struct {
	s   []float32 // [T,E] scores
	ids []int32   // [T,K] chosen experts, ascending
	w   []float32 // [T,K] their weights, scaled
	f   []float32 // [B,E] share of the sequence's tokens whose best K include the expert, times E/K
}

func (r *router) keep(k *routerKeep, a *arena, n int) {
	k.s, k.ids, k.w, k.f = a.floats(n*r.e), a.ints(n*r.k), a.floats(n*r.k), a.floats(n*r.e)
}

type routerScratch struct {
	biased  []float32 // [T,E]
	group   []float32 // [T,groups]
	best    []int32   // [T,K] best experts without bias and groups
	dz      []float32 // [T,E]
	balance []float64 // [B] balance loss of each sequence
	task    routerTask
}

func (r *router) scratch(s *routerScratch, a *arena, n int, train bool) {
	s.biased, s.group = a.floats(n*r.e), a.floats(n*r.groups)
	if train {
		s.best, s.dz = a.ints(n*r.k), a.floats(n*r.e)
		s.balance = a.doubles(n)
	}
}

// routerTask cuts the steps of a router by tokens (balanceForward: by sequences).
type routerTask struct {
	do   func(t *routerTask, lo, hi int)
	r    *router
	p    *pass
	k    *routerKeep
	dw   []float32
	coef float32
	n    int
}

func (t *routerTask) Do(_, i int) {
	lo, hi := span(i, t.n)
	t.do(t, lo, hi)
}

func (r *router) run(p *pass, k *routerKeep, do func(t *routerTask, lo, hi int), n int, dw []float32, coef float32) {
	t := &p.s.moe.router.task
	*t = routerTask{do: do, r: r, p: p, k: k, dw: dw, coef: coef, n: n}
	p.e.Pool().Run(chunks(n), t)
}

// forward writes ids and w of k.
//
//	x [T,D] normalised input
//	s = σ(W_g x);  I = top-K of s + b in the best groups;  w_i = factor·s_i / (Σ_I s + 1e-20)
//
// The score of a group is the sum of its two largest biased scores. Ties go to the lower index.
func (r *router) forward(p *pass, k *routerKeep, x []float32) {
	s := &p.s.moe.router
	r.gate.forward(p, k.s, r.e, x, r.gate.k, p.n, false)
	p.e.Sigmoid(k.s[:p.n*r.e], k.s[:p.n*r.e])
	r.run(p, k, biasScores, p.n, nil, 0)
	p.e.TopK(k.ids, s.biased, p.n, r.e, r.k)
	if r.layer < len(p.experts) {
		r.replay(k.ids, p.experts[r.layer])
	}
	r.run(p, k, routingWeights, p.n, nil, 0)
	if p.routes != nil {
		own := &p.routes[r.layer]
		own.Experts = append(own.Experts, k.ids[:p.n*r.k]...)
		own.Weights = append(own.Weights, k.w[:p.n*r.k]...)
	}
	if p.countLoads {
		for _, id := range k.ids[:p.n*r.k] {
			r.loads[id]++
		}
	}
}

// replay puts the given experts of every token that has some in the place of the chosen ones, ascending.
func (r *router) replay(ids, given []int32) {
	for i := 0; i < len(given); i += r.k {
		if given[i] >= 0 {
			copy(ids[i:], given[i:][:r.k])
			slices.Sort(ids[i:][:r.k])
		}
	}
}

func biasScores(t *routerTask, lo, hi int) {
	r, s := t.r, &t.p.s.moe.router
	for i := lo; i < hi; i++ {
		a := s.biased[i*r.e:][:r.e]
		for j, v := range t.k.s[i*r.e:][:r.e] {
			a[j] = v + r.bias[j]
		}
		if r.groups > 1 {
			MaskGroups(a, s.group[i*r.groups:][:r.groups], r.topGroups, 2)
		}
	}
}

// MaskGroups sets a to -inf outside the top groups of it. The score of a group is the sum of its best (1
// or 2) largest. score, of length groups, is scratch.
func MaskGroups(a, score []float32, top, best int) {
	inf := float32(math.Inf(-1))
	size := len(a) / len(score)
	for g := range score {
		first, second := inf, inf
		for _, v := range a[g*size:][:size] {
			if v > first {
				first, second = v, first
			} else if v > second {
				second = v
			}
		}
		score[g] = first
		if size > 1 && best > 1 {
			score[g] += second
		}
	}
	for g, v := range score {
		rank := 0
		for h, u := range score {
			if u > v || u == v && h < g {
				rank++
			}
		}
		if rank >= top {
			for i := range size {
				a[g*size+i] = inf
			}
		}
	}
}

func routingWeights(t *routerTask, lo, hi int) {
	r := t.r
	for i := lo; i < hi; i++ {
		s, w := t.k.s[i*r.e:][:r.e], t.k.w[i*r.k:][:r.k]
		var sum float32
		for j, id := range t.k.ids[i*r.k:][:r.k] {
			w[j] = s[id]
			sum += s[id]
		}
		f := r.factor
		if r.normalise {
			f /= sum + 1e-20
		}
		for j := range w {
			w[j] *= f
		}
	}
}

// backward adds the router's part to dx and to the gradient of W_g, given dw of the weights.
//
//	dx [T,D] read and written   dw [T,K] read   x [T,D] as in forward
//	ds_i = (factor/Q)(dw_i − Σ_I dw_j s_j/Q) on I, Q = Σ_I s;  dz = ds·s(1−s)
//
// The choice I and the bias have no gradient.
func (r *router) backward(p *pass, k *routerKeep, dx, dw, x []float32) {
	s := &p.s.moe.router
	r.run(p, k, scoreGrad, p.n, dw, p.balanceScale)
	r.gate.backward(p, dx, r.gate.k, s.dz, r.e, x, r.gate.k, p.n, true)
}

func scoreGrad(t *routerTask, lo, hi int) {
	r := t.r
	for i := lo; i < hi; i++ {
		s, dz := t.k.s[i*r.e:][:r.e], t.p.s.moe.router.dz[i*r.e:][:r.e]
		ids, dw := t.k.ids[i*r.k:][:r.k], t.dw[i*r.k:][:r.k]
		clear(dz)
		if r.normalise {
			var sum, dot float32
			for j, id := range ids {
				sum += s[id]
				dot += dw[j] * s[id]
			}
			sum += 1e-20
			for j, id := range ids {
				dz[id] = r.factor / sum * (dw[j] - dot/sum)
			}
		} else {
			for j, id := range ids {
				dz[id] = r.factor * dw[j]
			}
		}
		if t.coef != 0 {
			addBalanceGrad(dz, s, t.k.f[i/t.p.t*r.e:][:r.e], t.coef)
		}
		for j, v := range s {
			dz[j] *= v * (1 - v)
		}
	}
}

// balance returns the sequence-wise balance loss of the pass, summed over its sequences:
//
//	Σ_i f_i P_i,  f_i = E/(K·T)·#{t: i among the K largest s_t},  P_i = mean_t s_ti/Σ_j s_tj
//
// Source: DeepSeek-V3 report, equations 17 to 20: scores without bias and without groups. f has no
// gradient.
func (r *router) balance(p *pass, k *routerKeep) float64 {
	s := &p.s.moe.router
	p.e.TopK(s.best, k.s, p.n, r.e, r.k)
	r.run(p, k, balanceForward, p.b, nil, 0)
	var sum float64
	for _, l := range s.balance[:p.b] {
		sum += l
	}
	return sum
}

func balanceForward(t *routerTask, lo, hi int) {
	r, T, s := t.r, t.p.t, &t.p.s.moe.router
	for b := lo; b < hi; b++ {
		f := t.k.f[b*r.e:][:r.e]
		clear(f)
		for _, id := range s.best[b*T*r.k:][:T*r.k] {
			f[id]++
		}
		for i := range f {
			f[i] *= float32(float64(r.e) / (float64(r.k) * float64(T)))
		}
		var loss float64
		for i := b * T; i < (b+1)*T; i++ {
			var sum, dot float64
			for j, v := range t.k.s[i*r.e:][:r.e] {
				sum += float64(v)
				dot += float64(f[j]) * float64(v)
			}
			loss += dot / sum
		}
		s.balance[b] = loss / float64(T)
	}
}

// addBalanceGrad adds coef·∂(Σ_i f_i s_i/S)/∂s with S = Σ_j s_j; coef holds α and the means.
func addBalanceGrad(ds, s, f []float32, coef float32) {
	var sum, dot float32
	for j, v := range s {
		sum += v
		dot += f[j] * v
	}
	for j := range ds {
		ds[j] += coef * (f[j] - dot/sum) / sum
	}
}

// updateBias moves the bias of every expert by gamma towards equal loads and forgets the loads:
// b_i += gamma·sign(mean c − c_i). Source: DeepSeek-V3 report, auxiliary-loss-free balancing.
func (r *router) updateBias(gamma float32) {
	var total int64
	for _, c := range r.loads {
		total += c
	}
	for i, c := range r.loads {
		switch d := total - c*int64(r.e); {
		case d > 0:
			r.bias[i] += gamma
		case d < 0:
			r.bias[i] -= gamma
		}
	}
	clear(r.loads)
}
