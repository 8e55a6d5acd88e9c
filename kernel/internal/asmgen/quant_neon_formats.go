package main

import "fmt"

// The formats for Advanced SIMD, by their names in quantFormats; scales are in quant_neon_scales.go.
var neonFormats = map[string]neonFormat{
	"F32":    {block: neonF32},
	"F16":    {block: neonF16},
	"BF16":   {consts: []string{"zero"}, block: neonBF16},
	"Q4_0":   {consts: lookUp("levels"), block: neonHalves},
	"Q4_1":   {consts: append(lookUp("digits"), "ones"), block: neonQ4_1},
	"Q5_0":   {consts: []string{"zero", "two23", "two23+16", "low5"}, block: neonQ5_0},
	"Q5_1":   {consts: []string{"zero", "two23", "two23+0", "low5", "ones"}, block: neonQ5_1},
	"Q8_0":   {consts: []string{"zero", "two23", "two23+128", "sign"}, block: neonQ8_0},
	"Q2_K":   {consts: []string{"zero", "low2", "digitsLow", "digitsHigh", "ones"}, block: neonQ2_K, prepare: neonScalesQ2_K},
	"Q3_K":   {consts: []string{"zero", "low2", "levels4Low", "levels4High", "low3"}, block: neonQ3_K, prepare: neonScalesQ3_K},
	"Q4_K":   {consts: append(lookUp("digits"), "ones"), block: neonQ4_K, prepare: neonScalesQ4_K},
	"Q5_K":   {consts: []string{"zero", "two23", "two23+0", "low5", "ones"}, block: neonQ5_K, prepare: neonScalesQ4_K},
	"Q6_K":   {consts: []string{"zero", "two23", "two23+32", "low6"}, block: neonQ6_K, prepare: neonScalesQ6_K},
	"IQ4_NL": {consts: lookUp("iq4"), block: neonHalves},
	"IQ4_XS": {consts: lookUp("iq4"), block: neonIQ4_XS, prepare: neonScalesIQ4_XS},
	"MXFP4":  {consts: lookUp("e2m1x2"), block: neonMXFP4},
	"NVFP4":  {consts: lookUp("e2m1x2"), block: neonNVFP4},
	"TQ2_0":  {consts: []string{"zero", "low2", "ternaryLow", "ternaryHigh"}, block: neonTQ2_0},
	"E2M1":   {consts: lookUp("e2m1"), block: neonE2M1},
	"E4M3":   {consts: []string{"e4m3", "sign"}, block: neonE4M3, start: neonStartE4M3, finish: neonFinishE4M3},
}

// lookUp lists what a table of 16 numbers takes.
func lookUp(numbers string) []string {
	return []string{"zero", "low4", numbers + "Low", numbers + "High"}
}

func neonF32(n *neonQuant) {
	for at := 0; at < 32; at += 16 {
		n.use(at, func(r int) {
			for i := range 4 {
				n.read(r, 4*at+16*i, n.w(r, i))
			}
		})
	}
}

// read loads 16 bytes of the block of a row.
func (n *neonQuant) read(row, off, to int) { n.op("FMOVQ", n.src(row, off), fmt.Sprintf("F%d", to)) }

func neonF16(n *neonQuant) {
	for at := 0; at < 32; at += 16 {
		n.use(at, func(r int) {
			n.read(r, 2*at, n.w(r, 0))
			n.read(r, 2*at+16, n.w(r, 2))
			n.halves(r)
		})
	}
}

// halves widens the 16 float16 in w 0 and w 2.
func (n *neonQuant) halves(r int) {
	for i := 0; i < 4; i += 2 {
		n.fcvtl(n.w(r, i+1), n.w(r, i), true)
		n.fcvtl(n.w(r, i), n.w(r, i), false)
	}
}

func neonBF16(n *neonQuant) {
	for at := 0; at < 32; at += 16 {
		n.use(at, func(r int) {
			n.read(r, 2*at, n.w(r, 0))
			n.read(r, 2*at+16, n.w(r, 2))
			n.brains(r)
		})
	}
}

// brains widens the 16 bfloat16 in w 0 and w 2.
func (n *neonQuant) brains(r int) {
	for i := 0; i < 4; i += 2 {
		n.zip(true, "H8", n.w(r, i+1), n.constant("zero"), n.w(r, i))
		n.zip(false, "H8", n.w(r, i), n.constant("zero"), n.w(r, i))
	}
}

// number makes float32 of the 16 codes in w 3, by a table of a format with lookUp.
func (n *neonQuant) number(r int) {
	low, high := n.w(r, 0), n.w(r, 1)
	c := n.neon.consts
	n.look(low, n.constant(c[2]), n.w(r, 3))
	n.look(high, n.constant(c[3]), n.w(r, 3))
	n.zip(true, "B16", n.w(r, 2), low, high)
	n.zip(false, "B16", n.w(r, 0), low, high)
	n.brains(r)
}

