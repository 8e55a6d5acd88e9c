// This file holds Sizes: how many parameters a model of some shape has.

package model

// Sizes returns the number of parameters, and how many of them take part in the products of one
// token: all but the idle experts and the embedding table (a table that is also the head counts).
// Correction biases, hash tables and MTP layers are left out.
func (c *Config) Sizes() (total, active int64) {
	d := c.withDefaults()
	D := int64(d.HiddenSize)
	table := int64(d.VocabSize) * D
	total = table + D
	idle := table
	if d.TieWordEmbeddings {
		idle = 0
	} else {
		total += table
	}
	if d.ModelType == v4 {
		m := int64(d.HCMult)
		total += m*m*D + m + 1 // hc_head
	}
	for i := range d.NumHiddenLayers {
		t, n := d.layerSize(i)
		total += t
		idle += n
	}
	return total, total - idle
}

// layerSize returns the parameters of layer i and how many of them one token does not meet.
func (c *Config) layerSize(i int) (total, idle int64) {
	D := int64(c.HiddenSize)
	total = 2 * D
	switch {
	case c.latent():
		total += c.latentSize()
	case c.ModelType == v4:
		total += c.v4Size(i)
	default:
		total += c.groupedSize()
	}
	if !c.IsMoE(i) {
		return total + 3*D*int64(c.IntermediateSize), 0
	}
	expert := 3 * D * int64(c.MoEIntermediateSize)
	e := int64(c.NRoutedExperts)
	return total + e*D + expert*(e+int64(c.NSharedExperts)), expert * (e - int64(c.NumExpertsPerTok))
}

// latentSize counts MLA, and the indexer of V3.2.
func (c *Config) latentSize() int64 {
	D, H := int64(c.HiddenSize), int64(c.NumAttentionHeads)
	qk, q, r, p := int64(c.QKNopeHeadDim+c.QKRopeHeadDim), int64(c.QLoraRank), int64(c.KVLoraRank), int64(c.QKRopeHeadDim)
	n := D * H * qk
	if q > 0 {
		n = D*q + q + q*H*qk
	}
	n += D*(r+p) + r + r*H*int64(c.QKNopeHeadDim+c.VHeadDim) + H*int64(c.VHeadDim)*D
	if c.ModelType == v32 {
		heads, width := int64(c.IndexNHeads), int64(c.IndexHeadDim)
		n += q*heads*width + D*width + 2*width + heads*D
	}
	return n
}

// groupedSize counts grouped-query attention.
func (c *Config) groupedSize() int64 {
	D, H, hd, kv := int64(c.HiddenSize), int64(c.NumAttentionHeads), int64(c.HeadDim), int64(c.NumKeyValueHeads)
	n := 2*D*H*hd + 2*D*kv*hd
	if c.QKVBias {
		n += (H + 2*kv) * hd
	}
	if c.AttentionBias {
		n += D
	}
	if c.QKNorm {
		n += 2 * hd
	}
	return n
}

// v4Size counts the attention of layer i and the hyper-connections of both its sublayers.
func (c *Config) v4Size(i int) int64 {
	D, H, w, q := int64(c.HiddenSize), int64(c.NumAttentionHeads), int64(c.HeadDim), int64(c.QLoraRank)
	g, o, m := int64(c.OGroups), int64(c.OLoraRank), int64(c.HCMult)
	n := D*q + q + q*H*w + w*D + w + H + H*w*o + g*o*D
	compressor := func(ratio, width int64) int64 {
		overlap := int64(1)
		if ratio == 4 {
			overlap = 2
		}
		return 2*D*overlap*width + ratio*overlap*width + width
	}
	if i < len(c.CompressRatios) && c.CompressRatios[i] != 0 {
		ratio := int64(c.CompressRatios[i])
		n += compressor(ratio, w)
		if ratio == 4 {
			heads, width := int64(c.IndexNHeads), int64(c.IndexHeadDim)
			n += q*heads*width + heads*D + compressor(ratio, width)
		}
	}
	mix := (2 + m) * m
	return n + 2*(mix*m*D+mix+3)
}

// estimate is Sizes in floating point, for sizes that nobody has checked yet.
func (c *Config) estimate() float64 {
	D, H, L := float64(c.HiddenSize), float64(c.NumAttentionHeads), float64(c.NumHiddenLayers)
	head := float64(c.QKNopeHeadDim+c.QKRopeHeadDim+c.VHeadDim) + 2*float64(c.HeadDim)
	attention := D*H*head + (D+H*head)*float64(c.QLoraRank+c.KVLoraRank) + H*head*float64(c.OLoraRank) + float64(c.OGroups)*float64(c.OLoraRank)*D
	attention += float64(c.IndexNHeads) * float64(c.IndexHeadDim) * (float64(c.QLoraRank) + D)
	ff := 3 * D * (float64(c.IntermediateSize) + float64(c.MoEIntermediateSize)*float64(c.NRoutedExperts+c.NSharedExperts))
	return 2*float64(c.VocabSize)*D + L*(attention+ff)
}
