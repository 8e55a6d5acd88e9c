package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Every micro-kernel and packer against its portable twin, on random shapes, strides and
// misalignments, with all slices against guard pages. Run with -fuzz for more of the same.

// machineRoutes are the routes whose instructions this machine has.
func machineRoutes() []*route {
	have := Tiers()
	list := slices.DeleteFunc(archRoutes(), func(r *route) bool { return !slices.Contains(have, r.name) })
	return append(list, twinRoutes()...)
}

// special fills x with normal deviates and, here and there, values that rounding treats apart.
func special(rng *rand.Rand, x []float32) {
	odd := []uint32{0, 0x80000000, 1, 0x807fffff, 0x007fffff, 0x00800000, 0x7f7fffff, 0x7f800000, 0xff800000,
		0x7f800001, 0xffc12345, 0x3f808000, 0x3f818000, 0x3f80ffff, 0x3f807fff}
	for i := range x {
		x[i] = float32(rng.NormFloat64())
		if rng.IntN(8) == 0 {
			x[i] = math.Float32frombits(odd[rng.IntN(len(odd))])
		}
	}
}

func testTile(t *testing.T, r *route, rng *rand.Rand) {
	exact := rng.IntN(2) == 0
	m := tile{rows: 1 + rng.IntN(r.mr), count: 1 + rng.IntN(3), cols: 1 + rng.IntN(r.nr), panels: 1, steps: rng.IntN(60), alpha: 1}
	if m.rows <= r.thin && rng.IntN(2) == 0 {
		m.panels, m.cols = r.wide, r.nr
	}
	if r.exact {
		m.steps = padSteps(m.steps)
	}
	if rng.IntN(2) == 0 {
		m.alpha, m.beta = float32(rng.IntN(3)), float32(rng.IntN(3)-1)
	} else {
		m.beta = float32(rng.IntN(2))
	}
	rows, slack := m.rows*m.count, 0
	if r.exact || rng.IntN(2) == 0 {
		m.aStep, m.aRow = 1, m.steps+rng.IntN(9)
	} else {
		m.aStep, m.aRow, slack = rows+rng.IntN(9), 1, 7 // whole vectors of rows may be read
	}
	m.bNext = r.nr*m.steps + rng.IntN(9)
	m.ldc = r.nr*m.panels + rng.IntN(9)
	ga := newGuarded[float32](max(0, (rows-1)*m.aRow+(m.steps-1)*m.aStep+1)+slack, 0)
	gb := newGuarded[float32](max(0, (m.panels-1)*m.bNext+m.steps*r.nr), rng.IntN(2)*rng.IntN(16))
	gc := newGuarded[float32]((rows-1)*m.ldc+(m.panels-1)*r.nr+m.cols, rng.IntN(2)*rng.IntN(16))
	defer ga.release()
	defer gb.release()
	defer gc.release()
	values(rng, gc.data, exact)
	for _, x := range [][]float32{ga.data, gb.data} {
		values(rng, x, exact)
		for i, v := range x {
			if r.pair {
				x[i] = pair(v, float32(rng.IntN(9)-4))
			}
		}
	}
	m.a, m.b, m.c = ga.data, gb.data, slices.Clone(gc.data)
	tilePortable(&m, r.nr, r.pair)
	want := m.c
	m.c = gc.data
	r.multiply(&m)
	for i, got := range gc.data {
		if (i%m.ldc >= (m.panels-1)*r.nr+m.cols || exact) && math.Float32bits(got) != math.Float32bits(want[i]) && got != want[i] {
			t.Fatalf("%s: %+v: C[%d] = %v, twin %v", r.name, shape(&m), i, got, want[i])
		}
		// Deviates of about 1: a sum of n products is about sqrt(n), its rounding below n·2^-24.
		if d := math.Abs(float64(got - want[i])); !(d <= 40*float64(m.steps+4)*0x1p-24) {
			t.Fatalf("%s: %+v: C[%d] = %v, twin %v", r.name, shape(&m), i, got, want[i])
		}
	}
	for _, g := range []guarded[float32]{ga, gb, gc} {
		if err := g.check(); err != nil {
			t.Fatalf("%s: %+v: %v", r.name, shape(&m), err)
		}
	}
}

