package main

import (
	"fmt"
	"math"
	"slices"
)

// Scales of blocks for Advanced SIMD, and the tables. What unpacks the scales of a block may use the weights'
// registers of a row, its s and that of x; it leaves float32 in the scratch memory.

// whole numbers of 16 bytes in w 3 to float32 in w 0 to w 3.
func (n *neonQuant) unsigned(r int) {
	w := func(i int) int { return n.w(r, i) }
	n.op("VUXTL2", fmt.Sprintf("V%d.B16", w(3)), fmt.Sprintf("V%d.H8", w(2)))
	n.op("VUXTL", fmt.Sprintf("V%d.B8", w(3)), fmt.Sprintf("V%d.H8", w(0)))
	n.halfWords(r)
}

func (n *neonQuant) signed(r int) {
	n.sshll(n.w(r, 2), n.w(r, 3), 8, 0, true)
	n.sshll(n.w(r, 0), n.w(r, 3), 8, 0, false)
	n.halfWords(r)
}

// halfWords makes float32 of the 16 signed numbers in w 0 and w 2.
func (n *neonQuant) halfWords(r int) {
	for i := 0; i < 4; i += 2 {
		n.sshll(n.w(r, i+1), n.w(r, i), 16, 0, true)
		n.sshll(n.w(r, i), n.w(r, i), 16, 0, false)
	}
	for i := range 4 {
		n.scvtf(n.w(r, i), n.w(r, i))
	}
}

// keep writes w 0 to w 3 to the scratch memory.
func (n *neonQuant) keep(r, off int) {
	for i := range 4 {
		n.op("FMOVQ", fmt.Sprintf("F%d", n.w(r, i)), n.scratch(r, off+16*i))
	}
}

// inTurns multiplies scales and floors in turns by d and dmin, which are elements 0 and 1 of s, and again 2 and 3.
func (n *neonQuant) inTurns(r int) {
	for i := range 4 {
		n.three("fmul", n.w(r, i), n.w(r, i), n.s(r))
	}
}

// pairTwice takes two float16 to elements 0 and 1 of s, and again to 2 and 3.
func (n *neonQuant) pairTwice(r, off int) {
	n.f16pair(r, off)
	n.op("VDUP", fmt.Sprintf("V%d.D[0]", n.s(r)), fmt.Sprintf("V%d.D2", n.s(r)))
}

// neonScalesQ4_K writes scales and floors in turns. Four at a time are computed in one register: see scalesQ4_K.
func neonScalesQ4_K(n *neonQuant) {
	n.each(func(r int) {
		n.pairTwice(r, 0)
		for i, reg := range []string{"R22", "R23", "R24"} {
			n.op("MOVWU", n.src(r, 4+4*i), reg)
		}
		n.sixBits("R22", "R24", 0, n.w(r, 0))
		n.sixBits("R23", "R24", 4, n.w(r, 1))
		n.zip(false, "B16", n.w(r, 3), n.w(r, 0), n.w(r, 1))
		n.unsigned(r)
		n.inTurns(r)
		n.keep(r, 0)
	})
}

// sixBits makes eight bytes: the lower six bits of those in first, then four bits of those in second with the upper
// two of first.
func (n *neonQuant) sixBits(first, second string, shift, to int) {
	n.op("ANDW", 0x3f3f3f3f, first, "R25")
	n.op("LSR", 2, first, first)
	n.op("ANDW", 0x30303030, first, first)
	n.op("LSR", shift, second, "R9")
	n.op("ANDW", 0x0f0f0f0f, "R9", "R9")
	n.op("ORR", "R9", first, first)
	n.op("ORR", first+"<<32", "R25", "R25")
	n.op("FMOVD", "R25", fmt.Sprintf("F%d", to))
}

