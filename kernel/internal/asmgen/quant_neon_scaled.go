package main

import "fmt"

// The formats of safetensors files for Advanced SIMD; see quant_scaled.go.

// The low half of a byte is the even column. The scale is infinite instead of NaN, as for AVX-512.
func neonE2M1(n *neonQuant) {
	n.each(func(r int) { n.e8m0(n.scale(r, 0), n.s(r)) })
	for i := 0; i < 32; i += 16 {
		n.use(i, func(r int) {
			low, high := n.w(r, 0), n.w(r, 1)
			n.op("FMOVD", n.src(r, i/2), fmt.Sprintf("F%d", low))
			n.bytesBy("VUSHR", 4, low, high)
			n.logic("VAND", low, low, n.constant("low4"))
			n.zip(false, "B16", n.w(r, 3), low, high)
			n.number(r)
			n.scaled(r)
		})
	}
}

// See blockE4M3: a code becomes a float16, 2^-8 times its number, and the largest code of a row tells about NaN.
func neonE4M3(n *neonQuant) {
	n.each(func(r int) {
		s := n.s(r)
		n.op("FMOVS", n.scale(r, 0), fmt.Sprintf("F%d", s))
		n.load("two8", neonX)
		n.three("fmul", s, s, neonX)
	})
	for i := 0; i < 128; i += 16 {
		n.use(i, func(r int) {
			codes, t := n.w(r, 3), n.w(r, 2)
			n.read(r, i, codes)
			n.logic("VORR", t, codes, n.constant("sign"))
			n.logic("VUMAX", neonLargest+r, neonLargest+r, t)
			n.sshll(n.w(r, 0), codes, 8, 7, false)
			n.sshll(n.w(r, 2), codes, 8, 7, true)
			for i := 0; i < 4; i += 2 {
				n.logic("VAND", n.w(r, i), n.w(r, i), n.constant("e4m3"))
			}
			n.halves(r)
			n.scaled(r)
		})
	}
}

// neonLargest is the register of the largest code of a row, one of those that consts leave.
const neonLargest = 28

func neonStartE4M3(n *neonQuant) {
	n.each(func(r int) { n.logic("VEOR", neonLargest+r, neonLargest+r, neonLargest+r) })
}

func neonFinishE4M3(n *neonQuant) {
	n.each(func(r int) {
		skip := n.newLabel("finite")
		n.umaxv(neonX, neonLargest+r)
		n.op("FMOVS", fmt.Sprintf("F%d", neonX), "R22")
		n.op("CMP", 255, "R22")
		n.op("BNE", skip)
		for x := range n.xs {
			n.load("nan", n.acc(r, x, 0))
		}
		n.at(skip)
	})
}
