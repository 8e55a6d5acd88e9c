package main

// A tiny language for elementwise kernels: a program is the body of one loop over n elements,
// written once and printed for AVX-512, AVX2 and NEON (vector_avx.go, vector_neon.go). In
// order: the arguments of a program, its operations, exp and sigmoid made of them, and the register
// allocation shared by the printers. The kernels themselves are in vector_programs.go.

import (
	"fmt"
	"math"
	"strings"
)

// A vectorProgram becomes the Go function name(streams..., scalars...), which returns the reduction
// if there is one: a sum as float64, a maximum as float32.
type vectorProgram struct {
	name    string
	doc     string
	unroll  int      // copies of the body in the main loop; each has its own accumulators
	streams []stream // in the order of the arguments
	scalars []string // float32 arguments
	reduce  opcode   // opSum, opSumProduct or opMaximum where there is a reduction
	body    []*value
	fixed   []*value // constants and scalars, loaded before the loop if registers suffice
	avx512  bool     // the target multiplies by 2^n in one instruction
}

// stream is a float32 slice walked by the loop.
type stream struct {
	name string
	kind streamKind
}

type streamKind uint8

const (
	plain streamKind = iota
	pairs            // 2n elements, read and written two by two
	words            // n bfloat16, two in a word, only written
)

// bytes is the size of one element.
func (s stream) bytes() int { return [...]int{4, 8, 2}[s.kind] }

type opcode uint8

const (
	opConst  opcode = iota // every lane is the float32 with these bits
	opScalar               // every lane is a scalar argument
	opLoad
	opLoadPair // a stream of pairs: the even elements; opOdd is its second result
	opOdd
	opStore
	opStorePair
	opStoreBF16
	opAdd
	opSub
	opMul
	opDiv
	opMax // a NaN in the second operand stays
	opMin
	opSqrt
	opFMA    // a·b + c
	opFNMA   // c − a·b
	opScalef // a·2^b
	opAddInt // on the bits, as int32
	opSubInt
	opShlInt23
	opSraInt1
	opSum // accumulator += a
	opSumProduct
	opMaximum // accumulator = max(accumulator, a)
)

// value is one operation and its result.
type value struct {
	op      opcode
	args    []*value
	bits    uint32 // opConst
	index   int    // stream or scalar
	last    int    // position in the body of the last use
	uses    int
	reg     int // while printing
	hoisted bool
}

func program(name, doc string, unroll int) *vectorProgram {
	return &vectorProgram{name: name, doc: doc, unroll: unroll}
}

// stream adds slice arguments; the loop runs over the elements of the first plain one.
func (p *vectorProgram) stream(names ...string) {
	for _, n := range names {
		p.streams = append(p.streams, stream{name: n})
	}
}

func (p *vectorProgram) streamIndex(name string) int {
	for i, s := range p.streams {
		if s.name == name {
			return i
		}
	}
	panic(fmt.Sprintf("asmgen: %s: no stream %q", p.name, name))
}

// counter is the stream whose length is n: the first plain one.
func (p *vectorProgram) counter() int {
	for i, s := range p.streams {
		if s.kind == plain {
			return i
		}
	}
	panic("asmgen: " + p.name + ": no plain stream")
}

func (p *vectorProgram) push(op opcode, index int, args ...*value) *value {
	v := &value{op: op, index: index, args: args}
	p.body = append(p.body, v)
	return v
}

func (p *vectorProgram) constant(x float32) *value {
	bits := math.Float32bits(x)
	for _, v := range p.fixed {
		if v.op == opConst && v.bits == bits {
			return v
		}
	}
	v := &value{op: opConst, bits: bits}
	p.fixed = append(p.fixed, v)
	return v
}

func (p *vectorProgram) scalar(name string) *value {
	v := &value{op: opScalar, index: len(p.scalars)}
	p.scalars = append(p.scalars, name)
	p.fixed = append(p.fixed, v)
	return v
}

func (p *vectorProgram) load(name string) *value { return p.push(opLoad, p.streamIndex(name)) }
func (p *vectorProgram) store(name string, v *value) {
	p.push(opStore, p.streamIndex(name), v)
}

func (p *vectorProgram) loadPair(name string) (even, odd *value) {
	i := p.streamIndex(name)
	p.streams[i].kind = pairs
	even = p.push(opLoadPair, i)
	return even, p.push(opOdd, i, even)
}

