package main

import "fmt"

// Packers for 512-bit vectors: float32 matrices in, words out (see kernel/gemm_pack.go for the
// layouts). bfloat16 is rounded by VCVTNE2PS2BF16, which turns 32 floats into 16 words.
//
// Registers: SI arguments, AX source row, R8 source stride, DI destination, R10 destination stride,
// BX row numbers; K1 and K2 mask the last, partial vectors of a row.

func packAVX512(a *asm) {
	a.packRowsAVX512("packRowsF32AVX512", false)
	a.packRowsAVX512("packRowsBF16AVX512", true)
	a.packColsAVX512("packColsF32AVX512", false)
	a.packColsAVX512("packColsBF16AVX512", true)
	a.packTransAVX512("packTransF32AVX512", false)
	a.packTransAVX512("packTransBF16AVX512", true)
	a.packTurnAVX512("packTurnBF16AVX512")
	interleave := make([]uint32, 16)
	for i := range interleave {
		interleave[i] = uint32(i) | uint32(16+i)<<16
	}
	a.data("interleave", interleave)
}

func (a *asm) packProlog(name string, frame int) {
	a.textFrame("func "+name+"(p *pack)", frame, 8)
	a.op("MOVQ", "p+0(FP)", si)
	a.op("MOVQ", "pack_src(SI)", ax)
	a.op("MOVQ", "pack_idx(SI)", bx)
	a.words("pack_lds(SI)", r8)
	a.op("MOVQ", "pack_dst(SI)", di)
	a.words("pack_ldd(SI)", r10)
}

// columnMasks puts the number of whole groups of 32 columns in full and sets lo and hi to the
// columns of the rest; rest is left in CX.
func (a *asm) columnMasks(full gpr, lo, hi kreg) {
	a.op("MOVQ", "pack_cols(SI)", full)
	a.op("MOVQ", full, cx)
	a.op("SHRQ", 5, full)
	a.op("ANDQ", 31, cx)
	a.op("MOVL", -1, dx)
	a.op("BZHIL", cx, dx, dx)
	a.op("KMOVW", dx, lo)
	a.op("SHRL", 16, dx)
	a.op("KMOVW", dx, hi)
}

// rowPointer sets to to the next source row and moves on. It leaves to alone when rows are
// numbered by idx and steps through it otherwise.
func (a *asm) rowPointer(to gpr) {
	direct, done := a.newLabel("direct"), a.newLabel("row")
	a.op("TESTQ", bx, bx)
	a.op("JEQ", direct)
	a.op("MOVLQSX", "(BX)", to)
	a.op("ADDQ", 4, bx)
	a.op("IMULQ", r8, to)
	a.op("ADDQ", ax, to)
	a.op("JMP", done)
	a.at(direct)
	a.op("MOVQ", ax, to)
	a.op("ADDQ", r8, ax)
	a.at(done)
}

// packRowsAVX512: each row of the window becomes a row of words, zero up to a multiple of 16.
func (a *asm) packRowsAVX512(name string, bf16 bool) {
	a.packProlog(name, 0)
	a.columnMasks(r11, 1, 2)
	a.op("MOVQ", cx, r12)
	a.op("MOVQ", "pack_rows(SI)", r9)
	a.at("row")
	a.rowPointer(dx)
	a.op("MOVQ", di, r13)
	a.op("MOVQ", r11, cx)
	a.op("TESTQ", cx, cx)
	a.op("JEQ", "tail")
	out := 128
	if bf16 {
		out = 64
	}
	store := func() {
		if bf16 {
			a.evex(vcvtne2ps2bf16, zmm(0), 1, 0)
			a.op("VMOVUPS", zmm(0), mem{base: r13})
			return
		}
		a.op("VMOVUPS", zmm(0), mem{base: r13})
		a.op("VMOVUPS", zmm(1), mem{base: r13, off: 64})
	}
	a.at("full")
	a.op("VMOVUPS", mem{base: dx}, zmm(0))
	a.op("VMOVUPS", mem{base: dx, off: 64}, zmm(1))
	store()
	a.op("ADDQ", 128, dx)
	a.op("ADDQ", out, r13)
	a.op("DECQ", cx)
	a.op("JNZ", "full")
	a.at("tail")
	a.op("TESTQ", r12, r12)
	a.op("JEQ", "next")
	a.op("VMOVUPS.Z", mem{base: dx}, kreg(1), zmm(0))
	a.op("VMOVUPS.Z", mem{base: dx, off: 64}, kreg(2), zmm(1))
	if bf16 {
		store()
	} else {
		a.op("VMOVUPS", zmm(0), mem{base: r13})
		a.op("CMPQ", r12, 16)
		a.op("JLE", "next")
		a.op("VMOVUPS", zmm(1), mem{base: r13, off: 64})
	}
	a.at("next")
	a.op("ADDQ", r10, di)
	a.op("DECQ", r9)
	a.op("JNZ", "row")
	a.op("VZEROUPPER")
	a.op("RET")
}

