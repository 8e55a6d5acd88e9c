package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/haenyeo/haenyeo/quant"
)

// stored makes a matrix [n,k] of type typ whose numbers are moderate: with all bytes between 0x2c and 0x3b,
// every float16 in a block lies between 0.06 and 1, and all other scales are finite.
func stored(rng *rand.Rand, typ quant.Type, n, k int) *Stored {
	s := &Stored{Name: typ.String(), N: n, K: k, Type: typ, Data: make([]byte, n*typ.Bytes(k))}
	for i := range s.Data {
		s.Data[i] = byte(0x2c + rng.IntN(16))
	}
	return s
}

// storedFloats keeps w [n,k] as float32: as it is, one byte off the alignment of float32, or behind a
// decoder of its own.
func storedFloats(w []float32, n, k int, kind string) *Stored {
	s := &Stored{Name: kind, N: n, K: k, Type: quant.F32}
	if kind == "decoder" {
		s.Decode = func(dst []float32, lo, hi int) { copy(dst, w[lo*k:hi*k]) }
		return s
	}
	if kind == "unaligned" {
		s.Data = append(s.Data, 0)
	}
	for _, v := range w {
		s.Data = binary.LittleEndian.AppendUint32(s.Data, math.Float32bits(v))
	}
	if kind == "unaligned" {
		s.Data = s.Data[1:]
	}
	return s
}

func TestStoredAgainstNaive(t *testing.T) {
	eachTier(t, func(t *testing.T, e *Engine, dt DType, rng *rand.Rand) {
		for trial := range trials(60) {
			exact := trial%2 == 0
			n, k := 1+rng.IntN(150), 1+rng.IntN(150)
			if trial%10 == 0 {
				n, k = 1+rng.IntN(40), 600+rng.IntN(600) // several passes
			}
			w := make([]float32, n*k)
			values(rng, w, exact)
			s := storedFloats(w, n, k, []string{"aligned", "unaligned", "decoder"}[trial%3])
			checkStored(t, e, dt, rng, s, w, exact)
		}
	})
}

