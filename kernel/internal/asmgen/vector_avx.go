package main

// Prints vector programs for AVX-512 (16 lanes, masked tails) and AVX2 with FMA (8 lanes, the tail
// one element at a time). Registers: streams in DI SI DX R8-R12, the element index in AX, the
// elements left in BX.

import "fmt"

var amd64Streams = []string{"DI", "SI", "DX", "R8", "R9", "R10", "R11", "R12"}

type amd64Vector struct {
	w      *asm
	p      *vectorProgram
	avx512 bool
	part   part
	table  *constantTable
}

// part says which loop is being printed.
type part uint8

const (
	whole   part = iota // full vectors
	partial             // the tail: a mask on AVX-512, one element elsewhere
)

// constantTable collects the 4-byte constants of one file behind one symbol.
type constantTable struct {
	bits []uint32
}

func (t *constantTable) offset(bits uint32) int {
	for i, b := range t.bits {
		if b == bits {
			return 4 * i
		}
	}
	t.bits = append(t.bits, bits)
	return 4 * (len(t.bits) - 1)
}

func (v *amd64Vector) line(format string, args ...any) {
	v.w.line("\t"+format, args...)
}

func (v *amd64Vector) r(n int) string {
	if v.avx512 {
		return fmt.Sprintf("Z%d", n)
	}
	return fmt.Sprintf("Y%d", n)
}

func (v *amd64Vector) suffix() string {
	if v.avx512 {
		return "AVX512"
	}
	return "AVX2"
}

func (v *amd64Vector) lanes() int {
	if v.avx512 {
		return 16
	}
	return 8
}

func (v *amd64Vector) registers() int {
	if v.avx512 {
		return 32
	}
	return 16
}

func (v *amd64Vector) address(x *value, u, extra int) string {
	scale := v.p.streams[x.index].bytes()
	a := fmt.Sprintf("(%s)(AX*%d)", amd64Streams[x.index], scale)
	if off := u*v.lanes()*scale + extra; off != 0 {
		a = fmt.Sprint(off) + a
	}
	return a
}

func (v *amd64Vector) broadcast(d int, x *value) {
	if x.op == opScalar {
		v.line("VBROADCASTSS %s+%d(FP), %s", v.p.scalars[x.index], v.p.frame().scalars+4*x.index, v.r(d))
		return
	}
	v.bits(d, x.bits)
}

func (v *amd64Vector) bits(d int, bits uint32) {
	switch {
	case bits == 0 && v.avx512:
		v.line("VPXORD %[1]s, %[1]s, %[1]s", v.r(d))
	case bits == 0:
		v.line("VXORPS %[1]s, %[1]s, %[1]s", v.r(d))
	default:
		v.line("VBROADCASTSS vectorConstants<>+%d(SB), %s", v.table.offset(bits), v.r(d))
	}
}

func (v *amd64Vector) move(d, s int) { v.line("VMOVAPS %s, %s", v.r(s), v.r(d)) }

func (v *amd64Vector) load(d int, x *value, u int) {
	switch {
	case v.part == whole:
		v.line("VMOVUPS %s, %s", v.address(x, u, 0), v.r(d))
	case v.avx512:
		v.line("VMOVUPS.Z %s, K1, %s", v.address(x, u, 0), v.r(d))
	default:
		v.line("VMOVSS %s, X%d", v.address(x, u, 0), d)
	}
}

func (v *amd64Vector) store(s int, x *value, u int) {
	switch {
	case v.part == whole:
		v.line("VMOVUPS %s, %s", v.r(s), v.address(x, u, 0))
	case v.avx512:
		v.line("VMOVUPS %s, K1, %s", v.r(s), v.address(x, u, 0))
	default:
		v.line("VMOVSS X%d, %s", s, v.address(x, u, 0))
	}
}

