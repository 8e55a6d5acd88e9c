package main

// Prints vector programs for Advanced SIMD: 4 lanes, the tail one element at a time. Streams are
// walked by the pointers R0-R7, the elements left are in R8.

type arm64Vector struct {
	w    *asm
	p    *vectorProgram
	part part
}

func (v *arm64Vector) line(format string, args ...any) { v.w.line("\t"+format, args...) }

func (v *arm64Vector) registers() int { return 32 }

// words prints what Go's assembler lacks.
func (v *arm64Vector) words() neonWords { return neonWords{v.w} }

func (v *arm64Vector) broadcast(d int, x *value) {
	if x.op == opScalar {
		v.line("FMOVS %s+%d(FP), F%d", v.p.scalars[x.index], v.p.frame().scalars+4*x.index, d)
		v.line("VDUP V%[1]d.S[0], V%[1]d.S4", d)
		return
	}
	v.bits(d, x.bits)
}

func (v *arm64Vector) bits(d int, bits uint32) {
	if bits == 0 {
		v.line("VEOR V%[1]d.B16, V%[1]d.B16, V%[1]d.B16", d)
		return
	}
	v.line("MOVD $0x%08x, R9", bits)
	v.line("VDUP R9, V%d.S4", d)
}

func (v *arm64Vector) move(d, s int) { v.line("VMOV V%d.B16, V%d.B16", s, d) }

func (v *arm64Vector) load(d int, x *value, u int) {
	if v.part == partial {
		v.line("FMOVS (R%d), F%d", x.index, d)
		return
	}
	v.line("FMOVQ %d(R%d), F%d", 16*u, x.index, d)
}

func (v *arm64Vector) store(s int, x *value, u int) {
	if v.part == partial {
		v.line("FMOVS F%d, (R%d)", s, x.index)
		return
	}
	v.line("FMOVQ F%d, %d(R%d)", s, 16*u, x.index)
}

func (v *arm64Vector) loadPair(even, odd, tmp int, x *value, u int) {
	if v.part == partial {
		v.line("FMOVS (R%d), F%d", x.index, even)
		v.line("FMOVS 4(R%d), F%d", x.index, odd)
		return
	}
	v.line("FMOVQ %d(R%d), F%d", 32*u, x.index, tmp)
	v.line("FMOVQ %d(R%d), F%d", 32*u+16, x.index, odd)
	v.line("VUZP1 V%d.S4, V%d.S4, V%d.S4", odd, tmp, even)
	v.line("VUZP2 V%d.S4, V%d.S4, V%d.S4", odd, tmp, odd)
}

func (v *arm64Vector) storePair(even, odd, tmp1, tmp2 int, x *value, u int) {
	if v.part == partial {
		v.line("FMOVS F%d, (R%d)", even, x.index)
		v.line("FMOVS F%d, 4(R%d)", odd, x.index)
		return
	}
	v.line("VZIP1 V%d.S4, V%d.S4, V%d.S4", odd, even, tmp1)
	v.line("VZIP2 V%d.S4, V%d.S4, V%d.S4", odd, even, tmp2)
	v.line("FMOVQ F%d, %d(R%d)", tmp1, 32*u, x.index)
	v.line("FMOVQ F%d, %d(R%d)", tmp2, 32*u+16, x.index)
}

func (v *arm64Vector) storeBF16(int, int, *value, int) { panic("asmgen: bfloat16 is for AVX-512 only") }

func (v *arm64Vector) op(o opcode, d, a, b int) {
	switch o {
	case opAdd:
		v.words().three("fadd", d, a, b)
	case opSub:
		v.words().three("fsub", d, a, b)
	case opMul:
		v.words().three("fmul", d, a, b)
	case opDiv:
		v.words().three("fdiv", d, a, b)
	case opMax:
		v.words().three("fmax", d, a, b)
	case opMin:
		v.words().three("fmin", d, a, b)
	case opSqrt:
		v.words().fsqrt(d, a)
	case opAddInt:
		v.line("VADD V%d.S4, V%d.S4, V%d.S4", b, a, d)
	case opSubInt:
		v.line("VSUB V%d.S4, V%d.S4, V%d.S4", b, a, d)
	case opShlInt23:
		v.line("VSHL $23, V%d.S4, V%d.S4", a, d)
	case opSraInt1:
		v.words().sshr(d, a, 1)
	}
}

