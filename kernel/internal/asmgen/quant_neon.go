package main

import "fmt"

// Kernels on weights in the blocks of their files for Advanced SIMD: the twins of quant.go, with the same two
// functions of every format, the same two accumulators of a product that take turns, and the same bits of a
// decoded weight. A format is described as the instructions that leave 16 weights in four vectors.
//
// Rows of x stay float32, so there is nothing for SDOT and SMMLA to do: they multiply bytes.
//
// Few processors convert whole numbers to float32 at full speed. Codes of four bits are looked up as the two
// bytes of a bfloat16, and wider ones become the low bits of 2^23, which is then subtracted.
//
// Registers: R0-R3 rows of x (R0: what is decoded to), R4 and R5 the blocks of two rows of weights, R13 and R14 their
// scales, R6 blocks left, R7 rows left, R8 and R10 the next blocks and scales, R12 offset in y, R19 arguments, R20
// scratch memory, R26 tables, R22-R25 free; V0-V15 accumulators, V16 a vector of x, V18-V25 weights, V30 and V31 scales
// of the rows, V17 and V26-V29 what a format keeps.

// neonFormat describes a format of quantFormats for Advanced SIMD.
type neonFormat struct {
	consts  []string // tables in registers, at most five
	block   func(n *neonQuant)
	prepare func(n *neonQuant) // unpacks the scales of a block into the scratch memory
	// start and finish, if set, are printed before and after the blocks of a pair of rows.
	start, finish func(n *neonQuant)
}

// neonQuant prints one function.
type neonQuant struct {
	neonWords
	format *quantFormat
	neon   neonFormat
	rows   int // of weights
	xs     int // rows of float32; 0 when the weights are stored
}

const neonX = 16

func (n *neonQuant) acc(row, x, parity int) int { return 2*(x*n.rows+row) + parity }
func (n *neonQuant) w(row, i int) int           { return 18 + 4*row + i }
func (n *neonQuant) s(row int) int              { return 30 + row }

// constant is the register of a table.
func (n *neonQuant) constant(table string) int {
	for i, name := range n.neon.consts {
		if name == table {
			return neonConsts[i]
		}
	}
	panic("asmgen: " + n.format.name + " does not keep " + table)
}

var neonConsts = []int{26, 27, 28, 29, 17}

// load reads a table into a register.
func (n *neonQuant) load(table string, to int) {
	n.op("FMOVQ", fmt.Sprintf("%d(R26)", neonTable(table)), fmt.Sprintf("F%d", to))
}

// src, scale and scratch are byte off of what belongs to a row.
func (n *neonQuant) src(row, off int) string   { return fmt.Sprintf("%d(R%d)", off, 4+row) }
func (n *neonQuant) scale(row, off int) string { return fmt.Sprintf("%d(R%d)", off, 13+row) }
func (n *neonQuant) scratch(row, off int) string {
	return fmt.Sprintf("%d(R20)", quantScratch*row+off)
}

// each prints f for every row of weights.
func (n *neonQuant) each(f func(row int)) {
	for r := range n.rows {
		f(r)
	}
}

// use takes the 16 weights from number at of the block on, which f leaves in w(row,0) to w(row,3).
func (n *neonQuant) use(at int, f func(row int)) {
	n.each(f)
	for i := range 4 {
		for x := range n.xs {
			n.op("FMOVQ", fmt.Sprintf("%d(R%d)", 4*at+16*i, x), fmt.Sprintf("F%d", neonX))
			n.each(func(r int) { n.three("fmla", n.acc(r, x, i%2), neonX, n.w(r, i)) })
		}
	}
	if n.xs == 0 {
		for i := 0; i < 4; i += 2 {
			n.op("FSTPQ", fmt.Sprintf("(F%d, F%d)", n.w(0, i), n.w(0, i+1)), fmt.Sprintf("%d(R0)", 4*at+16*i))
		}
	}
}

func neonQuantDot(a *asm, f *quantFormat) {
	n := &neonQuant{neonWords: neonWords{a}, format: f, neon: neonFormats[f.name], rows: 2}
	n.open(fmt.Sprintf("func dot%sNEON(t *dots)", f.name), 8)
	n.op("MOVD", "t+0(FP)", "R19")
	n.op("MOVD", "dots_w(R19)", "R8")
	n.op("MOVD", "dots_scales(R19)", "R10")
	n.op("MOVD", "dots_rows(R19)", "R7")
	n.op("MOVD", "ZR", "R12")
	n.op("MOVD", "dots_xs(R19)", "R9")
	for _, xs := range quantTile(true) {
		n.op("CMP", xs, "R9")
		n.op("BEQ", fmt.Sprintf("x%d", xs))
	}
	n.op("RET")
	for _, xs := range quantTile(true) {
		n.xs = xs
		n.dotRows(fmt.Sprintf("x%d", xs))
	}
}

