package main

import "fmt"

// The float32 micro-kernel for Advanced SIMD: tiles of 1 to 8 rows by one panel of 8 columns, sixteen
// accumulators of the thirty-two registers. Products take one lane of A (FMLA by element), so A is
// loaded four words at a time: along the steps when rows are contiguous (aStep 1), along the rows
// when steps are (aRow 1); other strides are not supported. A single row takes four panels at once.
//
// Registers: R0-R7 rows of A, R8-R11 panels of B, R13 stride of A, R19 arguments, R20
// and R21 the tile's A and C, R22 tiles left, R23 steps left, R24 stride of C; V0-V15 accumulators,
// V16-V23 A, V24-V31 B.

const (
	neonRows = 8
	neonCols = 8
	neonWide = 4
)

func gemmNEON(a *asm) {
	a.textFrame("func gemmF32NEON(t *tile)", 32, 8)
	a.op("MOVD", "t+0(FP)", "R19")
	a.op("MOVD", "tile_a(R19)", "R20")
	a.op("MOVD", "tile_c(R19)", "R21")
	a.op("MOVD", "tile_count(R19)", "R22")
	a.op("MOVD", "tile_rows(R19)", "R16")
	a.op("MOVD", "tile_panels(R19)", "R17")
	a.op("CMP", 1, "R17")
	a.op("BNE", "wide1")
	for r := neonRows; r > 1; r-- {
		a.op("CMP", r, "R16")
		a.op("BEQ", fmt.Sprintf("rows%d", r))
	}
	a.op("B", "rows1")
	for r := neonRows; r > 0; r-- {
		(&neonTile{neonWords{a}, fmt.Sprintf("rows%d", r), r, 1}).print()
	}
	(&neonTile{neonWords{a}, "wide1", 1, neonWide}).print()
}

// neonTile prints the loop over tiles of one shape.
type neonTile struct {
	neonWords
	label        string
	rows, panels int
}

// acc is the accumulator of row i, panel p, four columns from 4·half on.
func (t *neonTile) acc(i, p, half int) int { return (i*t.panels+p)*2 + half }

// words loads field as bytes.
func (t *neonTile) bytes(field, reg string) {
	t.op("MOVD", "tile_"+field+"(R19)", reg)
	t.op("LSL", 2, reg, reg)
}

func (t *neonTile) print() {
	t.at(t.label)
	for r := range t.rows * t.panels * 2 {
		v := fmt.Sprintf("V%d.B16", r)
		t.op("VEOR", v, v, v)
	}
	t.op("MOVD", "tile_b(R19)", "R8")
	if t.panels > 1 {
		t.bytes("bNext", "R16")
		for p := 1; p < t.panels; p++ {
			t.op("ADD", "R16", fmt.Sprintf("R%d", 7+p), fmt.Sprintf("R%d", 8+p))
		}
	}
	t.op("MOVD", "tile_steps(R19)", "R23")
	t.op("MOVD", "R20", "R0")
	t.op("MOVD", "tile_aStep(R19)", "R16")
	t.op("CMP", 1, "R16")
	t.op("BNE", t.label+"columns")
	t.alongSteps()
	t.at(t.label + "columns")
	t.alongRows()
	t.at(t.label + "sum")
	t.epilogue()
	t.bytes("aRow", "R16")
	t.op("MOVD", t.rows, "R17")
	t.op("MADD", "R17", "R20", "R16", "R20")
	t.op("MADD", "R17", "R21", "R24", "R21")
	t.op("SUBS", 1, "R22", "R22")
	t.op("BNE", t.label)
	t.op("RET")
}

// alongSteps takes four steps at a time from every row, then single ones.
func (t *neonTile) alongSteps() {
	t.bytes("aRow", "R13")
	for i := 1; i < t.rows; i++ {
		t.op("ADD", "R13", fmt.Sprintf("R%d", i-1), fmt.Sprintf("R%d", i))
	}
	t.op("SUBS", 4, "R23", "R23")
	t.op("BLT", t.label+"rest")
	t.at(t.label + "four")
	for i := range t.rows {
		t.op("FMOVQ.P", fmt.Sprintf("16(R%d)", i), fmt.Sprintf("F%d", 16+i))
	}
	for k := range 4 {
		t.step(k, func(i int) (int, int) { return 16 + i, k })
	}
	t.op("SUBS", 4, "R23", "R23")
	t.op("BGE", t.label+"four")
	t.at(t.label + "rest")
	t.op("ADDS", 4, "R23", "R23")
	t.op("BEQ", t.label+"sum")
	t.at(t.label + "one")
	for i := range t.rows {
		t.op("FMOVS.P", fmt.Sprintf("4(R%d)", i), fmt.Sprintf("F%d", 16+i))
	}
	t.step(0, func(i int) (int, int) { return 16 + i, 0 })
	t.op("SUBS", 1, "R23", "R23")
	t.op("BNE", t.label+"one")
	t.op("B", t.label+"sum")
}

