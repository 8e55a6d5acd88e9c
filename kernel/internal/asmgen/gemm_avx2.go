package main

import "fmt"

// The float32 micro-kernel for 256-bit vectors: tiles of 1 to 6 rows by one panel of 16 columns,
// twelve accumulators of the sixteen registers. A single row takes four panels at once. The order
// of summation is that of the 512-bit kernel.

const (
	avx2Rows = 6
	avx2Cols = 16
	avx2Wide = 4
)

func gemmAVX2(a *asm) {
	a.textFrame("func gemmF32AVX2(t *tile)", 16, 8)
	a.op("MOVQ", "t+0(FP)", si)
	a.op("MOVQ", "tile_a(SI)", ax)
	a.op("MOVQ", "tile_c(SI)", dx)
	a.op("MOVQ", "tile_count(SI)", cx)
	a.op("MOVQ", cx, "count-8(SP)")
	a.op("MOVQ", "tile_rows(SI)", cx)
	a.op("CMPQ", "tile_panels(SI)", 1)
	a.op("JNE", "wide1")
	for r := avx2Rows; r > 0; r-- {
		a.op("CMPQ", cx, r)
		a.op("JEQ", fmt.Sprintf("rows%d", r))
	}
	a.op("RET")
	for r := avx2Rows; r > 0; r-- {
		a.tilesAVX2(fmt.Sprintf("rows%d", r), r, 1)
	}
	a.tilesAVX2("wide1", 1, avx2Wide)
	a.laneMasks()
}

// laneMasks defines 16 words of ones and 16 of zeros: n ones begin 4·n bytes before the middle.
func (a *asm) laneMasks() {
	words := make([]uint32, 32)
	for i := range 16 {
		words[i] = 0xffffffff
	}
	a.data("lanes", words)
}

// tilesAVX2 prints the loop over tiles of rows rows and panels panels, see tilesAVX512.
func (a *asm) tilesAVX2(label string, rows, panels int) {
	acc := func(i, p, half int) ymm { return ymm((i*panels+p)*2 + half) }
	each := func(do func(r ymm, c mem, half int)) {
		for i := range rows {
			for p := range panels {
				for half := range 2 {
					do(acc(i, p, half), rowAddress(dx, i).plus(64*p+32*half), half)
				}
			}
		}
	}
	a.at(label)
	a.op("MOVQ", ax, "atile-16(SP)")
	a.op("MOVL", "tile_beta(SI)", cx)
	a.op("TESTL", cx, cx)
	a.op("JEQ", label+"fetched")
	a.stride("tile_ldc(SI)", rows)
	each(func(_ ymm, c mem, half int) {
		if half == 0 {
			a.op("PREFETCHT0", c)
		}
	})
	a.at(label + "fetched")
	a.stride("tile_aRow(SI)", rows)
	a.words("tile_aStep(SI)", r15)
	a.words("tile_bNext(SI)", bx)
	a.op("MOVQ", "tile_b(SI)", di)
	if panels > 1 {
		a.op("MOVQ", bx, r12)
		a.op("LEAQ", mem{base: r12, index: r12, scale: 2}, r13)
	}
	each(func(r ymm, _ mem, _ int) { a.op("VXORPS", r, r, r) })
	a.op("MOVQ", "tile_steps(SI)", cx)
	a.op("TESTQ", cx, cx)
	a.op("JEQ", label+"sum")
	a.op("PCALIGN", 32)
	a.at(label + "step")
	if panels == 1 {
		a.op("VMOVUPS", mem{base: di}, ymm(12))
		a.op("VMOVUPS", mem{base: di, off: 32}, ymm(13))
		a.op("PREFETCHT1", mem{base: di, index: bx, scale: 1})
		for i := range rows {
			w := ymm(14 + i%2)
			a.op("VBROADCASTSS", rowAddress(ax, i), w)
			a.op("VFMADD231PS", ymm(12), w, acc(i, 0, 0))
			a.op("VFMADD231PS", ymm(13), w, acc(i, 0, 1))
		}
	} else {
		a.op("VBROADCASTSS", mem{base: ax}, ymm(14))
		for p, b := range panelAddresses(di, r12, r13) {
			a.op("VFMADD231PS", b, ymm(14), acc(0, p, 0))
			a.op("VFMADD231PS", b.plus(32), ymm(14), acc(0, p, 1))
		}
	}
	a.op("ADDQ", r15, ax)
	a.op("ADDQ", 4*avx2Cols, di)
	a.op("DECQ", cx)
	a.op("JNZ", label+"step")

	a.at(label + "sum")
	a.op("CMPL", "tile_alpha(SI)", "$0x3f800000")
	a.op("JEQ", label+"scaled")
	a.op("VBROADCASTSS", "tile_alpha(SI)", ymm(14))
	each(func(r ymm, _ mem, _ int) { a.op("VMULPS", ymm(14), r, r) })
	a.at(label + "scaled")
	a.stride("tile_ldc(SI)", rows)
	if panels == 1 {
		a.op("MOVQ", "tile_cols(SI)", cx)
		a.op("CMPQ", cx, 16)
		a.op("JNE", label+"part")
	}
	a.op("CMPL", "tile_beta(SI)", 0)
	a.op("JEQ", label+"store")
	a.op("VBROADCASTSS", "tile_beta(SI)", ymm(14))
	each(func(r ymm, c mem, _ int) { a.op("VFMADD231PS", c, ymm(14), r) })
	a.at(label + "store")
	each(func(r ymm, c mem, _ int) { a.op("VMOVUPS", r, c) })
	a.op("JMP", label+"next")

	if panels == 1 { // fewer than 16 columns: Y12 and Y13 select them
		a.at(label + "part")
		a.op("LEAQ", "lanes<>+64(SB)", di)
		a.op("SHLQ", 2, cx)
		a.op("SUBQ", cx, di)
		a.op("VMOVUPS", mem{base: di}, ymm(12))
		a.op("VMOVUPS", mem{base: di, off: 32}, ymm(13))
		a.op("CMPL", "tile_beta(SI)", 0)
		a.op("JEQ", label+"storepart")
		a.op("VBROADCASTSS", "tile_beta(SI)", ymm(14))
		each(func(r ymm, c mem, half int) {
			a.op("VMASKMOVPS", c, ymm(12+half), ymm(15))
			a.op("VFMADD231PS", ymm(15), ymm(14), r)
		})
		a.at(label + "storepart")
		each(func(r ymm, c mem, half int) { a.op("VMASKMOVPS", r, ymm(12+half), c) })
	}

	a.at(label + "next")
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

// panelAddresses are the current steps of four panels: base, and next and 3·next bytes in registers.
func panelAddresses(base, next, next3 gpr) []mem {
	return []mem{{base: base}, {base: base, index: next, scale: 1}, {base: base, index: next, scale: 2}, {base: base, index: next3, scale: 1}}
}
