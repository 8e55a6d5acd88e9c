// This file holds Param and the builder that lays all parameters out in one arena, in an order that
// makes matrices with a common input neighbours: gate_proj and up_proj of one MLP, q_a_proj and
// kv_a_proj, so that each pair is one product.

package model

import (
	"fmt"

	"github.com/haenyeo/haenyeo/kernel"
)

// Kind says what a parameter is, for initialisation and for optimisers that treat kinds differently.
type Kind uint8

const (
	Matrix    Kind = iota // a product with activations
	Vector                // norm weights, and the biases of projections
	Embedding             // the token table (also the head when tied)
	Head                  // lm_head
	Bias                  // e_score_correction_bias: no gradient, moved by UpdateBias
)

// String names the kind in messages.
func (k Kind) String() string {
	return [...]string{"matrix", "vector", "embedding", "head", "bias"}[k]
}

// Param is one tensor under its published name. Data and Grad are views of the model's arenas; Grad
// is nil unless the model trains, and always for Kind Bias. After changing Data call Model.Sync.
type Param struct {
	Name  string
	Shape []int
	Kind  Kind
	Data  []float32
	Grad  []float32

	offset int
}

// Len is the number of elements.
func (p *Param) Len() int {
	n := 1
	for _, s := range p.Shape {
		n *= s
	}
	return n
}

// builder collects parameters and the layers that use them, then gives both their memory.
type builder struct {
	e      *kernel.Engine
	dtype  kernel.DType
	train  bool
	params []*Param
	floats int // of everything but correction biases
	biases int
	bind   []func() // run when Data and Grad exist

	weights []*kernel.Weight // every product, for Sync
	sources [][]float32
}

// align starts the next parameter on a 64-byte line.
func (b *builder) align() { b.floats = (b.floats + 15) &^ 15 }

func (b *builder) param(name string, kind Kind, shape ...int) *Param {
	p := &Param{Name: name, Kind: kind, Shape: shape}
	at := &b.floats
	if kind == Bias {
		at = &b.biases
	}
	p.offset = *at
	*at += p.Len()
	b.params = append(b.params, p)
	return p
}

// matrices adds neighbouring matrices [n,k] and the one product that they form.
func (b *builder) matrices(k int, ms ...matrix) *linear {
	b.align()
	n := 0
	var first *Param
	for _, m := range ms {
		p := b.param(m.name+".weight", m.kind, m.n, k)
		if first == nil {
			first = p
		}
		n += m.n
	}
	return b.linear(first, n, k, b.dtype)
}

type matrix struct {
	name string
	n    int
	kind Kind
}

// linear makes a product [n,k] whose weights begin where p begins.
func (b *builder) linear(p *Param, n, k int, dt kernel.DType) *linear {
	l := &linear{n: n, k: k}
	b.bind = append(b.bind, func() {
		l.data = p.Data[: n*k : n*k]
		if p.Grad != nil {
			l.grad = p.Grad[: n*k : n*k]
		}
		l.w = b.e.NewWeight(n, k, dt)
		l.group[0] = kernel.Group{W: l.w, Grad: l.grad}
		b.weights = append(b.weights, l.w)
		b.sources = append(b.sources, l.data)
	})
	return l
}

// norm adds an RMSNorm of n channels.
func (b *builder) norm(name string, n int, eps float64) *norm {
	b.align()
	p := b.param(name+".weight", Vector, n)
	m := &norm{n: n, eps: float32(eps)}
	b.bind = append(b.bind, func() { m.w, m.dw = cut(p.Data, n), cut(p.Grad, n) })
	return m
}

// bias gives l a bias vector.
func (b *builder) bias(l *linear, name string) {
	b.align()
	p := b.param(name+".bias", Vector, l.n)
	b.bind = append(b.bind, func() { l.bias, l.dbias = cut(p.Data, l.n), cut(p.Grad, l.n) })
}

// finish allocates the arenas and binds everything to them. Slices of a Param reach to the end of
// the arena while binding, so that a product can span its neighbours.
func (b *builder) finish() {
	data := make([]float32, b.floats)
	bias := make([]float32, b.biases)
	var grad []float32
	if b.train {
		grad = make([]float32, b.floats)
	}
	for _, p := range b.params {
		if p.Kind == Bias {
			p.Data = bias[p.offset:]
			continue
		}
		p.Data = data[p.offset:]
		if b.train {
			p.Grad = grad[p.offset:]
		}
	}
	for _, f := range b.bind {
		f()
	}
	for _, p := range b.params {
		p.Data, p.Grad = cut(p.Data, p.Len()), cut(p.Grad, p.Len())
	}
}

// cut is the first n elements of x, or nil without x.
func cut(x []float32, n int) []float32 {
	if x == nil {
		return nil
	}
	return x[:n:n]
}

func layerName(i int, rest string) string { return fmt.Sprintf("model.layers.%d.%s", i, rest) }
