// This file holds the composition of the Llama line: Llama, Qwen2, Qwen3.
// Source: Touvron et al. 2023.

package model

// llamaBlock is layer i: grouped-query attention, then a dense MLP.
func (b *builder) llamaBlock(c *Config, i int, r *rope) *block {
	m := &block{}
	m.norm1 = b.norm(layerName(i, "input_layernorm"), c.HiddenSize, c.RMSNormEps)
	m.attention = b.gqa(c, i, r)
	m.norm2 = b.norm(layerName(i, "post_attention_layernorm"), c.HiddenSize, c.RMSNormEps)
	m.ffn = b.mlp(layerName(i, "mlp"), c.HiddenSize, c.IntermediateSize)
	return m
}