// packColsAVX512: each row (float32) or pair of rows (bfloat16) becomes one step of every panel.
// DX and CX point to the rows of a step; K5 and K6 are zero where such a row lies past the window,
// and then nothing is read.
func (a *asm) packColsAVX512(name string, bf16 bool) {
	a.packProlog(name, 8)
	a.columnMasks(r11, 1, 2)
	a.op("SHLQ", 7, r11) // bytes of whole groups
	a.op("MOVQ", cx, r12)
	a.words("pack_next(SI)", r15)
	a.op("MOVQ", "pack_rows(SI)", r9)
	a.op("MOVQ", "pack_steps(SI)", cx)
	a.op("TESTQ", cx, cx)
	a.op("JEQ", "done")
	a.op("MOVQ", cx, "steps-8(SP)")
	if bf16 {
		a.op("VMOVDQU32", "interleave<>(SB)", zmm(31))
	}
	group := func(row0lo, row0hi, row1lo, row1hi kreg) {
		r0, r1 := mem{base: dx, index: r14, scale: 1}, mem{base: cx, index: r14, scale: 1}
		a.op("VMOVUPS.Z", r0, row0lo, zmm(0))
		a.op("VMOVUPS.Z", r0.plus(64), row0hi, zmm(1))
		if bf16 {
			a.op("VMOVUPS.Z", r1, row1lo, zmm(2))
			a.op("VMOVUPS.Z", r1.plus(64), row1hi, zmm(3))
			a.evex(vcvtne2ps2bf16, zmm(0), 2, 0)
			a.evex(vcvtne2ps2bf16, zmm(1), 3, 1)
			a.op("VPERMW", zmm(0), zmm(31), zmm(0))
			a.op("VPERMW", zmm(1), zmm(31), zmm(1))
		}
		a.op("VMOVUPS", zmm(0), mem{base: r13})
		a.op("VMOVUPS", zmm(1), mem{base: r13, off: 64})
	}
	a.at("step")
	a.op("KXNORW", kreg(5), kreg(5), kreg(5))
	a.op("KXNORW", kreg(6), kreg(6), kreg(6))
	a.op("TESTQ", r9, r9)
	a.op("JGT", "row0")
	a.op("KXORW", kreg(5), kreg(5), kreg(5))
	a.op("KXORW", kreg(6), kreg(6), kreg(6))
	a.op("JMP", "rows")
	a.at("row0")
	a.rowPointer(dx)
	a.op("DECQ", r9)
	if bf16 {
		a.op("TESTQ", r9, r9)
		a.op("JGT", "row1")
		a.op("KXORW", kreg(6), kreg(6), kreg(6))
		a.op("JMP", "rows")
		a.at("row1")
		a.rowPointer(cx)
		a.op("DECQ", r9)
	}
	a.at("rows")
	a.op("CMPQ", r11, 384) // a narrow window of a wide matrix defeats the hardware's prefetcher
	a.op("JGT", "wide")
	a.op("LEAQ", mem{base: dx, index: r8, scale: 8}, r14)
	a.op("LEAQ", mem{base: r14, index: r8, scale: 8}, r14)
	for off := 0; off < 448; off += 64 {
		a.op("PREFETCHT0", mem{base: r14, off: off})
	}
	if bf16 {
		a.op("ADDQ", r8, r14)
		for off := 0; off < 448; off += 64 {
			a.op("PREFETCHT0", mem{base: r14, off: off})
		}
	}
	a.at("wide")
	a.op("MOVQ", di, r13)
	a.op("XORL", r14, r14)
	a.op("CMPQ", r14, r11)
	a.op("JEQ", "tail")
	a.at("full")
	group(5, 5, 6, 6)
	a.op("ADDQ", r15, r13)
	a.op("ADDQ", 128, r14)
	a.op("CMPQ", r14, r11)
	a.op("JNE", "full")
	a.at("tail")
	a.op("TESTQ", r12, r12)
	a.op("JEQ", "next")
	a.op("KANDW", kreg(1), kreg(5), kreg(3))
	a.op("KANDW", kreg(2), kreg(5), kreg(4))
	a.op("KANDW", kreg(1), kreg(6), kreg(7))
	a.op("KANDW", kreg(2), kreg(6), kreg(6))
	group(3, 4, 7, 6)
	a.at("next")
	a.op("ADDQ", r10, di)
	a.op("DECQ", "steps-8(SP)")
	a.op("JNZ", "step")
	a.at("done")
	a.op("VZEROUPPER")
	a.op("RET")
}

