package export

// Tensors to be written, and the rows that they are made of, each read from the source when its turn comes.

import (
	"math"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/quant"
)

// tensor is one tensor of the file to be written.
type tensor struct {
	name  string
	shape []int // row-major, slowest first: the reverse of GGUF's ne
	kind  kind
	parts []rows  // one after another
	ints  []int32 // in place of parts
}

// kind is what decides, besides its name, how a tensor may be stored.
type kind byte

const (
	matrix  kind = iota
	stack        // one matrix of every expert
	gentle       // a matrix that is never stored in fewer than 16 bits: the compressors of V4
	precise      // norms, biases, routers and whatever else GGUF files have as F32
)

func (t *tensor) width() int { return t.shape[len(t.shape)-1] }

func (t *tensor) len() int {
	n := 1
	for _, d := range t.shape {
		n *= d
	}
	return n
}

// rows is a matrix [n,k] that is read some rows at a time, by several workers at once.
type rows struct {
	name string // of the stored tensor, for errors
	n, k int
	read func(dst []float32, lo, hi int) // dst [hi-lo,k]

	typ    quant.Type // as which its numbers are stored, unless coded
	coded  bool       // as fp8 or fp4 with scales elsewhere
	packed []byte     // the same rows as they are stored; nil if they are not in this order
	whole  bool       // all rows are read at once
}

// stored are the rows of s.
func stored(s *kernel.Stored) rows {
	r := rows{name: s.Name, n: s.N, k: s.K, read: s.Rows, typ: s.Type, coded: s.Decode != nil}
	if !r.coded {
		r.packed = s.Data
	}
	return r
}

// permuted are the rows of s in another order: row i is row of(i) of s.
func permuted(s *kernel.Stored, of func(i int) int) rows {
	r := stored(s)
	r.packed = nil
	r.read = func(dst []float32, lo, hi int) {
		for i := lo; i < hi; i++ {
			s.Rows(dst[(i-lo)*s.K:][:s.K], of(i), of(i)+1)
		}
	}
	return r
}

// transposed has the columns of s as rows.
func transposed(s *kernel.Stored) rows {
	return rows{name: s.Name, n: s.K, k: s.N, typ: s.Type, coded: s.Decode != nil, whole: true, read: func(dst []float32, lo, hi int) {
		src := make([]float32, s.N*s.K) // a head of kv_b_proj, 256 KiB in the largest models
		s.Rows(src, 0, s.N)
		for c := lo; c < hi; c++ {
			for r := range s.N {
				dst[(c-lo)*s.N+r] = src[r*s.K+c]
			}
		}
	}}
}

// vector is one row of numbers that are at hand.
func vector(name string, v []float32) rows {
	return rows{name: name, n: 1, k: len(v), typ: quant.F32, read: func(dst []float32, _, _ int) { copy(dst, v) }}
}

// interleave is the row of weights whose channels i and i+w/2 of a head rotate together that comes to row i
// of weights in which neighbours do.
func interleave(w int) func(i int) int {
	return func(i int) int { return i/w*w + i%2*(w/2) + i%w/2 }
}

// apart is the inverse of interleave.
func apart(w int) func(i int) int {
	return func(i int) int {
		j := i % w
		return i - j + 2*(j%(w/2)) + j/(w/2)
	}
}

// largest is the largest finite number that t can hold and that rounding does not take beyond it, where that
// is less than float32 has.
func largest(t quant.Type) float32 {
	switch t {
	case quant.F16:
		return math.Nextafter32(65520, 0)
	case quant.BF16:
		return math.Float32frombits(0x7f7f7fff)
	}
	return math.MaxFloat32
}
