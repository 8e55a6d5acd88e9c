// This file holds the element types a header may name.

package safetensors

// DType is the type of a tensor's elements.
type DType uint8

// The element types of published models. F8_E4M3 is the variant without
// infinities; F8_E8M0 is a power-of-two scale.
const (
	F64 DType = iota + 1
	F32
	F16
	BF16
	F8_E4M3
	F8_E5M2
	F8_E8M0
	I64
	I32
	I16
	I8
	U64
	U32
	U16
	U8
	BOOL
)

var dtypes = [...]struct {
	name string
	size int
}{
	F64: {"F64", 8}, F32: {"F32", 4}, F16: {"F16", 2}, BF16: {"BF16", 2},
	F8_E4M3: {"F8_E4M3", 1}, F8_E5M2: {"F8_E5M2", 1}, F8_E8M0: {"F8_E8M0", 1},
	I64: {"I64", 8}, I32: {"I32", 4}, I16: {"I16", 2}, I8: {"I8", 1},
	U64: {"U64", 8}, U32: {"U32", 4}, U16: {"U16", 2}, U8: {"U8", 1},
	BOOL: {"BOOL", 1},
}

// String returns the name used in headers.
func (d DType) String() string {
	if d == 0 || int(d) >= len(dtypes) {
		return "invalid"
	}
	return dtypes[d].name
}

// Size returns the bytes of one element.
func (d DType) Size() int {
	if int(d) >= len(dtypes) {
		return 0
	}
	return dtypes[d].size
}

// parseDType returns 0 for a name it does not know.
func parseDType(name string) DType {
	for d := F64; d <= BOOL; d++ {
		if dtypes[d].name == name {
			return d
		}
	}
	return 0
}
