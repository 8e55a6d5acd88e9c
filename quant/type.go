// This file holds Type, the ggml number of a format, and what every format's
// rows look like from outside; then Decode, which chooses the format from a
// Type. The formats themselves are in plain.go, blocks32.go, kquants.go,
// blocks256.go and lattice.go.
//
// Source: ggml.h of the ggml project.

package quant

import (
	"encoding/binary"
	"fmt"
)

// Type is the number by which GGUF files name a format.
type Type uint32

// The published types. The missing numbers were withdrawn or never left the
// memory of one program.
const (
	F32     Type = 0
	F16     Type = 1
	Q4_0    Type = 2
	Q4_1    Type = 3
	Q5_0    Type = 6
	Q5_1    Type = 7
	Q8_0    Type = 8
	Q8_1    Type = 9
	Q2_K    Type = 10
	Q3_K    Type = 11
	Q4_K    Type = 12
	Q5_K    Type = 13
	Q6_K    Type = 14
	Q8_K    Type = 15
	IQ2_XXS Type = 16
	IQ2_XS  Type = 17
	IQ3_XXS Type = 18
	IQ1_S   Type = 19
	IQ4_NL  Type = 20
	IQ3_S   Type = 21
	IQ2_S   Type = 22
	IQ4_XS  Type = 23
	I8      Type = 24
	I16     Type = 25
	I32     Type = 26
	I64     Type = 27
	F64     Type = 28
	IQ1_M   Type = 29
	BF16    Type = 30
	TQ1_0   Type = 34
	TQ2_0   Type = 35
	MXFP4   Type = 39
	NVFP4   Type = 40
)

// firstFork is the lowest number that forks of ggml have taken for formats of
// their own.
const firstFork Type = 97

// types describes each published type. decode unpacks whole blocks: len(y) is
// a multiple of block, and b has exactly the bytes that they take.
var types = [...]struct {
	name   string
	block  int // numbers in a block
	bytes  int // bytes of a block
	decode func(y []float32, b []byte)
}{
	F32:     {"F32", 1, 4, decodeF32},
	F16:     {"F16", 1, 2, decodeF16},
	Q4_0:    {"Q4_0", 32, 18, decodeQ4_0},
	Q4_1:    {"Q4_1", 32, 20, decodeQ4_1},
	Q5_0:    {"Q5_0", 32, 22, decodeQ5_0},
	Q5_1:    {"Q5_1", 32, 24, decodeQ5_1},
	Q8_0:    {"Q8_0", 32, 34, decodeQ8_0},
	Q8_1:    {"Q8_1", 32, 36, decodeQ8_1},
	Q2_K:    {"Q2_K", 256, 84, decodeQ2_K},
	Q3_K:    {"Q3_K", 256, 110, decodeQ3_K},
	Q4_K:    {"Q4_K", 256, 144, decodeQ4_K},
	Q5_K:    {"Q5_K", 256, 176, decodeQ5_K},
	Q6_K:    {"Q6_K", 256, 210, decodeQ6_K},
	Q8_K:    {"Q8_K", 256, 292, decodeQ8_K},
	IQ2_XXS: {"IQ2_XXS", 256, 66, decodeIQ2_XXS},
	IQ2_XS:  {"IQ2_XS", 256, 74, decodeIQ2_XS},
	IQ3_XXS: {"IQ3_XXS", 256, 98, decodeIQ3_XXS},
	IQ1_S:   {"IQ1_S", 256, 50, decodeIQ1_S},
	IQ4_NL:  {"IQ4_NL", 32, 18, decodeIQ4_NL},
	IQ3_S:   {"IQ3_S", 256, 110, decodeIQ3_S},
	IQ2_S:   {"IQ2_S", 256, 82, decodeIQ2_S},
	IQ4_XS:  {"IQ4_XS", 256, 136, decodeIQ4_XS},
	I8:      {"I8", 1, 1, decodeI8},
	I16:     {"I16", 1, 2, decodeI16},
	I32:     {"I32", 1, 4, decodeI32},
	I64:     {"I64", 1, 8, decodeI64},
	F64:     {"F64", 1, 8, decodeF64},
	IQ1_M:   {"IQ1_M", 256, 56, decodeIQ1_M},
	BF16:    {"BF16", 1, 2, decodeBF16},
	TQ1_0:   {"TQ1_0", 256, 54, decodeTQ1_0},
	TQ2_0:   {"TQ2_0", 256, 66, decodeTQ2_0},
	MXFP4:   {"MXFP4", 32, 17, decodeMXFP4},
	NVFP4:   {"NVFP4", 64, 36, decodeNVFP4},
}

// Check returns an error that explains a number which is no published type.
func (t Type) Check() error {
	switch {
	case int64(t) < int64(len(types)) && types[t].name != "":
		return nil
	case t >= firstFork:
		return fmt.Errorf("quant: type %d belongs to a fork of ggml and is not a published format: convert the file again with llama.cpp's own tools", uint32(t))
	case t < firstFork && t > NVFP4:
		return fmt.Errorf("quant: type %d is newer than this program", uint32(t))
	default:
		return fmt.Errorf("quant: type %d was withdrawn: convert the file again from its source", uint32(t))
	}
}

// String returns the published name, such as "Q8_0".
func (t Type) String() string {
	if t.Check() != nil {
		return fmt.Sprintf("type %d", uint32(t))
	}
	return types[t].name
}

// Block returns how many numbers a block holds; rows are whole blocks. It is 1
// for plain numbers, and 0 if t is no published type.
func (t Type) Block() int {
	if t.Check() != nil {
		return 0
	}
	return types[t].block
}

// BlockBytes returns the bytes of a block, 0 if t is no published type.
func (t Type) BlockBytes() int {
	if t.Check() != nil {
		return 0
	}
	return types[t].bytes
}

// Bytes returns the bytes of n numbers. n must be a multiple of t.Block(), and
// t a published type.
func (t Type) Bytes(n int) int { return n / types[t].block * types[t].bytes }

// Decode unpacks whole blocks. Every published type is decoded; integers and
// F64 are rounded to the nearest float32, all else is exact.
//
//	dst [n]           float32  written; n a multiple of t.Block()
//	src [t.Bytes(n)]  packed   read
//
// It fails for a number that is no published type, or if the lengths do not
// fit. Any bytes are valid; NaN and infinity come out where a scale says so.
func Decode(dst []float32, src []byte, t Type) error {
	if err := checkLengths(len(dst), len(src), t); err != nil {
		return err
	}
	types[t].decode(dst, src)
	return nil
}

func checkLengths(n, bytes int, t Type) error {
	if err := t.Check(); err != nil {
		return err
	}
	if n%t.Block() != 0 {
		return fmt.Errorf("quant: %d numbers are no whole blocks of %v, which has %d a block", n, t, t.Block())
	}
	if bytes != t.Bytes(n) {
		return fmt.Errorf("quant: %d numbers of %v take %d bytes, not %d", n, t, t.Bytes(n), bytes)
	}
	return nil
}

func u16(b []byte) uint16  { return binary.LittleEndian.Uint16(b) }
func u32(b []byte) uint32  { return binary.LittleEndian.Uint32(b) }
func u64(b []byte) uint64  { return binary.LittleEndian.Uint64(b) }
func f16(b []byte) float32 { return FromF16(u16(b)) }
