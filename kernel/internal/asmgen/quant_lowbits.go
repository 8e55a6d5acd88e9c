package main

// Q2_K, Q3_K and TQ2_0. Their codes fit into the indices of VPERMPS, which looks at three bits with AVX2 and at four with
// AVX-512: the bits above a code that it sees too mean nothing, since the tables repeat.

// scalesQ2_K writes the scales to the scratch memory, then the floors.
func scalesQ2_K(q *quantGen) {
	q.each(func(r int) {
		w, t := q.reg(q.w(r)), q.reg(q.tmp())
		q.f16(q.src(r, 80), q.own(r, 0))
		q.f16(q.src(r, 82), q.own(r, 1))
		for i := 0; i < 16; i += q.lanes() {
			q.op("VPMOVZXBD", q.src(r, i), w)
			q.op("VPSRLD", 4, w, t)
			q.op(q.logic("VPAND"), q.constant("quantLow4"), w, w)
			q.op("VCVTDQ2PS", w, w)
			q.op("VCVTDQ2PS", t, t)
			q.op("VMULPS", q.reg(q.own(r, 0)), w, w)
			q.op("VMULPS", q.reg(q.own(r, 1)), t, t)
			q.op("VMOVUPS", w, q.scratch(r, 4*i))
			q.op("VMOVUPS", t, q.scratch(r, 64+4*i))
		}
	})
}

func blockQ2_K(q *quantGen) {
	q.quarters(16, func(r, scale int) { // own 0 becomes the weights of all codes
		s, f := q.reg(q.own(r, 0)), q.reg(q.own(r, 1))
		q.op("VBROADCASTSS", q.scratch(r, scale), s)
		if q.wide {
			q.op("VFMSUB213PS.BCST", q.scratch(r, 64+scale), q.constant("quantTwoBits"), s)
			return
		}
		q.op("VBROADCASTSS", q.scratch(r, 64+scale), f)
		q.op("VFMSUB132PS", q.constant("quantTwoBits"), f, s)
	}, nil)
}

var scaleTablesQ3_K = []string{"quantLowBytes", "quantHighBytes", "quantHalves", "quantQuarters", "quantLow4", "quantLow2", "quantThirtyTwo"}

// scalesQ3_K writes the scales to the scratch memory: four bits in the halves of eight bytes, two in the quarters of
// four.
func scalesQ3_K(q *quantGen) {
	q.each(func(r int) {
		w, t := q.reg(q.w(r)), q.reg(q.tmp())
		q.f16(q.src(r, 108), q.own(r, 0))
		for i := 0; i < 16; i += q.lanes() {
			if q.wide { // the last 16 bytes of the block
				q.op("VBROADCASTI32X4", q.src(r, 94), t)
			} else {
				q.op("VBROADCASTI128", q.src(r, 94), t)
			}
			q.op("VPSHUFB", q.table("quantLowBytes", i), t, w)
			q.op("VPSHUFB", q.table("quantHighBytes", i), t, t)
			q.op("VPSRLVD", q.table("quantHalves", i), w, w)
			q.op(q.logic("VPAND"), q.table("quantLow4", i), w, w)
			q.op("VPSRLVD", q.table("quantQuarters", i), t, t)
			q.op(q.logic("VPAND"), q.table("quantLow2", i), t, t)
			q.op("VPSLLD", 4, t, t)
			q.op(q.logic("VPOR"), t, w, w)
			q.op("VCVTDQ2PS", w, w)
			q.op("VSUBPS", q.table("quantThirtyTwo", i), w, w)
			q.op("VMULPS", q.reg(q.own(r, 0)), w, w)
			q.op("VMOVUPS", w, q.scratch(r, 4*i))
		}
	})
}

func blockQ3_K(q *quantGen) {
	q.quarters(32, func(r, scale int) {
		s := q.reg(q.own(r, 0))
		q.op("VBROADCASTSS", q.scratch(r, scale), s)
		q.op("VMULPS", q.constant("quantThreeBits"), s, s)
	}, func(r, half, k, at int) { // the third bits of all quarters of both halves lie in the same 32 bytes
		w, t := q.reg(q.w(r)), q.reg(q.tmp())
		mask := t
		if q.wide {
			mask = q.reg(q.own(r, 3))
		} else {
			q.op("VPMOVZXBD", q.src(r, at), t)
		}
		q.shift(2-4*half-k, mask, t)
		if q.wide {
			q.op("VPTERNLOGD", 0xD8, q.constant("quantBit2"), t, w) // that bit of t, the others of w
			return
		}
		q.op("VPAND", "quantLow2<>(SB)", w, w)
		q.merge("quantBit2", q.tmp(), q.w(r))
	})
}

// quarters uses the four quarters of 32 weights of two halves, two bits each in the same bytes from codes on.
// table makes the weights of all codes from the scale at a place of the scratch memory, every 16 weights; third, if
// set, adds a bit to the codes from the bytes at at, which AVX-512 keeps in own 3.
func (q *quantGen) quarters(codes int, table func(r, scale int), third func(r, half, k, at int)) {
	for part := range 4 {
		half, p := part/2, part%2
		if q.wide {
			q.each(func(r int) {
				q.op("VPMOVZXBD", q.src(r, codes+32*half+16*p), q.reg(q.own(r, 2)))
				if third != nil {
					q.op("VPMOVZXBD", q.src(r, 16*p), q.reg(q.own(r, 3)))
				}
			})
		}
		for k := range 4 {
			q.each(func(r int) { table(r, 4*(8*half+2*k+p)) })
			for i := 0; i < 16; i += q.lanes() {
				q.use(128*half+32*k+16*p+i, func(r int) {
					w := q.reg(q.w(r))
					q.twoBits(r, codes+32*half+16*p+i, k)
					if third != nil {
						third(r, half, k, 16*p+i)
					}
					q.op("VPERMPS", q.reg(q.own(r, 0)), w, w)
				})
			}
		}
	}
}

// twoBits takes quarter k of the bytes at src, which AVX-512 keeps in own 2, down to the lowest bits of w.
func (q *quantGen) twoBits(r, src, k int) {
	w := q.reg(q.w(r))
	from := w
	if q.wide {
		from = q.reg(q.own(r, 2))
	} else {
		q.op("VPMOVZXBD", q.src(r, src), w)
	}
	q.shift(-2*k, from, w)
}

// TQ2_0 has two bits for -1, 0 and 1, and one scale.
func blockTQ2_0(q *quantGen) {
	q.each(func(r int) {
		d := q.reg(q.own(r, 0))
		q.f16(q.src(r, 64), q.own(r, 0))
		q.op("VMULPS", q.constant("quantTernary"), d, d)
	})
	for i := 0; i < 64; i += q.lanes() {
		if q.wide {
			q.each(func(r int) { q.op("VPMOVZXBD", q.src(r, i), q.reg(q.own(r, 2))) })
		}
		for k := range 4 {
			q.use(i/32*128+32*k+i%32, func(r int) {
				w := q.reg(q.w(r))
				q.twoBits(r, i, k)
				q.op("VPERMPS", q.reg(q.own(r, 0)), w, w)
			})
		}
	}
}