// packTransAVX512: rows of the window become columns of panels, by transposing blocks of 16 rows
// and 16 words. The window has at least one row and one column; the panels have room for whole
// blocks, which are zero outside the window. K3 selects the rows of a block that exist.
func (a *asm) packTransAVX512(name string, bf16 bool) {
	a.packProlog(name, 8)
	block := 16 // columns of the window in 16 words
	if bf16 {
		block = 32
	}
	a.words("pack_next(SI)", r15)
	a.op("MOVQ", "pack_rows(SI)", r9)
	a.op("MOVQ", 0, "half-8(SP)")

	a.at("rows") // 16 rows: AX is the first, R9 counts those left (negative past the end)
	a.clampedMask(r9, 16)
	a.op("KMOVW", dx, kreg(3))
	a.op("MOVQ", "pack_cols(SI)", r11)
	a.op("MOVQ", di, r13)
	a.op("XORL", r14, r14)

	a.at("block")
	a.clampedMask(r11, block)
	a.op("KMOVW", dx, kreg(1))
	a.op("SHRL", 16, dx)
	a.op("KMOVW", dx, kreg(2))
	a.op("MOVQ", ax, dx)
	for i := range 16 { // a row that does not exist repeats the last one
		row := mem{base: dx, index: r14, scale: 1}
		if bf16 {
			lo, hi := zmm(16+2*(i%8)), zmm(17+2*(i%8))
			a.op("VMOVUPS.Z", row, kreg(1), lo)
			a.op("VMOVUPS.Z", row.plus(64), kreg(2), hi)
			a.evex(vcvtne2ps2bf16, lo, hi, zmm(i))
		} else {
			a.op("VMOVUPS.Z", row, kreg(1), zmm(i))
		}
		if i < 15 {
			a.op("LEAQ", mem{base: dx, index: r8, scale: 1}, cx)
			a.op("CMPQ", r9, i+1)
			a.op("CMOVQGT", cx, dx)
		}
	}
	a.transpose16(3)
	for s := range 16 {
		a.op("VMOVUPS", zmm(s), mem{base: r13})
		a.op("ADDQ", r10, r13)
	}
	a.op("ADDQ", 4*block, r14)
	a.op("SUBQ", block, r11)
	a.op("JGT", "block")

	// The next 16 rows fill the other half of the panel, or the next panel.
	a.op("MOVQ", r8, cx)
	a.op("SHLQ", 4, cx)
	a.op("ADDQ", cx, ax)
	a.op("SUBQ", 16, r9)
	a.op("XORQ", 1, "half-8(SP)")
	a.op("JEQ", "panel")
	a.op("ADDQ", 64, di)
	a.op("TESTQ", r9, r9)
	a.op("JGT", "rows")
	a.op("MOVQ", "pack_src(SI)", ax) // nothing left: any address that can be read
	a.op("JMP", "rows")
	a.at("panel")
	a.op("LEAQ", mem{base: di, index: r15, scale: 1, off: -64}, di)
	a.op("TESTQ", r9, r9)
	a.op("JGT", "rows")
	a.op("VZEROUPPER")
	a.op("RET")
}

