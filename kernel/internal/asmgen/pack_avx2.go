package main

// Packers of float32 for 256-bit vectors and panels of 16 columns; registers as in pack_avx512.go.
// Y14 and Y15 select the columns of the last, partial group of a row.

func packAVX2(a *asm) {
	a.packRowsAVX2()
	a.packColsAVX2()
	a.packTransAVX2()
	a.laneMasks()
}

// columnGroups puts the bytes of whole groups of 16 columns in full, sets Y14 and Y15 to the
// columns of the rest and leaves their number in CX.
func (a *asm) columnGroups(full gpr) {
	a.op("MOVQ", "pack_cols(SI)", full)
	a.op("MOVQ", full, cx)
	a.op("ANDQ", 15, cx)
	a.op("SUBQ", cx, full)
	a.op("SHLQ", 2, full)
	a.lanes(cx, dx, 14, 15)
}

// lanes sets lo and hi to masks of n ones, 0 <= n <= 16, by way of tmp.
func (a *asm) lanes(n, tmp gpr, lo, hi ymm) {
	a.op("NEGQ", n)
	a.op("LEAQ", "lanes<>+64(SB)", tmp)
	a.op("VMOVUPS", mem{base: tmp, index: n, scale: 4}, lo)
	a.op("VMOVUPS", mem{base: tmp, index: n, scale: 4, off: 32}, hi)
	a.op("NEGQ", n)
}

// copyGroups copies the groups of the row at DX to R13, which moves by step after each.
func (a *asm) copyGroups(full, rest gpr, move func()) {
	a.op("XORL", r14, r14)
	a.op("CMPQ", r14, full)
	a.op("JEQ", "tail")
	a.at("full")
	from, to := mem{base: dx, index: r14, scale: 1}, mem{base: r13}
	a.op("VMOVUPS", from, ymm(0))
	a.op("VMOVUPS", from.plus(32), ymm(1))
	a.op("VMOVUPS", ymm(0), to)
	a.op("VMOVUPS", ymm(1), to.plus(32))
	move()
	a.op("ADDQ", 64, r14)
	a.op("CMPQ", r14, full)
	a.op("JNE", "full")
	a.at("tail")
	a.op("TESTQ", rest, rest)
	a.op("JEQ", "next")
	a.op("VMASKMOVPS", from, ymm(14), ymm(0))
	a.op("VMASKMOVPS", from.plus(32), ymm(15), ymm(1))
	a.op("VMOVUPS", ymm(0), to)
	a.op("VMOVUPS", ymm(1), to.plus(32))
	a.at("next")
}

func (a *asm) packRowsAVX2() {
	a.packProlog("packRowsF32AVX2", 0)
	a.columnGroups(r11)
	a.op("MOVQ", cx, r12)
	a.op("MOVQ", "pack_rows(SI)", r9)
	a.at("row")
	a.rowPointer(dx)
	a.op("MOVQ", di, r13)
	a.copyGroups(r11, r12, func() { a.op("ADDQ", 64, r13) })
	a.op("ADDQ", r10, di)
	a.op("DECQ", r9)
	a.op("JNZ", "row")
	a.op("VZEROUPPER")
	a.op("RET")
}

func (a *asm) packColsAVX2() {
	a.packProlog("packColsF32AVX2", 0)
	a.columnGroups(r11)
	a.op("MOVQ", cx, r12)
	a.words("pack_next(SI)", r15)
	a.op("MOVQ", "pack_rows(SI)", r9)
	a.op("MOVQ", "pack_steps(SI)", cx)
	a.op("TESTQ", cx, cx)
	a.op("JEQ", "done")
	a.at("step")
	a.op("MOVQ", di, r13)
	a.op("TESTQ", r9, r9)
	a.op("JLE", "zero")
	a.rowPointer(dx)
	a.copyGroups(r11, r12, func() { a.op("ADDQ", r15, r13) })
	a.at("stepped")
	a.op("DECQ", r9)
	a.op("ADDQ", r10, di)
	a.op("DECQ", cx)
	a.op("JNZ", "step")
	a.at("done")
	a.op("VZEROUPPER")
	a.op("RET")

	a.at("zero") // a step past the last row
	a.op("VXORPS", ymm(0), ymm(0), ymm(0))
	a.op("MOVQ", "pack_cols(SI)", r14)
	a.at("zeros")
	a.op("VMOVUPS", ymm(0), mem{base: r13})
	a.op("VMOVUPS", ymm(0), mem{base: r13, off: 32})
	a.op("ADDQ", r15, r13)
	a.op("SUBQ", 16, r14)
	a.op("JGT", "zeros")
	a.op("JMP", "stepped")
}

