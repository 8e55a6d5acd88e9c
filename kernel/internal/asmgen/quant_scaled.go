package main

import "fmt"

// The formats of safetensors files, whose scales lie apart from the codes; quant/matrix.go gives their
// layouts. Scales are at R13, see quantFormat.

// scale is the scale of the block of a row.
func (q *quantGen) scale(row int) mem {
	if row == 1 {
		return mem{base: r13, index: r15, scale: 1}
	}
	return mem{base: r13}
}

// A block of E4M3 is 128 columns with one float32 scale. Moved to where fp16 has its exponent and mantissa, a
// code is 2^-8 times its number, also when it is subnormal; a scale of 2^120 and above is taken for infinite.
// Only the NaN would be 480: own 2 (AVX2: 1) takes the largest code of all, apart from the sign, and
// finishE4M3 looks at it.
func blockE4M3(q *quantGen) {
	q.each(func(r int) {
		s := q.reg(q.own(r, 0))
		q.op("VBROADCASTSS", q.scale(r), s)
		q.op("VMULPS", "quantTwo8<>(SB)", s, s)
		for i := 0; i < 128; i += q.size() {
			t, m := q.reg(q.tmp()), q.reg(q.largest(r))
			if q.wide {
				q.op("VPORD", q.src(r, i), q.constant("quantSignBytes"), t)
			} else {
				q.op("VMOVDQU", q.src(r, i), t)
				q.op("VPOR", "quantSignBytes<>(SB)", t, t)
			}
			q.op("VPMAXUB", t, m, m)
		}
	})
	for i := 0; i < 128; i += q.lanes() {
		q.use(i, func(r int) {
			w, b := q.reg(q.w(r)), q.reg(q.own(r, 1))
			switch {
			case q.wide && i%32 == 0: // 32 codes at once
				q.op("VPMOVSXBW", q.src(r, i), b)
				q.op("VPSLLW", 7, b, b)
				q.op("VPANDD", q.constant("quantE4M3"), b, b)
				q.op("VCVTPH2PS", ymm(q.own(r, 1)), w)
			case q.wide:
				q.op("VEXTRACTI64X4", 1, b, ymm(q.w(r)))
				q.op("VCVTPH2PS", ymm(q.w(r)), w)
			default:
				x := fmt.Sprintf("X%d", q.w(r))
				q.op("VPMOVSXBW", q.src(r, i), x)
				q.op("VPSLLW", 7, x, x)
				q.op("VPAND", "quantE4M3<>(SB)", x, x)
				q.op("VCVTPH2PS", x, w)
			}
			q.op("VMULPS", q.reg(q.own(r, 0)), w, w)
		})
	}
}

func (q *quantGen) largest(r int) int { return q.own(r, q.pick(2, 1)) }

func startE4M3(q *quantGen) {
	q.each(func(r int) {
		m := q.reg(q.largest(r))
		q.op(q.logic("VPXOR"), m, m, m)
	})
}

// finishE4M3 makes the sums of a row with a NaN in it NaN.
func finishE4M3(q *quantGen) {
	q.each(func(r int) {
		m, skip := q.reg(q.largest(r)), q.newLabel("finite")
		if q.wide {
			q.op("VPCMPEQB", "quantOnes<>(SB)", m, kreg(1))
			q.op("KORTESTQ", kreg(1), kreg(1))
		} else {
			q.op("VPCMPEQB", "quantOnes<>(SB)", m, m)
			q.op("VPMOVMSKB", m, ax)
			q.op("TESTL", ax, ax)
		}
		q.op("JEQ", skip)
		for x := range q.xs {
			q.op("VMOVUPS", "quantNaN<>(SB)", q.reg(q.acc(r, x, 0)))
		}
		q.at(skip)
	})
}

// A block of E2M1 is 32 columns with a power of two for a scale, b for 2^(b-127), but an infinite one instead
// of the NaN of b = 255. The low half of a byte is the even column: eight columns are the nibbles of four
// bytes in order.
func blockE2M1(q *quantGen) {
	q.each(func(r int) {
		s := q.reg(q.own(r, 0))
		q.op("VPBROADCASTB", q.scale(r), s)
		q.op("VPSLLD", 23, s, s)
		q.op(q.logic("VPAND"), "quantExponent<>(SB)", s, s)
		q.op("VPMAXSD", "quantSmallest<>(SB)", s, s)
		q.op("VMULPS", q.constant("quantHalfE2M1"), s, s)
	})
	for i := 0; i < 32; i += q.lanes() {
		q.use(i, func(r int) {
			w, t := q.reg(q.w(r)), q.reg(q.tmp())
			q.op("VPBROADCASTD", q.src(r, i/2), w)
			if q.wide {
				q.op("VPBROADCASTD", q.src(r, i/2+4), kreg(2), w)
				q.op("VPSRLVD", q.constant("quantNibbles"), w, w)
				q.op("VPERMPS", q.reg(q.own(r, 0)), w, w)
				return
			}
			q.op("VPSRLVD", "quantNibbles<>(SB)", w, w)
			q.op("VPSLLD", 28, w, t)
			q.op("VPERMPS", q.reg(q.own(r, 0)), w, w) // by three bits
			q.op("VPAND", "quantSign<>(SB)", t, t)
			q.op("VPXOR", t, w, w)
		})
	}
}

// startE2M1 selects the upper half of a vector.
func startE2M1(q *quantGen) {
	if q.wide {
		q.op("MOVL", 0xff00, ax)
		q.op("KMOVW", ax, kreg(2))
	}
}