// Every type of block, in products of few and of many rows.
func TestStoredTypes(t *testing.T) {
	e, err := New(2, "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	rng := rand.New(rand.NewPCG(3, 3))
	for typ := quant.Type(0); typ <= quant.NVFP4; typ++ {
		if typ.Check() != nil || typ >= quant.I8 && typ <= quant.I64 {
			continue
		}
		n, k := 37, 512
		s := stored(rng, typ, n, k)
		w := make([]float32, n*k)
		s.Rows(w, 0, n)
		var high float32
		for _, v := range w {
			high = max(high, float32(math.Abs(float64(v))))
		}
		if !(high > 0 && high < 1e9) {
			t.Fatalf("%v: largest number %v: the test has bad data", typ, high)
		}
		checkStored(t, e, F32, rng, s, w, false)
	}
}

// checkStored compares products with s, whose numbers are w, with their definition.
func checkStored(t *testing.T, e *Engine, dt DType, rng *rand.Rand, s *Stored, w []float32, exact bool) {
	t.Helper()
	rows := []int{1, 3, FewRows, FewRows + 1, 40, 130}[rng.IntN(6)]
	transposed, accumulate := rng.IntN(3) == 0, rng.IntN(2) == 0
	red, out := s.K, s.N
	if transposed {
		red, out = s.N, s.K
	}
	x, y := newMatrix(t, rng, rows+5, red, exact), newMatrix(t, rng, rows, out, exact)
	before := slices.Clone(y.data)
	p := StoredProduct{W: s, Y: y.data, LDY: y.ld, X: x.data, LDX: x.ld, Rows: rows, Transposed: transposed, Accumulate: accumulate}
	if rng.IntN(2) == 0 {
		for range rows {
			p.Gather = append(p.Gather, int32(rng.IntN(rows+5)))
		}
	}
	e.MultiplyStored([]StoredProduct{p}, dt)
	ref := reference{rounded: rows > FewRows && e.route(dt).pair}
	for r := range rows {
		from := r
		if p.Gather != nil {
			from = int(p.Gather[r])
		}
		for j := range out {
			var want sum
			for i := range red {
				at := j*s.K + i
				if transposed {
					at = i*s.K + j
				}
				ref.add(&want, x.at(from, i), float64(w[at]))
			}
			if accumulate {
				want.v += float64(before[r*y.ld+j])
				want.abs += math.Abs(float64(before[r*y.ld+j]))
				want.n++
			}
			if err := want.check(y.data[r*y.ld+j], exact); err != nil {
				t.Fatalf("%s %d×%d, %d rows, transposed %v, accumulate %v, gather %v: row %d column %d: %v",
					s.Name, s.N, s.K, rows, transposed, accumulate, p.Gather != nil, r, j, err)
			}
		}
	}
	for _, m := range []matrix{x, y} {
		if err := m.check(); err != nil {
			t.Fatal(err)
		}
	}
}

// storedWork is a set of products of all kinds.
func storedWork(rng *rand.Rand, x, y []float32) []StoredProduct {
	var ps []StoredProduct
	at := 0
	for i, rows := range []int{1, 16, 16, 17, 100, 100, 40} {
		n, k := 40+50*i, 300
		s := stored(rng, []quant.Type{quant.F32, quant.BF16, quant.F16}[i%3], n, k)
		p := StoredProduct{W: s, X: x, LDX: 400, Y: y[at:], LDY: n, Rows: rows}
		if i == 6 {
			p.Transposed, p.LDY = true, k
		}
		at += rows * p.LDY
		ps = append(ps, p)
	}
	return ps
}

// A product has the same bits on any number of threads, and makes no garbage once warm.
func TestStoredIsDeterministicAndQuiet(t *testing.T) {
	for _, dt := range []DType{F32, BF16} {
		var first []float32
		for _, threads := range []int{1, 2, 5} {
			e, err := New(threads, "")
			if err != nil {
				t.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(5, 5))
			x, y := make([]float32, 100*400), make([]float32, 100000)
			values(rng, x, false)
			ps := storedWork(rng, x, y)
			e.MultiplyStored(ps, dt)
			if first == nil {
				first = slices.Clone(y)
			}
			for i := range y {
				if math.Float32bits(y[i]) != math.Float32bits(first[i]) {
					t.Fatalf("%v, %d threads: element %d differs", dt, threads, i)
				}
			}
			if n := allocations(func() { e.MultiplyStored(ps, dt) }); n > 0 {
				t.Errorf("%v, %d threads: %v allocations", dt, threads, n)
			}
			e.Close()
		}
	}
}

// A row has the same bits alone and among FewRows, and among any more than FewRows.
func TestStoredRowsAreIndependent(t *testing.T) {
	e, err := New(2, "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	rng := rand.New(rand.NewPCG(6, 6))
	const n, k, most = 70, 600, 200
	w := stored(rng, quant.BF16, n, k)
	x := make([]float32, most*k)
	values(rng, x, false)
	run := func(row, rows int, dt DType) []float32 {
		y := make([]float32, rows*n)
		e.MultiplyStored([]StoredProduct{{W: w, X: x[row*k:], LDX: k, Y: y, LDY: n, Rows: rows}}, dt)
		return y
	}
	for _, dt := range []DType{F32, BF16} {
		few, many := run(0, FewRows, dt), run(0, most, dt)
		for r := range FewRows {
			if !slices.Equal(few[r*n:][:n], run(r, 1, dt)) {
				t.Errorf("%v: row %d differs when it is alone", dt, r)
			}
		}
		for _, rows := range []int{FewRows + 1, 50, 113} {
			for _, r := range []int{0, 31, most - rows} {
				if !slices.Equal(many[r*n:][:rows*n], run(r, rows, dt)) {
					t.Errorf("%v: rows %d to %d differ from the same among %d", dt, r, r+rows, most)
				}
			}
		}
	}
}

// LinearStored gives what MultiplyStored gives for each of its groups.
func TestLinearStored(t *testing.T) {
	e, err := New(2, "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	rng := rand.New(rand.NewPCG(8, 8))
	const n, k = 33, 64
	bounds := []int{0, 3, 3, 20, 60}
	x := make([]float32, 60*k)
	values(rng, x, false)
	var gather []int32
	for range 60 {
		gather = append(gather, int32(rng.IntN(60)))
	}
	for _, idx := range [][]int32{nil, gather} {
		var groups []StoredGroup
		want := make([]float32, 60*n)
		for i := range bounds[1:] {
			lo, hi := bounds[i], bounds[i+1]
			w := stored(rng, quant.Q8_0, n, k)
			groups = append(groups, StoredGroup{w, lo, hi})
			p := StoredProduct{W: w, X: x[lo*k:], LDX: k, Y: want[lo*n:], LDY: n, Rows: hi - lo}
			if idx != nil {
				p.X, p.Gather = x, idx[lo:hi]
			}
			e.MultiplyStored([]StoredProduct{p}, F32)
		}
		got := make([]float32, 60*n)
		e.LinearStored(got, n, x, k, idx, groups, F32, false)
		if !slices.Equal(got, want) {
			t.Errorf("gather %v: results differ", idx != nil)
		}
		e.LinearStored(got, n, x, k, idx, groups, F32, true)
		for i := range got {
			if d := math.Abs(float64(got[i] - 2*want[i])); d > 1e-4 {
				t.Fatalf("accumulated: element %d is %v, want %v", i, got[i], 2*want[i])
			}
		}
	}
}

// BenchmarkStored multiplies a matrix that fits into the shared cache: GB/s of weights as they lie in the file, and
// arithmetic. One row and FewRows rows are dot products, where types with kernels of their own are read as they lie
// ("direct") and the others decoded in Go, a few rows at a time ("decoded"); 512 rows meet decoded panels.
func BenchmarkStored(b *testing.B) {
	e, err := New(0, "")
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	rng := rand.New(rand.NewPCG(1, 1))
	const n, k = 2048, 2048
	for typ := quant.Type(0); typ <= quant.NVFP4; typ++ {
		if typ.Check() != nil || typ >= quant.I8 && typ <= quant.F64 || typ == quant.Q8_1 || typ == quant.Q8_K {
			continue // of no weights
		}
		w := stored(rng, typ, n, k)
		way := "decoded"
		if e.directOf(w) != nil {
			way = "direct"
		}
		for _, rows := range []int{1, FewRows, 512} {
			x, y := make([]float32, rows*k), make([]float32, rows*n)
			values(rng, x, false)
			ps := []StoredProduct{{W: w, X: x, LDX: k, Y: y, LDY: n, Rows: rows}}
			dt := F32
			if rows > FewRows {
				dt = BF16
			}
			b.Run(fmt.Sprintf("%v/%s/rows=%d", typ, way, rows), func(b *testing.B) {
				b.SetBytes(int64(len(w.Data)))
				for b.Loop() {
					e.MultiplyStored(ps, dt)
				}
				b.ReportMetric(2*float64(rows)*n*k*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}