func (p *vectorProgram) storePair(name string, even, odd *value) {
	p.push(opStorePair, p.streamIndex(name), even, odd)
}

// storeBF16 stores v rounded to bfloat16. Where n is odd, the upper half of the last word is left.
func (p *vectorProgram) storeBF16(name string, v *value) {
	i := p.streamIndex(name)
	p.streams[i].kind = words
	p.push(opStoreBF16, i, v)
}

func (p *vectorProgram) add(a, b *value) *value     { return p.push(opAdd, 0, a, b) }
func (p *vectorProgram) sub(a, b *value) *value     { return p.push(opSub, 0, a, b) }
func (p *vectorProgram) mul(a, b *value) *value     { return p.push(opMul, 0, a, b) }
func (p *vectorProgram) div(a, b *value) *value     { return p.push(opDiv, 0, a, b) }
func (p *vectorProgram) max(a, b *value) *value     { return p.push(opMax, 0, a, b) }
func (p *vectorProgram) min(a, b *value) *value     { return p.push(opMin, 0, a, b) }
func (p *vectorProgram) sqrt(a *value) *value       { return p.push(opSqrt, 0, a) }
func (p *vectorProgram) fma(a, b, c *value) *value  { return p.push(opFMA, 0, a, b, c) }
func (p *vectorProgram) fnma(a, b, c *value) *value { return p.push(opFNMA, 0, a, b, c) }
func (p *vectorProgram) sum(a *value)               { p.accumulate(opSum, a) }
func (p *vectorProgram) sumProduct(a, b *value)     { p.accumulate(opSumProduct, a, b) }
func (p *vectorProgram) maximum(a *value)           { p.accumulate(opMaximum, a) }

func (p *vectorProgram) accumulate(op opcode, args ...*value) {
	if p.reduce != 0 {
		panic("asmgen: " + p.name + ": one reduction only")
	}
	p.reduce = op
	p.push(op, 0, args...)
}

// exp is e^x to within one unit in the last place, subnormal results included: x = n·ln2 + r with
// |r| <= ln2/2, e^r by a polynomial of degree 6 (interpolated at Chebyshev nodes, relative error
// 3e-9), then a product with 2^n. NaN stays NaN, +Inf gives +Inf, -Inf gives 0.
func (p *vectorProgram) exp(x *value) *value {
	x = p.max(p.constant(expLow), p.min(p.constant(expHigh), x))
	t := p.fma(x, p.constant(math.Log2E), p.constant(roundMagic))
	n := p.sub(t, p.constant(roundMagic))
	r := p.fnma(n, p.constant(ln2High), x)
	r = p.fnma(n, p.constant(ln2Low), r)
	q := p.constant(expC[0])
	for _, c := range expC[1:] {
		q = p.fma(q, r, p.constant(c))
	}
	if p.avx512 {
		return p.push(opScalef, 0, q, n)
	}
	// 2^n may lie outside the range of a float32, so it is applied in two halves. The low bits of
	// t hold n; the shift by 23 discards what the magic number left above them.
	one := p.constant(1)
	half := p.push(opSraInt1, 0, t)
	rest := p.push(opSubInt, 0, t, half)
	q = p.mul(q, p.push(opAddInt, 0, p.push(opShlInt23, 0, half), one))
	return p.mul(q, p.push(opAddInt, 0, p.push(opShlInt23, 0, rest), one))
}

const (
	expLow     = -105          // e^x rounds to 0 below -103.98
	expHigh    = 89            // and overflows above 88.73
	roundMagic = 3 << 22       // adding it rounds a small float32 to an integer, kept in its low bits
	ln2High    = 0x1.62e430p-1 // float32 nearest to ln 2
	ln2Low     = -0x1.05c610p-29
)

// e^r = 1 + r + r²(1/2 + ...), highest power first.
var expC = [...]float32{0.001392637612298131, 0.008363333530724049, 0.04166655242443085, 0.16666576266288757, 0.5, 1, 1}

// sigmoid is 1/(1+e^(-x)).
func (p *vectorProgram) sigmoid(x *value) *value {
	one := p.constant(1)
	return p.div(one, p.add(one, p.exp(p.sub(p.constant(0), x))))
}

