package main

import "fmt"

// The formats of GGUF files as instructions; quant/blocks32.go, kquants.go and blocks256.go give their
// layouts. Those of safetensors files, with scales apart, are in quant_scaled.go. AX and R13 are free for a
// block without prepare and scales.
//
// Four bits that stand for any 16 numbers are looked up in a vector of these numbers, scaled: AVX-512
// does that in one instruction. Wider codes, and on AVX2 all that are whole numbers, are computed as
// q·s − f: a scale times a whole number is exact, so nothing is rounded twice.
var quantFormats = []quantFormat{
	{name: "F32", index: "quant.F32", weights: 32, bytes: 128, block: blockF32},
	{name: "F16", index: "quant.F16", weights: 32, bytes: 64, block: blockF16},
	{name: "Q4_0", index: "quant.Q4_0", weights: 32, bytes: 18, consts: []string{"quantLevels"}, block: blockQ4_0},
	{name: "Q4_1", index: "quant.Q4_1", weights: 32, bytes: 20, consts: []string{"quantDigits"}, block: blockQ4_1},
	{name: "Q5_0", index: "quant.Q5_0", weights: 32, bytes: 22, consts: []string{"quantLow4", "quantBit4"}, block: blockQ5_0},
	{name: "Q5_1", index: "quant.Q5_1", weights: 32, bytes: 24, consts: []string{"quantLow4", "quantBit4"}, block: blockQ5_1},
	{name: "Q8_0", index: "quant.Q8_0", weights: 32, bytes: 34, block: blockQ8_0},
	{name: "Q2_K", index: "quant.Q2_K", weights: 256, bytes: 84, consts: []string{"quantTwoBits", "quantLow4"}, block: blockQ2_K, prepare: scalesQ2_K},
	{name: "Q3_K", index: "quant.Q3_K", weights: 256, bytes: 110, consts: []string{"quantThreeBits", "quantBit2"}, tables: scaleTablesQ3_K, block: blockQ3_K, prepare: scalesQ3_K},
	{name: "Q4_K", index: "quant.Q4_K", weights: 256, bytes: 144, consts: []string{"quantDigits", "quantBits45"}, tables: scaleTables, block: blockQ4_K, prepare: scalesQ4_K},
	{name: "Q5_K", index: "quant.Q5_K", weights: 256, bytes: 176, consts: []string{"quantLow4", "quantBit4", "quantBits45"}, tables: scaleTables, block: blockQ5_K, prepare: scalesQ4_K},
	{name: "Q6_K", index: "quant.Q6_K", weights: 256, bytes: 210, consts: []string{"quantLow4", "quantBits45"}, block: blockQ6_K, prepare: scalesQ6_K},
	{name: "IQ4_NL", index: "quant.IQ4_NL", weights: 32, bytes: 18, consts: []string{"quantIQ4"}, block: blockIQ4_NL},
	{name: "IQ4_XS", index: "quant.IQ4_XS", weights: 256, bytes: 136, consts: []string{"quantIQ4"}, block: blockIQ4_XS, prepare: scalesIQ4_XS},
	{name: "TQ2_0", index: "quant.TQ2_0", weights: 256, bytes: 66, consts: []string{"quantTernary"}, block: blockTQ2_0},
	{name: "BF16", index: "quant.BF16", weights: 32, bytes: 64, block: blockBF16},
	{name: "MXFP4", index: "quant.MXFP4", weights: 32, bytes: 17, consts: []string{"quantE2M1"}, block: blockMXFP4},
	{name: "NVFP4", index: "quant.NVFP4", weights: 64, bytes: 36, consts: []string{"quantE2M1", "quantHalves"}, block: blockNVFP4},
	{name: "E4M3", index: "directE4M3", weights: 128, bytes: 128, consts: []string{"quantE4M3", "quantSignBytes"}, block: blockE4M3, scales: 4, start: startE4M3, finish: finishE4M3},
	{name: "E2M1", index: "directE2M1", weights: 32, bytes: 16, consts: []string{"quantHalfE2M1", "quantNibbles"}, block: blockE2M1, scales: 1, start: startE2M1},
}

func blockF32(q *quantGen) {
	for at := 0; at < 32; at += q.lanes() {
		q.use(at, func(r int) { q.op("VMOVUPS", q.src(r, 4*at), q.reg(q.w(r))) })
	}
}

