package train

// This file estimates how much memory a run takes, before it takes it.

import (
	"math"

	"github.com/haenyeo/haenyeo/model"
)

// Memory estimates the bytes that training cfg on batches of rows of seq tokens takes: weights,
// gradients, two moments and packed weights of 4 bytes each, and a quarter more for everything that
// grows with them; the batch; and the activations of one pass. It is meant to tell what cannot
// work from what can, not more.
func Memory(cfg *model.Config, rows, seq int) int64 {
	total, _ := cfg.Sizes()
	need := float64(total) * 5 * 4 * 5 / 4
	need += float64(rows) * float64(seq) * 12 * 2 // ids, documents and targets; read ahead once
	// A pass takes several rows, or one that is longer (model.Options.MaxTokens).
	pass := max(min(float64(rows)*float64(seq), 2048), float64(seq))
	ffn := float64(max(cfg.IntermediateSize, (cfg.NumExpertsPerTok+cfg.NSharedExperts)*cfg.MoEIntermediateSize))
	heads := float64(cfg.NumAttentionHeads) * float64(max(cfg.QKNopeHeadDim+cfg.QKRopeHeadDim+cfg.VHeadDim, 2*cfg.HeadDim))
	need += pass * 4 * float64(cfg.NumHiddenLayers) * (4*float64(cfg.HiddenSize) + 2*heads + 2*ffn)
	return int64(min(need, math.MaxInt64/2))
}