// whole makes float32 of the 16 bytes in w 3, less what the format keeps beside 2^23.
func (n *neonQuant) whole(r int) {
	n.zip(false, "B16", n.w(r, 0), n.w(r, 3), n.constant("zero"))
	n.zip(true, "B16", n.w(r, 2), n.w(r, 3), n.constant("zero"))
	for i := 0; i < 4; i += 2 {
		n.zip(true, "H8", n.w(r, i+1), n.w(r, i), n.constant("two23"))
		n.zip(false, "H8", n.w(r, i), n.w(r, i), n.constant("two23"))
	}
	for i := range 4 {
		n.three("fsub", n.w(r, i), n.w(r, i), n.constant(n.neon.consts[2]))
	}
}

// scaled multiplies the numbers by element 0 of s.
func (n *neonQuant) scaled(r int) {
	for i := range 4 {
		n.element("fmul", n.w(r, i), n.w(r, i), n.s(r), 0)
	}
}

// shifted multiplies the numbers by element 0 of s, which is exact, and adds element 1 (fmla) or subtracts it (fmls).
func (n *neonQuant) shifted(r int, op string) {
	n.scaled(r)
	for i := range 4 {
		n.element(op, n.w(r, i), n.constant("ones"), n.s(r), 1)
	}
}

// f16 takes the scale of a row, one float16.
func (n *neonQuant) f16(r, off int) {
	s := fmt.Sprintf("F%d", n.s(r))
	n.op("MOVHU", n.src(r, off), "R22")
	n.op("FMOVS", "R22", s)
	n.op("FCVTHS", s, s)
}

// f16pair takes two of them, to elements 0 and 1.
func (n *neonQuant) f16pair(r, off int) {
	n.op("FMOVS", n.src(r, off), fmt.Sprintf("F%d", n.s(r)))
	n.fcvtl(n.s(r), n.s(r), false)
}

// nibble takes the lower or upper halves of 16 bytes to w 3.
func (n *neonQuant) nibble(r, off int, high bool) {
	w := n.w(r, 3)
	n.read(r, off, w)
	if high {
		n.bytesBy("VUSHR", 4, w, w)
	} else {
		n.logic("VAND", w, w, n.constant("low4"))
	}
}

// nibbles uses 32 weights of 16 bytes at src, the lower halves first.
func (n *neonQuant) nibbles(at, src int, finish func(r int)) {
	for half := range 2 {
		n.use(at+16*half, func(r int) {
			n.nibble(r, src, half == 1)
			n.number(r)
			finish(r)
		})
	}
}

// neonHalves is Q4_0 and IQ4_NL, which differ in their numbers.
func neonHalves(n *neonQuant) {
	n.each(func(r int) { n.f16(r, 0) })
	n.nibbles(0, 2, n.scaled)
}

func neonQ4_1(n *neonQuant) {
	n.each(func(r int) { n.f16pair(r, 0) })
	n.nibbles(0, 4, func(r int) { n.shifted(r, "fmla") })
}

func neonQ5_0(n *neonQuant) {
	n.each(func(r int) { n.f16(r, 0) })
	n.fifths(2, n.scaled)
}

func neonQ5_1(n *neonQuant) {
	n.each(func(r int) { n.f16pair(r, 0) })
	n.fifths(4, func(r int) { n.shifted(r, "fmla") })
}

// fifths uses 32 weights with four bytes of fifth bits and 16 bytes of the others at src.
func (n *neonQuant) fifths(src int, finish func(r int)) {
	for half := range 2 {
		n.use(16*half, func(r int) {
			bits, t := n.w(r, 0), n.w(r, 1)
			n.op("FMOVS", n.src(r, src), fmt.Sprintf("F%d", bits))
			n.load(fmt.Sprintf("spread%d", half), t)
			n.look(bits, bits, t)
			n.load("bits", t)
			n.logic("VCMTST", bits, bits, t)
			n.wide(r, src+4, half == 1, bits, "low5")
			n.whole(r)
			finish(r)
		})
	}
}

// wide makes codes of more than four bits in w 3: halves of 16 bytes, and above them the lowest bits of high.
func (n *neonQuant) wide(r, off int, upper bool, high int, mask string) {
	w := n.w(r, 3)
	n.read(r, off, w)
	if upper {
		n.bytesBy("VUSHR", 4, w, w)
	}
	n.bytesBy("VSLI", 4, high, w)
	n.logic("VAND", w, w, n.constant(mask))
}

func neonQ8_0(n *neonQuant) {
	n.each(func(r int) { n.f16(r, 0) })
	for at := 0; at < 32; at += 16 {
		n.use(at, func(r int) {
			n.read(r, 2+at, n.w(r, 3))
			n.logic("VEOR", n.w(r, 3), n.w(r, 3), n.constant("sign"))
			n.whole(r)
			n.scaled(r)
		})
	}
}

