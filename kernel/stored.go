package kernel

import (
	"fmt"

	"github.com/haenyeo/haenyeo/quant"
)

// This file holds Stored, a weight matrix kept in the form of its file, and the decoding of its rows. The
// products are in stored_linear.go.

// Stored is a matrix [N,K] (out, in), row-major, whose rows are decoded when they are needed. It is
// read-only and safe for concurrent use.
type Stored struct {
	Name string // of the tensor, for errors
	N, K int
	Type quant.Type // of Data, unless Decode is set
	Data []byte     // N rows of Type.Bytes(K) bytes each

	// Decode, if set, writes rows [lo,hi) as float32 to dst [hi-lo,K]: formats whose scales lie in another
	// tensor (fp8 with blocks of 128×128, fp4 of V4).
	Decode func(dst []float32, lo, hi int)

	// Coded, if set, is what Decode decodes, from its row First on. Kernels read a *quant.MatrixFP8 or
	// *quant.MatrixFP4 themselves.
	Coded interface {
		Rows(dst []float32, lo, hi int)
	}
	First int
}

// Rows decodes rows [lo,hi) to dst [hi-lo,K].
func (s *Stored) Rows(dst []float32, lo, hi int) {
	dst = dst[:(hi-lo)*s.K]
	if s.Decode != nil {
		s.Decode(dst, lo, hi)
		return
	}
	row := s.Type.Bytes(s.K)
	if err := quant.Decode(dst, s.Data[lo*row:hi*row], s.Type); err != nil {
		panic(fmt.Sprintf("kernel: stored matrix %q: %v", s.Name, err)) // the type was checked when it was opened
	}
}

// Slice is the matrix of rows [lo,hi) of s.
func (s *Stored) Slice(lo, hi int) Stored {
	t := *s
	t.N = hi - lo
	t.First += lo
	if s.Decode != nil {
		t.Decode = func(dst []float32, a, b int) { s.Decode(dst, lo+a, lo+b) }
		return t
	}
	row := s.Type.Bytes(s.K)
	t.Data = s.Data[lo*row : hi*row]
	return t
}
