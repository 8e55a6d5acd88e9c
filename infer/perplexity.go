package infer

// Perplexity of a text, and how far a model is from another one on it. A text is cut into windows that do not
// overlap; each is read on its own, from an empty context, and its tokens but the first few are scored. The rest of
// the text that fills no window is left out, unless the text is shorter than one.
//
//	loss        mean of -ln p(token | tokens before it in its window), over the scored tokens
//	perplexity  exp(loss)
//	error       one standard error of the mean, √(var/(n-1)); of the perplexity: times the perplexity
//	kl          mean of Σ p ln(p/q), p of the other model (the reference), q of the measured one
//
// With Skip = Context/2+1 and Begin set to the begin token, where the model uses one, the windows are those of
// llama.cpp's llama-perplexity.

import (
	"context"
	"fmt"
	"math"

	"github.com/haenyeo/haenyeo/forward"
)

// PerplexityOptions say how a text is cut and scored. The zero value cuts windows of 512 tokens and scores all but
// the first of each.
type PerplexityOptions struct {
	Context int    // tokens of a window; 0: 512
	Skip    int    // tokens at the beginning of a window that are not scored; 0: 1, the one that nothing predicts
	Windows int    // read at most so many; 0: all
	Begin   *int32 // id that takes the place of the first token of every window; nil: none does
	Against *forward.Net
	// Progress, if not nil, is called after every window.
	Progress func(done, total int)
}

// PerplexityResult is what was measured.
type PerplexityResult struct {
	Mean        // loss, in nats a token
	Windows int // read
	Left    int // tokens of the text that were not read
	Against Mean
	KL      Mean // nats a token
	Top1    Mean // share of positions at which both models find the same token most probable
}

// Mean is the mean of N values with its standard error.
type Mean struct {
	N     int
	Value float64
	Error float64
}

// Perplexity returns exp of the loss, and its standard error.
func (m Mean) Perplexity() (value, err float64) {
	value = math.Exp(m.Value)
	return value, value * m.Error
}

// Bits returns the loss in bits a token.
func (m Mean) Bits() float64 { return m.Value / math.Ln2 }

// compareFloats bounds the logits that are kept while the second model catches up.
const compareFloats = 16 << 20

// Perplexity scores tokens. Both models must have the same vocabulary; memory does not grow with the text.
func Perplexity(ctx context.Context, net *forward.Net, tokens []int32, o PerplexityOptions) (*PerplexityResult, error) {
	vocab := net.Config().VocabSize
	if o.Context == 0 {
		o.Context = 512
	}
	if o.Skip == 0 {
		o.Skip = 1
	}
	switch {
	case o.Context < 2 || o.Skip < 1 || o.Skip >= o.Context || o.Windows < 0:
		return nil, fmt.Errorf("infer: perplexity with windows of %d tokens, where scoring begins after the first %d: a window has at least 2 and scores at least 1", o.Context, o.Skip)
	case len(tokens) <= o.Skip:
		return nil, fmt.Errorf("infer: perplexity: the text must have %d tokens or more, and it has %d: give a longer text", o.Skip+1, len(tokens))
	case o.Against != nil && o.Against.Config().VocabSize != vocab:
		return nil, fmt.Errorf("infer: the models have vocabularies of %d and %d ids: only models with the same tokenizer can be compared", vocab, o.Against.Config().VocabSize)
	}
	if err := checkTokens(tokens, vocab); err != nil {
		return nil, err
	}
	o.Context = min(o.Context, len(tokens))
	windows := len(tokens) / o.Context
	if o.Windows > 0 {
		windows = min(windows, o.Windows)
	}
	p, err := newScorer(net, o)
	if err != nil {
		return nil, err
	}
	for w := range windows {
		if err := p.window(ctx, tokens[w*o.Context:][:o.Context]); err != nil {
			return nil, fmt.Errorf("%w (in window %d of %d)", err, w+1, windows)
		}
		if o.Progress != nil {
			o.Progress(w+1, windows)
		}
	}
	return &PerplexityResult{
		Mean: p.loss.mean(), Windows: windows, Left: len(tokens) - windows*o.Context,
		Against: p.otherLoss.mean(), KL: p.kl.mean(), Top1: p.top1.mean(),
	}, nil
}

// scorer reads windows.
type scorer struct {
	PerplexityOptions
	net          *forward.Net
	cache, other *forward.Cache
	window0      []int32   // the window with Begin in its place
	kept         []float32 // [rows,V] logits of Against
	rows         int

	loss, otherLoss, kl, top1 tally
}

