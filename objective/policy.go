package objective

// This file holds the policy gradients of the GRPO family. With ρ = exp(logp − old), advantage A, k3 =
// exp(ref − logp) − (ref − logp) − 1 and s = min(ρ A, clip(ρ, 1−low, 1+high) A), every one is
//
//	loss = −Σ_t w_t [ s·M − β·KL ]
//
//	GRPO        w = 1/(N n_i)   KL = k3                     DeepSeekMath, section 4.1
//	DrGRPO      w = 1/(N T)     no bias towards short ones  Liu et al. 2025
//	TokenLevel  w = 1/Σ n_i
//	DAPO        w = 1/Σ n_i     high above low              Yu et al. 2025
//	V32         w = 1/(N n_i)   KL = ρ k3, M                DeepSeek-V3.2 report: unbiased KL, off-policy mask
//
// for N sequences of n_i tokens; M = 0 for sequences with A < 0 and mean (old − logp) > δ, else 1.

import (
	"fmt"
	"math"
	"slices"

	"github.com/haenyeo/haenyeo/model"
)

// Kind names a loss of the family.
type Kind string

// The kinds.
const (
	GRPO       Kind = "grpo"
	DrGRPO     Kind = "dr-grpo"
	TokenLevel Kind = "token-level"
	DAPO       Kind = "dapo"
	V32        Kind = "v3.2"
)

// Kinds are all of them.
func Kinds() []Kind { return []Kind{GRPO, DrGRPO, TokenLevel, DAPO, V32} }

// PolicyOptions are the constants of a loss.
type PolicyOptions struct {
	Kind              Kind
	ClipLow, ClipHigh float64 // ε below and above 1
	Beta              float64 // weight of the divergence from the reference; 0: none
	Delta             float64 // V32: mean log-ratio beyond which a bad sequence is left out
	MaxLength         int     // DrGRPO: T, the longest answer possible
}

// PolicyDefaults are the published constants where there are some: β of DeepSeekMath, the clip of DAPO; δ is
// ours.
func PolicyDefaults(kind Kind) PolicyOptions {
	o := PolicyOptions{Kind: kind, ClipLow: 0.2, ClipHigh: 0.2}
	switch kind {
	case GRPO:
		o.Beta = 0.04
	case DAPO:
		o.ClipHigh = 0.28
	case V32:
		o.Delta = 0.1
	}
	return o
}

// Validate reports the first option that makes no sense.
func (o PolicyOptions) Validate() error {
	switch {
	case !slices.Contains(Kinds(), o.Kind):
		return fmt.Errorf("objective: kind %q: use one of %q", o.Kind, Kinds())
	case !(o.ClipLow > 0 && o.ClipLow <= 1):
		return fmt.Errorf("objective: clip %g below 1: must be above 0 and at most 1", o.ClipLow)
	case !(o.ClipHigh > 0 && o.ClipHigh < 1e6):
		return fmt.Errorf("objective: clip %g above 1: must be positive", o.ClipHigh)
	case !(o.Beta >= 0 && o.Beta < 1e6):
		return fmt.Errorf("objective: beta %g: must not be negative", o.Beta)
	case !(o.Delta >= 0 && o.Delta < 1e6) || o.Kind == V32 && o.Delta == 0:
		return fmt.Errorf("objective: delta %g: must be positive for %q", o.Delta, V32)
	case o.Kind == DrGRPO && o.MaxLength < 1:
		return fmt.Errorf("objective: %q needs the longest answer possible, not %d", DrGRPO, o.MaxLength)
	}
	return nil
}

// Answers are what is known of the positions of a batch that hold answers.
type Answers struct {
	Adv []float32 // [B,T] advantage of the position's sequence
	Old []float32 // [B,T] log-probabilities when the answer was sampled; nil: those of now, ρ = 1
	Ref []float32 // [B,T] of the reference, needed with β
	Now []float32 // [B,T] of the model before this update (Model.LogProbs), for the mask of V32; nil: Old
	Seq []int32   // [B,T] number of the position's sequence; nil: its row

	// Kept are the tokens that the sampler chose among (top-k, top-p), for each position; nil: all. ρ is
	// then of distributions over these. Source: DeepSeek-V3.2 report, keep sampling mask.
	Kept [][]int32

	// The whole step's counts, where the batch leaves out sequences that have no gradient; 0: the batch's.
	Sequences, Tokens int
}

// Policy is a loss of the family over one batch.
type Policy struct {
	opt    PolicyOptions
	a      Answers
	s      *sequences
	weight []float64 // of a position of each sequence
	masked []bool    // sequences that M leaves out
	seen   []seen    // [B,T]
}

// seen is what Row saw of a position.
type seen struct {
	logp, ratio, kl, entropy float64
	clipped                  int8 // −1 below, 1 above, where that stopped the gradient
}

