package infer

// How one id is chosen from logits. The order of operations, each on what the one before left:
//
//	rules.go    logit bias; allowed ids; repetition, presence and frequency penalties; DRY; no-repeat n-grams
//	sample.go   temperature; top-k; top-p; min-p; typical-p; draw
//
// Biases and penalties come before the temperature, as in llama.cpp and vLLM; the cuts come after it and in the
// order of transformers. Ties go to the lower id. At temperature 0 the largest logit is taken after the rules, and
// nothing is cut or drawn.
//
// No step sorts the vocabulary. One pass over the logits keeps the maximum of every block of 64; later passes skip
// the blocks that cannot hold what they look for (select.go).

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// Sampling says how the next token is chosen. The zero value is greedy.
type Sampling struct {
	Temperature float64 // 0: always the largest logit
	TopK        int     // keep the K most probable; 0: all
	TopP        float64 // keep the fewest most probable that sum to at least P; 0 or 1: all
	MinP        float64 // keep those at least MinP times as probable as the first; 0: all
	TypicalP    float64 // keep the fewest whose surprise is nearest to the expected one that sum to at least P; 0 or 1: all
	Seed        uint64  // same seed, same prompt, same model: same text

	// Penalties on tokens among the last PenaltyWindow of the context (0: all of it).
	RepetitionPenalty float64 // divides positive logits and multiplies negative ones; counts prompt and answer; 0 or 1: none
	PresencePenalty   float64 // taken from the logit of every token of the answer
	FrequencyPenalty  float64 // taken from it as often as the token stands in the answer
	PenaltyWindow     int

	DRY      DRY
	NoRepeat NoRepeat

	Bias map[int32]float64 // added to the logits of these ids; -Inf bans one

	// Allowed, if not nil, is asked before every token which ids may come next, for grammars. It is given the ids made
	// so far and returns a set: bit id%64 of word id/64. It keeps both slices. nil says that the answer is complete: it
	// ends as if by an end token. What is made never shrinks: guesses that are not kept are never in it.
	Allowed func(made []int32) []uint64
}

// ErrNotFinite says that logits hold NaN or +Inf: the weights are broken.
var ErrNotFinite = errors.New("infer: logits are not finite: the model's weights hold NaN or infinity, or overflow in this dtype")

// ErrNothingAllowed says that the rules leave no token to choose.
var ErrNothingAllowed = errors.New("infer: no token is allowed here: logit bias, allowed ids and the no-repeat rule ban all of them: ban fewer")

// errComplete says that Sampling.Allowed ended the answer.
var errComplete = errors.New("infer: the answer is complete")

// Validate reports the first value out of its range.
func (s Sampling) Validate() error {
	for _, p := range []struct {
		name  string
		value float64
	}{{"top-p", s.TopP}, {"min-p", s.MinP}, {"typical-p", s.TypicalP}} {
		if !(p.value >= 0 && p.value <= 1) {
			return fmt.Errorf("infer: %s %v: must be between 0 and 1", p.name, p.value)
		}
	}
	switch {
	case !(s.Temperature >= 0) || math.IsInf(s.Temperature, 0):
		return fmt.Errorf("infer: temperature %v: must be 0 or more", s.Temperature)
	case s.TopK < 0:
		return fmt.Errorf("infer: top-k %d: must be 0 (all) or more", s.TopK)
	}
	return s.validateRules()
}

// sampler chooses the tokens of one answer, with one random stream. Its buffers are used again: no allocation per
// token once they have grown.
type sampler struct {
	rules
	blocks
	rng           *rand.Rand
	source        *rand.PCG // of rng
	cand, scratch []candidate
}

// newSampler begins an answer to prompt. tokenBytes gives the bytes of a token; only DRY.BreakerTexts need it.
func newSampler(s Sampling, prompt []int32, tokenBytes func(id int32) []byte) *sampler {
	source := rand.NewPCG(s.Seed, 0x6861656e79656f)
	return &sampler{rules: newRules(s, prompt, tokenBytes), rng: rand.New(source), source: source}
}

