// This file holds Tensor, a typed view of bytes, and its conversions.

package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/haenyeo/haenyeo/quant"
)

// Tensor is one named array of a file. Shape is row-major, slowest index
// first; an empty Shape is a scalar. Data holds the elements little-endian; it
// is a view of the mapped file, read-only, valid until the Reader is closed.
type Tensor struct {
	Name  string
	DType DType
	Shape []int
	Data  []byte
}

// Len returns the number of elements.
func (t Tensor) Len() int { return len(t.Data) / t.DType.Size() }

// Float32 converts the elements of any floating-point type, growing dst if
// its capacity is too small, and returns the slice of Len elements. The fp8
// types give the bare code values: multiplying by the block scales that stand
// in a sibling tensor is the caller's business. F64 is rounded to nearest.
func (t Tensor) Float32(dst []float32) ([]float32, error) {
	n := t.Len()
	if cap(dst) < n {
		dst = make([]float32, n)
	}
	dst = dst[:n]
	b := t.Data
	switch t.DType {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = quant.FromBF16(binary.LittleEndian.Uint16(b[2*i:]))
		}
	case F16:
		for i := range dst {
			dst[i] = quant.FromF16(binary.LittleEndian.Uint16(b[2*i:]))
		}
	case F64:
		for i := range dst {
			dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:])))
		}
	case F8_E4M3:
		for i := range dst {
			dst[i] = quant.FromE4M3(b[i])
		}
	case F8_E5M2:
		for i := range dst {
			dst[i] = quant.FromE5M2(b[i])
		}
	case F8_E8M0:
		for i := range dst {
			dst[i] = quant.FromE8M0(b[i])
		}
	default:
		return nil, fmt.Errorf("safetensors: tensor %q is %v, which is no floating-point type", t.Name, t.DType)
	}
	return dst, nil
}

// Int64s converts the elements of any integer type or BOOL to a new slice.
func (t Tensor) Int64s() ([]int64, error) {
	out := make([]int64, t.Len())
	b := t.Data
	for i := range out {
		switch t.DType {
		case I64:
			out[i] = int64(binary.LittleEndian.Uint64(b[8*i:]))
		case I32:
			out[i] = int64(int32(binary.LittleEndian.Uint32(b[4*i:])))
		case I16:
			out[i] = int64(int16(binary.LittleEndian.Uint16(b[2*i:])))
		case I8:
			out[i] = int64(int8(b[i]))
		case U64:
			u := binary.LittleEndian.Uint64(b[8*i:])
			if u > math.MaxInt64 {
				return nil, fmt.Errorf("safetensors: tensor %q: element %d is %d, more than a signed integer holds", t.Name, i, u)
			}
			out[i] = int64(u)
		case U32:
			out[i] = int64(binary.LittleEndian.Uint32(b[4*i:]))
		case U16:
			out[i] = int64(binary.LittleEndian.Uint16(b[2*i:]))
		case U8, BOOL:
			out[i] = int64(b[i])
		default:
			return nil, fmt.Errorf("safetensors: tensor %q is %v, which is no integer type", t.Name, t.DType)
		}
	}
	return out, nil
}
