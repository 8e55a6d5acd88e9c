// This file holds tensor, what every kind of file is turned into, and Matrix, Vector and Ints, which
// give it out.

package weights

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/quant"
)

// tensor is a stored tensor under the name that its file gives it.
type tensor struct {
	name  string
	shape []int // row-major, of numbers and not of bytes
	typ   quant.Type
	data  []byte // of type typ, unless decode
	scale []byte // of its own tensor, with decode; nil: there is none

	// decode, if set, writes rows [lo,hi) of the last dimension.
	decode decoder
	coded  coded // what decode decodes, if kernels may know
	err    error // why it cannot be decoded
}

func (t *tensor) len() int {
	n := 1
	for _, d := range t.shape {
		n *= d
	}
	return n
}

// whole says whether t holds whole numbers.
func (t *tensor) whole() bool { return t.decode == nil && t.typ >= quant.I8 && t.typ <= quant.I64 }

// stored is t, whose elements are rows of k numbers, as a matrix [n,k].
func (t *tensor) stored(n, k int) (kernel.Stored, error) {
	switch {
	case t.err != nil:
		return kernel.Stored{}, t.err
	case t.whole():
		return kernel.Stored{}, fmt.Errorf("weights: tensor %q holds whole numbers (%v), not weights", t.name, t.typ)
	case t.decode == nil && (k%t.typ.Block() != 0 || len(t.data) != n*t.typ.Bytes(k)):
		return kernel.Stored{}, fmt.Errorf("weights: tensor %q of type %v cannot be cut into rows of %d numbers", t.name, t.typ, k)
	}
	return kernel.Stored{Name: t.name, N: n, K: k, Type: t.typ, Data: t.data, Decode: t.decode, Coded: t.coded}, nil
}

// Has says whether the model has a tensor of that name.
func (s *Source) Has(name string) bool {
	_, ok := s.files.find(name)
	return ok
}

// Matrix returns the matrix [n,k] of that name as it is stored. No number of it is read.
func (s *Source) Matrix(name string, n, k int) (*kernel.Stored, error) {
	t, err := s.tensor(name, n, k)
	if err != nil {
		return nil, err
	}
	m, err := t.stored(n, k)
	if err != nil {
		return nil, err
	}
	return &m, nil
}

// Vector returns the n numbers of the tensor of that name, of whatever shape, decoded. They are finite.
func (s *Source) Vector(name string, n int) ([]float32, error) {
	t, err := s.tensor(name, n)
	if err != nil {
		return nil, err
	}
	k := n
	if len(t.shape) > 0 {
		k = t.shape[len(t.shape)-1]
	}
	m, err := t.stored(n/max(k, 1), k)
	if err != nil {
		return nil, err
	}
	v := make([]float32, n)
	m.Rows(v, 0, m.N)
	for i, x := range v {
		if x-x != 0 {
			return nil, fmt.Errorf("weights: tensor %s holds %v at element %d: the weights are damaged, or come from a training run that diverged; fetch or make them again", t.label(name), x, i)
		}
	}
	return v, nil
}

// Ints returns the n whole numbers of the tensor of that name, of whatever shape.
func (s *Source) Ints(name string, n int) ([]int32, error) {
	t, err := s.tensor(name, n)
	if err != nil {
		return nil, err
	}
	if t.err != nil || !t.whole() {
		return nil, fmt.Errorf("weights: tensor %q holds no whole numbers", t.name)
	}
	size := t.typ.BlockBytes()
	v := make([]int32, n)
	for i := range v {
		var x int64
		switch b := t.data[i*size:]; t.typ {
		case quant.I8:
			x = int64(int8(b[0]))
		case quant.I16:
			x = int64(int16(binary.LittleEndian.Uint16(b)))
		case quant.I32:
			x = int64(int32(binary.LittleEndian.Uint32(b)))
		default:
			x = int64(binary.LittleEndian.Uint64(b))
		}
		if x < math.MinInt32 || x > math.MaxInt32 {
			return nil, fmt.Errorf("weights: tensor %q holds %d at element %d, more than any table of the model", t.name, x, i)
		}
		v[i] = int32(x)
	}
	return v, nil
}

// errMissing is wrapped where a tensor is not there at all.
var errMissing = errors.New("tensor is missing")

// tensor finds a tensor and compares its shape: one number asks for so many elements, two for exactly
// these dimensions.
func (s *Source) tensor(name string, shape ...int) (tensor, error) {
	t, ok := s.files.find(name)
	if !ok {
		asked := tensor{name: s.ownName(name)}
		return t, fmt.Errorf("weights: %w: %s: the files are incomplete, or the configuration belongs to another model", errMissing, asked.label(name))
	}
	if len(shape) == 1 && t.len() == shape[0] || slices.Equal(withoutOnes(t.shape), withoutOnes(shape)) {
		return t, nil
	}
	return t, fmt.Errorf("weights: tensor %s has shape %v, the configuration asks for %v: it belongs to another model", t.label(name), t.shape, shape)
}

// label names t for an error, with the name that was asked for if its file has another.
func (t *tensor) label(asked string) string {
	if t.name == asked {
		return strconv.Quote(asked)
	}
	return fmt.Sprintf("%q (%s)", t.name, asked)
}

// withoutOnes leaves out leading dimensions of one, as GGUF may.
func withoutOnes(shape []int) []int {
	for len(shape) > 0 && shape[0] == 1 {
		shape = shape[1:]
	}
	return shape
}
