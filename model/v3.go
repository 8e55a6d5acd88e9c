// This file holds the composition of DeepSeek-V3 from its ideas.
// Source: DeepSeek-V3 report, section 2.1.

package model

// v3Block is layer i: MLA, then experts or, in the first layers, a dense MLP. Layer
// num_hidden_layers is the block inside the MTP layer.
func (b *builder) v3Block(c *Config, i int, r *rope) *block {
	m := &block{}
	m.norm1 = b.norm(layerName(i, "input_layernorm"), c.HiddenSize, c.RMSNormEps)
	m.attention = b.mla(c, i, r)
	m.norm2 = b.norm(layerName(i, "post_attention_layernorm"), c.HiddenSize, c.RMSNormEps)
	if c.IsMoE(i) {
		m.ffn = b.moe(c, i)
	} else {
		m.ffn = b.mlp(layerName(i, "mlp"), c.HiddenSize, c.IntermediateSize)
	}
	return m
}