// packTransAVX2 works in blocks of 8 rows and 8 columns. R9 counts the rows left, R11 the columns
// left; both may be negative, and then the masks of the block are zero. The steps of a panel come in
// multiples of 16, hence the even number of blocks.
func (a *asm) packTransAVX2() {
	a.packProlog("packTransF32AVX2", 8)
	a.words("pack_next(SI)", r15)
	a.op("MOVQ", "pack_rows(SI)", r9)
	a.op("MOVQ", 0, "half-8(SP)")
	a.at("rows")
	a.op("MOVQ", "pack_cols(SI)", r11)
	a.op("MOVQ", di, r13)
	a.op("XORL", r14, r14)
	a.at("block")
	a.clamp(r11, cx, dx, 8)
	a.lanes(cx, dx, 15, 14) // Y15: columns of the block
	a.op("MOVQ", ax, dx)
	for i := range 8 { // a row that does not exist repeats the last one
		a.op("VMASKMOVPS", mem{base: dx, index: r14, scale: 1}, ymm(15), ymm(i))
		if i < 7 {
			a.op("LEAQ", mem{base: dx, index: r8, scale: 1}, cx)
			a.op("CMPQ", r9, i+1)
			a.op("CMOVQGT", cx, dx)
		}
	}
	for i := 0; i < 8; i += 2 { // 2x2 blocks
		a.op("VUNPCKLPS", ymm(i+1), ymm(i), ymm(8+i))
		a.op("VUNPCKHPS", ymm(i+1), ymm(i), ymm(9+i))
	}
	for i := 0; i < 8; i += 4 { // 4x4
		for c := range 4 {
			op := [...]string{"VUNPCKLPD", "VUNPCKHPD"}[c%2]
			a.op(op, ymm(10+i+c/2), ymm(8+i+c/2), ymm(i+c))
		}
	}
	for c := range 4 {
		a.op("VPERM2F128", 0x20, ymm(4+c), ymm(c), ymm(8+c))
		a.op("VPERM2F128", 0x31, ymm(4+c), ymm(c), ymm(12+c))
	}
	a.clamp(r9, cx, dx, 8)
	a.lanes(cx, dx, 0, 1) // Y0: rows of the block
	for s := range 8 {
		a.op("VANDPS", ymm(0), ymm(8+s), ymm(8+s))
		a.op("VMOVUPS", ymm(8+s), mem{base: r13})
		a.op("ADDQ", r10, r13)
	}
	a.op("ADDQ", 32, r14)
	a.op("SUBQ", 8, r11)
	a.op("JGT", "block")
	a.op("TESTQ", 32, r14)
	a.op("JNE", "block")

	// The next 8 rows fill the other half of the panel, or the next panel.
	a.op("LEAQ", mem{base: ax, index: r8, scale: 8}, ax)
	a.op("SUBQ", 8, r9)
	a.op("XORQ", 1, "half-8(SP)")
	a.op("JEQ", "panel")
	a.op("ADDQ", 32, di)
	a.op("TESTQ", r9, r9)
	a.op("JGT", "rows")
	a.op("MOVQ", "pack_src(SI)", ax) // nothing left: any address that can be read
	a.op("JMP", "rows")
	a.at("panel")
	a.op("LEAQ", mem{base: di, index: r15, scale: 1, off: -32}, di)
	a.op("TESTQ", r9, r9)
	a.op("JGT", "rows")
	a.op("VZEROUPPER")
	a.op("RET")
}

// clamp sets to to n, but at least 0 and at most limit, by way of tmp.
func (a *asm) clamp(n, to, tmp gpr, limit int) {
	a.op("XORL", to, to)
	a.op("MOVL", limit, tmp)
	a.op("TESTQ", n, n)
	a.op("CMOVQGT", n, to)
	a.op("CMPQ", to, tmp)
	a.op("CMOVQGT", tmp, to)
}