func blockF16(q *quantGen) {
	for at := 0; at < 32; at += q.lanes() {
		q.use(at, func(r int) { q.op("VCVTPH2PS", q.src(r, 2*at), q.reg(q.w(r))) })
	}
}

func blockBF16(q *quantGen) {
	for at := 0; at < 32; at += q.lanes() {
		q.use(at, func(r int) {
			w := q.reg(q.w(r))
			q.op("VPMOVZXWD", q.src(r, 2*at), w)
			q.op("VPSLLD", 16, w, w)
		})
	}
}

func blockQ8_0(q *quantGen) {
	q.each(func(r int) { q.f16(q.src(r, 0), q.own(r, 0)) })
	for at := 0; at < 32; at += q.lanes() {
		q.use(at, func(r int) {
			w := q.reg(q.w(r))
			q.op("VPMOVSXBD", q.src(r, 2+at), w)
			q.op("VCVTDQ2PS", w, w)
			q.op("VMULPS", q.reg(q.own(r, 0)), w, w)
		})
	}
}

func blockQ4_0(q *quantGen) {
	q.each(func(r int) {
		d := q.reg(q.own(r, 0))
		q.f16(q.src(r, 0), q.own(r, 0))
		if q.wide {
			q.op("VMULPS", q.constant("quantLevels"), d, d)
		} else {
			q.op("VMULPS", "quantEight<>(SB)", d, q.reg(q.own(r, 1)))
		}
	})
	q.nibbles(0, 2)
}

func blockQ4_1(q *quantGen) {
	q.each(func(r int) {
		d, m := q.reg(q.own(r, 0)), q.reg(q.own(r, 1))
		q.f16(q.src(r, 0), q.own(r, 0))
		q.f16(q.src(r, 2), q.own(r, 1))
		if q.wide {
			q.op("VFMADD213PS", m, q.constant("quantDigits"), d)
		} else {
			q.op("VXORPS", "quantSign<>(SB)", m, m)
		}
	})
	q.nibbles(0, 4)
}

// nibbles uses the 32 weights from number at on, in 16 bytes at src: those in the low halves, then those
// in the high ones. For AVX-512 own 0 is their table, and own 2 becomes the bytes; for AVX2 own 0 and 1
// are s and f.
func (q *quantGen) nibbles(at, src int) {
	if q.wide {
		q.each(func(r int) { q.op("VPMOVZXBD", q.src(r, src), q.reg(q.own(r, 2))) })
		q.use(at, func(r int) { q.lookUp(r) })
		q.each(func(r int) { q.op("VPSRLD", 4, q.reg(q.own(r, 2)), q.reg(q.own(r, 2))) })
		q.use(at+16, func(r int) { q.lookUp(r) })
		return
	}
	for i := 0; i < 32; i += 8 {
		q.use(at+i, func(r int) {
			q.nibble(r, src+i%16, i >= 16)
			q.affine(r)
		})
	}
}

// lookUp takes the weights of own 2 from the table of own 0.
func (q *quantGen) lookUp(r int) {
	q.op("VPERMPS", q.reg(q.own(r, 0)), q.reg(q.own(r, 2)), q.reg(q.w(r)))
}

// nibble makes whole numbers of the halves of a vector of bytes.
func (q *quantGen) nibble(r, src int, high bool) {
	w := q.reg(q.w(r))
	q.op("VPMOVZXBD", q.src(r, src), w)
	if high {
		q.op("VPSRLD", 4, w, w)
	} else {
		q.op(q.logic("VPAND"), q.constant("quantLow4"), w, w)
	}
}

// affine makes the weights s·q − f of whole numbers q; own 0 is s and own 1 is f.
func (q *quantGen) affine(r int) {
	w := q.reg(q.w(r))
	q.op("VCVTDQ2PS", w, w)
	q.op("VFMSUB213PS", q.reg(q.own(r, 1)), q.reg(q.own(r, 0)), w)
}

func blockQ5_0(q *quantGen) {
	q.each(func(r int) {
		q.f16(q.src(r, 0), q.own(r, 0))
		q.op("VMULPS", "quantSixteen<>(SB)", q.reg(q.own(r, 0)), q.reg(q.own(r, 1)))
	})
	q.fifths(2)
}

