package infer

// What changes logits before a token is drawn, in this order: logit bias, allowed ids, the repetition penalty, the
// presence and frequency penalties, and the two rules of repeat.go.
//
//	repetition   l > 0: l / θ, else l·θ, for every distinct token of the window    (Keskar and others, CTRL, 2019)
//	presence     l - α  for every distinct token of the answer in the window
//	frequency    l - β·count
//
// The answer's tokens alone count for presence and frequency, as OpenAI documents them: tokens sampled before.
// Repetition counts the prompt too, as in transformers.

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// rules changes logits by what stands in the context. It holds the context as far as a rule looks at it.
type rules struct {
	Sampling
	history []int32 // prompt and answer
	prompt  int     // tokens of history that are the prompt
	made    []int32 // history[prompt:]
	work    []float32
	count   []int32 // [V] scratch, zero between calls
	z       []int32 // see repeats

	tokenBytes func(id int32) []byte
	breakers   []int32 // DRY.Breakers in order
	texts      [][]byte
	tail       []byte // bytes of the last tokens, where a breaker text may have begun
	lastBreak  int    // index in history of the last token that ends a breaker, -1: none
}

func newRules(s Sampling, prompt []int32, tokenBytes func(id int32) []byte) rules {
	r := rules{Sampling: s, prompt: len(prompt), tokenBytes: tokenBytes, lastBreak: -1}
	if s.DRY.Multiplier > 0 {
		r.breakers = slices.Sorted(slices.Values(s.DRY.Breakers))
		for _, t := range s.DRY.BreakerTexts {
			r.texts = append(r.texts, []byte(t))
		}
	}
	if r.active() {
		r.history = slices.Grow(r.history, 2*len(prompt))
		for _, id := range prompt {
			r.accept(id)
		}
	}
	return r
}

func (s *Sampling) repeats() bool { return s.RepetitionPenalty > 0 && s.RepetitionPenalty != 1 }
func (s *Sampling) counts() bool  { return s.PresencePenalty != 0 || s.FrequencyPenalty != 0 }

// active says whether any rule is in use: without one the logits are not even copied.
func (s *Sampling) active() bool {
	return len(s.Bias) > 0 || s.Allowed != nil || s.repeats() || s.counts() || s.DRY.Multiplier > 0 || s.NoRepeat.N > 0
}

func (s *Sampling) validateRules() error {
	usable := func(v float64) bool { return math.Abs(v) <= 1e6 } // larger ones would overflow float32
	switch {
	case s.RepetitionPenalty != 0 && !(s.RepetitionPenalty >= 0.01 && s.RepetitionPenalty <= 100):
		return fmt.Errorf("infer: repetition penalty %v: must be between 0.01 and 100, 1 is none", s.RepetitionPenalty)
	case !usable(s.PresencePenalty):
		return fmt.Errorf("infer: presence penalty %v: must be a number of at most a million", s.PresencePenalty)
	case !usable(s.FrequencyPenalty):
		return fmt.Errorf("infer: frequency penalty %v: must be a number of at most a million", s.FrequencyPenalty)
	case s.PenaltyWindow < 0:
		return fmt.Errorf("infer: penalty window %d: must be 0 (all) or more", s.PenaltyWindow)
	}
	for id, b := range s.Bias {
		if !usable(b) && !math.IsInf(b, -1) || id < 0 {
			return fmt.Errorf("infer: logit bias %v for id %d: must be a number of at most a million, or -Inf, for an id of the vocabulary", b, id)
		}
	}
	if err := s.DRY.validate(); err != nil {
		return err
	}
	return s.NoRepeat.validate()
}

// accept takes note of a token of the prompt or the answer.
func (r *rules) accept(id int32) {
	if !r.active() {
		return
	}
	r.history = append(r.history, id)
	r.made = r.history[min(r.prompt, len(r.history)):]
	if len(r.texts)+len(r.breakers) > 0 && r.breaks(id) {
		r.lastBreak = len(r.history) - 1
	}
}

