// This file puts V2, V3, R1 and V3.1 together: latent attention and experts, and the MTP layer of V3.
// Sources: DeepSeek-V2 report; DeepSeek-V3 report.

package forward

import "errors"

func (b *builder) v3() {
	b.ends()
	r := b.latentRope()
	for i := range b.cfg.NumHiddenLayers {
		b.block(i, b.mla(i, r), b.experted(i))
	}
	if b.net.opt.MTP && b.hasPredictor() {
		i := b.cfg.NumHiddenLayers
		b.predictor(b.plainBlock(i, b.mla(i, r), b.experted(i)))
	}
}

// hasPredictor complains unless the model has MTP layers.
func (b *builder) hasPredictor() bool {
	if b.cfg.NumNextnPredictLayers == 0 {
		b.fail(errors.New("forward: MTP asked of a model without MTP layers (num_nextn_predict_layers is 0)"))
	}
	return b.err == nil
}

// latentRope is the rope of the shared key and the rotated parts of queries.
func (b *builder) latentRope() *rope {
	f, factor := b.cfg.RopeScaling.Frequencies(b.cfg.QKRopeHeadDim, b.cfg.RopeTheta)
	return b.rope(b.cfg.QKRopeHeadDim, f, factor, true)
}

// predictor sets the MTP layer of V3 around its block.
func (b *builder) predictor(l *block) {
	c, at := b.cfg, layerPrefix(b.cfg.NumHiddenLayers)
	d := c.HiddenSize
	b.net.mtp = &mtp{block: l, beforeNorm: b.net.opt.MTPBeforeNorm,
		enorm: b.norm(at+"enorm.weight", d, c.RMSNormEps),
		hnorm: b.norm(at+"hnorm.weight", d, c.RMSNormEps),
		proj:  b.matrix(at+"eh_proj.weight", d, 2*d),
		norm:  b.norm(at+"shared_head.norm.weight", d, c.RMSNormEps)}
}
