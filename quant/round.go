// This file holds the round trips of activations through 8 and 4 bits that
// published inference code makes: keys and values of V4, queries and keys of
// the V3.2 and V4 indexers.
//
// Source: the inference kernels of the DeepSeek-V3, V3.2 and V4
// repositories.

package quant

import "math"

// RoundFP8 rounds every block of numbers to E4M3 under a common scale, and the
// product of both to bf16, in place:
//
//	amax  = max(|x|, 1e-4)
//	scale = amax/448, or the power of two not below it if pow2
//	x     = bf16(E4M3(x/scale) * scale)
//
// The last block may be short. A block with a NaN keeps it where it is; one
// with an infinity becomes NaN there and zero elsewhere.
func RoundFP8(x []float32, block int, pow2 bool) {
	for len(x) > 0 {
		b := x[:min(block, len(x))]
		scale := scaleFP8(b, pow2)
		for i, v := range b {
			b[i] = FromBF16(ToBF16(e4m3[ToE4M3(v/scale)] * scale))
		}
		x = x[len(b):]
	}
}

func scaleFP8(b []float32, pow2 bool) float32 {
	amax := maxAbs(b, 1e-4)
	if pow2 {
		return ceilPow2(amax * (1 / float32(448)))
	}
	return amax / 448
}

// EncodeFP8 writes what RoundFP8(x, block, true) makes of x: a code for every
// number, a scale for every block.
//
//	codes [n] E4M3, scales [n/block] E8M0  written; x [n] read; n a multiple of block
func EncodeFP8(codes, scales []byte, x []float32, block int) {
	for i := 0; len(x) > 0; i++ {
		scale := scaleFP8(x[:block], true)
		scales[i] = ToE8M0(scale)
		for j, v := range x[:block] {
			codes[j] = ToE4M3(v / scale)
		}
		x, codes = x[block:], codes[block:]
	}
}

// DecodeFP8 decodes what EncodeFP8 wrote to dst [n].
func DecodeFP8(dst []float32, codes, scales []byte, block int) {
	for i := 0; len(dst) > 0; i++ {
		scaledE4M3(dst[:block], codes[:block], FromE8M0(scales[i]))
		dst, codes = dst[block:], codes[block:]
	}
}

// RoundFP4 rounds every block of numbers to E2M1 under a common power of two,
// in place. The results are bf16 numbers without further rounding.
//
//	amax  = max(|x|, 6 * 2^-126)
//	scale = the power of two not below amax/6
//	x     = E2M1(x/scale) * scale
//
// The last block may be short.
func RoundFP4(x []float32, block int) {
	for len(x) > 0 {
		b := x[:min(block, len(x))]
		scale := scaleFP4(b)
		for i, v := range b {
			b[i] = e2m1[ToE2M1(v/scale)] * scale
		}
		x = x[len(b):]
	}
}

// EncodeFP4 writes what RoundFP4(x, 32) makes of x, in the form that DecodeFP4
// reads; n is a multiple of 32.
func EncodeFP4(codes, scales []byte, x []float32) {
	for i := 0; len(x) > 0; i++ {
		scale := scaleFP4(x[:32])
		scales[i] = ToE8M0(scale)
		for j := range 16 {
			codes[j] = ToE2M1(x[2*j]/scale) | ToE2M1(x[2*j+1]/scale)<<4
		}
		x, codes = x[32:], codes[16:]
	}
}

func scaleFP4(b []float32) float32 {
	return ceilPow2(maxAbs(b, 6*0x1p-126) * (1 / float32(6)))
}

func maxAbs(x []float32, least float32) float32 {
	for _, v := range x {
		if v < 0 {
			v = -v
		}
		if v > least {
			least = v
		}
	}
	return least
}

// ceilPow2 is the power of two not below y, a normal number.
func ceilPow2(y float32) float32 {
	return math.Float32frombits((math.Float32bits(y) + 0x7fffff) &^ 0x7fffff)
}