// breaks says whether a breaker ends within this next token.
func (r *rules) breaks(id int32) bool {
	_, found := slices.BinarySearch(r.breakers, id)
	if len(r.texts) == 0 {
		return found
	}
	before := len(r.tail)
	r.tail = append(r.tail, r.tokenBytes(id)...)
	longest := 0
	for _, t := range r.texts {
		found = found || bytes.Contains(r.tail[max(0, before-len(t)+1):], t)
		longest = max(longest, len(t))
	}
	if over := len(r.tail) - (longest - 1); over > 0 {
		r.tail = append(r.tail[:0], r.tail[over:]...)
	}
	return found
}

// isBreaker says whether a token holds a whole breaker.
func (r *rules) isBreaker(id int32) bool {
	if _, found := slices.BinarySearch(r.breakers, id); found {
		return true
	}
	for _, t := range r.texts {
		if bytes.Contains(r.tokenBytes(id), t) {
			return true
		}
	}
	return false
}

// apply returns logits as the rules change them, in memory of its own.
func (r *rules) apply(logits []float32) ([]float32, error) {
	if !r.active() {
		return logits, nil
	}
	r.work = append(r.work[:0], logits...)
	if len(r.count) < len(logits) {
		r.count = make([]int32, len(logits))
	}
	x := r.work
	for id, b := range r.Bias {
		if int(id) >= len(x) {
			return nil, fmt.Errorf("infer: logit bias for id %d: the vocabulary has %d ids", id, len(x))
		}
		x[id] += float32(b)
	}
	if r.Allowed != nil {
		set := r.Allowed(r.made)
		if set == nil {
			return nil, errComplete
		}
		restrict(x, set)
	}
	if r.repeats() {
		r.tally(lastOf(r.history, r.PenaltyWindow), func(id int32, _ int32) {
			l := float64(x[id])
			if l > 0 {
				l /= r.RepetitionPenalty
			} else {
				l *= r.RepetitionPenalty
			}
			x[id] = float32(l)
		})
	}
	if r.counts() {
		r.tally(lastOf(r.made, r.PenaltyWindow), func(id int32, n int32) {
			x[id] -= float32(r.PresencePenalty + r.FrequencyPenalty*float64(n))
		})
	}
	if r.DRY.Multiplier > 0 {
		r.applyDRY(x)
	}
	if r.NoRepeat.N > 0 {
		r.applyNoRepeat(x)
	}
	return x, nil
}

// restrict bans the ids that are not in a set.
func restrict(x []float32, allowed []uint64) {
	var none [64]float32
	for j := range none {
		none[j] = float32(math.Inf(-1))
	}
	for i := 0; i < len(x); i += 64 {
		row := x[i:min(i+64, len(x))]
		var set uint64
		if i/64 < len(allowed) {
			set = allowed[i/64]
		}
		if set == 0 { // by far the most words of strict grammars
			copy(row, none[:])
			continue
		}
		for banned := ^set; banned != 0; banned &= banned - 1 {
			if j := bits.TrailingZeros64(banned); j < len(row) {
				row[j] = none[0]
			}
		}
	}
}

// tally calls f with every distinct token of window and how often it is there.
func (r *rules) tally(window []int32, f func(id, n int32)) {
	for _, id := range window {
		if r.known(id) {
			r.count[id]++
		}
	}
	for _, id := range window {
		if r.known(id) && r.count[id] > 0 {
			f(id, r.count[id])
			r.count[id] = 0
		}
	}
}

// known says whether id has a logit.
func (r *rules) known(id int32) bool { return id >= 0 && int(id) < len(r.work) }

// lastOf returns the last n of s, all for 0.
func lastOf(s []int32, n int) []int32 {
	if n > 0 && n < len(s) {
		return s[len(s)-n:]
	}
	return s
}
