// This file holds the path of tokens through a Net: steps become passes, passes walk through the layers,
// and the rows that are asked for meet the head.

package forward

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/haenyeo/haenyeo/kernel"
)

// Step is some tokens of one sequence.
type Step struct {
	Cache  *Cache  // what was read before; the tokens are added to it
	Tokens []int32 // at least one

	// Each, if set, is called with the logits [V] after every token; i counts the tokens of the step.
	// The slice is valid during the call.
	Each func(i int, logits []float32) error

	// Every asks for the logits after every token, of a step of at most Short.
	Every bool

	// States [T,S·D], if set, receives what the last layer leaves of every token in the S residual
	// streams (1, but for V4): what Follow reads.
	States []float32

	// Hidden [T,D], if set, receives the normalised state of every token: what the head is multiplied with.
	Hidden []float32

	// Logits [V] after the last token, or [T,V] with Every, are written by Run. They are the Net's
	// memory, valid until its next Run.
	Logits []float32
}

// Short is how many tokens are read with the bits that each would have if they were read one by one:
// products of so few rows sum every row by itself (kernel.FewRows), and so does attention. Steps of at
// most Short tokens are run together, so many tokens at a time.
const Short = kernel.FewRows

const (
	// headRows is how many rows meet the head at once when all logits are wanted.
	headRows = 64
)