func newScorer(net *forward.Net, o PerplexityOptions) (p *scorer, err error) {
	p = &scorer{PerplexityOptions: o, net: net, rows: o.Context}
	if p.cache, err = net.NewCache(o.Context); err != nil {
		return nil, err
	}
	if o.Against == nil {
		return p, nil
	}
	if p.other, err = o.Against.NewCache(o.Context); err != nil {
		return nil, err
	}
	v := net.Config().VocabSize
	p.rows = max(1, min(o.Context, compareFloats/v))
	p.kept = make([]float32, p.rows*v)
	return p, nil
}

// window scores one window of tokens.
func (p *scorer) window(ctx context.Context, tokens []int32) error {
	p.window0 = append(p.window0[:0], tokens...)
	if p.Begin != nil {
		p.window0[0] = *p.Begin
	}
	read := p.window0[:len(tokens)-1] // nothing is asked of the last
	p.cache.Truncate(0)
	if p.other != nil {
		p.other.Truncate(0)
	}
	// Position i predicts token i+1: the first that is looked at is Skip-1.
	if first := p.Skip - 1; first > 0 {
		if err := p.read(ctx, read[:first], nil, nil); err != nil {
			return err
		}
		tokens, read = tokens[first:], read[first:]
	}
	v := p.net.Config().VocabSize
	for len(read) > 0 {
		n := min(len(read), p.rows)
		err := p.read(ctx, read[:n], func(i int, logits []float32) error {
			copy(p.kept[i*v:][:v], logits)
			return nil
		}, func(i int, logits []float32) error {
			if p.other == nil {
				return p.score(logits, tokens[i+1])
			}
			return p.compare(p.kept[i*v:][:v], logits, tokens[i+1])
		})
		if err != nil {
			return err
		}
		tokens, read = tokens[n:], read[n:]
	}
	return nil
}

// read lets the other model, if there is one, and then the measured one read tokens.
func (p *scorer) read(ctx context.Context, tokens []int32, other, each func(i int, logits []float32) error) error {
	if p.other != nil {
		if err := p.Against.Run(ctx, []*forward.Step{{Cache: p.other, Tokens: tokens, Each: other}}); err != nil {
			return err
		}
	}
	return p.net.Run(ctx, []*forward.Step{{Cache: p.cache, Tokens: tokens, Each: each}})
}

// score adds one prediction.
func (p *scorer) score(logits []float32, token int32) error {
	d, _, err := softmax(logits)
	if err != nil {
		return err
	}
	p.loss.add(-d.log(logits[token]))
	return nil
}

// compare adds one prediction of both models.
//
//	reference, logits [V]
func (p *scorer) compare(reference, logits []float32, token int32) error {
	r, best, err := softmax(reference)
	if err != nil {
		return fmt.Errorf("%w (of the model compared with)", err)
	}
	d, same, err := softmax(logits)
	if err != nil {
		return err
	}
	p.loss.add(-d.log(logits[token]))
	p.otherLoss.add(-r.log(reference[token]))
	var kl float64
	for i, v := range reference {
		if e := r.log(v); e >= leastExponent {
			kl += exp(e) * (e - d.log(logits[i]))
		}
	}
	p.kl.add(kl)
	agree := 0.0
	if best == same {
		agree = 1
	}
	p.top1.add(agree)
	return nil
}

// logSoftmax is a distribution as the logarithms of its probabilities.
type logSoftmax struct{ logSum float64 }

func (d logSoftmax) log(logit float32) float64 { return min(0, float64(logit)-d.logSum) }

// softmax returns the distribution of logits [V] and its most probable id.
func softmax(logits []float32) (logSoftmax, int, error) {
	best, top := 0, float32(math.Inf(-1))
	for i, v := range logits {
		if !(v <= top) {
			if v != v {
				return logSoftmax{}, 0, ErrNotFinite
			}
			best, top = i, v
		}
	}
	if math.IsInf(float64(top), 0) {
		return logSoftmax{}, 0, ErrNotFinite
	}
	var sum float64
	for _, v := range logits {
		if e := float64(v) - float64(top); e >= leastExponent {
			sum += exp(e)
		}
	}
	return logSoftmax{float64(top) + math.Log(sum)}, best, nil
}

// tally adds up values for a Mean, by Welford's recurrence, which loses nothing when they are nearly equal.
type tally struct {
	n         int
	m, square float64
}

func (t *tally) add(v float64) {
	t.n++
	d := v - t.m
	t.m += d / float64(t.n)
	t.square += d * (v - t.m)
}

func (t *tally) mean() Mean {
	m := Mean{N: t.n, Value: t.m}
	if t.n > 1 {
		m.Error = math.Sqrt(t.square / float64(t.n) / float64(t.n-1))
	}
	return m
}
