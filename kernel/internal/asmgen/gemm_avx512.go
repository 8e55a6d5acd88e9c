package main

import "fmt"

// Matrix product micro-kernels for 512-bit vectors: one function for float32 words (VFMADD231PS)
// and one for pairs of bfloat16 (VDPBF16PS); they differ in one instruction. Both multiply tiles of
// r rows, r = 1..14, by one panel of 32 columns: 2r accumulators, two vectors of B, two broadcast
// words of A. Tiles of up to 3 rows can take four panels at once, so that there are accumulators
// enough to hide the latency of an addition.
//
// All of C = alpha·A·B + beta·C is done in registers, and every element is summed over the steps in
// order whatever r is, so how rows are cut into tiles does not change a bit.

const (
	avx512Rows = 14 // rows of the largest tile
	avx512Cols = 32 // columns of a panel
	avx512Thin = 3  // rows of the largest tile that can take
	avx512Wide = 4  // this many panels
)

func gemmAVX512(a *asm) {
	a.tileAVX512("gemmF32AVX512", func(b any, w, acc zmm) { a.op("VFMADD231PS", b, w, acc) })
	a.tileAVX512("gemmBF16AVX512", func(b any, w, acc zmm) { a.evex(vdpbf16ps, b, w, acc) })
}

// tileAVX512 prints one micro-kernel function; fma adds the products of b and w to acc.
func (a *asm) tileAVX512(name string, fma func(b any, w, acc zmm)) {
	a.textFrame("func "+name+"(t *tile)", 48, 8)
	a.op("MOVQ", "t+0(FP)", si)
	a.op("MOVQ", "tile_cols(SI)", cx) // K1 and K2 select the columns of C
	a.op("MOVL", -1, ax)
	a.op("BZHIL", cx, ax, ax)
	a.op("KMOVW", ax, kreg(1))
	a.op("SHRL", 16, ax)
	a.op("KMOVW", ax, kreg(2))
	a.op("MOVQ", "tile_count(SI)", cx)
	a.op("MOVQ", cx, "count-8(SP)")
	a.words("tile_ldc(SI)", cx)
	a.op("MOVQ", cx, "ldc-32(SP)")
	a.words("tile_aStep(SI)", cx)
	a.op("MOVQ", cx, "astep-40(SP)")
	a.pace("pace-48(SP)")
	a.op("MOVQ", "tile_a(SI)", ax)
	a.op("MOVQ", "tile_c(SI)", dx)
	a.op("MOVQ", "tile_rows(SI)", cx)
	a.op("CMPQ", "tile_panels(SI)", 1)
	a.op("JNE", "wide")
	for r := avx512Rows; r > 0; r-- {
		a.op("CMPQ", cx, r)
		a.op("JEQ", fmt.Sprintf("rows%d", r))
	}
	a.op("RET")
	a.at("wide")
	for r := avx512Thin; r > 0; r-- {
		a.op("CMPQ", cx, r)
		a.op("JEQ", fmt.Sprintf("wide%d", r))
	}
	a.op("RET")
	for r := avx512Rows; r > 0; r-- {
		a.tilesAVX512(fmt.Sprintf("rows%d", r), r, 1, fma)
	}
	for r := avx512Thin; r > 0; r-- {
		a.tilesAVX512(fmt.Sprintf("wide%d", r), r, avx512Wide, fma)
	}
}

// pace stores 2^32·rows/steps, but at most 2^32-1: added once a step to a 32-bit number, it carries
// when it is time for the next of rows events.
func (a *asm) pace(to string) {
	a.op("MOVL", -1, bx)
	a.op("MOVQ", "tile_rows(SI)", ax)
	a.op("MOVQ", "tile_steps(SI)", cx)
	a.op("CMPQ", cx, ax)
	a.op("JLE", "paced")
	a.op("SHLQ", 32, ax)
	a.op("XORL", dx, dx)
	a.op("DIVQ", cx)
	a.op("MOVQ", ax, bx)
	a.at("paced")
	a.op("MOVQ", bx, to)
}

