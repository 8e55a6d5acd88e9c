package train

// This file measures the model on text that it does not train on. Bits per byte, unlike loss per
// token, compare across tokenizers and vocabularies.

import (
	"context"
	"fmt"
	"math"

	"github.com/haenyeo/haenyeo/model"
)

// Validation is a fixed set of batches, in groups whose text has one language.
type Validation struct {
	Sets []ValidationSet
}

// ValidationSet is the text of one language. Bytes is the length in UTF-8 of the text that the
// targets of Batches stand for.
type ValidationSet struct {
	Lang    string // "" when unknown
	Batches []model.Batch
	Bytes   int64
}

// Measure is bits per byte over all sets and for each language, and the mean loss in nats a token.
// The sums are float64 in the order of the sets.
func (v *Validation) Measure(ctx context.Context, m Model) (bpb, loss float64, byLang map[string]float64, err error) {
	var nats float64
	var bytes, tokens int64
	langNats, langBytes := map[string]float64{}, map[string]int64{}
	for _, s := range v.Sets {
		var sum float64
		for i := range s.Batches {
			if err := ctx.Err(); err != nil {
				return 0, 0, nil, err
			}
			l, err := m.Loss(&s.Batches[i], nil)
			if err != nil {
				return 0, 0, nil, fmt.Errorf("train: validation: %w", err)
			}
			sum += l.CE * float64(l.Tokens)
			tokens += int64(l.Tokens)
		}
		nats += sum
		bytes += s.Bytes
		langNats[s.Lang] += sum
		langBytes[s.Lang] += s.Bytes
	}
	if bytes == 0 || tokens == 0 {
		return 0, 0, nil, fmt.Errorf("train: validation: the set holds no text")
	}
	byLang = map[string]float64{}
	for lang, n := range langBytes {
		if lang != "" && n > 0 {
			byLang[lang] = langNats[lang] / math.Ln2 / float64(n)
		}
	}
	return nats / math.Ln2 / float64(bytes), nats / float64(tokens), byLang, nil
}

func (r *run) evaluate(ctx context.Context) error {
	bpb, loss, byLang, err := r.Validation.Measure(ctx, r.Model)
	if err != nil {
		return err
	}
	if !finite(bpb) {
		r.Logger.Warn("train: the validation loss is not finite", "step", r.step)
		return nil
	}
	r.val = bpb
	return r.emit(Eval{Step: r.step, ValBPB: bpb, ValLoss: loss, ByLang: byLang, ExpertLoad: r.takeLoad()})
}
