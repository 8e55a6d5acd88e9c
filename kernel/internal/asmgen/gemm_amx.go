package main

import "fmt"

// The bfloat16 micro-kernel for AMX. A tile register holds 16 rows of 64 bytes; two by two of them
// accumulate 32 rows and 32 columns of C, two hold rows of A, two hold steps of B:
//
//	T0 T1 | T4      T0 += T4·T6   T1 += T4·T7
//	T2 T3 | T5      T2 += T5·T6   T3 += T5·T7
//	-- -- |         one round is 16 steps, 32 elements of K
//	T6 T7
//
// Rows and columns past the edge of C do not exist in the configuration, so nothing is masked. Tile
// state does not survive a return to Go (the goroutine may go on in another thread): it is loaded
// and released inside the function.
//
// Source: Intel SDM volume 1, chapter 18; encodings in volume 2.

const amxRows, amxCols = 32, 32

func gemmAMX(a *asm) {
	a.textFrame("func gemmBF16AMX(t *tile)", 80, 8)
	a.op("MOVQ", "t+0(FP)", si)
	a.configureAMX()
	a.op("MOVQ", "tile_panels(SI)", cx)
	a.op("MOVQ", cx, "panels-72(SP)")
	a.op("MOVQ", "tile_b(SI)", r12)
	a.op("MOVQ", "tile_c(SI)", r13)
	a.words("tile_aRow(SI)", r8)
	a.op("MOVL", 4*amxCols, r9) // from step to step of a panel
	a.words("tile_ldc(SI)", r10)
	a.op("MOVQ", "tile_steps(SI)", r11)
	a.op("SHRQ", 4, r11) // rounds

	a.at("panel") // R12 is the panel of B, R13 its columns of C
	a.op("MOVQ", "tile_a(SI)", r14)
	a.op("MOVQ", r13, dx)
	a.op("MOVQ", "tile_count(SI)", r15)
	a.op("CMPQ", "tile_rows(SI)", 16)
	a.op("JGT", "tall")
	a.op("CMPQ", "tile_cols(SI)", 16)
	a.op("JGT", "tile12")
	a.op("JMP", "tile11")
	a.at("tall")
	a.op("CMPQ", "tile_cols(SI)", 16)
	a.op("JGT", "tile22")
	a.op("JMP", "tile21")
	for _, shape := range [][2]int{{2, 2}, {2, 1}, {1, 2}, {1, 1}} {
		a.tilesAMX(shape[0], shape[1])
	}

	a.at("next")
	a.words("tile_bNext(SI)", cx)
	a.op("ADDQ", cx, r12)
	a.op("ADDQ", 4*amxCols, r13)
	a.op("DECQ", "panels-72(SP)")
	a.op("JNZ", "panel")
	a.tileOp("TILERELEASE")
	a.op("VZEROUPPER")
	a.op("RET")
}

// configureAMX gives the tiles the shape of this call: T0 to T3 rows by columns of C, T4 and T5 rows
// of A by 64 bytes, T6 and T7 16 steps by columns of B.
func (a *asm) configureAMX() {
	a.op("VPXORD", zmm(0), zmm(0), zmm(0))
	a.op("VMOVDQU64", zmm(0), "cfg-64(SP)")
	a.op("LEAQ", "cfg-64(SP)", di)
	a.op("MOVB", 1, mem{base: di})                  // palette
	half := func(field string, first, second gpr) { // split what is above 16
		a.op("MOVQ", field+"(SI)", first)
		a.op("XORL", second, second)
		a.op("CMPQ", first, 16)
		a.op("JLE", field+"short")
		a.op("LEAQ", mem{base: first, off: -16}, second)
		a.op("MOVL", 16, first)
		a.at(field + "short")
	}
	half("tile_rows", ax, bx)
	half("tile_cols", cx, dx)
	a.op("SHLQ", 2, cx)
	a.op("SHLQ", 2, dx)
	const colsb, rows = 16, 48
	for tile, shape := range [8][2]any{{ax, cx}, {ax, dx}, {bx, cx}, {bx, dx}, {ax, 64}, {bx, 64}, {16, cx}, {16, dx}} {
		a.op("MOVB", shape[0], mem{base: di, off: rows + tile})
		a.op("MOVW", shape[1], mem{base: di, off: colsb + 2*tile})
	}
	a.tileOp("LDTILECFG", mem{base: di})
}

// tilesAMX prints the loop over the row tiles of a panel, each of rt by ct tile registers. R14 is the
// tile's A, DX its C; AX and DI walk over A and B; BX is 16 rows below AX or DX.
func (a *asm) tilesAMX(rt, ct int) {
	label := fmt.Sprintf("tile%d%d", rt, ct)
	below := func(base, stride gpr) {
		if rt == 2 {
			a.op("MOVQ", stride, bx)
			a.op("SHLQ", 4, bx)
			a.op("ADDQ", base, bx)
		}
	}
	each := func(do func(acc int, c mem)) {
		for i := range rt {
			for j := range ct {
				do(2*i+j, mem{base: [...]gpr{dx, bx}[i], index: r10, scale: 1, off: 64 * j})
			}
		}
	}
	a.at(label)
	a.op("CMPL", "tile_beta(SI)", 0)
	a.op("JEQ", label+"zero")
	below(dx, r10)
	each(func(acc int, c mem) { a.tileOp("TILELOADD", c, acc) })
	a.op("JMP", label+"start")
	a.at(label + "zero")
	each(func(acc int, _ mem) { a.tileOp("TILEZERO", acc) })
	a.at(label + "start")
	a.op("MOVQ", r11, cx)
	a.op("MOVQ", r14, ax)
	a.op("MOVQ", r12, di)
	below(ax, r8)
	a.op("TESTQ", cx, cx)
	a.op("JEQ", label+"store")

	a.at(label + "round")
	b := func(j int) { a.tileOp("TILELOADD", mem{base: di, index: r9, scale: 1, off: 64 * j}, 6+j) }
	row := func(i int) { a.tileOp("TILELOADD", mem{base: [...]gpr{ax, bx}[i], index: r8, scale: 1}, 4+i) }
	dot := func(i, j int) { a.tileOp("TDPBF16PS", 6+j, 4+i, 2*i+j) }
	b(0)
	row(0)
	dot(0, 0)
	if ct == 2 {
		b(1)
		dot(0, 1)
	}
	if rt == 2 {
		row(1)
		for j := range ct {
			dot(1, j)
		}
		a.op("ADDQ", 64, bx)
	}
	a.op("ADDQ", 64, ax)
	a.op("ADDQ", 16*4*amxCols, di)
	a.op("DECQ", cx)
	a.op("JNZ", label+"round")

	a.at(label + "store")
	below(dx, r10)
	each(func(acc int, c mem) { a.tileOp("TILESTORED", acc, c) })
	a.op("MOVQ", "tile_rows(SI)", cx)
	a.op("MOVQ", cx, ax)
	a.op("IMULQ", r8, cx)
	a.op("ADDQ", cx, r14)
	a.op("IMULQ", r10, ax)
	a.op("ADDQ", ax, dx)
	a.op("DECQ", r15)
	a.op("JNZ", label)
	a.op("JMP", "next")
}