// tilesAVX512 prints the loop over tiles of rows rows and panels panels. AX walks over A, DI over
// B, DX is the tile of C; R8 to R14 hold multiples of the row stride of A, then of C.
//
// What comes next may lie in memory, and a burst of requests would keep the first-level cache from
// doing anything else. So each step asks for one step of the next panel of B, and SI walks down the
// tile of C, for which the pace is counted in DX.
func (a *asm) tilesAVX512(label string, rows, panels int, fma func(b any, w, acc zmm)) {
	acc := func(i, p, half int) zmm { return zmm((i*panels+p)*2 + half) }
	each := func(do func(r zmm, c mem, k kreg)) {
		for i := range rows {
			for p := range panels {
				for half := range 2 {
					do(acc(i, p, half), rowAddress(dx, i).plus(128*p+64*half), kreg(1+half))
				}
			}
		}
	}
	a.at(label)
	a.op("MOVQ", ax, "atile-16(SP)")
	a.stride("tile_aRow(SI)", rows)
	a.words("tile_bNext(SI)", bx)
	a.op("MOVQ", "tile_b(SI)", di)
	if panels > 1 {
		a.op("MOVQ", bx, r12)
		a.op("LEAQ", mem{base: r12, index: r12, scale: 2}, r13)
	}
	each(func(r zmm, _ mem, _ kreg) { a.op("VPXORD", r, r, r) })
	a.op("MOVQ", "tile_steps(SI)", cx)
	a.op("TESTQ", cx, cx)
	a.op("JEQ", label+"sum")
	if panels == 1 {
		a.op("MOVQ", dx, "ctile-24(SP)")
		a.op("MOVQ", dx, si)
		a.op("MOVL", -1, dx)
	}
	a.op("PCALIGN", 32)
	a.at(label + "step")
	if panels == 1 {
		a.op("PREFETCHT0", mem{base: si})
		a.op("PREFETCHT0", mem{base: si, off: 64})
		a.op("ADDL", "pace-48(SP)", dx)
		a.op("SBBQ", r15, r15)
		a.op("ANDQ", "ldc-32(SP)", r15)
		a.op("ADDQ", r15, si) // to the next row after each steps/rows steps
		a.op("VMOVUPS", mem{base: di}, zmm(28))
		a.op("VMOVUPS", mem{base: di, off: 64}, zmm(29))
		a.op("PREFETCHT1", mem{base: di, index: bx, scale: 1})
		a.op("PREFETCHT1", mem{base: di, index: bx, scale: 1, off: 64})
		for i := range rows {
			w := zmm(30 + i%2)
			a.op("VBROADCASTSS", rowAddress(ax, i), w)
			fma(zmm(28), w, acc(i, 0, 0))
			fma(zmm(29), w, acc(i, 0, 1))
		}
	} else {
		for i := range rows {
			a.op("VBROADCASTSS", rowAddress(ax, i), zmm(29+i))
		}
		for p, b := range panelAddresses(di, r12, r13) {
			for half := range 2 {
				if rows == 1 {
					fma(b.plus(64*half), zmm(29), acc(0, p, half))
					continue
				}
				t := zmm(24 + (2*p+half)%5)
				a.op("VMOVUPS", b.plus(64*half), t)
				for i := range rows {
					fma(t, zmm(29+i), acc(i, p, half))
				}
			}
		}
	}
	a.op("ADDQ", "astep-40(SP)", ax)
	a.op("ADDQ", 4*avx512Cols, di)
	a.op("DECQ", cx)
	a.op("JNZ", label+"step")
	if panels == 1 {
		a.op("MOVQ", "t+0(FP)", si)
		a.op("MOVQ", "ctile-24(SP)", dx)
	}

	a.at(label + "sum")
	a.op("CMPL", "tile_alpha(SI)", "$0x3f800000")
	a.op("JEQ", label+"scaled")
	a.op("VBROADCASTSS", "tile_alpha(SI)", zmm(30))
	each(func(r zmm, _ mem, _ kreg) { a.op("VMULPS", zmm(30), r, r) })
	a.at(label + "scaled")
	a.stride("tile_ldc(SI)", rows)
	a.op("CMPL", "tile_beta(SI)", 0)
	a.op("JEQ", label+"store")
	a.op("VBROADCASTSS", "tile_beta(SI)", zmm(30))
	each(func(r zmm, c mem, k kreg) { a.op("VFMADD231PS", c, zmm(30), k, r) })
	a.at(label + "store")
	each(func(r zmm, c mem, k kreg) { a.op("VMOVUPS", r, k, c) })

	a.op("IMUL3Q", rows, r8, r8)
	a.op("ADDQ", r8, dx)
	a.words("tile_aRow(SI)", ax)
	a.op("IMUL3Q", rows, ax, ax)
	a.op("ADDQ", "atile-16(SP)", ax)
	a.op("DECQ", "count-8(SP)")
	a.op("JNZ", label)
	a.op("VZEROUPPER")
	a.op("RET")
}

// rowStrides are the odd multiples of a row stride that are kept in registers: with the scales 1,
// 2, 4 and 8 of an address they reach rows 0 to 14 of a matrix.
var rowStrides = map[int]gpr{1: r8, 3: r9, 5: r10, 7: r11, 9: r12, 11: r13, 13: r14}

// rowAddress is row i of the matrix at base whose stride is in rowStrides.
func rowAddress(base gpr, i int) mem {
	if i == 0 {
		return mem{base: base}
	}
	scale := 1
	for i%2 == 0 && scale < 8 {
		i, scale = i/2, scale*2
	}
	return mem{base: base, index: rowStrides[i], scale: scale}
}

// stride fills rowStrides, as far as rows rows need them, from a count of words in memory.
func (a *asm) stride(from string, rows int) {
	a.words(from, r8)
	for i := 3; i < rows; i += 2 {
		a.op("LEAQ", mem{base: rowStrides[i-2], index: r8, scale: 2}, rowStrides[i])
	}
}

// words loads a count of 4-byte words as bytes.
func (a *asm) words(from string, to gpr) {
	a.op("MOVQ", from, to)
	a.op("SHLQ", 2, to)
}
