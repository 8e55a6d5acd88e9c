package main

import (
	"fmt"
	"strings"
)

// gpr is an integer register by its number in the encoding. BP belongs to the frame pointer and
// SP to the stack; R14 and R15 are free in functions of the ABI0.
type gpr int

const (
	ax gpr = iota
	cx
	dx
	bx
	_
	_
	si
	di
	r8
	r9
	r10
	r11
	r12
	r13
	r14
	r15
)

func (r gpr) String() string {
	if r >= r8 {
		return fmt.Sprintf("R%d", int(r))
	}
	return [...]string{"AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI"}[r]
}

// ymm and zmm are vector registers of 256 and 512 bits, kreg a mask register.
type (
	ymm  int
	zmm  int
	kreg int
)

func (r ymm) String() string  { return fmt.Sprintf("Y%d", int(r)) }
func (r zmm) String() string  { return fmt.Sprintf("Z%d", int(r)) }
func (r kreg) String() string { return fmt.Sprintf("K%d", int(r)) }

// mem is off(base)(index*scale); scale 0 means no index.
type mem struct {
	base, index gpr
	scale, off  int
}

func (m mem) String() string {
	s := fmt.Sprintf("(%v)", m.base)
	if m.off != 0 {
		s = fmt.Sprintf("%d%s", m.off, s)
	}
	if m.scale != 0 {
		s += fmt.Sprintf("(%v*%d)", m.index, m.scale)
	}
	return s
}

// plus returns the operand n bytes further on.
func (m mem) plus(n int) mem { m.off += n; return m }

// evexOp is an instruction of 512-bit vectors that the assembler lacks.
type evexOp struct {
	name     string
	prefix   byte // pp: 1 = 66, 2 = F3, 3 = F2
	opcode   byte // in map 0F38
	twoInput bool // has a first source besides the register or memory operand
}

var (
	vdpbf16ps      = evexOp{"VDPBF16PS", 2, 0x52, true}
	vcvtne2ps2bf16 = evexOp{"VCVTNE2PS2BF16", 3, 0x72, true}
	vcvtneps2bf16  = evexOp{"VCVTNEPS2BF16", 2, 0x72, false}
)

// evex writes op with operands in Intel's order reversed, as the assembler does: rm (zmm or mem),
// the first source (ignored by one-input operations), the destination.
//
// Source: Intel SDM volume 2, section 2.7 (EVEX prefix).
func (a *asm) evex(op evexOp, rm any, src, dst zmm) {
	inv := func(bit int) byte { return byte(^bit & 1) }
	if !op.twoInput {
		src = 0
	}
	x, b := 0, 0
	var tail []byte
	reg := byte(dst & 7)
	switch m := rm.(type) {
	case zmm:
		x, b = int(m>>4), int(m>>3)
		tail = []byte{0xC0 | reg<<3 | byte(m&7)}
	case mem:
		b = int(m.base >> 3)
		low := byte(m.base & 7)
		mod, disp := byte(2), []byte{byte(m.off), byte(m.off >> 8), byte(m.off >> 16), byte(m.off >> 24)}
		switch q := m.off / 64; {
		case m.off == 0 && low != 5:
			mod, disp = 0, nil
		case m.off%64 == 0 && q >= -128 && q < 128: // displacement in units of the vector
			mod, disp = 1, []byte{byte(q)}
		}
		if m.scale != 0 {
			x = int(m.index >> 3)
			log := map[int]byte{1: 0, 2: 1, 4: 2, 8: 3}[m.scale]
			tail = []byte{mod<<6 | reg<<3 | 4, log<<6 | byte(m.index&7)<<3 | low}
		} else if low == 4 {
			tail = []byte{mod<<6 | reg<<3 | 4, 4<<3 | low}
		} else {
			tail = []byte{mod<<6 | reg<<3 | low}
		}
		tail = append(tail, disp...)
	}
	code := []byte{
		0x62,
		inv(int(dst>>3))<<7 | inv(x)<<6 | inv(b)<<5 | inv(int(dst>>4))<<4 | 2,
		byte(^src&15)<<3 | 4 | op.prefix,
		2<<5 | inv(int(src>>4))<<3,
		op.opcode,
	}
	text := fmt.Sprintf("%s %v, %v, %v", op.name, rm, src, dst)
	if !op.twoInput {
		text = fmt.Sprintf("%s %v, Y%d", op.name, rm, int(dst))
	}
	a.raw(text, append(code, tail...))
}

// tileOp writes an AMX instruction, operands in the assembler's order: memory is base plus a row
// stride in index, tiles are numbers.
//
// Source: Intel SDM volume 2; VEX.128 map 0F38.
func (a *asm) tileOp(name string, operands ...any) {
	code := []byte{0xC4, 0xE2, 0x78, 0, 0}
	tile := func(i int) byte { return byte(operands[i].(int)) }
	memory := func(m mem, reg byte) { // with a displacement of four bytes
		code[1] &^= byte(m.index>>3)<<6 | byte(m.base>>3)<<5
		code[4] = reg<<3 | 0x84
		code = append(code, byte(m.index&7)<<3|byte(m.base&7), byte(m.off), byte(m.off>>8), byte(m.off>>16), byte(m.off>>24))
	}
	switch name {
	case "LDTILECFG": // base without an encoding that asks for more: AX, CX, DX, BX, SI, DI
		code[3], code[4] = 0x49, byte(operands[0].(mem).base)
	case "TILERELEASE":
		code[3], code[4] = 0x49, 0xC0
	case "TILEZERO":
		code[2], code[3], code[4] = 0x7B, 0x49, 0xC0|tile(0)<<3
	case "TILELOADD":
		code[2], code[3] = 0x7B, 0x4B
		memory(operands[0].(mem), tile(1))
	case "TILESTORED":
		code[2], code[3] = 0x7A, 0x4B
		memory(operands[1].(mem), tile(0))
	case "TDPBF16PS": // d += a·b, written b, a, d
		code[2], code[3], code[4] = (15&^tile(0))<<3|2, 0x5C, 0xC0|tile(2)<<3|tile(1)
	default:
		panic("asmgen: no tile instruction " + name)
	}
	text := make([]string, len(operands))
	for i, o := range operands {
		if n, ok := o.(int); ok {
			text[i] = fmt.Sprintf("T%d", n)
		} else {
			text[i] = fmt.Sprint(o)
		}
	}
	a.raw(strings.TrimSpace(name+" "+strings.Join(text, ", ")), code)
}
