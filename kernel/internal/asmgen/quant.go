package main

import (
	"fmt"
	"slices"
)

// Kernels on weights in the blocks of their files. Every format is described once, as the
// instructions that turn a block into vectors of float32 (quant_formats.go); two functions are made
// of each description, for AVX-512 and for AVX2:
//
//	dot     the products of rows of weights with rows of float32, two rows of weights at a time
//	decode  the weights as float32
//
// A decoded weight has the bits that quant.Decode gives it. A product has two accumulators of one
// vector each, which take turns, whatever the number of rows beside it: neighbours do not move a bit.

// quantFormat describes a format. block prints the decoding of one block: it calls use for every
// vector of weights.
type quantFormat struct {
	name    string
	index   string   // of the type in the table of kernels
	weights int      // in a block
	bytes   int      // of a block
	consts  []string // tables that AVX-512 keeps in registers, see quantGen.constant
	// tables that prepare reads; AVX-512 keeps them in the registers that few rows of float32 leave free.
	tables []string
	block  func(q *quantGen)
	// prepare, if set, prints what unpacks the scales of a block into the scratch memory. That is done
	// one block ahead: a core that had to wait for it could not see far enough to do anything else.
	prepare func(q *quantGen)
	// scales is how many bytes of scales a block has apart from its codes, at R13 for the first row and R15
	// further on for the other. Formats with prepare have none.
	scales int
	// start and finish, if set, are printed before and after the blocks of a pair of rows.
	start, finish func(q *quantGen)
}

// quantGen prints one function.
type quantGen struct {
	*asm
	format *quantFormat
	wide   bool // AVX-512
	rows   int  // of weights
	xs     int  // rows of float32; 0 when the weights are stored
	parity int
	source gpr // the block of row 0
	memory gpr // its scratch memory
}

// quantTile lists the numbers of rows of float32 that the loops of a dot take, and their registers.
// AVX-512 has 16 accumulators, and AVX2 has 8.
func quantTile(wide bool) []int {
	if wide {
		return []int{4, 2, 1}
	}
	return []int{2, 1}
}

func (q *quantGen) lanes() int {
	if q.wide {
		return 16
	}
	return 8
}

// size is the bytes of a vector.
func (q *quantGen) size() int { return 4 * q.lanes() }

// reg is a vector register.
func (q *quantGen) reg(n int) fmt.Stringer {
	if q.wide {
		return zmm(n)
	}
	return ymm(n)
}

// half is the lower half of register n: as many 16-bit numbers as a vector has lanes.
func (q *quantGen) half(n int) string {
	if q.wide {
		return fmt.Sprintf("Y%d", n)
	}
	return fmt.Sprintf("X%d", n)
}

// The registers: accumulators from 0, then a vector of x, the weights of each row, some registers of
// each row for its format, and shared ones.
func (q *quantGen) acc(row, x, parity int) int { return 2*(x*q.rows+row) + parity }

func (q *quantGen) x() int { return q.pick(16, 8) }

func (q *quantGen) w(row int) int { return q.pick(17, 9) + row }

// constant is the operand of a table. AVX-512 has four registers for those that a format names, AVX2
// takes all from memory.
func (q *quantGen) constant(table string) string {
	for i, name := range q.format.consts {
		if q.wide && name == table {
			return q.reg(quantConsts[i]).String()
		}
	}
	return table + "<>(SB)"
}

var quantConsts = []int{19, 29, 30, 31}

// quantFree is the first accumulator that dots of up to two rows of float32 do not use.
const quantFree = 8

// table is the operand of element i of a table.
func (q *quantGen) table(name string, i int) string {
	if at := slices.Index(q.format.tables, name); at >= 0 && q.keepsTables() {
		return q.reg(quantFree + at).String()
	}
	return vectorAt(name, i)
}

func (q *quantGen) keepsTables() bool { return q.wide && q.acc(0, q.xs, 0) <= quantFree }

// keepTables loads the tables of prepare: with few rows of float32 a core has more to load than to multiply.
func (q *quantGen) keepTables() {
	if !q.keepsTables() {
		return
	}
	for i, name := range q.format.tables {
		q.op("VMOVUPS", vectorAt(name, 0), q.reg(quantFree+i))
	}
}