func blockQ5_1(q *quantGen) {
	q.each(func(r int) {
		m := q.reg(q.own(r, 1))
		q.f16(q.src(r, 0), q.own(r, 0))
		q.f16(q.src(r, 2), q.own(r, 1))
		q.op(q.logic("VPXOR"), "quantSign<>(SB)", m, m)
	})
	q.fifths(4)
}

// fifths uses 32 weights with four bytes of fifth bits and 16 bytes of the others at src.
func (q *quantGen) fifths(src int) {
	for i := 0; i < 32; i += q.lanes() {
		q.use(i, func(r int) {
			w, t := q.reg(q.w(r)), q.reg(q.tmp())
			q.nibble(r, src+4+i%16, i >= 16)
			if q.wide {
				q.op("KMOVW", q.src(r, src+i/8), kreg(1))
				q.op("VPORD", q.constant("quantBit4"), w, kreg(1), w)
			} else {
				q.op("VPBROADCASTB", q.src(r, src+i/8), t)
				q.op("VPAND", "quantBits<>(SB)", t, t)
				q.op("VPCMPEQD", "quantBits<>(SB)", t, t)
				q.op("VPAND", "quantBit4<>(SB)", t, t)
				q.op("VPOR", t, w, w)
			}
			q.affine(r)
		})
	}
}

var scaleTables = []string{"quantScaleBytes", "quantScaleShift", "quantScaleMask"}

// scalesQ4_K writes the scales and floors of Q4_K and Q5_K in turns to the scratch memory, as float32.
// The first four of each are six bits of one byte; the others have four bits in bytes 8 to 11 and two
// above those of the first.
func scalesQ4_K(q *quantGen) {
	q.each(func(r int) {
		w, t := q.reg(q.w(r)), q.reg(q.tmp())
		for i := 0; i < 16; i += q.lanes() {
			if q.wide {
				q.op("VBROADCASTI32X4", q.src(r, 4), t)
			} else {
				q.op("VBROADCASTI128", q.src(r, 4), t)
			}
			q.op("VPSHUFB", q.table("quantScaleBytes", i), t, t)
			q.op("VPSRLVD", q.table("quantScaleShift", i), t, w)
			q.op(q.logic("VPAND"), q.table("quantScaleMask", i), w, w)
			q.op("VPSRLD", 10, t, t)
			q.merge("quantBits45", q.tmp(), q.w(r))
			q.op("VCVTDQ2PS", w, w)
			q.op("VPBROADCASTD", q.src(r, 0), q.half(q.tmp()))
			q.op("VCVTPH2PS", q.half(q.tmp()), t)
			q.op("VMULPS", t, w, w)
			q.op("VMOVUPS", w, q.scratch(r, 4*i))
		}
	})
}

// merge adds the bits of from in mask to those of to; from is lost.
func (q *quantGen) merge(mask string, from, to int) {
	if q.wide {
		q.op("VPTERNLOGD", 0xF8, q.constant(mask), q.reg(from), q.reg(to))
		return
	}
	q.op("VPAND", mask+"<>(SB)", q.reg(from), q.reg(from))
	q.op("VPOR", q.reg(from), q.reg(to), q.reg(to))
}

func blockQ4_K(q *quantGen) {
	for j := range 8 {
		q.each(func(r int) {
			s, f := q.scratch(r, 8*j), q.scratch(r, 8*j+4)
			q.op("VBROADCASTSS", s, q.reg(q.own(r, 0)))
			if q.wide {
				q.op("VFMSUB213PS.BCST", f, q.constant("quantDigits"), q.reg(q.own(r, 0)))
			} else {
				q.op("VBROADCASTSS", f, q.reg(q.own(r, 1)))
			}
		})
		for i := 0; i < 32; i += q.lanes() {
			bytes := 16 + j/2*32 + i
			if !q.wide {
				q.use(32*j+i, func(r int) {
					q.nibble(r, bytes, j%2 > 0)
					q.affine(r)
				})
				continue
			}
			q.use(32*j+i, func(r int) { // own 2 and 3 keep the bytes for the next sub-block
				b := q.reg(q.own(r, 2+i/16))
				if j%2 == 0 {
					q.op("VPMOVZXBD", q.src(r, bytes), b)
				} else {
					q.op("VPSRLD", 4, b, b)
				}
				q.op("VPERMPS", q.reg(q.own(r, 0)), b, q.reg(q.w(r)))
			})
		}
	}
}

