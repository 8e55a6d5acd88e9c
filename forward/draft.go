// This file holds drafting with the multi-token prediction layer: guesses of the tokens after the next,
// from what the main model leaves of every token, with a cache of the layer's own.
// Source: DeepSeek-V3 report, section 2.2; fed with its own output the layer guesses further ahead.

package forward

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
)

// Draft is what the MTP layer keeps of a sequence. The layer may begin anywhere in it: what came before
// is unknown to it, which makes guesses worse and nothing else.
type Draft struct {
	cache *Cache    // of one layer
	state []float32 // [S·D] what the layer left of the last token, its input when it feeds itself
}

// NewDraft makes an empty draft for at most max tokens. The Net must have been opened with MTP.
func (n *Net) NewDraft(max int) (*Draft, error) {
	if n.mtp == nil && n.cfg.NumNextnPredictLayers == 0 {
		return nil, errors.New("forward: the model has no MTP layer that could guess tokens")
	}
	if n.mtp == nil {
		return nil, errors.New("forward: drafts asked of a model opened without its MTP layer: set Options.MTP")
	}
	d := &Draft{cache: &Cache{net: n, max: max, layers: []layerCache{n.mtp.newCache()}}, state: make([]float32, n.StateSize())}
	if err := d.cache.fits(max); err != nil {
		return nil, err
	}
	return d, nil
}

// Len is the number of tokens held.
func (d *Draft) Len() int { return d.cache.Len() }

// Truncate forgets tokens as Cache.Truncate does.
func (d *Draft) Truncate(n int) int { return d.cache.Truncate(n) }

// Follow reads T tokens by what the main model left of them, and returns logits [V] for the token after
// the next ones. They are the Net's memory, valid until its next run.
//
//	states [T,S·D] read, as Step.States   next [T] read: the tokens that came after
func (n *Net) Follow(ctx context.Context, d *Draft, states []float32, next []int32) ([]float32, error) {
	if len(next) == 0 || len(states) != len(next)*n.StateSize() {
		return nil, fmt.Errorf("forward: %d floats of states for %d tokens of %d", len(states), len(next), n.StateSize())
	}
	size, most := n.StateSize(), n.opt.MaxTokens
	for ; len(next) > most; states, next = states[most*size:], next[most:] {
		if _, err := n.draft(ctx, d, states[:most*size], next[:most], false, false); err != nil {
			return nil, err
		}
	}
	return n.draft(ctx, d, states, next, false, true)
}

// Guess goes on from the layer's own output: next is the token that was drawn from the logits before.
func (n *Net) Guess(ctx context.Context, d *Draft, next int32) ([]float32, error) {
	if d.Len() == 0 {
		return nil, errors.New("forward: a guess needs tokens to follow first")
	}
	return n.draft(ctx, d, d.state, []int32{next}, true, true)
}

// draft runs the MTP layer. own says that states are its own output.
func (n *Net) draft(ctx context.Context, d *Draft, states []float32, next []int32, own, wanted bool) (logits []float32, err error) {
	if d.cache.net != n {
		return nil, errors.New("forward: the draft belongs to another model")
	}
	if err := n.checkTokens(next); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := d.cache.reserve(len(next)); err != nil {
		return nil, err
	}
	defer n.src.CatchFault(debug.SetPanicOnFault(true), &err)
	p, start := &n.pass, d.cache.n
	done := false
	n.spans = append(n.spans[:0], span{cache: d.cache, hi: len(next), start: start, tokens: next})
	defer func() {
		if !done {
			n.rollBack(n.spans)
		}
	}()
	defer n.awake(ctx)()
	defer p.leave()
	p.begin(n, n.spans)
	p.layer = len(n.layers)
	copy(p.stream, states)
	x := p.floats(p.n * n.cfg.HiddenSize)
	n.mtp.predict(p, 0, x, next, own)
	if p.err != nil {
		return nil, fmt.Errorf("forward: the MTP layer: %w", p.err)
	}
	if r := n.firstBad(); r >= 0 {
		return nil, fmt.Errorf("forward: the MTP layer gives NaN or infinity at position %d: its weights hold such values, or are far too large", start+r)
	}
	size := n.StateSize()
	copy(d.state, p.stream[(p.n-1)*size:p.n*size])
	if wanted {
		v := n.cfg.VocabSize
		if len(n.guess) < v {
			n.guess = make([]float32, v)
		}
		logits = n.guess[:v:v]
		n.multiplyHead(logits, x[(p.n-1)*n.cfg.HiddenSize:], 1)
		if err := n.checkLogits(logits, p.pos[p.n-1]); err != nil {
			return nil, fmt.Errorf("%w (of the MTP layer)", err)
		}
	}
	done = true
	n.advance(n.spans)
	return logits, nil
}

// DraftBytes is the memory that a draft takes which was made for tokens tokens and holds as many.
func (n *Net) DraftBytes(tokens int) int64 {
	if n.mtp == nil {
		return 0
	}
	return n.mtp.newCache().bytes(tokens)
}