// own is register i of row: 4 for AVX-512, 2 for AVX2.
func (q *quantGen) own(row, i int) int { return q.pick(20+4*row, 11+2*row) + i }

// tmp is free between two vectors.
func (q *quantGen) tmp() int { return q.pick(28, 15) }

func (q *quantGen) pick(wide, narrow int) int {
	if q.wide {
		return wide
	}
	return narrow
}

// src is byte off of the block of a row.
func (q *quantGen) src(row, off int) mem {
	m := mem{base: q.source, off: off}
	if row == 1 {
		m.index, m.scale = r8, 1
	}
	return m
}

// scratch is byte off of the memory of a row, which is quantScratch bytes long.
func (q *quantGen) scratch(row, off int) mem { return mem{base: q.memory, off: quantScratch*row + off} }

const (
	quantScratch = 128
	quantLocals  = 4*quantScratch + 64 + 16 // of two rows and two blocks, aligned; w and other
)

// quantAhead is how many bytes ahead, besides a row, memory is asked for, in its order: both rows of a pair
// and then the next ones. A core has too few instructions in flight to wait for memory itself, and what it
// notices of the two rows that it reads does not suffice.
const quantAhead = 4096

// each prints f for every row of weights.
func (q *quantGen) each(f func(row int)) {
	for r := range q.rows {
		f(r)
	}
}

// use takes the vector of weights from number at of the block on, which f leaves in w(row).
func (q *quantGen) use(at int, f func(row int)) {
	q.each(f)
	for x := range q.xs {
		q.op("VMOVUPS", mem{base: quantX[x], index: dx, scale: 1, off: 4 * at}, q.reg(q.x()))
		for r := range q.rows {
			q.op("VFMADD231PS", q.reg(q.x()), q.reg(q.w(r)), q.reg(q.acc(r, x, q.parity)))
		}
	}
	if q.xs == 0 {
		q.op("VMOVUPS", q.reg(q.w(0)), mem{base: quantX[0], index: dx, scale: 1, off: 4 * at})
	}
	q.parity ^= 1
}

var quantX = []gpr{r9, r10, r11, r12}

// quantDot prints the dot of a format: SI walks over the blocks of a row, the next row is R8 further
// on, or 0 when there is none; DX is the offset in x, DI that in y; CX counts blocks and BX rows.
func quantDot(a *asm, f *quantFormat, set string) {
	wide := set == "AVX512"
	a.textFrame(fmt.Sprintf("func dot%s%s(t *dots)", f.name, set), quantLocals, 8)
	q := &quantGen{asm: a, format: f, wide: wide, rows: 2, source: si, memory: r15}
	q.begin(f)
	a.op("MOVQ", "t+0(FP)", r13)
	for i, r := range quantX {
		a.op("MOVQ", fmt.Sprintf("dots_x%d(R13)", i), r)
	}
	a.op("MOVQ", "dots_w(R13)", ax)
	a.op("MOVQ", ax, "w-8(SP)")
	a.op("MOVQ", "dots_stride(R13)", r14)
	a.op("LEAQ", mem{base: ax, index: r14, scale: 1, off: quantAhead}, r14)
	a.op("MOVQ", "dots_rows(R13)", bx)
	if f.scales > 0 {
		a.op("MOVQ", "dots_scales(R13)", ax)
		a.op("MOVQ", ax, "scales-16(SP)")
	}
	a.op("XORL", di, di)
	for _, xs := range quantTile(wide) {
		a.op("CMPQ", "dots_xs(R13)", xs)
		a.op("JEQ", fmt.Sprintf("x%d", xs))
	}
	a.op("RET")
	for _, xs := range quantTile(wide) {
		q.xs, q.parity = xs, 0
		q.dotRows(f, fmt.Sprintf("x%d", xs))
	}
}

