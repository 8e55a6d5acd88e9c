package main

import "fmt"

// Formats whose codes of four bits stand for any 16 numbers: IQ4_NL, IQ4_XS, MXFP4 and NVFP4.

func blockIQ4_NL(q *quantGen) {
	q.each(func(r int) {
		q.f16(q.src(r, 0), q.own(r, 0))
		q.scaleTable(r)
	})
	q.codes(0, 2, "quantIQ4Bytes")
}

func blockMXFP4(q *quantGen) {
	q.op("LEAQ", "quantHalfE8M0<>(SB)", r13)
	q.each(func(r int) {
		q.op("MOVBLZX", q.src(r, 0), ax)
		q.op("VBROADCASTSS", mem{base: r13, index: ax, scale: 4}, q.reg(q.own(r, 0)))
		q.scaleTable(r)
	})
	q.codes(0, 1, "quantE2M1Bytes")
}

func scalesIQ4_XS(q *quantGen) {
	q.each(func(r int) {
		w, t := ymm(q.w(r)), ymm(q.tmp())
		q.op("VPBROADCASTD", q.src(r, 4), w)
		q.op("VPSRLVD", "quantNibbles<>(SB)", w, w)
		q.op(q.logic("VPAND"), "quantLow4<>(SB)", w, w)
		q.op("VPBROADCASTD", q.src(r, 2), t)
		q.op("VPSRLVD", "quantTwos<>(SB)", t, t)
		q.op("VPSLLD", 4, t, t)
		q.op(q.logic("VPAND"), "quantBits45<>(SB)", t, t)
		q.op(q.logic("VPOR"), t, w, w)
		q.op("VCVTDQ2PS", w, w)
		q.op("VSUBPS", "quantThirtyTwo<>(SB)", w, w)
		q.op("VPBROADCASTW", q.src(r, 0), fmt.Sprintf("X%d", q.tmp()))
		q.op("VCVTPH2PS", fmt.Sprintf("X%d", q.tmp()), t)
		q.op("VMULPS", t, w, w)
		q.op("VMOVUPS", w, q.scratch(r, 0))
	})
}

func blockIQ4_XS(q *quantGen) {
	for k := range 8 {
		q.each(func(r int) {
			q.op("VBROADCASTSS", q.scratch(r, 4*k), q.reg(q.own(r, 0)))
			q.scaleTable(r)
		})
		q.codes(32*k, 8+16*k, "quantIQ4Bytes")
	}
}

// scaleTable multiplies the constant of AVX-512 by own 0.
func (q *quantGen) scaleTable(r int) {
	if q.wide {
		q.op("VMULPS", q.constant(q.format.consts[0]), q.reg(q.own(r, 0)), q.reg(q.own(r, 0)))
	}
}

// codes is nibbles for any 16 numbers; AVX2 takes them from a table of bytes, and own 0 is their scale.
func (q *quantGen) codes(at, src int, table string) {
	if q.wide {
		q.nibbles(at, src)
		return
	}
	for i := 0; i < 32; i += 8 {
		q.use(at+i, func(r int) { q.code(r, src+i%16, i >= 16, table) })
	}
}

// code is the AVX2 part of codes for the halves of eight bytes.
func (q *quantGen) code(r, src int, high bool, table string) {
	w, x, t := q.reg(q.w(r)), fmt.Sprintf("X%d", q.w(r)), fmt.Sprintf("X%d", q.tmp())
	q.op("VMOVQ", q.src(r, src), x)
	if high {
		q.op("VPSRLD", 4, x, x)
	}
	q.op("VPAND", "quantLow4Bytes<>(SB)", x, x)
	q.op("VMOVDQU", table+"<>(SB)", t)
	q.op("VPSHUFB", x, t, x)
	q.op("VPMOVSXBD", x, w)
	q.op("VCVTDQ2PS", w, w)
	q.op("VMULPS", q.reg(q.own(r, 0)), w, w)
}

// A part of 16 weights has a scale and eight bytes, whose lower halves come first.
func blockNVFP4(q *quantGen) {
	q.op("LEAQ", "quantHalfUE4M3<>(SB)", r13)
	for part := range 4 {
		q.each(func(r int) {
			q.op("MOVBLZX", q.src(r, part), ax)
			q.op("VBROADCASTSS", mem{base: r13, index: ax, scale: 4}, q.reg(q.own(r, 0)))
			q.scaleTable(r)
		})
		bytes := 4 + 8*part
		if q.wide {
			q.use(16*part, func(r int) {
				w, x := q.reg(q.w(r)), fmt.Sprintf("X%d", q.w(r))
				q.op("VPBROADCASTQ", q.src(r, bytes), x)
				q.op("VPMOVZXBD", x, w)
				q.op("VPSRLVD", q.constant("quantHalves"), w, w)
				q.op("VPERMPS", q.reg(q.own(r, 0)), w, w)
			})
			continue
		}
		for half := range 2 {
			q.use(16*part+8*half, func(r int) { q.code(r, bytes, half == 1, "quantE2M1Bytes") })
		}
	}
}
