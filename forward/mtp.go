// This file holds multi-token prediction: one more layer that predicts token i+2 from the main model's
// state at i and the embedding of token i+1.
// Source: DeepSeek-V3 report, section 2.2; order of the concatenation as in the published weights.

package forward

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/haenyeo/haenyeo/kernel"
)

// predictor is a multi-token prediction layer.
type predictor interface {
	// predict writes the normalised states y [n,D] that the head multiplies. next [n] are the tokens
	// behind those of p, whose stream is the main model's after its last layer, or what predict left
	// there before (own), and is overwritten. Its caches are those of number i.
	predict(p *pass, i int, y []float32, next []int32, own bool)
	newCache() layerCache
}

// mtp is the prediction layer of V3: y_i = norm(Block(W_eh [ enorm(Emb(t_{i+1})) | hnorm(h_i) ])).
type mtp struct {
	enorm, hnorm *norm
	proj         *kernel.Stored // eh_proj [D,2D], columns [embedding | state]
	block        *block
	norm         *norm // shared_head.norm
	beforeNorm   bool  // h is the state before the main model's final norm, not after it
}

func (m *mtp) newCache() layerCache { return m.block.newCache() }

func (m *mtp) predict(p *pass, i int, y []float32, next []int32, own bool) {
	mark := p.mark()
	d := m.proj.N
	x, u := p.floats(p.n*d), p.floats(p.n*2*d)
	p.net.embedTokens(x, next)
	m.enorm.strided(p, u, 2*d, x, d, p.n)
	h := p.stream
	if !m.beforeNorm && !own {
		h = x
		p.net.output.finish(p, h, 0, p.n)
	}
	m.hnorm.strided(p, u[d:], 2*d, h, d, p.n)
	p.linear(p.stream, d, m.proj, u, 2*d, false)
	m.block.forward(p, i)
	m.norm.apply(p, y, p.stream, p.n)
	p.rewind(mark)
}

// MTPLogits returns the logits [T-1,V] of the MTP layer for the T tokens of a text: row i predicts
// token i+2.
func (n *Net) MTPLogits(ctx context.Context, tokens []int32) (logits []float32, err error) {
	switch {
	case n.mtp == nil:
		return nil, errors.New("forward: MTP logits asked of a model opened without its MTP layer: set Options.MTP")
	case len(tokens) < 2:
		return nil, errors.New("forward: MTP logits need at least two tokens")
	}
	if err := n.checkTokens(tokens); err != nil {
		return nil, err
	}
	c := n.emptyCache(len(tokens))
	c.layers = append(c.layers, n.mtp.newCache())
	if err := c.fits(len(tokens)); err != nil {
		return nil, err
	}
	defer n.src.CatchFault(debug.SetPanicOnFault(true), &err)
	defer n.pass.leave()
	d, v, last := n.cfg.HiddenSize, n.cfg.VocabSize, len(tokens)-1
	logits = make([]float32, last*v)
	for lo := 0; lo < last; lo += n.opt.MaxTokens {
		hi := min(lo+n.opt.MaxTokens, last)
		n.spans = append(n.spans[:0], span{cache: c, hi: hi - lo, start: lo, tokens: tokens[lo:hi]})
		if err := n.walk(ctx, n.spans, n.layers); err != nil {
			return nil, err
		}
		p := &n.pass
		x := p.floats(p.n * d)
		p.layer = len(n.layers)
		rest := n.awake(ctx)
		n.mtp.predict(p, len(n.layers), x, tokens[lo+1:hi+1], false)
		rest()
		if p.err != nil {
			return nil, fmt.Errorf("forward: the MTP layer: %w", p.err)
		}
		n.multiplyHead(logits[lo*v:], x, p.n)
		n.advance(n.spans)
	}
	for i := range last {
		if err := n.checkLogits(logits[i*v:][:v], int32(i)); err != nil {
			return nil, fmt.Errorf("%w (of the MTP layer)", err)
		}
	}
	return logits, nil
}
