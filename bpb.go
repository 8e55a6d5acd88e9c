package haenyeo

// BitsPerByte: what a model makes of a text, in a unit that does not depend on its tokenizer.

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/haenyeo/haenyeo/corpus"
	"github.com/haenyeo/haenyeo/forward"
)

// BitsPerByte measures how many bits the model needs for a byte of the text at paths: the total, and
// each language that the records name. Documents longer than the model's window, or than 2048 tokens,
// are cut, and the parts are read without each other.
func (m *Model) BitsPerByte(ctx context.Context, paths []string) (total corpus.LangScore, langs []corpus.LangScore, err error) {
	if m.tok == nil {
		return total, nil, errors.New("haenyeo: the model has no tokenizer (tokenizer.json): bits per byte need one")
	}
	text, err := corpus.Open(ctx, paths, corpus.Options{ValidationShare: -1})
	if err != nil {
		return total, nil, err
	}
	if skips := text.Report().Skips(); skips != "" {
		m.log.Warn(skips)
	}
	tokens, err := corpus.Tokenize(ctx, text.Documents(ctx, corpus.Train), tokenOptions(m.tok))
	if err != nil {
		return total, nil, err
	}
	defer tokens.Close()
	row := 2048
	if window := m.Config().MaxPositionEmbeddings; window > 0 {
		row = min(row, window)
	}
	ev, err := corpus.NewEvaluation(tokens, 1, row, 0)
	if err != nil {
		return total, nil, err
	}
	cache, err := m.net.NewCache(row)
	if err != nil {
		return total, nil, err
	}
	score := ev.Score()
	var b corpus.Batch
	nll := make([]float32, row)
	for i := range ev.Len() {
		ev.Fill(i, &b)
		if err := m.rowLoss(ctx, cache, &b, nll); err != nil {
			return total, nil, err
		}
		score.Add(i, nll)
	}
	total, langs = score.Result()
	return total, langs, nil
}

// rowLoss writes the losses of the one row of b, in nats, 0 where there is no target. Every document in it is
// read from its own beginning.
func (m *Model) rowLoss(ctx context.Context, cache *forward.Cache, b *corpus.Batch, nll []float32) error {
	clear(nll)
	for lo := 0; lo < b.T; {
		hi := lo + 1
		for hi < b.T && int(b.First[hi]) <= lo {
			hi++
		}
		if hi-lo == 1 && b.Targets[lo] < 0 { // padding
			lo = hi
			continue
		}
		cache.Truncate(0)
		err := m.net.Run(ctx, []*forward.Step{{Cache: cache, Tokens: b.Tokens[lo:hi], Each: func(i int, logits []float32) error {
			target := b.Targets[lo+i]
			if target >= 0 {
				nll[lo+i] = crossEntropy(logits, target)
			}
			return nil
		}}})
		if err != nil {
			return fmt.Errorf("bits per byte: %w", err)
		}
		lo = hi
	}
	return nil
}

// crossEntropy is -ln softmax(logits)[target].
func crossEntropy(logits []float32, target int32) float32 {
	top := logits[0]
	for _, v := range logits {
		top = max(top, v)
	}
	var sum float64
	for _, v := range logits {
		sum += math.Exp(float64(v - top))
	}
	return float32(math.Log(sum) - float64(logits[target]-top))
}
