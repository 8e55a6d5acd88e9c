// This file holds Tracer: who is told what a Net does, kind by kind and layer by layer, with the bytes and the
// arithmetic that it takes. A Net without one pays a comparison for each operation.

package forward

import (
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/quant"
)

// Kind is a kind of work.
type Kind uint8

const (
	Small      Kind = iota // embeddings, norms, rotations, residual streams and their mixing, checks of what comes out
	Routing                // the choice of experts
	Projection             // products with the matrices around attention
	Attending              // queries meet what is cached
	Indexing               // the choice of what they meet (V3.2, V4)
	Dense                  // MLPs and shared experts
	Experts                // routed ones
	Head
	Kinds int = iota
)

var kindNames = [Kinds]string{"norm, rope, residual", "router", "projections", "attention", "indexer", "ffn", "experts", "head"}

// String is the name in reports.
func (k Kind) String() string { return kindNames[k] }

// Tracer is told by the goroutine that runs a Net, while it runs.
type Tracer interface {
	// Enter says that work of a kind begins and what went before it ends. layer is -1 outside the layers; an MTP layer
	// counts behind the others.
	Enter(layer int, kind Kind)
	// Moved says that the work of now reads bytes of weights and caches, each counted once, and takes ops
	// multiplications and additions.
	Moved(bytes, ops int64)
	// Leave says that a run is over.
	Leave()
}

// SetTracer tells t what n does from now on; nil tells nobody.
func (n *Net) SetTracer(t Tracer) { n.pass.tracer = t }

// enter says that work of kind begins, and returns what was done until now.
func (p *pass) enter(kind Kind) (was Kind) {
	was, p.kind = p.kind, kind
	if p.tracer != nil {
		p.tracer.Enter(p.layer, kind)
	}
	return was
}

// leave says that a run is over.
func (p *pass) leave() {
	if p.kind = Small; p.tracer != nil {
		p.tracer.Leave()
	}
}

// multiply runs p.products.
func (p *pass) multiply(t kernel.DType) {
	if p.tracer != nil {
		var bytes, ops int64
		for i := range p.products {
			q := &p.products[i]
			bytes += storedBytes(q.W)
			ops += 2 * int64(q.Rows) * int64(q.W.N) * int64(q.W.K)
		}
		p.tracer.Moved(bytes, ops)
	}
	p.e.MultiplyStored(p.products, t)
}

// storedBytes is the size of a matrix; that of scales in blocks of 128×128 is left out.
func storedBytes(w *kernel.Stored) int64 {
	size := int64(w.N) * int64(w.K)
	switch w.Coded.(type) {
	case nil:
		return int64(len(w.Data))
	case *quant.MatrixFP4:
		return size/2 + size/32
	}
	return size
}

// attendLong, attendCached and attendShared are the three kernels of attention.

func (p *pass) attendLong(a *kernel.Attention) {
	was := p.enter(Attending)
	if p.tracer != nil {
		keys := int64(a.Past + a.T)
		seen := int64(a.T)*int64(a.Past) + int64(a.T)*int64(a.T+1)/2
		p.tracer.Moved(keys*int64(a.HK)*(vectorBytes(a.K, a.DK)+vectorBytes(a.V, a.DV)), 2*seen*int64(a.H)*int64(a.DK+a.DV))
	}
	p.e.Attention(a)
	p.enter(was)
}

func (p *pass) attendCached(a *kernel.Cached) {
	was := p.enter(Attending)
	if p.tracer != nil {
		var bytes, seen int64
		for _, s := range p.spans {
			last := &a.Seqs[s.hi-1] // the rows of a sequence read the same cache, the last all of it
			bytes += int64(last.N) * int64(a.HK) * (vectorBytes(last.K, a.DK) + vectorBytes(last.V, a.DV))
			for r := s.lo; r < s.hi; r++ {
				seen += int64(a.Seqs[r].N)
			}
		}
		p.tracer.Moved(bytes, 2*seen*int64(a.H)*int64(a.DK+a.DV))
	}
	p.e.Cached(a)
	p.enter(was)
}

func (p *pass) attendShared(a *kernel.Shared) {
	was := p.enter(Attending)
	if p.tracer != nil {
		var bytes, all int64
		for _, e := range a.Sets {
			var seen int64
			first, end := e.Lo[0], e.Hi[0]
			for r, lo := range e.Lo {
				seen += int64(e.Hi[r] - lo)
				first, end = min(first, lo), max(end, e.Hi[r])
			}
			read := int64(end - first)
			if e.List != nil {
				read = seen
			}
			bytes += read * vectorBytes(kernel.View{Vectors: e.Vectors}, a.DK)
			all += seen
		}
		p.tracer.Moved(bytes, 2*all*int64(a.H)*int64(a.DK+a.DV))
	}
	p.e.Shared(a)
	p.enter(was)
}

// indexed tells that an indexer scores visible keys, of size bytes and dim numbers, for every row; rows see the same.
func (p *pass) indexed(visible []int32, size, heads, dim int) {
	if p.tracer == nil {
		return
	}
	var most, all int64
	for _, n := range visible {
		most, all = max(most, int64(n)), all+int64(n)
	}
	p.tracer.Moved(most*int64(size), 2*all*int64(heads)*int64(dim))
}

// vectorBytes is the size of a vector of width numbers in v.
func vectorBytes(v kernel.View, width int) int64 {
	if v.Vectors != nil {
		return int64(v.Vectors.VectorBytes())
	}
	return 4 * int64(width)
}
