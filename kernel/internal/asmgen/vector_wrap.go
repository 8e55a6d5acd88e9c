package main

import "strings"

// The Go side of the vector programs: for every program and instruction set a declaration of the
// assembly function and a wrapper over slices, then the table that kernel.newVector picks.

// vectorFileGo prints the choice among the instruction sets of one architecture.
func vectorFileGo(a *asm, sets ...string) {
	a.line("package kernel")
	a.line("")
	a.line("// newVector returns the kernels for an instruction set.")
	a.line("func newVector(set isa) vector {")
	a.line("\tswitch set {")
	for _, set := range sets {
		a.line("\tcase isa%s:", set)
		a.line("\t\treturn vector%s", set)
	}
	a.line("\t}")
	a.line("\treturn vectorPortable")
	a.line("}")
}

// vectorSetGo prints the table and the wrappers of one instruction set.
func vectorSetGo(a *asm, set string) {
	a.line("package kernel")
	a.line("")
	a.line("var vector%s = vector{", set)
	programs := vectorPrograms(set == "AVX512")
	for _, p := range programs {
		a.line("\t%s: %s%s,", p.name, p.name, set)
	}
	a.line("}")
	for _, p := range programs {
		p.wrapper(a, set)
	}
}

// wrapper checks the lengths once. It is a Go function of its own, not inlined, so that a loop
// over kernel calls has a point where the runtime can stop it.
func (p *vectorProgram) wrapper(a *asm, set string) {
	a.line("")
	a.line("//go:noescape")
	a.line("%s", p.signature(set))
	a.line("")
	a.line("//go:noinline")
	var names, args []string
	for _, s := range p.streams {
		names = append(names, s.name)
		args = append(args, "&"+s.name+"[0]")
	}
	params := strings.Join(names, ", ") + " []float32"
	if len(p.scalars) > 0 {
		params += ", " + strings.Join(p.scalars, ", ") + " float32"
	}
	args = append(args, "n")
	args = append(args, p.scalars...)
	empty, ret := "", ""
	switch p.reduce {
	case opSum, opSumProduct:
		empty, ret = " 0", "return "
	case opMaximum:
		empty, ret = " minusInf", "return "
	}
	counter := p.streams[p.counter()].name
	a.line("func %s%s(%s)%s {", p.name, set, params, p.result())
	a.line("\tn := len(%s)", counter)
	a.line("\tif n == 0 {")
	a.line("\t\treturn%s", empty)
	a.line("\t}")
	for _, s := range p.streams {
		switch {
		case s.kind == pairs:
			a.line("\t_ = %s[2*n-1]", s.name)
		case s.kind == words:
			a.line("\t_ = %s[(n-1)/2]", s.name)
		case s.name != counter:
			a.line("\t_ = %s[n-1]", s.name)
		}
	}
	a.line("\t%s%s%sAsm(%s)", ret, p.name, set, strings.Join(args, ", "))
	a.line("}")
}