// NewPolicy prepares the loss of b.
func NewPolicy(b *model.Batch, o PolicyOptions, a Answers) (*Policy, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s, err := sequencesOf(b, a.Seq)
	if err != nil {
		return nil, err
	}
	n := len(s.of)
	for _, c := range []struct {
		what     string
		x        []float32
		optional bool
	}{{"advantages", a.Adv, false}, {"old log-probabilities", a.Old, true}, {"reference log-probabilities", a.Ref, o.Beta == 0}, {"present log-probabilities", a.Now, true}} {
		if err := checkLength(c.what, c.x, n, c.optional); err != nil {
			return nil, err
		}
	}
	if a.Kept != nil && len(a.Kept) != n {
		return nil, fmt.Errorf("objective: kept tokens of %d positions given, the batch has %d", len(a.Kept), n)
	}
	p := &Policy{opt: o, a: a, s: s, masked: make([]bool, len(s.lengths)), seen: make([]seen, n)}
	p.setWeights()
	if o.Kind == V32 {
		p.setMask()
	}
	return p, nil
}

func (p *Policy) setWeights() {
	sequences, tokens := p.a.Sequences, p.a.Tokens
	if sequences == 0 {
		for _, n := range p.s.lengths {
			if n > 0 {
				sequences++
			}
		}
	}
	if tokens == 0 {
		tokens = p.s.tokens
	}
	for _, n := range p.s.lengths {
		w := 0.0
		switch p.opt.Kind {
		case GRPO, V32:
			w = 1 / (float64(sequences) * float64(n))
		case DrGRPO:
			w = 1 / (float64(sequences) * float64(p.opt.MaxLength))
		case TokenLevel, DAPO:
			w = 1 / float64(tokens)
		}
		p.weight = append(p.weight, w)
	}
}

func (p *Policy) setMask() {
	if p.a.Old == nil || p.a.Now == nil {
		return // the policy has not moved
	}
	drift := p.s.sum(func(i int) float64 { return float64(p.a.Old[i]) - float64(p.a.Now[i]) })
	worst := p.s.sum(func(i int) float64 { return min(0, float64(p.a.Adv[i])) })
	for id, n := range p.s.lengths {
		p.masked[id] = n > 0 && worst[id] < 0 && drift[id]/float64(n) > p.opt.Delta
	}
}

// Row is a position's term; see model.Objective.
func (p *Policy) Row(r model.Row) float64 {
	i := r.Position
	x, target := r.Logits, int(r.Target)
	y := r.Scratch
	var kept []int32
	if p.a.Kept != nil && p.a.Kept[i] != nil {
		kept = p.a.Kept[i]
		x, y, target = gather(r, kept)
	}
	s := softmaxOf(r, y, x)
	logp := float64(x[target]) - s.lse
	e := seen{logp: logp, entropy: s.lse - r.Engine.Dot(s.y, x)/s.z}
	loss, g := p.term(i, logp, &e)
	p.seen[i] = e
	if !r.Grad {
		return loss
	}
	if kept == nil {
		s.pull(r, r.Logits, target, g)
		return loss
	}
	s.pull(r, x, target, g)
	clear(r.Logits)
	for j, id := range kept {
		r.Logits[id] = x[j]
	}
	r.Logits[r.Target] = x[target]
	return loss
}

// gather takes the logits of the kept tokens to the scratch, the target's behind them if it is not one of
// them, and leaves room for their exponentials in r.Logits.
func gather(r model.Row, kept []int32) (x, y []float32, target int) {
	target = -1
	x = r.Scratch[:0]
	for j, id := range kept {
		if x = append(x, r.Logits[id]); id == r.Target {
			target = j
		}
	}
	if target < 0 {
		target = len(x)
		x = append(x, r.Logits[r.Target])
	}
	return x, r.Logits[:len(x)], target
}

// term is the loss of position i and its derivative with respect to logp.
func (p *Policy) term(i int, logp float64, e *seen) (loss, g float64) {
	id := p.s.of[i]
	w, a := p.weight[id], float64(p.a.Adv[i])
	e.ratio = 1
	if p.a.Old != nil {
		e.ratio = math.Exp(logp - float64(p.a.Old[i]))
	}
	gain, slope := e.ratio*a, e.ratio*a
	switch low, high := 1-p.opt.ClipLow, 1+p.opt.ClipHigh; {
	case a < 0 && e.ratio < low:
		gain, slope, e.clipped = low*a, 0, -1
	case a > 0 && e.ratio > high:
		gain, slope, e.clipped = high*a, 0, 1
	}
	if p.masked[id] {
		gain, slope = 0, 0
	}
	if p.a.Ref != nil {
		d := float64(p.a.Ref[i]) - logp
		k3, pull := math.Expm1(d)-d, -math.Expm1(d)
		e.kl = k3
		if p.opt.Kind == V32 {
			pull = e.ratio*k3 + e.ratio*pull
			k3 *= e.ratio
		}
		gain -= p.opt.Beta * k3
		slope -= p.opt.Beta * pull
	}
	return -w * gain, -w * slope
}

// Advantages writes what each reward of one group is above their mean, over their standard deviation (of the
// population) when normalise; all 0 where the rewards are equal.
func Advantages(adv []float32, rewards []float64, normalise bool) {
	var mean, variance float64
	for _, r := range rewards {
		mean += r / float64(len(rewards))
	}
	for _, r := range rewards {
		variance += (r - mean) * (r - mean) / float64(len(rewards))
	}
	scale := 1.0
	if normalise {
		scale = math.Sqrt(variance)
	}
	for i, r := range rewards {
		if adv[i] = 0; variance > 1e-24 {
			adv[i] = float32((r - mean) / scale)
		}
	}
}
