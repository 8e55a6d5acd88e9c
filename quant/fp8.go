// This file holds the 8-bit and 4-bit elements of published weights: E4M3,
// E5M2, E8M0 and E2M1. The 8-bit tables over all codes are computed at start
// from the definition of the format.
//
// Source: OCP 8-bit floating point and microscaling
// specifications.

package quant

import "math"

var (
	e4m3 = e4m3Table()
	e5m2 = e5m2Table()
)

// e2m1 holds the values of the 4-bit codes: sign, two exponent bits, one bit
// of mantissa. Code 8 is zero without a sign, as in ggml, whose table holds
// whole numbers.
var e2m1 = [16]float32{0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6}

// FromE4M3 decodes an E4M3 ("e4m3fn") byte: largest 448, 0x7F and 0xFF are
// NaN, no infinities.
func FromE4M3(b byte) float32 { return e4m3[b] }

// FromE5M2 decodes an E5M2 byte: the upper half of an fp16.
func FromE5M2(b byte) float32 { return e5m2[b] }

// FromE8M0 decodes a power-of-two scale, 2^(b-127). 255 is NaN.
func FromE8M0(b byte) float32 {
	switch b {
	case 0:
		return 0x1p-127
	case 255:
		return float32(math.NaN())
	default:
		return math.Float32frombits(uint32(b) << 23)
	}
}

func e4m3Table() (t [256]float32) {
	for i := range t {
		m, e := i&7, i>>3&15
		x := math.Ldexp(float64(8+m), e-10) // (1 + m/8) * 2^(e-7)
		if e == 0 {
			x = math.Ldexp(float64(m), -9)
		}
		if i&0x7f == 0x7f {
			x = math.NaN()
		}
		if i&0x80 != 0 {
			x = math.Copysign(x, -1)
		}
		t[i] = float32(x)
	}
	return t
}

func e5m2Table() (t [256]float32) {
	for i := range t {
		t[i] = FromF16(uint16(i) << 8)
	}
	return t
}
