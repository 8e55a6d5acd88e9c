package main

import (
	"fmt"
	"math"
)

// quantTables prints the constants of the kernels on blocks: vectors of 16 words, of which AVX2
// takes eight, bytes for VPSHUFB, and the powers of two of MXFP4.
func quantTables(a *asm) {
	vector := func(name string, f func(i int) uint32) {
		words := make([]uint32, 16)
		for i := range words {
			words[i] = f(i)
		}
		a.data(name, words)
	}
	all := func(name string, w uint32) { vector(name, func(int) uint32 { return w }) }
	float := func(x int) uint32 { return math.Float32bits(float32(x)) }
	bytes := func(name string, of [16]int8) {
		words := make([]uint32, 4)
		for i, b := range of {
			words[i/4] |= uint32(uint8(b)) << (i % 4 * 8)
		}
		a.data(name, words)
	}

	vector("quantDigits", func(i int) uint32 { return float(i) })
	vector("quantTwoBits", func(i int) uint32 { return float(i % 4) })
	vector("quantTernary", func(i int) uint32 { return float(i%4 - 1) })
	vector("quantThreeBits", func(i int) uint32 { return float(i%8 - 4) })
	vector("quantLevels", func(i int) uint32 { return float(i - 8) })
	vector("quantIQ4", func(i int) uint32 { return float(int(iq4[i])) })
	vector("quantE2M1", func(i int) uint32 { return float(int(e2m1[i])) })
	bytes("quantIQ4Bytes", iq4)
	bytes("quantE2M1Bytes", e2m1)
	all("quantEight", float(8))
	all("quantSixteen", float(16))
	all("quantThirtyTwo", float(32))
	all("quantSign", 1<<31)
	all("quantLow4", 15)
	all("quantLow4Bytes", 0x0f0f0f0f)
	all("quantLow2", 3)
	all("quantBit2", 1<<2)
	all("quantBit4", 1<<4)
	all("quantBits45", 3<<4)
	vector("quantBits", func(i int) uint32 { return 1 << (i % 8) })
	vector("quantQuarters", func(i int) uint32 { return uint32(i / 4 * 2) })
	vector("quantHalves", func(i int) uint32 { return uint32(i / 8 * 4) })
	vector("quantTwos", func(i int) uint32 { return uint32(i % 8 * 2) })

	all("quantE4M3", 0xbfffbfff)
	all("quantSignBytes", 0x80808080)
	all("quantOnes", 0xffffffff)
	all("quantNaN", math.Float32bits(float32(math.NaN())))
	all("quantTwo8", float(256))
	all("quantExponent", 0xff<<23)
	all("quantSmallest", 1<<22) // 2^-127
	vector("quantHalfE2M1", func(i int) uint32 {
		if i == 8 {
			return 1 << 31
		}
		return math.Float32bits(float32(e2m1[i]) / 2)
	})
	vector("quantNibbles", func(i int) uint32 { return uint32(i % 8 * 4) })

	// Scales and floors of Q4_K in turns: sub-block i/2, a floor when i is odd. Bytes from which they
	// come, the one with the upper two bits second, as indices of VPSHUFB, in which 0x80 makes zeros.
	vector("quantScaleBytes", func(i int) uint32 {
		j := i / 2
		if j < 4 {
			return 0x80808000 | uint32(j+i%2*4)
		}
		return 0x80800000 | uint32(j-4+i%2*4)<<8 | uint32(j+4)
	})
	vector("quantScaleShift", func(i int) uint32 {
		if i >= 8 && i%2 > 0 {
			return 4
		}
		return 0
	})
	vector("quantScaleMask", func(i int) uint32 {
		if i < 8 {
			return 63
		}
		return 15
	})
	// The scales of Q3_K, two bytes after the beginning of a vector: scale i has its low bits in byte i%8, and
	// its high ones in byte 8+i%4.
	vector("quantLowBytes", func(i int) uint32 { return 0x80808000 | uint32(2+i%8) })
	vector("quantHighBytes", func(i int) uint32 { return 0x80808000 | uint32(10+i%4) })

	half := make([]uint32, 256) // 2^(e-128)
	for e := range half {
		half[e] = math.Float32bits(float32(math.Ldexp(1, e-128)))
	}
	a.data("quantHalfE8M0", half)
	halfUE4M3(a, "quantHalfUE4M3")
}

// halfUE4M3 prints half of every scale of NVFP4; see quant/blocks32.go for the odd ones.
func halfUE4M3(a *asm, name string) {
	words := make([]uint32, 256)
	for i := range words {
		e, m := i>>3&15, i&7
		x := math.Ldexp(float64(8+m), e-11)
		if e == 0 {
			x = math.Ldexp(float64(m), -10)
		}
		if i == 0x7f {
			x = 0
		}
		words[i] = math.Float32bits(float32(x))
	}
	a.data(name, words)
}

// vectorAt is the operand of element i of a table.
func vectorAt(table string, i int) string { return fmt.Sprintf("%s<>+%d(SB)", table, 4*i) }

// iq4 are the numbers of IQ4_NL and IQ4_XS, e2m1 twice those of MXFP4.
var (
	iq4  = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	e2m1 = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}
)