// begin loads the constant and aligns the scratch memory.
func (q *quantGen) begin(f *quantFormat) {
	if f.prepare != nil {
		q.op("LEAQ", fmt.Sprintf("scratch-%d(SP)", quantLocals), r15)
		q.op("ADDQ", 63, r15)
		q.op("ANDQ", -64, r15)
		q.op("LEAQ", mem{base: r15, off: 2 * quantScratch}, ax)
		q.op("MOVQ", ax, "other-16(SP)")
	}
	for i, name := range f.consts {
		if q.wide {
			q.op("VMOVUPS", name+"<>(SB)", q.reg(quantConsts[i]))
		}
	}
}

// dotRows prints the loop over pairs of rows.
func (q *quantGen) dotRows(f *quantFormat, label string) {
	q.at(label)
	q.keepTables()
	label += "rows"
	q.at(label)
	q.op("MOVQ", "dots_stride(R13)", r8)
	q.op("MOVQ", "w-8(SP)", si)
	q.op("LEAQ", mem{base: si, index: r8, scale: 2}, ax)
	q.op("MOVQ", ax, "w-8(SP)")
	if f.scales > 0 {
		q.op("MOVQ", "dots_scaleStride(R13)", r15)
		q.op("MOVQ", "scales-16(SP)", r13)
		q.op("LEAQ", mem{base: r13, index: r15, scale: 2}, ax)
		q.op("MOVQ", ax, "scales-16(SP)")
	}
	q.op("CMPQ", bx, 1)
	q.op("JNE", label+"pair")
	q.op("XORL", r8, r8)
	if f.scales > 0 {
		q.op("XORL", r15, r15)
	}
	q.at(label + "pair")
	for i := range 2 * q.rows * q.xs {
		q.op("VXORPS", fmt.Sprintf("X%d", i), fmt.Sprintf("X%d", i), fmt.Sprintf("X%d", i))
	}
	q.op("XORL", dx, dx)
	q.op("MOVQ", "t+0(FP)", ax)
	q.op("MOVQ", "dots_blocks(AX)", cx)
	q.begins(f)
	q.op("PCALIGN", 32)
	q.at(label + "block")
	for i := 0; i < 2*f.bytes; i += 64 {
		q.op("PREFETCHT0", mem{base: r14, off: i})
	}
	q.op("ADDQ", 2*f.bytes, r14)
	q.step(f, label+"block")
	if f.finish != nil {
		f.finish(q)
	}
	q.op("MOVQ", "t+0(FP)", r13)
	q.sums()
	q.storeSums(0)
	q.op("TESTQ", r8, r8)
	q.op("JEQ", label+"done")
	q.storeSums(1)
	q.op("ADDQ", 8, di)
	q.op("SUBQ", 2, bx)
	q.op("JNZ", label)
	q.at(label + "done")
	q.op("VZEROUPPER")
	q.op("RET")
}

// begins prints what comes before the blocks of a pair of rows.
func (q *quantGen) begins(f *quantFormat) {
	if f.prepare != nil {
		f.prepare(q)
	}
	if f.start != nil {
		f.start(q)
	}
}

// step prints the work on a block and the jump to the next one.
func (q *quantGen) step(f *quantFormat, next string) {
	if f.prepare != nil {
		ahead := *q
		ahead.source, ahead.memory = r13, ax
		q.op("LEAQ", mem{base: si, off: f.bytes}, r13)
		q.op("CMPQ", cx, 1)
		q.op("CMOVQEQ", si, r13) // nothing comes after the last block
		q.op("MOVQ", "other-16(SP)", ax)
		f.prepare(&ahead)
	}
	f.block(q)
	if f.prepare != nil {
		q.op("MOVQ", r15, "other-16(SP)")
		q.op("MOVQ", ax, r15)
	}
	q.op("ADDQ", f.bytes, si)
	if f.scales > 0 {
		q.op("ADDQ", f.scales, r13)
	}
	q.op("ADDQ", 4*f.weights, dx)
	q.op("DECQ", cx)
	q.op("JNZ", next)
}

