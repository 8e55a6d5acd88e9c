// This file holds FromModel: a model in training as a Source.

package weights

import (
	"encoding/binary"
	"unsafe"

	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/quant"
)

// FromModel returns the parameters of m. Matrices are views that change as m is trained, and are valid as long
// as m is in use; vectors are copies of what they are when they are asked for. Close does nothing.
func FromModel(m *model.Model) *Source {
	return &Source{cfg: m.Config(), files: parameters{m}}
}

// parameters are float32 in memory.
type parameters struct{ m *model.Model }

func (p parameters) find(name string) (tensor, bool) {
	q := p.m.Param(name)
	if q == nil || len(q.Data) == 0 {
		return tensor{}, false
	}
	t := tensor{name: name, shape: q.Shape, typ: quant.F32}
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		t.data = unsafe.Slice((*byte)(unsafe.Pointer(&q.Data[0])), 4*len(q.Data))
		return t, true
	}
	k := q.Shape[len(q.Shape)-1]
	t.decode = func(dst []float32, lo, hi int) { copy(dst, q.Data[lo*k:hi*k]) }
	return t, true
}

func (parameters) locate(uintptr) (string, int64, bool) { return "", 0, false }

func (parameters) close() error { return nil }