// alongRows takes the words of all rows, one step at a time.
func (t *neonTile) alongRows() {
	t.op("CBZ", "R23", t.label+"sum")
	t.bytes("aStep", "R13")
	t.at(t.label + "step")
	if t.rows == 1 {
		t.op("FMOVS", "(R0)", "F16")
	} else {
		t.op("FMOVQ", "(R0)", "F16")
	}
	if t.rows > 4 {
		t.op("FMOVQ", "16(R0)", "F17")
	}
	t.op("ADD", "R13", "R0", "R0")
	t.step(0, func(i int) (int, int) { return 16 + i/4, i % 4 })
	t.op("SUBS", 1, "R23", "R23")
	t.op("BNE", t.label+"step")
}

// step adds the products of one step; word tells the register and lane that hold row i. k spreads
// the loads of neighbouring steps over registers.
func (t *neonTile) step(k int, word func(i int) (reg, lane int)) {
	for p := range t.panels {
		b := 24 + 2*((k*t.panels+p)%4)
		t.op("FLDPQ.P", fmt.Sprintf("32(R%d)", 8+p), fmt.Sprintf("(F%d, F%d)", b, b+1))
		for i := range t.rows {
			for half := range 2 {
				reg, lane := word(i)
				t.element("fmla", t.acc(i, p, half), b+half, reg, lane)
			}
		}
	}
}

// epilogue makes C = alpha·sum + beta·C. V16 holds alpha, V17 beta.
func (t *neonTile) epilogue() {
	t.op("FMOVS", "tile_alpha(R19)", "F16")
	t.op("VDUP", "V16.S[0]", "V16.S4")
	for r := range t.rows * t.panels * 2 {
		t.three("fmul", r, r, 16)
	}
	t.bytes("ldc", "R24")
	t.op("MOVWU", "tile_beta(R19)", "R17")
	t.op("FMOVS", "R17", "F17")
	t.op("MOVD", "tile_cols(R19)", "R16")
	t.op("MOVD", "R21", "R0")
	if t.panels == 1 {
		t.op("CMP", neonCols, "R16")
		t.op("BNE", t.label+"part")
	}
	t.op("CBZ", "R17", t.label+"store")
	for i := range t.rows {
		for p := range t.panels {
			t.op("FLDPQ", fmt.Sprintf("%d(R0)", 32*p), "(F24, F25)")
			for half := range 2 {
				t.element("fmla", t.acc(i, p, half), 24+half, 17, 0)
			}
		}
		t.op("ADD", "R24", "R0", "R0")
	}
	t.op("MOVD", "R21", "R0")
	t.at(t.label + "store")
	for i := range t.rows {
		for p := range t.panels {
			t.op("FSTPQ", fmt.Sprintf("(F%d, F%d)", t.acc(i, p, 0), t.acc(i, p, 1)), fmt.Sprintf("%d(R0)", 32*p))
		}
		t.op("ADD", "R24", "R0", "R0")
	}
	if t.panels > 1 {
		return
	}
	t.op("B", t.label+"next")
	t.at(t.label + "part") // some columns only: one by one, from the stack
	for i := range t.rows {
		l := fmt.Sprintf("%spart%d", t.label, i)
		t.op("MOVD", "$sums-32(SP)", "R1")
		t.op("FSTPQ", fmt.Sprintf("(F%d, F%d)", t.acc(i, 0, 0), t.acc(i, 0, 1)), "(R1)")
		t.op("MOVD", "R0", "R2")
		t.op("MOVD", "R16", "R3")
		t.at(l)
		t.op("FMOVS.P", "4(R1)", "F24")
		t.op("CBZ", "R17", l+"store")
		t.op("FMOVS", "(R2)", "F25")
		t.op("FMADDS", "F17", "F24", "F25", "F24")
		t.at(l + "store")
		t.op("FMOVS.P", "F24", "4(R2)")
		t.op("SUBS", 1, "R3", "R3")
		t.op("BNE", l)
		t.op("ADD", "R24", "R0", "R0")
	}
	t.at(t.label + "next")
}
