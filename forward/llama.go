// This file puts the dense models together: Llama (also the first DeepSeek LLM, Coder and Math), Qwen2 and
// Qwen3.

package forward

func (b *builder) llama() {
	c := b.cfg
	b.ends()
	r := b.headRope()
	for i := range c.NumHiddenLayers {
		b.block(i, b.gqa(i, r), b.mlp(layerPrefix(i)+"mlp", c.IntermediateSize))
	}
}

// headRope is the rope over whole heads, in the layout of the file.
func (b *builder) headRope() *rope {
	f, factor := b.cfg.RopeScaling.Frequencies(b.cfg.HeadDim, b.cfg.RopeTheta)
	return b.rope(b.cfg.HeadDim, f, factor, b.src.RopeInterleaved())
}

// block appends a layer with the published names of its norms.
func (b *builder) block(i int, a attention, f feedForward) *block {
	l := b.plainBlock(i, a, f)
	b.net.layers = append(b.net.layers, l)
	return l
}

func (b *builder) plainBlock(i int, a attention, f feedForward) *block {
	c := b.cfg
	return &block{d: c.HiddenSize, attention: a, mlp: f,
		norm1: b.norm(layerPrefix(i)+"input_layernorm.weight", c.HiddenSize, c.RMSNormEps),
		norm2: b.norm(layerPrefix(i)+"post_attention_layernorm.weight", c.HiddenSize, c.RMSNormEps)}
}