// sums adds up every pair of accumulators, into the lowest element of the first.
func (q *quantGen) sums() {
	t := q.own(0, 0) // and the next ones: none of them is constant
	all := func(f func(acc int)) {
		for i := range q.rows * q.xs {
			f(2 * i)
		}
	}
	all(func(acc int) { q.op("VADDPS", q.reg(acc+1), q.reg(acc), q.reg(acc)) })
	if q.wide {
		all(func(acc int) {
			q.op("VEXTRACTF64X4", 1, zmm(acc), ymm(t+acc/2))
			q.op("VADDPS", ymm(t+acc/2), ymm(acc), ymm(acc))
		})
	}
	all(func(acc int) {
		x, y := fmt.Sprintf("X%d", acc), fmt.Sprintf("X%d", acc+1)
		q.op("VEXTRACTF128", 1, ymm(acc), y)
		q.op("VADDPS", y, x, x)
	})
	all(func(acc int) {
		x, y := fmt.Sprintf("X%d", acc), fmt.Sprintf("X%d", acc+1)
		q.op("VPERMILPD", 1, x, y)
		q.op("VADDPS", y, x, x)
	})
	all(func(acc int) {
		x, y := fmt.Sprintf("X%d", acc), fmt.Sprintf("X%d", acc+1)
		q.op("VMOVSHDUP", x, y)
		q.op("VADDSS", y, x, x)
	})
}

func (q *quantGen) storeSums(row int) {
	for x := range q.xs {
		q.op("MOVQ", fmt.Sprintf("dots_y%d(R13)", x), ax)
		q.op("VMOVSS", fmt.Sprintf("X%d", q.acc(row, x, 0)), mem{base: ax, index: di, scale: 1, off: 4 * row})
	}
}

// quantDecode prints the decoder of a format.
func quantDecode(a *asm, f *quantFormat, set string) {
	a.textFrame(fmt.Sprintf("func decode%s%s(%s)", f.name, set, decodeArgs), quantLocals, 32)
	q := &quantGen{asm: a, format: f, wide: set == "AVX512", rows: 1, source: si, memory: r15}
	a.op("MOVQ", "dst+0(FP)", quantX[0])
	a.op("MOVQ", "src+8(FP)", si)
	a.op("MOVQ", "scales+16(FP)", r13)
	a.op("MOVQ", "blocks+24(FP)", cx)
	q.begin(f)
	q.keepTables()
	a.op("XORL", dx, dx)
	q.begins(f)
	a.at("block")
	q.step(f, "block")
	a.op("VZEROUPPER")
	a.op("RET")
}

const decodeArgs = "dst *float32, src, scales *byte, blocks int"

// quantFile prints all formats for one instruction set.
func quantFile(a *asm, set string) {
	quantTables(a)
	for i := range quantFormats {
		quantDot(a, &quantFormats[i], set)
		quantDecode(a, &quantFormats[i], set)
	}
}

// quantFileGo prints the declarations and the table of kernels by type.
func quantFileGo(a *asm, sets ...string) {
	a.line("package kernel")
	a.line("")
	a.line(`import "github.com/haenyeo/haenyeo/quant"`)
	a.line("")
	a.line("// newDirect returns the kernels on stored weights for an instruction set.")
	a.line("func newDirect(set isa) []direct {")
	a.line("\tswitch set {")
	for _, set := range sets {
		a.line("\tcase isa%s:", set)
		a.line("\t\treturn direct%s[:]", set)
	}
	a.line("\t}")
	a.line("\treturn nil")
	a.line("}")
	for _, set := range sets {
		a.line("")
		a.line("var direct%s = [...]direct{", set)
		for _, f := range quantFormats {
			a.line("\t%s: {dot%s%s, decode%s%s, %d, %d, %d, %d},", f.index, f.name, set, f.name, set, f.weights, f.bytes, f.scales, quantTile(set != "AVX2")[0])
		}
		a.line("}")
		for _, f := range quantFormats {
			a.line("")
			a.line("//go:noescape")
			a.line("func dot%s%s(t *dots)", f.name, set)
			a.line("")
			a.line("//go:noescape")
			a.line("func decode%s%s(%s)", f.name, set, decodeArgs)
		}
	}
}
