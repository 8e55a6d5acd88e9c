package train

// This file measures the model on text that it does not train on. Bits per byte, unlike loss per
// token, compare across tokenizers and vocabularies.

import (
	"context"
	"fmt"
	"math"

	"github.com/haenyeo/haenyeo/corpus"
	"github.com/haenyeo/haenyeo/model"
)

// Measure scores m on ev: the total, and every language in order of appearance.
func Measure(ctx context.Context, m Model, ev *corpus.Evaluation) (total corpus.LangScore, langs []corpus.LangScore, err error) {
	score := ev.Score()
	var b corpus.Batch
	var nll []float32
	for i := range ev.Len() {
		if err := ctx.Err(); err != nil {
			return total, nil, err
		}
		ev.Fill(i, &b)
		if n := b.B * b.T; cap(nll) < n {
			nll = make([]float32, n)
		}
		nll = nll[:b.B*b.T]
		if _, err := m.Loss(&model.Batch{B: b.B, T: b.T, Tokens: b.Tokens, First: b.First, Targets: b.Targets}, nll); err != nil {
			return total, nil, fmt.Errorf("train: validation: %w", err)
		}
		score.Add(i, nll)
	}
	total, langs = score.Result()
	return total, langs, nil
}

func (r *run) evaluate(ctx context.Context) error {
	total, langs, err := Measure(ctx, r.Model, r.Validation)
	if err != nil {
		return err
	}
	if !finite(total.BPB) {
		r.Logger.Warn("train: the validation loss is not finite", "step", r.step)
		return nil
	}
	r.val = total.BPB
	e := Eval{
		Step: r.step, ValBPB: total.BPB, ByLang: map[string]float64{}, ExpertLoad: r.shares(),
		ValLoss: total.BPB * math.Ln2 * float64(total.Bytes) / float64(max(total.Tokens, 1)),
	}
	for _, l := range langs {
		e.ByLang[l.Lang] = l.BPB
	}
	return r.emit(e)
}