func (v *amd64Vector) loadPair(even, odd, tmp int, x *value, u int) {
	size := 4 * v.lanes()
	switch {
	case v.avx512:
		if v.part == whole {
			v.line("VMOVUPS %s, %s", v.address(x, u, 0), v.r(even))
			v.line("VMOVUPS %s, %s", v.address(x, u, size), v.r(tmp))
		} else {
			v.line("VMOVUPS.Z %s, K2, %s", v.address(x, u, 0), v.r(even))
			v.line("VMOVUPS.Z %s, K3, %s", v.address(x, u, size), v.r(tmp))
		}
		v.line("VMOVAPS %s, %s", v.r(even), v.r(odd))
		v.line("VPERMT2PS %s, Z30, %s", v.r(tmp), v.r(even))
		v.line("VPERMT2PS %s, Z31, %s", v.r(tmp), v.r(odd))
	case v.part == whole:
		v.line("VMOVUPS %s, %s", v.address(x, u, 0), v.r(tmp))
		v.line("VMOVUPS %s, %s", v.address(x, u, size), v.r(odd))
		v.line("VSHUFPS $0x88, %s, %s, %s", v.r(odd), v.r(tmp), v.r(even))
		v.line("VSHUFPS $0xDD, %s, %s, %s", v.r(odd), v.r(tmp), v.r(odd))
		v.line("VPERMPD $0xD8, %[1]s, %[1]s", v.r(even))
		v.line("VPERMPD $0xD8, %[1]s, %[1]s", v.r(odd))
	default:
		v.line("VMOVSS %s, X%d", v.address(x, u, 0), even)
		v.line("VMOVSS %s, X%d", v.address(x, u, 4), odd)
	}
}

func (v *amd64Vector) storePair(even, odd, tmp1, tmp2 int, x *value, u int) {
	size := 4 * v.lanes()
	switch {
	case v.avx512:
		v.line("VMOVAPS %s, %s", v.r(even), v.r(tmp1))
		v.line("VPERMT2PS %s, Z28, %s", v.r(odd), v.r(tmp1))
		v.line("VMOVAPS %s, %s", v.r(even), v.r(tmp2))
		v.line("VPERMT2PS %s, Z29, %s", v.r(odd), v.r(tmp2))
		if v.part == whole {
			v.line("VMOVUPS %s, %s", v.r(tmp1), v.address(x, u, 0))
			v.line("VMOVUPS %s, %s", v.r(tmp2), v.address(x, u, size))
		} else {
			v.line("VMOVUPS %s, K2, %s", v.r(tmp1), v.address(x, u, 0))
			v.line("VMOVUPS %s, K3, %s", v.r(tmp2), v.address(x, u, size))
		}
	case v.part == whole:
		v.line("VUNPCKLPS %s, %s, %s", v.r(odd), v.r(even), v.r(tmp1))
		v.line("VUNPCKHPS %s, %s, %s", v.r(odd), v.r(even), v.r(tmp2))
		v.line("VEXTRACTF128 $1, %s, %s", v.r(tmp1), v.address(x, u, 32))
		v.line("VEXTRACTF128 $1, %s, %s", v.r(tmp2), v.address(x, u, 48))
		v.line("VMOVUPS X%d, %s", tmp1, v.address(x, u, 0))
		v.line("VMOVUPS X%d, %s", tmp2, v.address(x, u, 16))
	default:
		v.line("VMOVSS X%d, %s", even, v.address(x, u, 0))
		v.line("VMOVSS X%d, %s", odd, v.address(x, u, 4))
	}
}

func (v *amd64Vector) storeBF16(s, tmp int, x *value, u int) {
	v.w.evex(vcvtneps2bf16, zmm(s), 0, zmm(tmp))
	if v.part == whole {
		v.line("VMOVDQU16 Y%d, %s", tmp, v.address(x, u, 0))
	} else {
		v.line("VMOVDQU16 Y%d, K1, %s", tmp, v.address(x, u, 0))
	}
}

func (v *amd64Vector) op(o opcode, d, a, b int) {
	switch o {
	case opSqrt:
		v.line("VSQRTPS %s, %s", v.r(a), v.r(d))
	case opShlInt23:
		v.line("VPSLLD $23, %s, %s", v.r(a), v.r(d))
	case opSraInt1:
		v.line("VPSRAD $1, %s, %s", v.r(a), v.r(d))
	default:
		names := map[opcode]string{opAdd: "VADDPS", opSub: "VSUBPS", opMul: "VMULPS", opDiv: "VDIVPS", opMax: "VMAXPS",
			opMin: "VMINPS", opScalef: "VSCALEFPS", opAddInt: "VPADDD", opSubInt: "VPSUBD"}
		v.line("%s %s, %s, %s", names[o], v.r(b), v.r(a), v.r(d))
	}
}