func blockQ5_K(q *quantGen) {
	if q.wide { // the fifth bits of all sub-blocks lie in the same 32 bytes
		for i := range 2 {
			q.each(func(r int) { q.op("VPMOVZXBD", q.src(r, 16+16*i), q.reg(q.own(r, 2+i))) })
		}
	}
	for j := range 8 {
		q.each(func(r int) {
			q.op("VBROADCASTSS", q.scratch(r, 8*j), q.reg(q.own(r, 0)))
			q.op("VBROADCASTSS", q.scratch(r, 8*j+4), q.reg(q.own(r, 1)))
		})
		for i := 0; i < 32; i += q.lanes() {
			q.use(32*j+i, func(r int) {
				q.nibble(r, 48+j/2*32+i, j%2 > 0)
				t := q.reg(q.tmp())
				high := t
				if q.wide {
					high = q.reg(q.own(r, 2+i/16))
				} else {
					q.op("VPMOVZXBD", q.src(r, 16+i), t)
				}
				q.shift(4-j, high, t)
				q.merge("quantBit4", q.tmp(), q.w(r))
				q.affine(r)
			})
		}
	}
}

// shift moves the bits of 32-bit numbers up, or down when by is negative.
func (q *quantGen) shift(by int, from, to fmt.Stringer) {
	switch {
	case by > 0:
		q.op("VPSLLD", by, from, to)
	case by < 0:
		q.op("VPSRLD", -by, from, to)
	case from != to:
		q.op("VMOVAPS", from, to)
	}
}

// scalesQ6_K writes the scales to the scratch memory, then 32 times them.
func scalesQ6_K(q *quantGen) {
	q.each(func(r int) {
		w, t := q.reg(q.w(r)), q.reg(q.tmp())
		q.f16(q.src(r, 208), q.tmp())
		for i := 0; i < 16; i += q.lanes() {
			q.op("VPMOVSXBD", q.src(r, 192+i), w)
			q.op("VCVTDQ2PS", w, w)
			q.op("VMULPS", t, w, w)
			q.op("VMOVUPS", w, q.scratch(r, 4*i))
			q.op("VMULPS", "quantThirtyTwo<>(SB)", w, w)
			q.op("VMOVUPS", w, q.scratch(r, 64+4*i))
		}
	})
}

func blockQ6_K(q *quantGen) {
	for part := range 4 { // 16 columns of a half: four quarters share their high bits
		n, p := part/2, part%2
		if q.wide {
			q.each(func(r int) { q.op("VPMOVZXBD", q.src(r, 128+32*n+16*p), q.reg(q.own(r, 2))) })
		}
		for k := range 4 {
			q.each(func(r int) {
				s := 4 * (8*n + 2*k + p)
				q.op("VBROADCASTSS", q.scratch(r, s), q.reg(q.own(r, 0)))
				q.op("VBROADCASTSS", q.scratch(r, 64+s), q.reg(q.own(r, 1)))
			})
			for i := 0; i < 16; i += q.lanes() {
				q.use(128*n+32*k+16*p+i, func(r int) {
					q.nibble(r, 64*n+k%2*32+16*p+i, k >= 2)
					t := q.reg(q.tmp())
					high := t
					if q.wide {
						high = q.reg(q.own(r, 2))
					} else {
						q.op("VPMOVZXBD", q.src(r, 128+32*n+16*p+i), t)
					}
					q.shift(4-2*k, high, t)
					q.merge("quantBits45", q.tmp(), q.w(r))
					q.affine(r)
				})
			}
		}
	}
}

// f16 widens one fp16 to all elements of a register.
func (q *quantGen) f16(m mem, to int) {
	q.op("VPBROADCASTW", m, q.half(to))
	q.op("VCVTPH2PS", q.half(to), q.reg(to))
}

// logic is the name of a bitwise instruction.
func (q *quantGen) logic(name string) string {
	if q.wide {
		return name + "D"
	}
	return name
}