// shape is t without its slices, for messages.
func shape(t *tile) tile {
	s := *t
	s.a, s.b, s.c, s.scratch = nil, nil, nil, nil
	return s
}

func testPack(t *testing.T, r *route, rng *rand.Rand) {
	ops := []string{"rows", "cols", "trans"}
	if r.turn != nil {
		ops = append(ops, "turn")
	}
	op := ops[rng.IntN(len(ops))]
	p := pack{rows: 1 + rng.IntN(70), cols: 1 + rng.IntN(70)}
	p.lds = p.cols + rng.IntN(9)
	srcRows := p.rows
	if (op == "rows" || op == "cols") && rng.IntN(2) == 0 {
		srcRows = 1 + rng.IntN(20)
		for range p.rows {
			p.idx = append(p.idx, int32(rng.IntN(srcRows)))
		}
	}
	src := newGuarded[float32]((srcRows-1)*p.lds+p.cols, rng.IntN(2)*rng.IntN(16))
	defer src.release()
	special(rng, src.data)
	p.src = src.data

	size := 0
	switch op {
	case "rows":
		n := padSteps(stepsOf(p.cols, r.pair))
		p.ldd = n + rng.IntN(9)
		size = (p.rows-1)*p.ldd + n
	case "cols":
		p.steps = stepsOf(p.rows, r.pair) + rng.IntN(3)
		p.ldd, p.next = r.nr, p.steps*r.nr+rng.IntN(9)
		if rng.IntN(2) == 0 { // the layout of Aᵀ
			p.ldd, p.next = r.padCols(p.cols), r.nr
		}
		size = (p.cols-1)/r.nr*p.next + (p.steps-1)*p.ldd + r.nr
	case "trans":
		n := padSteps(stepsOf(p.cols, r.pair))
		p.ldd, p.next = r.nr, n*r.nr+rng.IntN(9)
		size = (p.rows-1)/r.nr*p.next + (n-1)*p.ldd + r.nr
	case "turn":
		n := padSteps(stepsOf(p.rows, r.pair))
		p.ldd = n + rng.IntN(9)
		size = ((p.cols+15)/16*16-1)*p.ldd + n
	}
	dst := newGuarded[float32](size, rng.IntN(2)*rng.IntN(16))
	defer dst.release()
	for i := range dst.data {
		dst.data[i] = 123
	}
	p.dst = slices.Clone(dst.data)
	switch op {
	case "rows":
		packRowsPortable(&p, r.pair)
	case "cols":
		packColsPortable(&p, r.nr, r.pair)
	case "trans":
		packTransPortable(&p, r.nr, r.pair)
	case "turn":
		packTurnPortable(&p, r.pair)
	}
	want := p.dst
	p.dst = dst.data
	switch op {
	case "rows":
		r.packRows(&p)
	case "cols":
		r.packCols(&p)
	case "trans":
		r.packTrans(&p)
	case "turn":
		r.packTurn(&p)
	}
	for i, got := range dst.data {
		if math.Float32bits(got) != math.Float32bits(want[i]) {
			t.Fatalf("%s %s: %d×%d stride %d, ldd %d next %d steps %d idx %v: word %d is %08x, twin %08x", r.name, op,
				p.rows, p.cols, p.lds, p.ldd, p.next, p.steps, p.idx != nil, i, math.Float32bits(got), math.Float32bits(want[i]))
		}
	}
	for _, g := range []guarded[float32]{src, dst} {
		if err := g.check(); err != nil {
			t.Fatalf("%s %s: %v", r.name, op, err)
		}
	}
}

func TestTilesAndPackers(t *testing.T) {
	for _, r := range machineRoutes() {
		t.Run(fmt.Sprintf("%s %d", r.name, r.nr), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(11, 12))
			for range trials(2000) {
				testTile(t, r, rng)
				testPack(t, r, rng)
			}
		})
	}
}

func FuzzTilesAndPackers(f *testing.F) {
	f.Add(uint64(1))
	routes := machineRoutes()
	f.Fuzz(func(t *testing.T, seed uint64) {
		for _, r := range routes {
			rng := rand.New(rand.NewPCG(seed, 1))
			testTile(t, r, rng)
			testPack(t, r, rng)
		}
	})
}
