// This file holds the router of an MoE layer: scores, the choice of experts by biased scores within the
// best groups, weights from the unbiased scores.
// Sources: DeepSeekMoE (Dai et al. 2024); DeepSeek-V2 report, section 2.2.2; DeepSeek-V3 report,
// section 2.1.2; DeepSeek-V4 report (square root of softplus, choice by token).

package forward

import (
	"fmt"
	"math"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
)

// router chooses K of E experts for every token. Its product always runs in float32.
type router struct {
	e, k      int
	score     func(s []float32) // turns the logits of one token into scores
	groups    int               // 1: experts are not grouped
	topGroups int               // groups that experts are chosen from
	groupBest int               // the score of a group is the sum of so many of its largest
	normalise bool
	factor    float32
	gate      *kernel.Stored // [E,D]
	bias      []float32      // [E] for choosing only; nil: none
	table     []int32        // [V,K] experts of every token id; nil: they are chosen
}

// router reads the router of a layer, all but its tensors, from the configuration.
func (b *builder) router() *router {
	c := b.cfg
	r := &router{e: c.NRoutedExperts, k: c.NumExpertsPerTok, groups: 1, normalise: c.NormTopKProb, factor: float32(c.RoutedScalingFactor)}
	switch c.ScoringFunc {
	case "softmax":
		r.score = softmax
	case "sigmoid":
		r.score = sigmoids
	case "sqrtsoftplus":
		r.score = sqrtSoftplus
	default:
		b.fail(fmt.Errorf("forward: config: scoring_func %q is unknown, must be softmax, sigmoid or sqrtsoftplus", c.ScoringFunc))
	}
	switch c.TopKMethod {
	case "greedy":
	case "group_limited_greedy":
		r.groups, r.topGroups, r.groupBest = c.NGroup, c.TopKGroup, 1
	case "noaux_tc":
		r.groups, r.topGroups, r.groupBest = c.NGroup, c.TopKGroup, 2
	default:
		b.fail(fmt.Errorf("forward: config: topk_method %q is unknown, must be greedy, group_limited_greedy or noaux_tc", c.TopKMethod))
	}
	// The publisher's V2 code scales only what it does not normalise.
	if c.ModelType == "deepseek_v2" && r.normalise && r.k > 1 {
		r.factor = 1
	}
	return r
}

// choose returns, for every row, the chosen experts in ascending order and their weights. Both are of
// the arena.
//
//	ids [n,K]   w [n,K]   x [n,D] normalised input
//	s = score(W_g x);  I = top-K of s + b in the best groups;  w_i = factor·s_i, / (Σ_I s + 1e-20) if normalised
//
// Ties go to the lower index.
func (r *router) choose(p *pass, x []float32) (ids []int32, w []float32) {
	n := p.n
	ids, w = p.ints(n*r.k), p.floats(n*r.k)
	mark := p.mark()
	t := &p.routing
	*t = routerTask{r: r, s: p.floats(n * r.e), biased: p.floats(n * r.e), group: p.floats(n * r.groups), ids: ids, w: w}
	p.products = append(p.products[:0], kernel.StoredProduct{W: r.gate, Y: t.s, LDY: r.e, X: x, LDX: r.gate.K, Rows: n})
	p.multiply(kernel.F32)
	p.e.Pool().Run(n, t)
	if r.table != nil {
		for i, id := range p.tokens {
			copy(ids[i*r.k:], r.table[int(id)*r.k:][:r.k])
		}
	} else {
		p.e.TopK(ids, t.biased, n, r.e, r.k)
	}
	t.weigh = true
	p.e.Pool().Run(n, t)
	*t = routerTask{}
	p.rewind(mark)
	return ids, w
}

// routerTask scores the rows of a router, then weighs what was chosen.
type routerTask struct {
	r                *router
	weigh            bool
	s, biased, group []float32
	ids              []int32
	w                []float32
}

// Do handles row i.
func (t *routerTask) Do(_, i int) {
	r := t.r
	s := t.s[i*r.e:][:r.e]
	if t.weigh {
		t.weights(s, t.ids[i*r.k:][:r.k], t.w[i*r.k:][:r.k])
		return
	}
	bad := taint(s) // a sigmoid would make a number of what is not finite
	r.score(s)
	s[0] += bad
	a := t.biased[i*r.e:][:r.e]
	copy(a, s)
	for j, b := range r.bias {
		a[j] += b
	}
	if r.groups > 1 {
		model.MaskGroups(a, t.group[i*r.groups:][:r.groups], r.topGroups, r.groupBest)
	}
}

func (t *routerTask) weights(s []float32, ids []int32, w []float32) {
	sum := taint(s) // an expert that comparing passed over must not go unnoticed
	for j, id := range ids {
		w[j] = s[id]
		sum += s[id]
	}
	f := t.r.factor
	if t.r.normalise {
		f /= sum + 1e-20
	}
	for j := range w {
		w[j] *= f
	}
	if sum != sum {
		w[0] = sum
	}
}

func softmax(s []float32) {
	high := s[0]
	for _, v := range s {
		high = max(high, v)
	}
	var sum float64
	for j, v := range s {
		e := math.Exp(float64(v - high))
		s[j] = float32(e)
		sum += e
	}
	f := float32(1 / sum)
	for j := range s {
		s[j] *= f
	}
}

func sigmoids(s []float32) {
	for j, v := range s {
		s[j] = float32(1 / (1 + math.Exp(-float64(v))))
	}
}

// sqrtSoftplus is sqrt(ln(1 + e^z)), in a form that does not overflow.
func sqrtSoftplus(s []float32) {
	for j, v := range s {
		z := float64(v)
		s[j] = float32(math.Sqrt(max(z, 0) + math.Log1p(math.Exp(-math.Abs(z)))))
	}
}
