package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// Few machines have AMX, so the printed kernel is run by a small interpreter: it knows the handful
// of integer instructions that the kernel uses, and tiles with the rules of their configuration.

// amxMachine is the state of the interpreter; addresses are offsets in mem.
type amxMachine struct {
	mem    []byte
	reg    map[string]int64
	field  map[string]int64 // of the tile argument, by assembly name
	stack  int64            // address that stands for SP
	flag   int64            // result that the next jump looks at
	tiles  [8][16][64]byte
	rows   [8]int
	colsb  [8]int
	config bool
}

func (m *amxMachine) address(s string) int64 {
	if name, ok := strings.CutSuffix(s, "(SP)"); ok {
		off, err := strconv.ParseInt(name[strings.LastIndexAny(name, "+-"):], 10, 64)
		if err != nil {
			panic(s)
		}
		return m.stack + off
	}
	off, rest, _ := strings.Cut(s, "(")
	var a int64
	if off != "" {
		n, err := strconv.ParseInt(off, 10, 64)
		if err != nil {
			panic(s)
		}
		a = n
	}
	base, index, scaled := strings.Cut(strings.TrimSuffix(rest, ")"), ")(")
	a += m.register(base)
	if scaled {
		r, scale, _ := strings.Cut(index, "*")
		n, _ := strconv.ParseInt(scale, 10, 64)
		a += n * m.register(r)
	}
	return a
}

func (m *amxMachine) register(s string) int64 {
	v, ok := m.reg[s]
	if !ok {
		panic("register " + s + " is read before it is set")
	}
	return v
}

func (m *amxMachine) load(s string) int64 {
	switch {
	case strings.HasPrefix(s, "$"):
		n, err := strconv.ParseInt(s[1:], 0, 64)
		if err != nil {
			panic(err)
		}
		return n
	case strings.HasPrefix(s, "tile_"):
		return m.field[strings.TrimSuffix(s, "(SI)")]
	case s == "t+0(FP)":
		return 0
	case strings.HasSuffix(s, "(SP)"):
		return int64(binary.LittleEndian.Uint64(m.mem[m.address(s):]))
	}
	return m.register(s)
}

// store writes size bytes to memory, or a register.
func (m *amxMachine) store(s string, v int64, size int) {
	if !strings.Contains(s, "(") {
		m.reg[s] = v
		return
	}
	a := m.address(s)
	for i := range size {
		m.mem[a+int64(i)] = byte(v >> (8 * i))
	}
}

// tileRows calls f for every configured row of tile n and its place in memory at operand s, which
// is base plus a stride in the index register.
func (m *amxMachine) tileRows(n int, s string, f func(row, mem []byte)) {
	if !m.config || m.rows[n] == 0 || m.colsb[n] == 0 {
		panic(fmt.Sprintf("tile %d is not configured", n))
	}
	base := s[:strings.LastIndex(s, "(")]
	index := s[strings.LastIndex(s, "(")+1 : strings.LastIndex(s, "*")]
	for i := range m.rows[n] {
		at := m.address(base) + int64(i)*m.register(index)
		f(m.tiles[n][i][:m.colsb[n]], m.mem[at:at+int64(m.colsb[n])])
	}
}

func (m *amxMachine) tileOp(op string, args []string) {
	num := func(i int) int { return int(args[i][1] - '0') }
	switch op {
	case "LDTILECFG":
		c := m.mem[m.address(args[0]):][:64]
		if c[0] != 1 || c[1] != 0 {
			panic("palette or start row")
		}
		for i := range 8 {
			m.rows[i], m.colsb[i] = int(c[48+i]), int(binary.LittleEndian.Uint16(c[16+2*i:]))
			if m.rows[i] > 16 || m.colsb[i] > 64 {
				panic("tile too large")
			}
		}
		m.config = true
	case "TILERELEASE":
		m.config = false
	case "TILEZERO":
		m.tiles[num(0)] = [16][64]byte{}
	case "TILELOADD":
		m.tiles[num(1)] = [16][64]byte{}
		m.tileRows(num(1), args[0], func(row, mem []byte) { copy(row, mem) })
	case "TILESTORED":
		m.tileRows(num(0), args[1], func(row, mem []byte) { copy(mem, row) })
	case "TDPBF16PS":
		b, a, d := num(0), num(1), num(2)
		if m.rows[d] != m.rows[a] || m.colsb[d] != m.colsb[b] || m.colsb[a] != 4*m.rows[b] {
			panic("tiles do not fit each other")
		}
		bf16 := func(p []byte) float32 {
			return math.Float32frombits(uint32(binary.LittleEndian.Uint16(p)) << 16)
		}
		for i := range m.rows[d] {
			for j := 0; j < m.colsb[d]; j += 4 {
				p := m.tiles[d][i][j:]
				s := math.Float32frombits(binary.LittleEndian.Uint32(p))
				for k := range m.rows[b] {
					x, y := m.tiles[a][i][4*k:], m.tiles[b][k][j:]
					s += bf16(x)*bf16(y) + bf16(x[2:])*bf16(y[2:])
				}
				binary.LittleEndian.PutUint32(p, math.Float32bits(s))
			}
		}
	default:
		panic(op)
	}
}