// uses counts how often and until when each value is needed.
func (p *vectorProgram) liveness() {
	for i, v := range p.body {
		v.last = i
		for _, a := range v.args {
			a.last = i
			a.uses++
		}
	}
	for _, v := range p.body {
		if v.uses == 0 && v.op < opSum && v.op != opStore && v.op != opStorePair && v.op != opStoreBF16 {
			panic("asmgen: " + p.name + ": unused value")
		}
	}
}

// printer is what a target adds to the shared walk over a body.
type printer interface {
	registers() int
	// broadcast loads a constant or scalar into every lane of register d.
	broadcast(d int, v *value)
	move(d, s int)
	// load, store: copy u of the body.
	load(d int, v *value, u int)
	store(s int, v *value, u int)
	loadPair(even, odd, tmp int, v *value, u int)
	storePair(even, odd, tmp1, tmp2 int, v *value, u int)
	storeBF16(s, tmp int, v *value, u int) // AVX-512 only
	// op computes d = op(a, b); b is -1 for one operand.
	op(o opcode, d, a, b int)
	// fma computes d = a·b + d (or d − a·b), fmaInto d = d·b + c (or c − d·b).
	fma(negate bool, d, a, b int)
	fmaInto(negate bool, d, b, c int) bool // false: the target cannot
	// accumulate does op on accumulator register acc.
	accumulate(o opcode, acc, a, b, tmp int)
}

// allocation walks a body and hands out registers.
type allocation struct {
	p     *vectorProgram
	out   printer
	free  []int
	accs  []int // accumulator of each copy of the body
	temps []int // constants loaded for the current operation only
}

// hoistable is how many constants can stay in registers beside the values of the body. dry is a
// printer whose text is thrown away.
func hoistable(p *vectorProgram, dry printer) int {
	for hoist := len(p.fixed); hoist >= 0; hoist-- {
		if fits(p, dry, hoist) {
			return hoist
		}
	}
	panic("asmgen: " + p.name + ": not enough registers")
}

func fits(p *vectorProgram, out printer, hoist int) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			if r != errRegisters {
				panic(r)
			}
			ok = false
		}
	}()
	a := newAllocation(p, out, hoist)
	a.body(0)
	return true
}

var errRegisters = fmt.Errorf("asmgen: out of registers")

// newAllocation assigns accumulators and the first hoist constants (the most used ones first).
func newAllocation(p *vectorProgram, out printer, hoist int) *allocation {
	a := &allocation{p: p, out: out}
	for r := out.registers() - 1; r >= 0; r-- {
		a.free = append(a.free, r)
	}
	for u := 0; p.reduce != 0 && u < p.unroll; u++ {
		a.accs = append(a.accs, a.take())
	}
	for i, v := range p.byUse() {
		v.hoisted = i < hoist
		if v.hoisted {
			v.reg = a.take()
		}
	}
	return a
}

func (p *vectorProgram) byUse() []*value {
	out := append([]*value(nil), p.fixed...)
	for i := range out { // insertion sort: stable, few
		for j := i; j > 0 && out[j].uses > out[j-1].uses; j-- {
			out[j], out[j-1] = out[j-1], out[j]
		}
	}
	return out
}

func (a *allocation) take() int {
	if len(a.free) == 0 {
		panic(errRegisters)
	}
	r := a.free[len(a.free)-1]
	a.free = a.free[:len(a.free)-1]
	return r
}

func (a *allocation) release(r int) { a.free = append(a.free, r) }

func isFixed(v *value) bool { return v.op == opConst || v.op == opScalar }

// operand is the register of v, loading a constant that has none.
func (a *allocation) operand(v *value) int {
	if isFixed(v) && !v.hoisted {
		r := a.take()
		a.out.broadcast(r, v)
		a.temps = append(a.temps, r)
		return r
	}
	return v.reg
}

// dies reports whether the register of operand v (in r) may be overwritten at position i.
func (a *allocation) dies(v *value, i int) bool {
	if isFixed(v) {
		return !v.hoisted
	}
	return v.last == i
}