func fmaName(negate bool, form string) string {
	if negate {
		return "VFNMADD" + form + "PS"
	}
	return "VFMADD" + form + "PS"
}

func (v *amd64Vector) fma(negate bool, d, a, b int) {
	v.line("%s %s, %s, %s", fmaName(negate, "231"), v.r(b), v.r(a), v.r(d))
}

func (v *amd64Vector) fmaInto(negate bool, d, b, c int) bool {
	v.line("%s %s, %s, %s", fmaName(negate, "213"), v.r(c), v.r(b), v.r(d))
	return true
}

func (v *amd64Vector) accumulate(o opcode, acc, a, b, tmp int) {
	if v.part == partial && !v.avx512 { // lane 0 only
		switch o {
		case opSum:
			v.line("VADDPS %s, %s, %s", v.r(a), v.r(acc), v.r(tmp))
		case opMaximum:
			v.line("VMAXPS %s, %s, %s", v.r(a), v.r(acc), v.r(tmp))
		case opSumProduct:
			v.move(tmp, acc)
			v.line("VFMADD231PS %s, %s, %s", v.r(b), v.r(a), v.r(tmp))
		}
		v.line("VBLENDPS $1, %[1]s, %[2]s, %[2]s", v.r(tmp), v.r(acc))
		return
	}
	mask := ""
	if v.part == partial {
		mask = "K1, "
	}
	switch o {
	case opSum:
		v.line("VADDPS %s, %s, %s%s", v.r(a), v.r(acc), mask, v.r(acc))
	case opMaximum:
		v.line("VMAXPS %s, %s, %s%s", v.r(a), v.r(acc), mask, v.r(acc))
	case opSumProduct:
		v.line("VFMADD231PS %s, %s, %s%s", v.r(b), v.r(a), mask, v.r(acc))
	}
}

// function prints the function of p.
func (v *amd64Vector) function(p *vectorProgram) {
	v.p = p
	w := v.w
	v.w = &asm{}
	hoist := hoistable(p, v)
	v.w = w
	a := newAllocation(p, v, hoist)
	f := p.frame()

	v.w.text(p.signature(v.suffix()), f.size)
	for i, s := range p.streams {
		v.line("MOVQ %s+%d(FP), %s", s.name, 8*i, amd64Streams[i])
	}
	v.line("MOVQ n+%d(FP), BX", f.n)
	for _, x := range p.fixed {
		if x.hoisted {
			v.broadcast(x.reg, x)
		}
	}
	if v.avx512 && p.hasPairs() {
		for i, name := range []string{"zipLow", "zipHigh", "even", "odd"} {
			v.line("VMOVUPS %s<>(SB), Z%d", name, 28+i)
		}
	}
	for _, r := range a.accs {
		v.bits(r, identity(p.reduce))
	}
	v.line("XORQ AX, AX")
	v.loop("whole", a, p.unroll, whole)
	if v.avx512 {
		v.maskedLoop(a)
	} else {
		if p.unroll > 1 {
			v.loop("single", a, 1, whole)
		}
		v.loop("element", a, 1, partial)
	}
	w.at("done")
	if p.reduce != 0 {
		v.collect(a, f)
	}
	v.line("VZEROUPPER")
	v.line("RET")
}