// neonScalesQ2_K writes scales and floors in turns: the halves of 16 bytes.
func neonScalesQ2_K(n *neonQuant) {
	n.each(func(r int) {
		n.pairTwice(r, 80)
		for half := range 2 {
			n.read(r, 0, n.w(r, 0))
			n.bytesBy("VUSHR", 4, n.w(r, 0), n.w(r, 1))
			n.bytesBy("VSHL", 4, n.w(r, 0), n.w(r, 0))
			n.bytesBy("VUSHR", 4, n.w(r, 0), n.w(r, 0))
			n.zip(half == 1, "B16", n.w(r, 3), n.w(r, 0), n.w(r, 1))
			n.unsigned(r)
			n.inTurns(r)
			n.keep(r, 64*half)
		}
	})
}

// neonScalesQ3_K writes scales of six bits, less 32: four in the halves of eight bytes, two in the quarters of four.
func neonScalesQ3_K(n *neonQuant) {
	n.each(func(r int) {
		low, high, t := n.w(r, 3), n.w(r, 0), n.w(r, 1)
		n.f16(r, 108)
		n.op("FMOVD", n.src(r, 96), fmt.Sprintf("F%d", low))
		n.bytesBy("VUSHR", 4, low, t)
		n.zip(false, "D2", low, low, t)
		n.op("MOVWU", n.src(r, 104), "R22")
		n.op("VDUP", "R22", fmt.Sprintf("V%d.S4", high))
		n.load("rightTwos", t)
		n.three("ushl", high, high, t)
		n.logic("VAND", high, high, n.constant("low2"))
		n.bytesBy("VSLI", 4, high, low)
		n.load("thirtyTwo", t)
		n.logic("VSUB", low, low, t)
		n.signed(r)
		n.scaled(r)
		n.keep(r, 0)
	})
}

func neonScalesQ6_K(n *neonQuant) {
	n.each(func(r int) {
		n.f16(r, 208)
		n.read(r, 192, n.w(r, 3))
		n.signed(r)
		n.scaled(r)
		n.keep(r, 0)
	})
}

// neonScalesIQ4_XS writes eight scales of six bits, less 32: nibbles, and pairs of bits above them.
func neonScalesIQ4_XS(n *neonQuant) {
	n.each(func(r int) {
		n.f16(r, 0)
		n.op("MOVWU", n.src(r, 4), "R22")
		n.op("MOVHU", n.src(r, 2), "R23")
		for half := range 2 {
			low, high := n.w(r, half), n.w(r, 2)
			if half == 1 {
				n.op("LSR", 16, "R22", "R22")
				n.op("LSR", 8, "R23", "R23")
			}
			n.op("VDUP", "R22", fmt.Sprintf("V%d.S4", low))
			n.op("VDUP", "R23", fmt.Sprintf("V%d.S4", high))
			n.load("rightFours", neonX)
			n.three("ushl", low, low, neonX)
			n.load("rightTwos", neonX)
			n.three("ushl", high, high, neonX)
			n.load("three", neonX)
			n.logic("VAND", high, high, neonX)
			n.op("VSLI", 4, fmt.Sprintf("V%d.S4", high), fmt.Sprintf("V%d.S4", low))
			n.load("wordThirtyTwo", neonX)
			n.op("VSUB", fmt.Sprintf("V%d.S4", neonX), fmt.Sprintf("V%d.S4", low), fmt.Sprintf("V%d.S4", low))
			n.scvtf(low, low)
			n.element("fmul", low, low, n.s(r), 0)
			n.op("FMOVQ", fmt.Sprintf("F%d", low), n.scratch(r, 16*half))
		}
	})
}

// halfE8M0 is 2^(e-128), subnormal for e < 2; see quant/blocks32.go.
func (n *neonQuant) halfE8M0(byteAt string, to int) {
	n.op("MOVBU", byteAt, "R22")
	n.op("MOVD", 1<<21, "R23")
	n.op("LSL", "R22", "R23", "R23")
	n.op("SUB", 1, "R22", "R24")
	n.op("LSL", 23, "R24", "R24")
	n.op("CMP", 2, "R22")
	n.op("CSEL", "LO", "R23", "R24", "R22")
	n.op("FMOVS", "R22", fmt.Sprintf("F%d", to))
}

