package kernel

import (
	"encoding/binary"
	"unsafe"

	"github.com/haenyeo/haenyeo/quant"
)

// littleEndian says whether this processor keeps numbers in the order of the files.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// floats is rows [lo,hi) of s where they lie, or nil when they must be decoded: they are not float32, or
// not where this processor reads float32.
func (s *Stored) floats(lo, hi int) []float32 {
	if s.Type != quant.F32 || s.Decode != nil || !littleEndian || lo == hi {
		return nil
	}
	b := s.Data[4*lo*s.K : 4*hi*s.K]
	if len(b) == 0 || uintptr(unsafe.Pointer(&b[0]))%4 != 0 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), len(b)/4)
}
