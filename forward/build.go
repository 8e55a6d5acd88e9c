// This file holds builder, which finds the tensors of a model and keeps the first complaint.

package forward

import (
	"fmt"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/weights"
)

// builder puts a Net together. After an error its methods return empty values.
type builder struct {
	net *Net
	cfg *model.Config
	src *weights.Source
	err error
}

func (b *builder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// matrix is the stored matrix [n,k] of a name.
func (b *builder) matrix(name string, n, k int) *kernel.Stored {
	if b.err != nil {
		return nil
	}
	w, err := b.src.Matrix(name, n, k)
	if err != nil {
		b.fail(err)
	}
	return w
}

// vector is the decoded tensor of n elements of a name.
func (b *builder) vector(name string, n int) []float32 {
	if b.err != nil {
		return nil
	}
	v, err := b.src.Vector(name, n)
	if err != nil {
		b.fail(err)
	}
	return v
}

// optional is vector, or nil where the model has no such tensor.
func (b *builder) optional(name string, n int) []float32 {
	if b.err != nil || !b.src.Has(name) {
		return nil
	}
	return b.vector(name, n)
}

// latentUp are the matrices from the latent to keys and values of every head.
func (b *builder) latentUp(prefix string, heads, nope, v, r int) *weights.LatentUp {
	if b.err != nil {
		return nil
	}
	up, err := b.src.LatentUp(prefix, heads, nope, v, r)
	if err != nil {
		b.fail(err)
	}
	return up
}

// experts are the stored matrices [n,k] of all routed experts of the layer whose names begin with prefix.
func (b *builder) experts(prefix, proj string, n, k int) []*kernel.Stored {
	if b.err != nil {
		return nil
	}
	ws, err := b.src.Experts(prefix, proj, b.cfg.NRoutedExperts, n, k)
	if err != nil {
		b.fail(err)
	}
	return ws
}

// norm is the RMSNorm whose weight has a name.
func (b *builder) norm(name string, n int, eps float64) *norm {
	return &norm{n: n, eps: float32(eps), w: b.vector(name, n)}
}

// ends sets embedding, final norm and head by their published names.
func (b *builder) ends() {
	c, n := b.cfg, b.net
	n.embed = b.matrix("model.embed_tokens.weight", c.VocabSize, c.HiddenSize)
	n.output = plainOutput{b.norm("model.norm.weight", c.HiddenSize, c.RMSNormEps)}
	if c.TieWordEmbeddings {
		n.head = n.embed
	} else {
		n.head = b.matrix("lm_head.weight", c.VocabSize, c.HiddenSize)
	}
}

// layerPrefix begins the names of a layer's tensors.
func layerPrefix(layer int) string { return fmt.Sprintf("model.layers.%d.", layer) }