// open prints the beginning of a function: its frame, and what is the same for all blocks.
func (n *neonQuant) open(signature string, argBytes int) {
	frame := 0
	if n.neon.prepare != nil {
		frame = 2 * quantScratch
	}
	n.textFrame(signature, frame, argBytes)
	n.op("MOVD", "$neonQuant<>(SB)", "R26")
	if frame > 0 {
		n.op("MOVD", fmt.Sprintf("$scratch-%d(SP)", frame), "R20")
	}
	for i, name := range n.neon.consts {
		n.load(name, neonConsts[i])
	}
}

// dotRows prints the loop over pairs of rows.
func (n *neonQuant) dotRows(label string) {
	n.at(label)
	n.pair("stride", "R8", 4)
	if n.format.scales > 0 {
		n.pair("scaleStride", "R10", 13)
	}
	n.op("CMP", 1, "R7")
	n.op("BNE", label+"pair")
	n.op("MOVD", "R4", "R5") // no row comes after the last one: take it twice
	n.op("MOVD", "R13", "R14")
	n.at(label + "pair")
	for i := range 2 * n.rows * n.xs {
		n.logic("VEOR", i, i, i)
	}
	for x := range n.xs {
		n.op("MOVD", fmt.Sprintf("dots_x%d(R19)", x), fmt.Sprintf("R%d", x))
	}
	n.op("MOVD", "dots_blocks(R19)", "R6")
	n.print(n.neon.start)
	n.blocks(label + "block")
	n.print(n.neon.finish)
	n.sums()
	n.storeSums(0)
	n.op("CMP", 1, "R7")
	n.op("BEQ", label+"done")
	n.storeSums(1)
	n.op("ADD", 8, "R12")
	n.op("SUBS", 2, "R7")
	n.op("BNE", label)
	n.at(label + "done")
	n.op("RET")
}

// pair takes what belongs to two rows from next on: to register first and the one after it.
func (n *neonQuant) pair(stride, next string, first int) {
	n.op("MOVD", fmt.Sprintf("dots_%s(R19)", stride), "R9")
	n.op("MOVD", next, fmt.Sprintf("R%d", first))
	n.op("ADD", "R9", next, fmt.Sprintf("R%d", first+1))
	n.op("ADD", "R9<<1", next, next)
}

func (n *neonQuant) print(part func(n *neonQuant)) {
	if part != nil {
		part(n)
	}
}

// blocks prints the loop over the blocks of a pair of rows.
func (n *neonQuant) blocks(label string) {
	n.at(label)
	n.print(n.neon.prepare)
	n.neon.block(n)
	n.each(func(r int) {
		n.op("ADD", n.format.bytes, fmt.Sprintf("R%d", 4+r))
		if n.format.scales > 0 {
			n.op("ADD", n.format.scales, fmt.Sprintf("R%d", 13+r))
		}
	})
	for x := range max(1, n.xs) {
		n.op("ADD", 4*n.format.weights, fmt.Sprintf("R%d", x))
	}
	n.op("SUBS", 1, "R6")
	n.op("BNE", label)
}

// sums adds up every pair of accumulators, into the lowest element of the first.
func (n *neonQuant) sums() {
	for i := 0; i < 2*n.rows*n.xs; i += 2 {
		n.three("fadd", i, i, i+1)
		n.three("faddp", i, i, i)
		n.three("faddp", i, i, i)
	}
}

func (n *neonQuant) storeSums(row int) {
	for x := range n.xs {
		n.op("MOVD", fmt.Sprintf("dots_y%d(R19)", x), "R9")
		n.op("ADD", "R12", "R9")
		n.op("FMOVS", fmt.Sprintf("F%d", n.acc(row, x, 0)), fmt.Sprintf("%d(R9)", 4*row))
	}
}

func neonQuantDecode(a *asm, f *quantFormat) {
	n := &neonQuant{neonWords: neonWords{a}, format: f, neon: neonFormats[f.name], rows: 1}
	n.open(fmt.Sprintf("func decode%sNEON(%s)", f.name, decodeArgs), 32)
	n.op("MOVD", "dst+0(FP)", "R0")
	n.op("MOVD", "src+8(FP)", "R4")
	n.op("MOVD", "scales+16(FP)", "R13")
	n.op("MOVD", "blocks+24(FP)", "R6")
	n.print(n.neon.start)
	n.blocks("block")
	n.op("RET")
}

// neonQuantFile prints all formats.
func neonQuantFile(a *asm) {
	neonQuantTables(a)
	for i := range quantFormats {
		neonQuantDot(a, &quantFormats[i])
		neonQuantDecode(a, &quantFormats[i])
	}
}