// next chooses an id from logits [V], which it only reads.
func (s *sampler) next(logits []float32) (int32, error) {
	x, err := s.apply(logits)
	if err != nil {
		return 0, err
	}
	best, err := s.scan(x)
	if err != nil {
		if _, broken := s.scan(logits); broken == nil {
			err = ErrNothingAllowed
		}
		return 0, err
	}
	if scale := 1 / s.Temperature; scale < 1e300 {
		best = s.draw(x, best, scale)
	}
	s.accept(best)
	return best, nil
}

// draw chooses at random among the ids that the cuts leave. x [V] was scanned, best is its largest, scale one over
// the temperature.
func (s *sampler) draw(x []float32, best int32, scale float64) int32 {
	d := distribution{x: x, top: float64(x[best]), scale: scale, blocks: &s.blocks}
	topP := s.TopP > 0 && s.TopP < 1
	typical := s.TypicalP > 0 && s.TypicalP < 1
	var sum float64 // of the weights of all candidates
	switch {
	case s.TopK > 0 && s.TopK < len(x):
		s.cand = d.largestK(s.cand, s.TopK)
		s.keep(s.TopK)
		sum = d.weigh(s.cand)
	case topP:
		sum = d.sum()
		s.cand, s.scratch = d.most(s.cand, s.scratch, s.TopP, sum)
	case s.MinP > 0:
		s.cand = d.atLeast(s.cand, d.logit(s.MinP))
		sum = d.weigh(s.cand)
	case typical:
		s.cand = d.atLeast(s.cand, d.logit(leastWeight))
		sum = d.weigh(s.cand)
	default:
		if id, ok := d.pick(s.rng.Float64() * d.sum()); ok {
			return id
		}
		return best
	}
	if topP {
		sum = s.nucleus(s.TopP * sum)
	}
	if s.MinP > 0 {
		sum = s.filter(func(c candidate) bool { return c.weight >= s.MinP }) // the largest weight is exp(0) = 1
	}
	if typical {
		sum = s.typical(&d, sum)
	}
	u := s.rng.Float64() * sum
	for _, c := range s.cand {
		if u -= c.weight; u < 0 {
			return c.id
		}
	}
	return best // rounding left u at the very end of the sum
}

// keep cuts the candidates to the k of the largest key.
func (s *sampler) keep(k int) {
	if k < len(s.cand) {
		for i := range s.cand {
			s.cand[i].weight = 1
		}
		s.nucleus(float64(k))
	}
}

// nucleus cuts the candidates to the fewest of the largest key whose weights sum to target, and returns what they
// weigh. The candidates stay in the order of their ids, so that logits that differ by rounding draw the same id.
func (s *sampler) nucleus(target float64) float64 {
	s.scratch = append(s.scratch[:0], s.cand...)
	last := cutoff(s.scratch, target)
	return s.filter(func(c candidate) bool { return !last.before(c) })
}

// typical keeps the fewest candidates whose surprise -ln p is nearest to the expected surprise, until they hold
// TypicalP of the sum. Source: Meister and others, Locally typical sampling, 2022.
func (s *sampler) typical(d *distribution, sum float64) float64 {
	logSum := math.Log(sum)
	var entropy float64
	for _, c := range s.cand {
		if c.weight > 0 {
			entropy += c.weight / sum * (logSum - d.exponent(c.key))
		}
	}
	for i := range s.cand {
		c := &s.cand[i]
		c.key = -float32(math.Abs(logSum - d.exponent(c.key) - entropy))
	}
	return s.nucleus(s.TypicalP * sum)
}

// filter drops the candidates that keep refuses and returns the sum of the weights of the others.
func (s *sampler) filter(keep func(candidate) bool) (sum float64) {
	n := 0
	for _, c := range s.cand {
		if keep(c) {
			s.cand[n] = c
			n++
			sum += c.weight
		}
	}
	s.cand = s.cand[:n]
	return sum
}
