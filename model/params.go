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
	Adapter               // a factor of a LoRA adapter
)

// String names the kind in messages.
func (k Kind) String() string {
	return [...]string{"matrix", "vector", "embedding", "head", "bias", "adapter"}[k]
}

// Param is one tensor under its published name. Data and Grad are views of the model's arenas; Grad
// is nil unless the model trains, always for Kind Bias, and where Frozen. After changing Data call
// Model.Sync.
type Param struct {
	Name   string
	Shape  []int
	Kind   Kind
	Data   []float32
	Grad   []float32
	Frozen bool // of a model that trains: no gradient is computed or stored, no optimiser moves it

	offset     int
	gradOffset int
	product    int // matrices of one product share their number
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
	e        *kernel.Engine
	dtype    kernel.DType
	train    bool
	trains   func(name string) bool // nil: all, or the adapters alone
	lora     *LoRA                  // nil: none
	met      []bool                 // targets of it that name something
	products int

	matrixNames []string // of all that adapters may adapt
	params      []*Param
	floats      int // of everything but correction biases
	biases      int
	bind        []func() // run when Data and Grad exist

	nowhere []float32 // takes the gradients of frozen norms, which are made beside that of their input

	weights, trained products // every product; those with a gradient
}

// products are weights in their packed forms, and where they come from.
type products struct {
	weights []*kernel.Weight
	sources [][]float32
}

func (s *products) add(l *linear) {
	s.weights, s.sources = append(s.weights, l.w), append(s.sources, l.data)
}

// align starts the next parameter on a 64-byte line.
func (b *builder) align() { b.floats = (b.floats + 15) &^ 15 }

func (b *builder) param(name string, kind Kind, shape ...int) *Param {
	p := &Param{Name: name, Kind: kind, Shape: shape, product: b.products}
	b.products++
	if b.train && kind != Bias && kind != Adapter {
		p.Frozen = b.lora != nil
		if b.trains != nil {
			p.Frozen = !b.trains(name)
		}
	}
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
		p.product = first.product
		n += m.n
	}
	l := b.linear(first, n, k, b.dtype)
	n = 0
	for _, m := range ms {
		b.adapt(l, m, n, k)
		n += m.n
	}
	return l
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
		l.data, l.grad = cut(p.Data, n*k), cut(p.Grad, n*k)
		l.w = b.e.NewWeight(n, k, dt)
		l.group[0] = kernel.Group{W: l.w, Grad: l.grad}
		b.weights.add(l)
		if l.grad != nil {
			b.trained.add(l)
		}
	})
	return l
}

// norm adds an RMSNorm of n channels.
func (b *builder) norm(name string, n int, eps float64) *norm {
	b.align()
	p := b.param(name+".weight", Vector, n)
	m := &norm{n: n, eps: float32(eps)}
	b.bind = append(b.bind, func() {
		m.w, m.dw = cut(p.Data, n), cut(p.Grad, n)
		if b.train && m.dw == nil {
			if len(b.nowhere) < n {
				b.nowhere = make([]float32, n)
			}
			m.dw = b.nowhere[:n]
		}
	})
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
	wanted := b.placeGradients()
	for _, p := range b.params {
		if p.Kind == Bias {
			p.Data = bias[p.offset:]
			continue
		}
		p.Data = data[p.offset:]
		if p.gradOffset >= 0 {
			p.Grad = wanted[p.gradOffset:]
		}
	}
	for _, f := range b.bind {
		f()
	}
	for _, p := range b.params {
		p.Data, p.Grad = cut(p.Data, p.Len()), cut(p.Grad, p.Len())
		if p.Frozen {
			p.Grad = nil // a neighbour in its product may have wanted it
		}
	}
}

// placeGradients gives every product that trains at all room for its gradient, laid out as its weights
// are, and returns all of that; gradOffset is −1 where there is none.
func (b *builder) placeGradients() []float32 {
	trains := make([]bool, b.products)
	for _, p := range b.params {
		trains[p.product] = trains[p.product] || b.train && !p.Frozen && p.Kind != Bias
	}
	floats, product, base := 0, -1, 0
	for _, p := range b.params {
		p.gradOffset = -1
		if !trains[p.product] {
			continue
		}
		if p.product != product {
			floats = (floats + 15) &^ 15
			product, base = p.product, floats-p.offset
		}
		p.gradOffset = base + p.offset
		floats = p.gradOffset + p.Len()
	}
	return make([]float32, floats)
}

// cut is the first n elements of x, or nil without x.
func cut(x []float32, n int) []float32 {
	if x == nil {
		return nil
	}
	return x[:n:n]
}

func layerName(i int, rest string) string { return fmt.Sprintf("model.layers.%d.%s", i, rest) }