// e8m0 is 2^(e-127), subnormal for e = 0 and infinite for 255.
func (n *neonQuant) e8m0(byteAt string, to int) {
	n.op("MOVBU", byteAt, "R22")
	n.op("MOVD", 1<<22, "R23")
	n.op("LSL", 23, "R22", "R24")
	n.op("CMP", 0, "R22")
	n.op("CSEL", "EQ", "R23", "R24", "R22")
	n.op("FMOVS", "R22", fmt.Sprintf("F%d", to))
}

// neonTables are vectors of 16 bytes as four words.
var neonTables = func() (list []neonVector) {
	all := func(name string, w uint32) { list = append(list, neonVector{name, [4]uint32{w, w, w, w}}) }
	bytes := func(name string, f func(i int) byte) {
		v := neonVector{name: name}
		for i := range 16 {
			v.words[i/4] |= uint32(f(i)) << (i % 4 * 8)
		}
		list = append(list, v)
	}
	words := func(name string, f func(i int) int) {
		list = append(list, neonVector{name, [4]uint32{uint32(f(0)), uint32(f(1)), uint32(f(2)), uint32(f(3))}})
	}
	float := func(x float64) uint32 { return math.Float32bits(float32(x)) }
	numbers := func(name string, f func(i int) float64) { // each is a bfloat16
		bytes(name+"Low", func(i int) byte { return byte(float(f(i)) >> 16) })
		bytes(name+"High", func(i int) byte { return byte(float(f(i)) >> 24) })
	}

	all("zero", 0)
	all("low2", 0x03030303)
	all("low3", 0x07070707)
	all("low4", 0x0f0f0f0f)
	all("low5", 0x1f1f1f1f)
	all("low6", 0x3f3f3f3f)
	all("sign", 0x80808080)
	all("thirtyTwo", 0x20202020)
	numbers("digits", func(i int) float64 { return float64(i) })
	numbers("levels", func(i int) float64 { return float64(i - 8) })
	numbers("levels4", func(i int) float64 { return float64(i - 4) })
	numbers("ternary", func(i int) float64 { return float64(i%4 - 1) })
	numbers("iq4", func(i int) float64 { return float64(iq4[i]) })
	numbers("e2m1x2", func(i int) float64 { return float64(e2m1[i]) })
	numbers("e2m1", func(i int) float64 {
		if i == 8 {
			return math.Copysign(0, -1)
		}
		return float64(e2m1[i]) / 2
	})
	all("ones", float(1))
	all("two8", float(256))
	all("two23", 0x4b004b00)
	for _, less := range []int{0, 16, 32, 128} {
		all(fmt.Sprintf("two23+%d", less), float(float64(1<<23+less)))
	}
	bytes("bits", func(i int) byte { return 1 << (i % 8) })
	bytes("spread0", func(i int) byte { return byte(i / 8) })
	bytes("spread1", func(i int) byte { return byte(2 + i/8) })
	words("rightTwos", func(i int) int { return -2 * i })
	words("rightFours", func(i int) int { return -4 * i })
	all("three", 3)
	all("wordThirtyTwo", 32)
	all("e4m3", 0xbfffbfff)
	all("nan", float(math.NaN()))
	return list
}()

type neonVector struct {
	name  string
	words [4]uint32
}

// neonTable is where a table begins.
func neonTable(name string) int {
	i := slices.IndexFunc(neonTables, func(v neonVector) bool { return v.name == name })
	if i < 0 {
		panic("asmgen: no table " + name)
	}
	return 16 * i
}

func neonQuantTables(a *asm) {
	var words []uint32
	for _, v := range neonTables {
		words = append(words, v.words[:]...)
	}
	a.data("neonQuant", words)
	halfUE4M3(a, "neonHalfUE4M3")
}