// Run reads the tokens of steps. Short steps are run together, longer ones one after the other in
// chunks of MaxTokens: nothing of a sequence depends on its neighbours. When it fails (ctx ended,
// Each failed, the file of the weights was cut), every cache holds as many tokens as its Len says, and
// Run can be called again for the rest.
func (n *Net) Run(ctx context.Context, steps []*Step) (err error) {
	if err := n.check(steps); err != nil {
		return err
	}
	defer n.src.CatchFault(debug.SetPanicOnFault(true), &err)
	defer n.pass.leave()
	n.giveLogits(steps)
	for lo := 0; lo < len(steps); {
		lo, err = n.runShort(ctx, steps, lo)
		if err != nil {
			return err
		}
	}
	for _, s := range steps {
		if len(s.Tokens) > n.short() {
			if err := n.runLong(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// check refuses steps that cannot be run.
func (n *Net) check(steps []*Step) error {
	if len(steps) == 0 {
		return errors.New("forward: no steps to run")
	}
	for i, s := range steps {
		switch {
		case s.Cache == nil || s.Cache.net != n:
			return fmt.Errorf("forward: step %d: its cache belongs to another model", i)
		case len(s.Tokens) == 0:
			return fmt.Errorf("forward: step %d has no tokens", i)
		case s.Every && len(s.Tokens) > n.short():
			return fmt.Errorf("forward: step %d asks for the logits after every one of %d tokens, at most %d are given: use Each", i, len(s.Tokens), n.short())
		case s.States != nil && len(s.States) < len(s.Tokens)*n.StateSize():
			return fmt.Errorf("forward: step %d: States have room for %d floats, %d tokens need %d", i, len(s.States), len(s.Tokens), len(s.Tokens)*n.StateSize())
		}
		if s.Hidden != nil && len(s.Hidden) < len(s.Tokens)*n.cfg.HiddenSize {
			return fmt.Errorf("forward: step %d: Hidden has room for %d floats, %d tokens need %d", i, len(s.Hidden), len(s.Tokens), len(s.Tokens)*n.cfg.HiddenSize)
		}
		for _, t := range steps[:i] {
			if t.Cache == s.Cache {
				return fmt.Errorf("forward: step %d: another step has the same cache", i)
			}
		}
		if err := n.checkTokens(s.Tokens); err != nil {
			return err
		}
	}
	return nil
}

func (n *Net) checkTokens(tokens []int32) error {
	for i, t := range tokens {
		if t < 0 || int(t) >= n.cfg.VocabSize {
			return fmt.Errorf("forward: token %d has id %d, the vocabulary has %d: is this the tokenizer of this model?", i, t, n.cfg.VocabSize)
		}
	}
	return nil
}

// short is how many tokens are run together.
func (n *Net) short() int { return min(Short, n.opt.MaxTokens) }

// StateSize is the size S·D of the residual streams of a token.
func (n *Net) StateSize() int { return n.streams * n.cfg.HiddenSize }

// wanted is how many rows of logits are computed for s at once.
func (n *Net) wanted(s *Step) int {
	if s.Every || s.Each != nil && len(s.Tokens) <= n.short() {
		return len(s.Tokens)
	}
	return 1
}

// giveLogits gives every step its room for logits.
func (n *Net) giveLogits(steps []*Step) {
	v, rows := n.cfg.VocabSize, 0
	for _, s := range steps {
		rows += n.wanted(s)
	}
	if len(n.logits) < rows*v {
		n.logits = make([]float32, rows*v)
	}
	at := 0
	for _, s := range steps {
		end := at + n.wanted(s)*v
		s.Logits = n.logits[at:end:end]
		at = end
	}
}

// runShort runs short steps, from steps[lo] on, as many as are run together, and returns where it
// stopped.
func (n *Net) runShort(ctx context.Context, steps []*Step, lo int) (int, error) {
	n.spans = n.spans[:0]
	hi, r := lo, 0
	for ; hi < len(steps); hi++ {
		s := steps[hi]
		if len(s.Tokens) > n.short() {
			continue
		}
		if r+len(s.Tokens) > n.short() {
			break
		}
		n.spans = append(n.spans, span{cache: s.Cache, lo: r, hi: r + len(s.Tokens), start: s.Cache.n, tokens: s.Tokens})
		r += len(s.Tokens)
	}
	if len(n.spans) == 0 {
		return hi, nil
	}
	if err := n.walk(ctx, n.spans, n.layers); err != nil {
		return hi, err
	}
	if err := n.shortLogits(steps[lo:hi]); err != nil {
		n.rollBack(n.spans)
		return hi, err
	}
	n.advance(n.spans)
	for _, s := range steps[lo:hi] {
		if len(s.Tokens) > n.short() || s.Each == nil {
			continue
		}
		v := n.cfg.VocabSize
		for i := range s.Tokens {
			if err := s.Each(i, s.Logits[i*v:][:v]); err != nil {
				return hi, err
			}
		}
		if !s.Every {
			s.Logits = s.Logits[len(s.Logits)-v:]
		}
	}
	return hi, nil
}

// shortLogits computes the logits of the steps whose tokens are in the pass.
func (n *Net) shortLogits(steps []*Step) error {
	p := &n.pass
	d, v := n.cfg.HiddenSize, n.cfg.VocabSize
	x := p.floats(p.n * d)
	rows, at := 0, 0 // wanted, and read, before this step
	for _, s := range steps {
		if len(s.Tokens) > n.short() {
			continue
		}
		at += len(s.Tokens)
		n.keepStates(s.States, at-len(s.Tokens), at)
		if s.Hidden != nil {
			n.output.finish(p, s.Hidden, at-len(s.Tokens), at)
		}
		n.output.finish(p, x[rows*d:], at-n.wanted(s), at)
		rows += n.wanted(s)
	}
	out := p.floats(rows * v)
	n.multiplyHead(out, x, rows)
	at = 0
	for _, s := range steps {
		if len(s.Tokens) > n.short() {
			continue
		}
		copy(s.Logits, out)
		out = out[len(s.Logits):]
		at += len(s.Tokens)
		for i := range n.wanted(s) {
			if err := n.checkLogits(s.Logits[i*v:][:v], p.pos[at-n.wanted(s)+i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// keepStates copies the residual streams of rows [lo,hi) of the pass, where they are wanted.
func (n *Net) keepStates(states []float32, lo, hi int) {
	if states != nil {
		copy(states, n.pass.stream[lo*n.StateSize():hi*n.StateSize()])
	}
}

// runLong runs a step of several tokens in chunks.
func (n *Net) runLong(ctx context.Context, s *Step) error {
	for lo := 0; lo < len(s.Tokens); {
		hi := min(lo+n.opt.MaxTokens, len(s.Tokens))
		n.spans = append(n.spans[:0], span{cache: s.Cache, hi: hi - lo, start: s.Cache.n, tokens: s.Tokens[lo:hi]})
		if err := n.walk(ctx, n.spans, n.layers); err != nil {
			return err
		}
		if s.States != nil {
			n.keepStates(s.States[lo*n.StateSize():], 0, hi-lo)
		}
		if s.Hidden != nil {
			n.output.finish(&n.pass, s.Hidden[lo*n.cfg.HiddenSize:], 0, hi-lo)
		}
		if err := n.longLogits(s, lo, hi == len(s.Tokens)); err != nil {
			n.rollBack(n.spans)
			return err
		}
		n.advance(n.spans)
		lo = hi
	}
	return nil
}

// longLogits computes the logits of the rows of p that are wanted; the first is token base of s.
func (n *Net) longLogits(s *Step, base int, last bool) error {
	p := &n.pass
	d, v := n.cfg.HiddenSize, n.cfg.VocabSize
	if s.Each == nil {
		if !last {
			return nil
		}
		x := p.floats(d)
		n.output.finish(p, x, p.n-1, p.n)
		n.multiplyHead(s.Logits, x, 1)
		return n.checkLogits(s.Logits, p.pos[p.n-1])
	}
	for lo := 0; lo < p.n; lo += headRows {
		hi := min(lo+headRows, p.n)
		mark := p.mark()
		x, out := p.floats((hi-lo)*d), p.floats((hi-lo)*v)
		n.output.finish(p, x, lo, hi)
		n.multiplyHead(out, x, hi-lo)
		for r := lo; r < hi; r++ {
			copy(s.Logits, out[(r-lo)*v:][:v])
			if err := n.checkLogits(s.Logits, p.pos[r]); err != nil {
				return err
			}
			if err := s.Each(base+r, s.Logits); err != nil {
				return err
			}
		}
		p.rewind(mark)
	}
	return nil
}

// multiplyHead computes logits [rows,V] of normalised states x [rows,D].
func (n *Net) multiplyHead(out, x []float32, rows int) {
	p := &n.pass
	p.products = append(p.products[:0], kernel.StoredProduct{W: n.head, Y: out, LDY: n.head.N, X: x, LDX: n.head.K, Rows: rows})
	p.enter(Head)
	p.multiply(n.opt.DType)
	p.enter(Small)
}

// walk runs the tokens of spans through layers and leaves the residual stream in the pass. The caches
// hold the tokens afterwards, but do not count them before advance.
func (n *Net) walk(ctx context.Context, spans []span, layers []layer) error {
	for _, s := range spans {
		if err := s.cache.reserve(s.hi - s.lo); err != nil {
			return err
		}
	}
	done := false
	defer func() {
		if !done {
			n.rollBack(spans)
		}
	}()
	defer n.awake(ctx)()
	if r := n.residents; r != nil {
		if err := r.claim(int64(spans[len(spans)-1].hi)*r.row - 4*int64(len(n.pass.f))); err != nil {
			return err
		}
	}
	p := &n.pass
	p.begin(n, spans)
	n.embedTokens(p.stream, p.tokens)
	if r := n.firstBad(); r >= 0 {
		return fmt.Errorf("forward: the embedding of token id %d holds NaN or infinity: the file is damaged", p.tokens[r])
	}
	for i, l := range layers {
		if err := ctx.Err(); err != nil {
			return err
		}
		p.layer = i
		p.enter(Small)
		l.forward(p, i)
		p.grow()
		if p.err != nil {
			return fmt.Errorf("forward: layer %d: %w", i, p.err)
		}
		if r := n.firstBad(); r >= 0 {
			return fmt.Errorf("forward: layer %d gives NaN or infinity at position %d: its weights hold such values, or are far too large", i, p.pos[r])
		}
	}
	p.layer = -1
	p.enter(Small)
	done = true
	return nil
}

// embedTokens writes the embeddings [len(tokens),streams,D] of tokens, one copy for every stream.
func (n *Net) embedTokens(y []float32, tokens []int32) {
	d := n.cfg.HiddenSize
	for r, t := range tokens {
		row := y[r*n.streams*d:][:n.streams*d]
		n.embed.Rows(row[:d], int(t), int(t)+1)
		for c := 1; c < n.streams; c++ {
			copy(row[c*d:], row[:d])
		}
	}
}

// advance counts the tokens of spans as read.
func (n *Net) advance(spans []span) {
	for _, s := range spans {
		s.cache.n = s.start + s.hi - s.lo
	}
}

// rollBack brings the caches of spans back to before their tokens, or further where that is not possible.
func (n *Net) rollBack(spans []span) {
	for _, s := range spans {
		s.cache.n = s.start
		s.cache.Truncate(s.start)
	}
}

func (n *Net) checkLogits(logits []float32, pos int32) error {
	for _, v := range logits {
		if v-v != 0 {
			return fmt.Errorf("forward: the logits at position %d are not finite: the weights of the head or the last norm hold NaN or infinity", pos)
		}
	}
	return nil
}

// firstBad returns the first row of the stream that holds NaN or infinity, or -1.
func (n *Net) firstBad() int {
	t := &n.finite
	t.x, t.width = n.pass.stream, len(n.pass.stream)/n.pass.n
	t.bad = n.pass.bad
	n.e.Pool().Run(n.pass.n, t)
	for r, bad := range t.bad {
		if bad != 0 {
			return r
		}
	}
	return -1
}

// finiteTask marks rows with values that are not finite.
type finiteTask struct {
	x     []float32
	width int
	bad   []int32
}

// Do handles row r.
func (t *finiteTask) Do(_, r int) {
	t.bad[r] = 0
	if taint(t.x[r*t.width:][:t.width]) != 0 {
		t.bad[r] = 1
	}
}