func (v *arm64Vector) fma(negate bool, d, a, b int) {
	if negate {
		v.words().three("fmls", d, a, b)
		return
	}
	v.words().three("fmla", d, a, b)
}

func (v *arm64Vector) fmaInto(negate bool, d, b, c int) bool { return false }

func (v *arm64Vector) accumulate(o opcode, acc, a, b, tmp int) {
	d := acc
	if v.part == partial {
		d = tmp
	}
	switch o {
	case opSum:
		v.op(opAdd, d, a, acc)
	case opMaximum:
		v.op(opMax, d, a, acc)
	case opSumProduct:
		if d != acc {
			v.move(d, acc)
		}
		v.fma(false, d, a, b)
	}
	if v.part == partial { // lane 0 only
		v.line("VMOV V%d.S[0], V%d.S[0]", tmp, acc)
	}
}

// function prints the function of p.
func (v *arm64Vector) function(p *vectorProgram) {
	v.p = p
	w := v.w
	v.w = &asm{}
	hoist := hoistable(p, v)
	v.w = w
	a := newAllocation(p, v, hoist)
	f := p.frame()

	v.w.text(p.signature("NEON"), f.size)
	for i, s := range p.streams {
		v.line("MOVD %s+%d(FP), R%d", s.name, 8*i, i)
	}
	v.line("MOVD n+%d(FP), R8", f.n)
	for _, x := range p.fixed {
		if x.hoisted {
			v.broadcast(x.reg, x)
		}
	}
	for _, r := range a.accs {
		v.bits(r, identity(p.reduce))
	}
	v.loop("whole", a, p.unroll, whole)
	if p.unroll > 1 {
		v.loop("single", a, 1, whole)
	}
	v.loop("element", a, 1, partial)
	v.w.at("done")
	if p.reduce != 0 {
		v.collect(a, f)
	}
	v.line("RET")
}

// collect folds the accumulators into the result: a sum in float64 as soon as one vector is left.
func (v *arm64Vector) collect(a *allocation, f frame) {
	const t = 31 // free at the end
	v.part = whole
	o := v.p.reduce
	if o == opSumProduct {
		o = opSum
	}
	for u := 1; u < len(a.accs); u++ {
		v.accumulate(o, a.accs[0], a.accs[u], 0, 0)
	}
	r := a.accs[0]
	w := v.words()
	if o == opMaximum {
		w.fmaxv(r, r)
		v.line("FMOVS F%d, ret+%d(FP)", r, f.ret)
		return
	}
	w.double(t, r, false)
	w.double(r, r, true)
	w.addDoubles(r, r, t)
	w.sumDoubles(r, r)
	v.line("FMOVD F%d, ret+%d(FP)", r, f.ret)
}

// loop prints a loop that takes unroll vectors (or one element) at a time while enough are left.
func (v *arm64Vector) loop(label string, a *allocation, unroll int, pt part) {
	step := 4 * unroll
	if pt == partial {
		step = 1
	}
	v.part = pt
	v.line("SUBS $%d, R8", step)
	v.line("BLT %sEnd", label)
	v.w.at(label)
	for u := range unroll {
		a.body(u)
	}
	for i, s := range v.p.streams {
		v.line("ADD $%d, R%d", step*s.bytes(), i)
	}
	v.line("SUBS $%d, R8", step)
	v.line("BGE %s", label)
	v.w.at(label + "End")
	v.line("ADDS $%d, R8", step)
	v.line("BEQ done")
}

// vectorFileARM64 prints all programs.
func vectorFileARM64(a *asm) {
	v := &arm64Vector{w: a}
	for _, p := range vectorPrograms(false) {
		v.function(p)
	}
}
