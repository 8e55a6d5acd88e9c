package infer

// How one id is chosen from logits. Order of the cuts: temperature, top-k, top-p, min-p, draw (as
// transformers does), all in float64, ties to the lower id.

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Sampling says how the next token is drawn. The zero value is greedy.
type Sampling struct {
	Temperature float64 // 0: always the largest logit
	TopK        int     // keep the K most probable; 0: all
	TopP        float64 // keep the fewest most probable that sum to at least P; 0 or 1: all
	MinP        float64 // keep those at least MinP times as probable as the first; 0: all
	Seed        uint64  // same seed, same prompt, same model: same text
}

// Validate reports the first value out of its range.
func (s Sampling) Validate() error {
	switch {
	case !(s.Temperature >= 0) || math.IsInf(s.Temperature, 0):
		return fmt.Errorf("infer: temperature %v: must be 0 or more", s.Temperature)
	case s.TopK < 0:
		return fmt.Errorf("infer: top-k %d: must be 0 (all) or more", s.TopK)
	case !(s.TopP >= 0 && s.TopP <= 1):
		return fmt.Errorf("infer: top-p %v: must be between 0 and 1", s.TopP)
	case !(s.MinP >= 0 && s.MinP <= 1):
		return fmt.Errorf("infer: min-p %v: must be between 0 and 1", s.MinP)
	}
	return nil
}

// ErrNotFinite says that logits hold NaN or +Inf: the weights are broken.
var ErrNotFinite = errors.New("infer: logits are not finite: the model's weights hold NaN or infinity, or overflow in this dtype")

// sampler draws ids with one random stream. Its buffers are reused: no allocation per token.
type sampler struct {
	Sampling
	rng  *rand.Rand
	cand []candidate
}

type candidate struct {
	id int32
	p  float64
}

func newSampler(s Sampling) *sampler {
	return &sampler{Sampling: s, rng: rand.New(rand.NewPCG(s.Seed, 0x6861656e79656f))}
}

// next picks an id from logits [V], which it only reads. Cost: V exponentials, and a sort of the
// candidates that can be inside the top-p nucleus.
func (s *sampler) next(logits []float32) (int32, error) {
	best, err := argmax(logits)
	if err != nil || s.Temperature == 0 {
		return best, err
	}
	top := float64(logits[best])
	all := s.cand[:0]
	var sum float64
	for i, l := range logits {
		p := math.Exp((float64(l) - top) / s.Temperature)
		sum += p
		all = append(all, candidate{int32(i), p})
	}
	s.cand = all
	if s.TopK > 0 && s.TopK < len(all) {
		all = keepLargest(all, s.TopK)
		sum = total(all)
	}
	if s.TopP > 0 && s.TopP < 1 {
		all = s.nucleus(all, sum)
		sum = total(all)
	}
	if s.MinP > 0 {
		n := 0
		for _, c := range all {
			if c.p >= s.MinP { // the largest p is exp(0) = 1
				all[n] = c
				n++
			}
		}
		all = all[:n]
		sum = total(all)
	}
	u := s.rng.Float64() * sum
	for _, c := range all {
		if u -= c.p; u < 0 {
			return c.id, nil
		}
	}
	return best, nil // rounding left u at the very end of the sum
}

// nucleus keeps the fewest most probable candidates whose sum reaches TopP·sum. Candidates below
// (1−TopP)·sum/len cannot be needed: together they weigh less than 1−TopP. Dropping them first
// makes the sort short.
func (s *sampler) nucleus(all []candidate, sum float64) []candidate {
	floor := (1 - s.TopP) * sum / float64(len(all))
	n := 0
	for _, c := range all {
		if c.p >= floor {
			all[n] = c
			n++
		}
	}
	all = all[:n]
	slices.SortFunc(all, byProbability)
	var acc float64
	for i, c := range all {
		if acc += c.p; acc >= s.TopP*sum {
			return all[:i+1]
		}
	}
	return all
}

// keepLargest returns the k most probable candidates of all, in all's memory, by a heap whose root
// is the least of those kept.
func keepLargest(all []candidate, k int) []candidate {
	h := all[:k]
	for i := k/2 - 1; i >= 0; i-- {
		siftDown(h, i)
	}
	for _, c := range all[k:] {
		if byProbability(c, h[0]) < 0 {
			h[0] = c
			siftDown(h, 0)
		}
	}
	slices.SortFunc(h, byProbability)
	return h
}

func siftDown(h []candidate, i int) {
	for {
		worst := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(h); c++ {
			if byProbability(h[c], h[worst]) > 0 {
				worst = c
			}
		}
		if worst == i {
			return
		}
		h[i], h[worst] = h[worst], h[i]
		i = worst
	}
}

// byProbability orders the most probable first, ties by id.
func byProbability(a, b candidate) int {
	switch {
	case a.p > b.p:
		return -1
	case a.p < b.p:
		return 1
	}
	return int(a.id) - int(b.id)
}

func total(cs []candidate) float64 {
	var s float64
	for _, c := range cs {
		s += c.p
	}
	return s
}

// argmax returns the lowest index of the largest logit. -Inf is a legal logit (a masked token).
func argmax(logits []float32) (int32, error) {
	best, top := -1, float32(math.Inf(-1))
	for i, l := range logits {
		if l > top {
			best, top = i, l
		}
		if l != l {
			return 0, ErrNotFinite
		}
	}
	if best < 0 || math.IsInf(float64(top), 1) {
		return 0, ErrNotFinite
	}
	return int32(best), nil
}
