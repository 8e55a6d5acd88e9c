// This file holds the token table, forward and backward.

package model

type embedding struct {
	v, d          int
	table, dtable []float32 // [V,D]
}

func (b *builder) embedding(c *Config) (*embedding, *Param) {
	b.align()
	m := &embedding{v: c.VocabSize, d: c.HiddenSize}
	p := b.param("model.embed_tokens.weight", Embedding, m.v, m.d)
	b.bind = append(b.bind, func() { m.table, m.dtable = cut(p.Data, m.v*m.d), cut(p.Grad, m.v*m.d) })
	return m, p
}

// forward copies the rows of ids [T] to y [T,D].
func (m *embedding) forward(p *pass, y []float32, ids []int32) {
	p.e.Embed(y, m.table, ids, m.d)
}

// backward adds dy [T,D] to the gradient rows of ids [T], if the table trains.
func (m *embedding) backward(p *pass, dy []float32, ids []int32) {
	if m.dtable == nil {
		return
	}
	p.e.EmbedGrad(m.dtable, dy[:len(ids)*m.d], ids, m.d)
}
