// This file puts V3.2 together: V3 with sparse attention, in the MTP layer too.
// Source: DeepSeek-V3.2 report.

package forward

func (b *builder) v32() {
	b.ends()
	main := b.latentRope()
	index := b.rope(main.width, main.frequency, main.factor, false)
	for i := range b.cfg.NumHiddenLayers {
		b.block(i, b.dsa(i, main, index), b.experted(i))
	}
	if b.net.opt.MTP && b.hasPredictor() {
		i := b.cfg.NumHiddenLayers
		b.predictor(b.plainBlock(i, b.dsa(i, main, index), b.experted(i)))
	}
}