func neonQ4_K(n *neonQuant) {
	for j := range 8 {
		n.each(func(r int) { n.op("FMOVD", n.scratch(r, 8*j), fmt.Sprintf("F%d", n.s(r))) })
		for i := 0; i < 32; i += 16 {
			n.use(32*j+i, func(r int) {
				n.nibble(r, 16+j/2*32+i, j%2 > 0)
				n.number(r)
				n.shifted(r, "fmls")
			})
		}
	}
}

func neonQ5_K(n *neonQuant) {
	for j := range 8 {
		n.each(func(r int) { n.op("FMOVD", n.scratch(r, 8*j), fmt.Sprintf("F%d", n.s(r))) })
		for i := 0; i < 32; i += 16 {
			n.use(32*j+i, func(r int) {
				t := n.w(r, 0)
				n.read(r, 16+i, t)
				n.bytesBy("VUSHR", j, t, t)
				n.wide(r, 48+j/2*32+i, j%2 > 0, t, "low5")
				n.whole(r)
				n.shifted(r, "fmls")
			})
		}
	}
}

// quarters calls use for the 16 parts of a block of Q2_K, Q3_K and Q6_K: the quarters of 32 numbers of two halves,
// each with two scales. g is the number of the scale.
func (n *neonQuant) quarters(use func(r, half, quarter, part int), scale func(r, g int)) {
	for part := range 4 {
		half, p := part/2, part%2
		for k := range 4 {
			n.each(func(r int) { scale(r, 8*half+2*k+p) })
			n.use(128*half+32*k+16*p, func(r int) { use(r, half, k, p) })
		}
	}
}

// single and double take the scale of a part, or its scale and floor, from the scratch memory.
func (n *neonQuant) single(r, g int) {
	n.op("FMOVS", n.scratch(r, 4*g), fmt.Sprintf("F%d", n.s(r)))
}

func (n *neonQuant) double(r, g int) {
	n.op("FMOVD", n.scratch(r, 8*g), fmt.Sprintf("F%d", n.s(r)))
}

func neonQ2_K(n *neonQuant) {
	n.quarters(func(r, half, k, p int) {
		w := n.w(r, 3)
		n.read(r, 16+32*half+16*p, w)
		n.bytesBy("VUSHR", 2*k, w, w)
		n.logic("VAND", w, w, n.constant("low2"))
		n.number(r)
		n.shifted(r, "fmls")
	}, n.double)
}

func neonQ3_K(n *neonQuant) {
	n.quarters(func(r, half, k, p int) {
		w, t := n.w(r, 3), n.w(r, 0)
		n.read(r, 32+32*half+16*p, w)
		n.bytesBy("VUSHR", 2*k, w, w)
		n.read(r, 16*p, t)
		n.bytesBy("VUSHR", 4*half+k, t, t)
		n.bytesBy("VSLI", 2, t, w)
		n.logic("VAND", w, w, n.constant("low3"))
		n.number(r)
		n.scaled(r)
	}, n.single)
}

func neonQ6_K(n *neonQuant) {
	n.quarters(func(r, half, k, p int) {
		t := n.w(r, 0)
		n.read(r, 128+32*half+16*p, t)
		n.bytesBy("VUSHR", 2*k, t, t)
		n.wide(r, 64*half+k%2*32+16*p, k >= 2, t, "low6")
		n.whole(r)
		n.scaled(r)
	}, n.single)
}

func neonIQ4_XS(n *neonQuant) {
	for k := range 8 {
		n.each(func(r int) { n.single(r, k) })
		n.nibbles(32*k, 8+16*k, n.scaled)
	}
}

func neonMXFP4(n *neonQuant) {
	n.each(func(r int) { n.halfE8M0(n.src(r, 0), n.s(r)) })
	n.nibbles(0, 1, n.scaled)
}

func neonNVFP4(n *neonQuant) {
	n.op("MOVD", "$neonHalfUE4M3<>(SB)", "R25")
	for part := range 4 {
		n.use(16*part, func(r int) {
			low, high := n.w(r, 0), n.w(r, 1)
			n.op("MOVBU", n.src(r, part), "R22")
			n.op("MOVWU", "(R25)(R22<<2)", "R22")
			n.op("FMOVS", "R22", fmt.Sprintf("F%d", n.s(r)))
			n.op("FMOVD", n.src(r, 4+8*part), fmt.Sprintf("F%d", low))
			n.bytesBy("VUSHR", 4, low, high)
			n.logic("VAND", low, low, n.constant("low4"))
			n.zip(false, "D2", n.w(r, 3), low, high)
			n.number(r)
			n.scaled(r)
		})
	}
}

func neonTQ2_0(n *neonQuant) {
	n.each(func(r int) { n.f16(r, 64) })
	for i := 0; i < 64; i += 16 {
		for k := range 4 {
			n.use(i/32*128+32*k+i%32, func(r int) {
				w := n.w(r, 3)
				n.read(r, i, w)
				n.bytesBy("VUSHR", 2*k, w, w)
				n.logic("VAND", w, w, n.constant("low2"))
				n.number(r)
				n.scaled(r)
			})
		}
	}
}
