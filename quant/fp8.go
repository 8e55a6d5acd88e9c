// This file holds the 8-bit and 4-bit elements of published weights: E4M3,
// E5M2, E8M0 and E2M1, to and from float32. The tables over all 8-bit codes
// are computed at start from the definition of the format. Narrowing rounds to
// the nearest number, ties to even.
//
// Source: OCP 8-bit floating point and microscaling specifications; what is
// beyond the range goes where PyTorch puts it.

package quant

import "math"

var (
	e4m3 = e4m3Table()
	e5m2 = e5m2Table()
	fp4s = makePairs(func(q int) float32 { return e2m1[q] })
)

// e2m1 holds the values of the 4-bit codes: sign, two exponent bits, one bit
// of mantissa.
var e2m1 = [16]float32{0, 0.5, 1, 1.5, 2, 3, 4, 6, float32(math.Copysign(0, -1)), -0.5, -1, -1.5, -2, -3, -4, -6}

// FromE4M3 decodes an E4M3 ("e4m3fn") byte: largest 448, 0x7F and 0xFF are
// NaN, no infinities.
func FromE4M3(b byte) float32 { return e4m3[b] }

// ToE4M3 rounds x to E4M3. Everything beyond 448, infinity too, becomes 448.
func ToE4M3(x float32) byte {
	b := math.Float32bits(x)
	sign, a := byte(b>>24&0x80), b&0x7fffffff
	switch {
	case a > 0x7f800000: // NaN
		return sign | 0x7f
	case a >= 0x43e00000: // 448
		return sign | 0x7e
	case a >= 0x3c800000: // 2^-6: normal
		// Move the exponent bias from 127 to 7, then round at bit 20.
		a -= 120 << 23
		return sign | byte((a+0x7ffff+a>>20&1)>>20)
	default: // subnormal: adding 2^14 makes the FPU round at 2^-9
		r := math.Float32frombits(a) + 0x1p14
		return sign | byte(math.Float32bits(r)-0x46800000)
	}
}

// FromE5M2 decodes an E5M2 byte: the upper half of an fp16.
func FromE5M2(b byte) float32 { return e5m2[b] }

// ToE5M2 rounds x to E5M2. Numbers of 61440 and above become infinite.
func ToE5M2(x float32) byte {
	b := math.Float32bits(x)
	sign, a := byte(b>>24&0x80), b&0x7fffffff
	switch {
	case a > 0x7f800000: // NaN
		return sign | 0x7f
	case a >= 0x47700000: // 61440, halfway between 57344 and 2^16, and above
		return sign | 0x7c
	case a >= 0x38800000: // 2^-14: normal
		a -= 112 << 23
		return sign | byte((a+0xfffff+a>>21&1)>>21)
	default: // subnormal: adding 2^7 makes the FPU round at 2^-16
		r := math.Float32frombits(a) + 0x1p7
		return sign | byte(math.Float32bits(r)-0x43000000)
	}
}

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

// ToE8M0 returns the scale nearest to x > 0, by mantissa: 1.5 times a power of
// two goes up. Above 1.5 * 2^127 it is NaN. The sign of x is ignored.
func ToE8M0(x float32) byte {
	b := math.Float32bits(x)
	e, m := b>>23&0xff, b&0x7fffff
	if e < 255 && (m > 0x400000 || m == 0x400000 && e > 0) {
		e++
	}
	return byte(e)
}

// CeilE8M0 returns the smallest scale not below x > 0, at most 2^127.
func CeilE8M0(x float32) byte {
	b := math.Float32bits(x)
	e, m := b>>23&0xff, b&0x7fffff
	if m > 0 && (e > 0 || m > 0x400000) {
		e++
	}
	return byte(min(e, 254))
}

// FromE2M1 decodes the E2M1 code in the low four bits of b.
func FromE2M1(b byte) float32 { return e2m1[b&15] }

// ToE2M1 rounds x to E2M1, a code of four bits. Everything beyond 6 becomes 6.
func ToE2M1(x float32) byte {
	b := math.Float32bits(x)
	sign, a := byte(b>>28&8), math.Float32frombits(b&0x7fffffff)
	// Each tie goes to the code without a mantissa bit, that is, the even one.
	switch {
	case a <= 0.25:
		return sign
	case a < 0.75:
		return sign | 1
	case a <= 1.25:
		return sign | 2
	case a < 1.75:
		return sign | 3
	case a <= 2.5:
		return sign | 4
	case a < 3.5:
		return sign | 5
	case a <= 5:
		return sign | 6
	default:
		return sign | 7
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
