// This file holds the 16-bit floats: bf16 and IEEE fp16, to and from float32,
// one number or a slice at a time. All narrowing is round-to-nearest-even.
// Widening is exact. A NaN stays a NaN of the same sign.

package quant

import "math"

// ToBF16 rounds x to bf16. Numbers above the largest bf16 become infinite.
func ToBF16(x float32) uint16 {
	b := math.Float32bits(x)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40 // quiet: the kept payload bits may all be zero
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// FromBF16 widens b.
func FromBF16(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

// ToF16 rounds x to fp16. Numbers of 65520 and above become infinite.
func ToF16(x float32) uint16 {
	b := math.Float32bits(x)
	sign := uint16(b >> 16 & 0x8000)
	a := b & 0x7fffffff
	switch {
	case a > 0x7f800000: // NaN
		return sign | 0x7e00 | uint16(a>>13&0x3ff)
	case a >= 0x477ff000: // 65520, halfway between 65504 and 2^16, and above
		return sign | 0x7c00
	case a >= 0x38800000: // 2^-14: normal in fp16
		// Move the exponent bias from 127 to 15, then round at bit 13.
		a -= 112 << 23
		return sign | uint16((a+0xfff+a>>13&1)>>13)
	default: // subnormal: adding 0.5 makes the FPU round at 2^-24
		r := math.Float32frombits(a) + 0.5
		return sign | uint16(math.Float32bits(r)-0x3f000000)
	}
}

// FromF16 widens h.
func FromF16(h uint16) float32 {
	if h&0x7c00-0x400 < 0x7800 { // normal: move the exponent bias from 15 to 127
		return math.Float32frombits(uint32(h&0x8000)<<16 | (uint32(h&0x7fff)+112<<10)<<13)
	}
	return fromF16Edge(h)
}

// fromF16Edge widens an h that is zero, subnormal, infinite or NaN.
func fromF16Edge(h uint16) float32 {
	sign, m := uint32(h&0x8000)<<16, uint32(h&0x3ff)
	if h&0x7c00 == 0 { // m * 2^-24, exact in float32
		return math.Float32frombits(sign | math.Float32bits(float32(m)*0x1p-24))
	}
	return math.Float32frombits(sign | 0x7f800000 | m<<13)
}

// ToBF16s rounds src to bf16.
//
//	dst [n] bf16 bits  written; len(dst) >= len(src)
//	src [n] float32    read
func ToBF16s(dst []uint16, src []float32) {
	dst = dst[:len(src)]
	for i, x := range src {
		dst[i] = ToBF16(x)
	}
}

// FromBF16s widens src.
//
//	dst [n] float32    written; len(dst) >= len(src)
//	src [n] bf16 bits  read
func FromBF16s(dst []float32, src []uint16) {
	dst = dst[:len(src)]
	for i, b := range src {
		dst[i] = FromBF16(b)
	}
}

// ToF16s rounds src to fp16.
//
//	dst [n] fp16 bits  written; len(dst) >= len(src)
//	src [n] float32    read
func ToF16s(dst []uint16, src []float32) {
	dst = dst[:len(src)]
	for i, x := range src {
		dst[i] = ToF16(x)
	}
}

// FromF16s widens src.
//
//	dst [n] float32    written; len(dst) >= len(src)
//	src [n] fp16 bits  read
func FromF16s(dst []float32, src []uint16) {
	dst = dst[:len(src)]
	for i, h := range src {
		dst[i] = FromF16(h)
	}
}