func (m *amxMachine) run(t *testing.T, text string) {
	var lines []string
	labels := map[string]int{}
	for l := range strings.Lines(text) {
		l = strings.TrimSpace(l)
		if name, ok := strings.CutSuffix(l, ":"); ok {
			labels[name] = len(lines)
		}
		lines = append(lines, l)
	}
	for pc, count := 0, 0; ; pc++ {
		if count++; count > 1e6 {
			t.Fatal("does not end")
		}
		line := lines[pc]
		code, comment, isRaw := strings.Cut(line, "// ")
		if isRaw {
			code = comment
		}
		op, rest, _ := strings.Cut(strings.TrimSpace(code), " ")
		args := strings.Split(rest, ", ")
		if isRaw {
			if strings.HasPrefix(line, "BYTE") {
				m.tileOp(op, args)
			}
			continue
		}
		switch op {
		case "", "TEXT", "VPXORD", "VZEROUPPER", "#include":
		case "VMOVDQU64":
			clear(m.mem[m.address(args[1]):][:64])
		case "MOVQ":
			m.store(args[1], m.load(args[0]), 8)
		case "MOVL":
			m.store(args[1], m.load(args[0]), 4)
		case "MOVW":
			m.store(args[1], m.load(args[0]), 2)
		case "MOVB":
			m.store(args[1], m.load(args[0]), 1)
		case "XORL":
			m.reg[args[1]] = 0
		case "LEAQ":
			m.reg[args[1]] = m.address(args[0])
		case "ADDQ":
			m.store(args[1], m.load(args[1])+m.load(args[0]), 8)
		case "IMULQ":
			m.store(args[1], m.load(args[1])*m.load(args[0]), 8)
		case "SHLQ":
			m.store(args[1], m.load(args[1])<<m.load(args[0]), 8)
		case "SHRQ":
			m.store(args[1], m.load(args[1])>>m.load(args[0]), 8)
		case "CMPQ", "CMPL":
			m.flag = m.load(args[0]) - m.load(args[1])
		case "TESTQ":
			m.flag = m.load(args[0])
		case "DECQ":
			m.flag = m.load(args[0]) - 1
			m.store(args[0], m.flag, 8)
		case "JMP", "JGT", "JLE", "JEQ", "JNZ":
			if op == "JMP" || op == "JGT" && m.flag > 0 || op == "JLE" && m.flag <= 0 || op == "JEQ" && m.flag == 0 || op == "JNZ" && m.flag != 0 {
				pc = labels[args[0]]
			}
		case "RET":
			if m.config {
				t.Fatal("returns with live tiles")
			}
			return
		default:
			if !strings.HasSuffix(line, ":") {
				t.Fatalf("instruction %q", line)
			}
		}
	}
}

func TestAMXKernel(t *testing.T) {
	a := &asm{}
	gemmAMX(a)
	rng := rand.New(rand.NewPCG(3, 4))
	for trial := range 200 {
		rows, count, rounds := 1+rng.IntN(32), 1+rng.IntN(3), 1+rng.IntN(3)
		cols, panels := 1+rng.IntN(32), 1
		if rng.IntN(3) == 0 {
			cols, panels = 32, 1+rng.IntN(4)
		}
		beta := float32(rng.IntN(2))
		steps, m := 16*rounds, rows*count
		aRow, ldc, bNext := steps+16*rng.IntN(2), 32*panels+rng.IntN(5), 32*(steps+16*rng.IntN(2))

		// Words of memory: A, B, C, then the stack.
		atA := int64(0)
		atB := atA + int64(4*m*aRow)
		atC := atB + int64(4*panels*bNext)
		stack := atC + int64(4*m*ldc) + 256
		mc := &amxMachine{mem: make([]byte, stack), reg: map[string]int64{}, stack: stack}
		mc.field = map[string]int64{
			"tile_a": atA, "tile_b": atB, "tile_c": atC, "tile_aRow": int64(aRow), "tile_aStep": 1,
			"tile_bNext": int64(bNext), "tile_ldc": int64(ldc), "tile_steps": int64(steps), "tile_rows": int64(rows),
			"tile_count": int64(count), "tile_cols": int64(cols), "tile_panels": int64(panels),
			"tile_alpha": int64(math.Float32bits(1)), "tile_beta": int64(math.Float32bits(beta)),
		}
		small := func(at int64) float32 { // a small integer as bfloat16 at an address
			v := float32(rng.IntN(9) - 4)
			binary.LittleEndian.PutUint16(mc.mem[at:], uint16(math.Float32bits(v)>>16))
			return v
		}
		x, y, z := make([][]float32, m), make([][]float32, 2*steps), make([][]float32, m)
		for i := range x {
			for k := range 2 * steps {
				x[i] = append(x[i], small(atA+int64(4*i*aRow+2*k)))
			}
			for j := range ldc {
				z[i] = append(z[i], float32(rng.IntN(9)))
				binary.LittleEndian.PutUint32(mc.mem[atC+int64(4*(i*ldc+j)):], math.Float32bits(z[i][j]))
			}
		}
		for k := range y {
			for j := range 32 * panels {
				y[k] = append(y[k], small(atB+int64(4*(j/32*bNext+k/2*32+j%32)+2*(k%2))))
			}
		}
		mc.run(t, a.buf.String())
		for i := range z {
			for j := range z[i] {
				want := z[i][j]
				if j < 32*(panels-1)+cols {
					want *= beta
					for k := range y {
						want += x[i][k] * y[k][j]
					}
				}
				if got := math.Float32frombits(binary.LittleEndian.Uint32(mc.mem[atC+int64(4*(i*ldc+j)):])); got != want {
					t.Fatalf("trial %d: rows %d×%d cols %d panels %d rounds %d beta %v: C[%d,%d] = %v, want %v",
						trial, count, rows, cols, panels, rounds, beta, i, j, got, want)
				}
			}
		}
	}
}
