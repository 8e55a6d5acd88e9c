package tune

// This file chooses the experts that a task uses, to train only those: by the gate score, the mean over the task's tokens of
// the weight that the router gives an expert; in each layer the fewest experts whose scores together reach a share.
// Source: Wang et al. 2024, "Let the Expert Stick to His Last" (ESFT), equations 6 and 8.

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/train"
)

// Expert is one routed expert, with its share of its layer's weight.
type Expert struct {
	Layer  int     `json:"layer"`
	Expert int     `json:"expert"`
	Share  float64 `json:"share"`
}

// prefix begins the names of its parameters.
func (x Expert) prefix() string {
	return fmt.Sprintf("model.layers.%d.mlp.experts.%d.", x.Layer, x.Expert)
}

// scoredTokens are enough to know what a task uses: ESFT takes 32 sequences of 4096.
const scoredTokens = 32 * 4096

// expertsFor scores the experts of the model in dir on the examples, in their order, and chooses.
func expertsFor(ctx context.Context, dir string, e *kernel.Engine, examples []Example, seq int, share float64) ([]Expert, error) {
	m, err := model.Open(dir, e, model.Options{})
	if err != nil {
		return nil, err
	}
	var layers []int
	for i := range m.Config().NumHiddenLayers {
		if m.Param(fmt.Sprintf("model.layers.%d.mlp.gate.weight", i)) != nil {
			layers = append(layers, i)
		}
	}
	if len(layers) == 0 {
		return nil, train.Misusef("tune: --experts: the model in %q has no experts", dir)
	}
	scores := make([][]float64, len(layers))
	for i := range scores {
		scores[i] = make([]float64, m.Config().NRoutedExperts)
	}
	tokens := 0
	for _, x := range examples {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if tokens += len(x.Tokens); tokens > scoredTokens && tokens > len(x.Tokens) {
			break
		}
		routes, err := m.Routes(&model.Batch{B: 1, T: len(x.Tokens) - 1, Tokens: x.Tokens})
		if err != nil {
			return nil, err
		}
		for i, r := range routes {
			for j, id := range r.Experts {
				scores[i][id] += float64(r.Weights[j])
			}
		}
	}
	return choose(layers, scores, share), nil
}

// choose takes of each layer the fewest experts whose scores reach the share of their sum; of equals the first.
func choose(layers []int, scores [][]float64, share float64) (chosen []Expert) {
	for i, layer := range scores {
		var sum, reached float64
		var all []Expert
		for id, s := range layer {
			sum += s
			all = append(all, Expert{Layer: layers[i], Expert: id, Share: s})
		}
		slices.SortStableFunc(all, func(a, b Expert) int { return cmp.Compare(b.Share, a.Share) })
		for _, x := range all {
			if reached >= share*sum {
				break
			}
			reached += x.Share
			x.Share /= sum
			chosen = append(chosen, x)
		}
	}
	return chosen
}