// packTurnAVX512: columns of the window become rows of words, by interleaving pairs of rows and
// transposing blocks of 16 pairs and 16 columns. Whole blocks are written, zero outside the window.
func (a *asm) packTurnAVX512(name string) {
	a.packProlog(name, 0)
	a.op("KXNORW", kreg(3), kreg(3), kreg(3))
	a.op("MOVQ", "pack_cols(SI)", r11)
	a.op("XORL", r14, r14)
	a.at("cols") // 16 columns, at R14 bytes in a row; DI is the first of their rows of words
	a.clampedMask(r11, 16)
	a.op("KMOVW", dx, kreg(1))
	a.op("MOVQ", "pack_src(SI)", ax)
	a.op("MOVQ", "pack_rows(SI)", r9)
	a.op("MOVQ", di, bx)
	a.at("block") // 16 pairs of rows from AX on, of R9 rows left
	a.op("VMOVDQU32", "interleave<>(SB)", zmm(28))
	a.op("CMPQ", r9, 32)
	a.op("JGE", "whole")
	for i := range 16 {
		a.op("VPXORD", zmm(i), zmm(i), zmm(i))
	}
	a.at("whole")
	for i := range 16 {
		one := fmt.Sprintf("one%d", i)
		if i > 0 {
			a.op("CMPQ", r9, 2*i)
			a.op("JLE", "turn")
		}
		lo, hi := zmm(16+2*(i%6)), zmm(17+2*(i%6))
		a.op("VMOVUPS.Z", mem{base: ax, index: r14, scale: 1}, kreg(1), lo)
		a.op("VPXORD", hi, hi, hi)
		a.op("CMPQ", r9, 2*i+1)
		a.op("JEQ", one)
		a.op("ADDQ", r8, ax)
		a.op("VMOVUPS.Z", mem{base: ax, index: r14, scale: 1}, kreg(1), hi)
		a.at(one)
		a.op("ADDQ", r8, ax)
		a.evex(vcvtne2ps2bf16, lo, hi, zmm(i))
		a.op("VPERMW", zmm(i), zmm(28), zmm(i))
	}
	a.at("turn")
	a.transpose16(3)
	a.op("MOVQ", bx, r13)
	for j := range 16 {
		a.op("VMOVUPS", zmm(j), mem{base: r13})
		a.op("ADDQ", r10, r13)
	}
	a.op("ADDQ", 64, bx)
	a.op("SUBQ", 32, r9)
	a.op("JGT", "block")
	a.op("MOVQ", r10, cx)
	a.op("SHLQ", 4, cx)
	a.op("ADDQ", cx, di)
	a.op("ADDQ", 64, r14)
	a.op("SUBQ", 16, r11)
	a.op("JGT", "cols")
	a.op("VZEROUPPER")
	a.op("RET")
}

// clampedMask sets DX to a mask of min(max(n, 0), limit) ones, by way of CX.
func (a *asm) clampedMask(n gpr, limit int) {
	a.clamp(n, cx, dx, limit)
	a.op("MOVL", -1, dx)
	a.op("BZHIL", cx, dx, dx)
}

// transpose16 transposes the 16x16 words in Z0 to Z15, using Z16 to Z31; in the result, columns
// that keep does not select are zero.
func (a *asm) transpose16(keep kreg) {
	for i := 0; i < 16; i += 2 { // 2x2 blocks
		a.op("VPUNPCKLDQ", zmm(i+1), zmm(i), zmm(16+i))
		a.op("VPUNPCKHDQ", zmm(i+1), zmm(i), zmm(17+i))
	}
	for i := 0; i < 16; i += 4 { // 4x4: lane L of register i+c is now column 4L+c, rows i to i+3
		for c := range 4 {
			op := [...]string{"VPUNPCKLQDQ", "VPUNPCKHQDQ"}[c%2]
			a.op(op, zmm(18+i+c/2), zmm(16+i+c/2), zmm(i+c))
		}
	}
	for c := range 4 { // collect the four lanes of each column
		t := zmm(16 + 4*c)
		a.op("VSHUFI32X4", 0x88, zmm(4+c), zmm(c), t)
		a.op("VSHUFI32X4", 0xdd, zmm(4+c), zmm(c), t+1)
		a.op("VSHUFI32X4", 0x88, zmm(12+c), zmm(8+c), t+2)
		a.op("VSHUFI32X4", 0xdd, zmm(12+c), zmm(8+c), t+3)
	}
	for c := range 4 {
		t := zmm(16 + 4*c)
		a.op("VSHUFI32X4.Z", 0x88, t+2, t, keep, zmm(c))
		a.op("VSHUFI32X4.Z", 0x88, t+3, t+1, keep, zmm(4+c))
		a.op("VSHUFI32X4.Z", 0xdd, t+2, t, keep, zmm(8+c))
		a.op("VSHUFI32X4.Z", 0xdd, t+3, t+1, keep, zmm(12+c))
	}
}
