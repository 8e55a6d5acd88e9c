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
