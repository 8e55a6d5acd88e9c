package main

import "fmt"

// neonWords prints instructions of Advanced SIMD that Go's assembler lacks, as words. The comment beside a word
// is what a disassembler makes of it, and a test holds it to that.
//
// Source: Arm Architecture Reference Manual, C4.1 (encodings).
type neonWords struct{ *asm }

func (n neonWords) word(code uint32, d, a, m int, format string, operands ...any) {
	n.line("\tWORD $0x%08x // %s", code|uint32(m)<<16|uint32(a)<<5|uint32(d), fmt.Sprintf(format, operands...))
}

// threeSame are instructions d = a op m on vectors of four words.
var threeSame = map[string]uint32{
	"fadd":  0x4e20d400,
	"fsub":  0x4ea0d400,
	"fmul":  0x6e20dc00,
	"fdiv":  0x6e20fc00,
	"fmax":  0x4e20f400,
	"fmin":  0x4ea0f400,
	"fmla":  0x4e20cc00,
	"fmls":  0x4ea0cc00,
	"faddp": 0x6e20d400,
	"ushl":  0x6ea04400, // by a negative number: to the right
}

func (n neonWords) three(name string, d, a, m int) {
	n.word(threeSame[name], d, a, m, "%s v%d.4s, v%d.4s, v%d.4s", name, d, a, m)
}

// byElement are instructions d = a op m[lane] on vectors of four float32.
var byElement = map[string]uint32{
	"fmul": 0x4f809000,
	"fmla": 0x4f801000,
	"fmls": 0x4f805000,
}

func (n neonWords) element(name string, d, a, m, lane int) {
	code := byElement[name] | uint32(lane&1)<<21 | uint32(lane>>1)<<11
	n.word(code, d, a, m, "%s v%d.4s, v%d.4s, v%d.s[%d]", name, d, a, m, lane)
}

// scvtf makes float32 of whole numbers.
func (n neonWords) scvtf(d, a int) { n.word(0x4e21d800, d, a, 0, "scvtf v%d.4s, v%d.4s", d, a) }

// fcvtl widens the four lower float16, or the upper ones.
func (n neonWords) fcvtl(d, a int, upper bool) {
	if upper {
		n.word(0x4e217800, d, a, 0, "fcvtl2 v%d.4s, v%d.8h", d, a)
		return
	}
	n.word(0x0e217800, d, a, 0, "fcvtl v%d.4s, v%d.4h", d, a)
}

// sshll widens the lower or upper half of the signed numbers of bits bits, and shifts them up.
func (n neonWords) sshll(d, a, bits, by int, upper bool) {
	code, name, lanes := uint32(0x0f00a400), "sshll", 64/bits
	if upper {
		code, name, lanes = 0x4f00a400, "sshll2", 128/bits
	}
	kind := map[int]string{8: "b", 16: "h", 32: "s"}
	n.word(code|uint32(bits+by)<<16, d, a, 0, "%s v%d.%d%s, v%d.%d%s, #%d", name, d, 64/bits, kind[2*bits], a, lanes, kind[bits], by)
}

func (n neonWords) fsqrt(d, a int) { n.word(0x6ea1f800, d, a, 0, "fsqrt v%d.4s, v%d.4s", d, a) }

// sshr shifts signed words down.
func (n neonWords) sshr(d, a, by int) {
	n.word(0x4f000400|uint32(64-by)<<16, d, a, 0, "sshr v%d.4s, v%d.4s, #%d", d, a, by)
}

// fmaxv is the largest float32.
func (n neonWords) fmaxv(d, a int) { n.word(0x6e30f800, d, a, 0, "fmaxv s%d, v%d.4s", d, a) }

// double widens the two lower float32, or the upper ones.
func (n neonWords) double(d, a int, upper bool) {
	if upper {
		n.word(0x4e617800, d, a, 0, "fcvtl2 v%d.2d, v%d.4s", d, a)
		return
	}
	n.word(0x0e617800, d, a, 0, "fcvtl v%d.2d, v%d.2s", d, a)
}

// addDoubles is d = a + m, and sumDoubles the sum of both elements.
func (n neonWords) addDoubles(d, a, m int) {
	n.word(0x4e60d400, d, a, m, "fadd v%d.2d, v%d.2d, v%d.2d", d, a, m)
}

func (n neonWords) sumDoubles(d, a int) { n.word(0x7e70d800, d, a, 0, "faddp d%d, v%d.2d", d, a) }

// umaxv is the largest byte.
func (n neonWords) umaxv(d, a int) { n.word(0x6e30a800, d, a, 0, "umaxv b%d, v%d.16b", d, a) }

// The following have names in Go.

// logic is d = a op m on all bytes.
func (n neonWords) logic(name string, d, a, m int) {
	n.op(name, fmt.Sprintf("V%d.B16", m), fmt.Sprintf("V%d.B16", a), fmt.Sprintf("V%d.B16", d))
}

// bytesBy is a shift of every byte: VUSHR, VSHL or VSLI. Shifting by nothing moves.
func (n neonWords) bytesBy(name string, by, a, d int) {
	if by == 0 {
		if a != d {
			n.logic("VORR", d, a, a)
		}
		return
	}
	n.op(name, by, fmt.Sprintf("V%d.B16", a), fmt.Sprintf("V%d.B16", d))
}

// zip interleaves the lower halves of a and m, or the upper ones; arrangement B16, H8 or D2.
func (n neonWords) zip(upper bool, arrangement string, d, a, m int) {
	name := "VZIP1"
	if upper {
		name = "VZIP2"
	}
	n.op(name, fmt.Sprintf("V%d.%s", m, arrangement), fmt.Sprintf("V%d.%s", a, arrangement), fmt.Sprintf("V%d.%s", d, arrangement))
}

// look takes the bytes with the numbers in a from table.
func (n neonWords) look(d, table, a int) {
	n.op("VTBL", fmt.Sprintf("V%d.B16", a), fmt.Sprintf("[V%d.B16]", table), fmt.Sprintf("V%d.B16", d))
}
