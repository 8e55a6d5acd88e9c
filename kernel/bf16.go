package kernel

import "math"

// bfloat16 is the upper half of a float32. A pair of them travels in one word, see gemm_tile.go.

// toBF16 rounds to nearest, ties to even, as VCVTNE2PS2BF16 does: a subnormal number becomes zero, a
// NaN stays one.
func toBF16(x float32) uint32 {
	b := math.Float32bits(x)
	switch {
	case x != x:
		return b>>16 | 0x40
	case b&0x7f800000 == 0:
		return b >> 16 & 0x8000
	}
	return (b + 0x7fff + b>>16&1) >> 16
}

// pair puts lo and hi, rounded, into one word.
func pair(lo, hi float32) float32 {
	return math.Float32frombits(toBF16(lo) | toBF16(hi)<<16)
}

// unpair takes a word apart.
func unpair(w float32) (lo, hi float32) {
	b := math.Float32bits(w)
	return math.Float32frombits(b << 16), math.Float32frombits(b &^ 0xffff)
}
