// This file puts DeepSeek-MoE 16B together: the attention of the Llama line with experts.
// Source: DeepSeekMoE (Dai et al. 2024).

package forward

func (b *builder) moe16b() {
	b.ends()
	r := b.headRope()
	for i := range b.cfg.NumHiddenLayers {
		b.block(i, b.gqa(i, r), b.experted(i))
	}
}

// experted is the MoE part of a layer that has one, else its dense MLP.
func (b *builder) experted(i int) feedForward {
	if b.cfg.IsMoE(i) {
		return b.moe(i)
	}
	return b.mlp(layerPrefix(i)+"mlp", b.cfg.IntermediateSize)
}
