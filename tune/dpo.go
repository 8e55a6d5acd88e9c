package tune

// This file holds DPO, direct preference optimisation against the model as it was.
// Source: Rafailov et al. 2023.

import (
	"context"
	"fmt"

	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/objective"
	"github.com/haenyeo/haenyeo/train"
)

// DefaultBeta is that of the paper.
const DefaultBeta = 0.1

// DPO trains the model of r to prefer chosen answers to rejected ones; r.Data are pairs, r.Batch counts them. The model as it
// was is in memory too. Otherwise it is as SFT.
func DPO(ctx context.Context, r Request, beta float64) (train.Done, error) {
	if !(beta > 0 && beta <= 100) {
		return train.Done{}, train.Misusef("tune: beta %g: must be more than 0 and at most 100", beta)
	}
	if r.Experts != 0 || r.Truncate {
		return train.Done{}, train.Misusef("tune: preferences are learned by all experts, and nothing is cut off")
	}
	b, err := r.open(ctx)
	if err != nil {
		return train.Done{}, err
	}
	pairs, files, err := ReadPairs(ctx, r.Data)
	if err != nil {
		return train.Done{}, err
	}
	examples, err := encodePairs(ctx, b.tok, b.format, pairs, b.seq+1)
	if err != nil {
		return train.Done{}, err
	}
	p := &preference{beta: beta}
	j := &job{
		Request: r, base: b, stage: "dpo", files: files, examples: len(examples), rows: len(examples), batch: 2 * r.Batch,
		source: newPairSource(examples, r.Batch, r.Seed), preference: p,
	}
	return j.run(ctx)
}

// preference makes the objective of each batch, and remembers it for its numbers.
type preference struct {
	beta     float64
	now, ref *model.Model
	last     *objective.DPO
}

// name is in the options of the run.
func (p *preference) name() string { return fmt.Sprintf("dpo beta=%g", p.beta) }

func (p *preference) objective(b *model.Batch) (model.Objective, error) {
	pairs := objective.Pairs{Now: make([]float32, b.B*b.T), Ref: make([]float32, b.B*b.T)}
	if err := p.now.LogProbs(b, pairs.Now); err != nil {
		return nil, err
	}
	if err := p.ref.LogProbs(b, pairs.Ref); err != nil {
		return nil, err
	}
	var err error
	p.last, err = objective.NewDPO(b, p.beta, pairs)
	return p.last, err
}

// stats are the mean margin of the batch before its step, and the share of pairs in which the chosen answer gained more.
func (p *preference) stats() map[string]float64 {
	var sum, right float64
	margins := p.last.Margins()
	for _, m := range margins {
		sum += m
		if m > 0 {
			right++
		}
	}
	n := float64(len(margins))
	return map[string]float64{"margin": sum / n, "accuracy": right / n}
}
