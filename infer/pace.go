package infer

// Whether guessing pays, by measurement. The rule: of all numbers k of guesses per sequence, that one is taken whose
// expected tokens per second are largest,
//
//	Σ_i (1 + a_i + a_i² + ... + a_i^k) / (t(rows) + guesses·g)
//
// a_i is how often a guess of sequence i was right lately (odds), t the time that a step of so many rows took lately,
// g the time of a guess. k = 0 is not to guess, and is measured first. The time of a size that was not seen lately lies
// on the line between its neighbours; beyond the largest that was seen it is taken to be no longer, so that it is
// tried. What was measured long ago is forgotten, and odds that are not tested drift back to one half: guessing that was
// switched off is tried again from time to time.

import (
	"time"

	"github.com/haenyeo/haenyeo/forward"
)

// pace knows how long steps take.
type pace struct {
	now   func() time.Time
	steps [forward.Short + 1]timing // by rows
	guess float64                   // seconds of one guess
	clock int                       // steps so far
}

// timing is the mean time of a step, of late.
type timing struct {
	seconds float64
	at      int // clock when it was measured last; 0: never
}

const (
	paceWeight = 0.2 // of the newest measurement
	paceMemory = 512 // steps after which a measurement is forgotten
)

// stepped takes note of the time of a step of rows tokens.
func (p *pace) stepped(rows int, d time.Duration) {
	p.clock++
	if rows >= len(p.steps) {
		return
	}
	t := &p.steps[rows]
	if !p.knows(rows) {
		t.seconds = d.Seconds()
	} else {
		t.seconds += paceWeight * (d.Seconds() - t.seconds)
	}
	t.at = p.clock
}

// guessed takes note of the time of k guesses that cost any.
func (p *pace) guessed(k int, d time.Duration) {
	one := d.Seconds() / float64(k)
	if p.guess == 0 {
		p.guess = one
	}
	p.guess += paceWeight * (one - p.guess)
}

// knows says whether a step of rows tokens was measured of late.
func (p *pace) knows(rows int) bool {
	t := &p.steps[rows]
	return t.at > 0 && p.clock-t.at <= paceMemory
}

// cost is about the time of a step of rows tokens. A smaller one is known.
func (p *pace) cost(rows int) float64 {
	lo, hi := rows, rows
	for !p.knows(lo) {
		lo--
	}
	for hi < len(p.steps) && !p.knows(hi) {
		hi++
	}
	seconds := p.steps[lo].seconds
	if lo < rows && hi < len(p.steps) {
		seconds += (p.steps[hi].seconds - seconds) * float64(rows-lo) / float64(hi-lo)
	}
	return seconds
}

// best is how many tokens each of the sequences with odds should guess, at most most, beside others that read one token.
func (p *pace) best(who []*odds, others, most int) (k int) {
	plain := others + len(who)
	if len(who) == 0 || plain > forward.Short || !p.knows(plain) {
		return 0
	}
	var rate float64
	for try := 0; try <= most; try++ {
		rows := plain + len(who)*try
		if rows > forward.Short {
			break
		}
		tokens, slow := float64(others), 0
		for _, o := range who {
			term := 1.0
			for range try + 1 {
				tokens += term
				term *= o.rate()
			}
			if o.costs {
				slow += try
			}
		}
		seconds := p.cost(rows) + float64(slow)*p.guess
		if r := tokens / seconds; r > rate {
			rate, k = r, try
		}
	}
	return k
}

// odds is how often guesses are right.
type odds struct {
	right, judged float64
	costs         bool // a guess takes time
}

const oddsMemory = 0.96 // of earlier guesses, when new ones are judged or none is made

// rate is the share of right guesses, one half before any was judged.
func (o *odds) rate() float64 { return (o.right + 1) / (o.judged + 2) }

// judge takes note of guesses of which the first right ones were right: the next was wrong, what follows is unknown.
func (o *odds) judge(guesses, right int) {
	o.forget()
	o.right += float64(right)
	o.judged += float64(min(guesses, right+1))
}

func (o *odds) forget() {
	o.right *= oddsMemory
	o.judged *= oddsMemory
}