// collect folds the accumulators into the result: a sum in float64 as soon as one vector is left.
func (v *amd64Vector) collect(a *allocation, f frame) {
	const t = 15 // free at the end
	v.part = whole
	o := v.p.reduce
	if o == opSumProduct {
		o = opSum
	}
	for u := 1; u < len(a.accs); u++ {
		v.accumulate(o, a.accs[0], a.accs[u], 0, 0)
	}
	r := a.accs[0]
	if o == opMaximum {
		if v.avx512 {
			v.line("VEXTRACTF64X4 $1, Z%d, Y%d", r, t)
			v.line("VMAXPS Y%[2]d, Y%[1]d, Y%[1]d", r, t)
		}
		v.line("VEXTRACTF128 $1, Y%d, X%d", r, t)
		for _, shuffle := range []string{"", "$0x4E", "$0xB1"} {
			if shuffle != "" {
				v.line("VPERMILPS %s, X%d, X%d", shuffle, r, t)
			}
			v.line("VMAXPS X%[2]d, X%[1]d, X%[1]d", r, t)
		}
		v.line("VMOVSS X%d, ret+%d(FP)", r, f.ret)
		return
	}
	if v.avx512 {
		v.line("VEXTRACTF64X4 $1, Z%d, Y%d", r, t)
		v.line("VCVTPS2PD Y%[1]d, Z%[1]d", r)
		v.line("VCVTPS2PD Y%[1]d, Z%[1]d", t)
		v.line("VADDPD Z%[2]d, Z%[1]d, Z%[1]d", r, t)
		v.line("VEXTRACTF64X4 $1, Z%d, Y%d", r, t)
	} else {
		v.line("VEXTRACTF128 $1, Y%d, X%d", r, t)
		v.line("VCVTPS2PD X%[1]d, Y%[1]d", r)
		v.line("VCVTPS2PD X%[1]d, Y%[1]d", t)
	}
	v.line("VADDPD Y%[2]d, Y%[1]d, Y%[1]d", r, t)
	v.line("VEXTRACTF128 $1, Y%d, X%d", r, t)
	v.line("VADDPD X%[2]d, X%[1]d, X%[1]d", r, t)
	v.line("VUNPCKHPD X%[1]d, X%[1]d, X%[2]d", r, t)
	v.line("VADDSD X%[2]d, X%[1]d, X%[1]d", r, t)
	v.line("VMOVSD X%d, ret+%d(FP)", r, f.ret)
}

func identity(reduce opcode) uint32 {
	if reduce == opMaximum {
		return 0xff800000 // -Inf
	}
	return 0
}

// loop prints a loop that takes unroll vectors (or one element) at a time while enough are left.
func (v *amd64Vector) loop(label string, a *allocation, unroll int, pt part) {
	step := unroll * v.lanes()
	if pt == partial {
		step = 1
	}
	v.part = pt
	v.line("SUBQ $%d, BX", step)
	v.line("JLT %sEnd", label)
	v.w.at(label)
	for u := range unroll {
		a.body(u)
	}
	v.line("ADDQ $%d, AX", step)
	v.line("SUBQ $%d, BX", step)
	v.line("JGE %s", label)
	v.w.at(label + "End")
	v.line("ADDQ $%d, BX", step)
	v.line("JEQ done")
}

// maskedLoop prints the AVX-512 tail: fewer than unroll vectors are left, the last one masked.
func (v *amd64Vector) maskedLoop(a *allocation) {
	v.part = partial
	v.w.at("masked")
	v.line("MOVL $-1, CX")
	if v.p.hasPairs() {
		v.line("LEAQ (BX)(BX*1), R13")
		v.line("BZHIL R13, CX, R13")
		v.line("KMOVW R13, K2")
		v.line("SHRL $16, R13")
		v.line("KMOVW R13, K3")
	}
	v.line("BZHIL BX, CX, CX")
	v.line("KMOVW CX, K1")
	a.body(0)
	v.line("ADDQ $16, AX")
	v.line("SUBQ $16, BX")
	v.line("JGT masked")
}

// vectorFileAMD64 prints all programs for one instruction set.
func vectorFileAMD64(a *asm, avx512 bool) {
	v := &amd64Vector{w: a, avx512: avx512, table: &constantTable{}}
	for _, p := range vectorPrograms(avx512) {
		v.function(p)
	}
	a.data("vectorConstants", v.table.bits)
	if avx512 {
		// Lane numbers for VPERMT2PS: 0-15 the first operand, 16-31 the second.
		var even, odd, low, high []uint32
		for i := range uint32(16) {
			even, odd = append(even, 2*i), append(odd, 2*i+1)
			low, high = append(low, i/2+16*(i%2)), append(high, 8+i/2+16*(i%2))
		}
		a.data("even", even)
		a.data("odd", odd)
		a.data("zipLow", low)
		a.data("zipHigh", high)
	}
}
