package objective

// This file holds what a policy update tells of itself.

import "math"

// Stats are means over the answer tokens of a batch unless said otherwise.
type Stats struct {
	Tokens, Sequences int
	Ratio, RatioMax   float64 // ρ; the largest
	ClippedLow        float64 // share of tokens whose gradient the clip stopped, below
	ClippedHigh       float64 // and above
	KL                float64 // k3, estimate of the divergence from the reference
	Entropy           float64 // nats
	Masked            float64 // share of sequences that the mask of V32 leaves out
	Mismatch          float64 // |old − logp|
	MismatchMax       float64 // the largest: sampler and trainer agree when it is small before any update
	LogProb           float64
}

// Stats returns the statistics of the rows since NewPolicy. It must not be called while rows run.
func (p *Policy) Stats() Stats {
	st := Stats{Tokens: p.s.tokens}
	for id, n := range p.s.lengths {
		if n > 0 {
			st.Sequences++
			if p.masked[id] {
				st.Masked++
			}
		}
	}
	for i, id := range p.s.of {
		if id < 0 {
			continue
		}
		e := &p.seen[i]
		st.Ratio += e.ratio
		st.RatioMax = max(st.RatioMax, e.ratio)
		st.KL += e.kl
		st.Entropy += e.entropy
		st.LogProb += e.logp
		switch e.clipped {
		case -1:
			st.ClippedLow++
		case 1:
			st.ClippedHigh++
		}
		if p.a.Old != nil {
			d := math.Abs(float64(p.a.Old[i]) - e.logp)
			st.Mismatch += d
			st.MismatchMax = max(st.MismatchMax, d)
		}
	}
	for _, x := range []*float64{&st.Ratio, &st.KL, &st.Entropy, &st.LogProb, &st.ClippedLow, &st.ClippedHigh, &st.Mismatch} {
		*x /= float64(max(1, st.Tokens))
	}
	st.Masked /= float64(max(1, st.Sequences))
	return st
}