// drop releases the operands of position i, except register keep.
func (a *allocation) drop(v *value, i, keep int) {
	for _, r := range a.temps {
		if r != keep {
			a.release(r)
		}
	}
	a.temps = a.temps[:0]
	for j, x := range v.args {
		if isFixed(x) || x.last != i || x.reg == keep || contains(v.args[:j], x) {
			continue
		}
		a.release(x.reg)
	}
}

func contains(vs []*value, v *value) bool {
	for _, x := range vs {
		if x == v {
			return true
		}
	}
	return false
}

// body prints copy u of the loop body.
func (a *allocation) body(u int) {
	for i, v := range a.p.body {
		switch v.op {
		case opLoad:
			v.reg = a.take()
			a.out.load(v.reg, v, u)
		case opLoadPair:
			odd := a.p.body[i+1]
			v.reg, odd.reg = a.take(), a.take()
			tmp := a.take()
			a.out.loadPair(v.reg, odd.reg, tmp, v, u)
			a.release(tmp)
		case opOdd: // printed with opLoadPair
		case opStore:
			a.out.store(a.operand(v.args[0]), v, u)
			a.drop(v, i, -1)
		case opStorePair:
			t1, t2 := a.take(), a.take()
			a.out.storePair(a.operand(v.args[0]), a.operand(v.args[1]), t1, t2, v, u)
			a.release(t1)
			a.release(t2)
			a.drop(v, i, -1)
		case opStoreBF16:
			tmp := a.take()
			a.out.storeBF16(a.operand(v.args[0]), tmp, v, u)
			a.release(tmp)
			a.drop(v, i, -1)
		case opFMA, opFNMA:
			a.fma(v, i)
		case opSum, opSumProduct, opMaximum:
			x, y := a.operand(v.args[0]), -1
			if len(v.args) > 1 {
				y = a.operand(v.args[1])
			}
			tmp := a.take()
			a.out.accumulate(v.op, a.accs[u], x, y, tmp)
			a.release(tmp)
			a.drop(v, i, -1)
		default:
			x, y := a.operand(v.args[0]), -1
			if len(v.args) > 1 {
				y = a.operand(v.args[1])
			}
			a.drop(v, i, -1)
			v.reg = a.take()
			a.out.op(v.op, v.reg, x, y)
		}
	}
}

func (a *allocation) fma(v *value, i int) {
	x, y, z := v.args[0], v.args[1], v.args[2]
	rx, ry, rz := a.operand(x), a.operand(y), a.operand(z)
	negate := v.op == opFNMA
	d := -1
	switch {
	case a.dies(z, i) && z != x && z != y:
		d = rz
		a.out.fma(negate, d, rx, ry)
	case a.dies(x, i) && x != y && a.out.fmaInto(negate, rx, ry, rz):
		d = rx
	case a.dies(y, i) && x != y && a.out.fmaInto(negate, ry, rx, rz):
		d = ry
	default:
		d = a.take()
		a.out.move(d, rz)
		a.out.fma(negate, d, rx, ry)
	}
	a.drop(v, i, d)
	v.reg = d
}

// frame is where the arguments of the assembly function lie.
type frame struct {
	n, scalars, ret, size int
}

func (p *vectorProgram) frame() frame {
	f := frame{n: 8 * len(p.streams)}
	f.scalars = f.n + 8
	f.size = f.scalars + 4*len(p.scalars)
	if p.reduce != 0 {
		f.ret = (f.size + 7) &^ 7
		f.size = f.ret + 8
		if p.reduce == opMaximum {
			f.size = f.ret + 4
		}
	}
	return f
}

func (p *vectorProgram) hasPairs() bool {
	for _, s := range p.streams {
		if s.kind == pairs {
			return true
		}
	}
	return false
}

// signature is the declaration of the assembly function of p.
func (p *vectorProgram) signature(suffix string) string {
	var names []string
	for _, s := range p.streams {
		names = append(names, s.name)
	}
	out := fmt.Sprintf("func %s%sAsm(%s *float32, n int", p.name, suffix, strings.Join(names, ", "))
	if len(p.scalars) > 0 {
		out += ", " + strings.Join(p.scalars, ", ") + " float32"
	}
	return out + ")" + p.result()
}

// result is the result type of p with a space before it.
func (p *vectorProgram) result() string {
	switch p.reduce {
	case opSum, opSumProduct:
		return " float64"
	case opMaximum:
		return " float32"
	}
	return ""
}
