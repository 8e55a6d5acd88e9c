package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/haenyeo/haenyeo/internal/cpu"
	"github.com/haenyeo/haenyeo/quant"
)

// forEachDirect runs a test on the kernels of every type and instruction set of this machine.
func forEachDirect(t *testing.T, f func(t *testing.T, typ quant.Type, d *direct)) {
	features := cpu.Detect()
	for _, tier := range tierISA {
		if tier.name != "avx2" && tier.name != "avx512" && tier.name != "neon" {
			continue // shares its kernels with one of these, or has none
		}
		if !tier.has(features) {
			t.Logf("SKIPPED: %s: this machine lacks the instructions", tier.name)
			continue
		}
		for typ, d := range newDirect(tier.isa) {
			if d.dot != nil {
				t.Run(fmt.Sprintf("%s/%v", tier.name, quant.Type(typ)), func(t *testing.T) { f(t, quant.Type(typ), &d) })
			}
		}
	}
}

// directMatrix makes a matrix [rows,k] of random bytes, moderate ones unless wild, which end at a guard page.
// Of blocks whose scales lie apart, all rows have the same grid of scales.
func directMatrix(t testing.TB, rng *rand.Rand, typ quant.Type, rows, k int, wild bool) *Stored {
	bytes := func(n int) []byte {
		g := newGuarded[byte](n, 0)
		t.Cleanup(g.release)
		for i := range g.data {
			g.data[i] = byte(0x2c + rng.IntN(16))
			if wild {
				g.data[i] = byte(rng.IntN(256))
			}
		}
		return g.data
	}
	s := &Stored{Name: typ.String(), N: rows, K: k, Type: typ}
	switch typ {
	case directE4M3:
		m := &quant.MatrixFP8{N: rows, K: k, BlockRows: 128, BlockCols: 128, Codes: bytes(rows * k), Scales: bytes(4 * k / 128)}
		for i := 0; wild && rng.IntN(3) > 0 && i < len(m.Codes); i++ {
			m.Codes[i] &= 0xbf // mostly without NaN
		}
		for b := m.Scales; len(b) > 0; b = b[4:] {
			if v := math.Float32frombits(binary.LittleEndian.Uint32(b)); finite(v) && math.Abs(float64(v)) >= 0x1p119 {
				b[3] &= 0xbf // the kernels take 2^8 times the scale
			}
		}
		s.Coded, s.Decode, s.Type = m, m.Rows, 0
	case directE2M1:
		m := &quant.MatrixFP4{N: rows, K: k, Codes: bytes(rows * k / 2), Scales: bytes(rows * k / 32)}
		s.Coded, s.Decode, s.Type = m, m.Rows, 0
	default:
		s.Data = bytes(rows * typ.Bytes(k))
	}
	return s
}

// checkDirect decodes and multiplies rows rows of blocks blocks of random bytes. Weights and sums lie
// against guard pages, weights at any alignment.
func checkDirect(t *testing.T, rng *rand.Rand, typ quant.Type, d *direct, rows, blocks int, wild bool) {
	t.Helper()
	k := blocks * d.weights
	m := directMatrix(t, rng, typ, rows, k, wild)
	want := make([]float32, rows*k)
	m.Rows(want, 0, rows)
	got := newGuarded[float32](rows*k, 0)
	defer got.release()
	d.rows(&dots{}, got.data, m, 0, rows)
	for i, v := range got.data {
		if finite(want[i]) && v != want[i] || finite(want[i]) != finite(v) {
			t.Fatalf("weight %d is %v, want %v", i, v, want[i])
		}
	}

	a := &dots{blocks: blocks}
	a.place(m, 0, rows)
	xs, ys := [...]*[]float32{&a.x0, &a.x1, &a.x2, &a.x3}, [...]*[]float32{&a.y0, &a.y1, &a.y2, &a.y3}
	alone := make([][]float32, d.most)
	for i := range d.most {
		x, y := newGuarded[float32](k, rng.IntN(2)), newGuarded[float32](rows, 0)
		defer x.release()
		defer y.release()
		values(rng, x.data, false)
		alone[i] = make([]float32, rows)
		*xs[0], *ys[0] = x.data, alone[i]
		a.xs = 1
		d.multiply(a)
		for r := range rows {
			var s sum
			for j, w := range want[r*k:][:k] {
				p := float64(w) * float64(x.data[j])
				s.v, s.abs, s.n = s.v+p, s.abs+math.Abs(p), s.n+1
			}
			v := alone[i][r]
			if math.IsNaN(s.v) || s.abs > math.MaxFloat32/2 {
				if finite(v) && s.abs != s.abs {
					t.Fatalf("row %d: got %v of weights that are no numbers", r, v)
				}
				continue
			}
			if err := s.check(v, false); err != nil {
				t.Fatalf("row %d of %d, %d blocks: %v", r, rows, blocks, err)
			}
		}
	}
	for a.xs = 2; a.xs <= d.most; a.xs *= 2 {
		for i := range a.xs {
			x, y := newGuarded[float32](k, 0), newGuarded[float32](rows, 0)
			defer x.release()
			defer y.release()
			*xs[i], *ys[i] = x.data, y.data
		}
		for i := range a.xs { // the same rows in another place
			from := (i + 1) % a.xs
			values(rng, (*xs[i]), false)
			b := *a
			b.xs, b.x0, b.y0 = 1, *xs[i], alone[from]
			d.multiply(&b)
		}
		d.multiply(a)
		for i := range a.xs {
			for r, v := range alone[(i+1)%a.xs] {
				if got := (*ys[i])[r]; math.Float32bits(got) != math.Float32bits(v) && v == v {
					t.Fatalf("%d rows of x: row %d of %d: %v, alone %v", a.xs, r, rows, got, v)
				}
			}
		}
	}
}

func finite(x float32) bool { return math.Abs(float64(x)) <= math.MaxFloat32 }

// Every kernel against the decoder in Go and sums in float64; any number of rows of x gives the bits of
// one.
func TestDirect(t *testing.T) {
	forEachDirect(t, func(t *testing.T, typ quant.Type, d *direct) {
		rng := rand.New(rand.NewPCG(11, uint64(typ)))
		for rows := 1; rows <= 5; rows++ {
			for _, blocks := range []int{1, 2, 3, 7} {
				checkDirect(t, rng, typ, d, rows, blocks, false)
				checkDirect(t, rng, typ, d, rows, blocks, true)
			}
		}
	})
}

// FuzzDirect is TestDirect for shapes and bytes that the fuzzer finds.
func FuzzDirect(f *testing.F) {
	f.Add(uint64(1), uint8(3), uint8(2), true)
	f.Fuzz(func(t *testing.T, seed uint64, rows, blocks uint8, wild bool) {
		forEachDirect(t, func(t *testing.T, typ quant.Type, d *direct) {
			checkDirect(t, rand.New(rand.NewPCG(seed, 3)), typ, d, 1+int(rows%9), 1+int(blocks%9), wild)
		})
	})
}

// Products with matrices whose scales change from row to row of a grid, and with slices of them, are those
// with what they decode to.
func TestDirectScales(t *testing.T) {
	rng := rand.New(rand.NewPCG(12, 1))
	for _, tier := range Tiers() {
		e, err := New(2, tier)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		for range 20 {
			n, k := 20+rng.IntN(50), 128*(1+rng.IntN(5))
			fp8 := directMatrix(t, rng, directE4M3, n, k, false)
			m := fp8.Coded.(*quant.MatrixFP8)
			m.BlockRows, m.Scale = 1+rng.IntN(9), quant.ScaleBF16
			m.Scales = make([]byte, 2*((n+m.BlockRows-1)/m.BlockRows)*k/128)
			for i := range m.Scales {
				m.Scales[i] = byte(0x2c + rng.IntN(16))
			}
			for _, s := range []*Stored{fp8, directMatrix(t, rng, directE2M1, n, k, false)} {
				lo := rng.IntN(n)
				part := s.Slice(lo, lo+1+rng.IntN(n-lo))
				w := make([]float32, part.N*k)
				part.Rows(w, 0, part.N)
				checkStored(t, e, F32, rng, &part, w, false)
			}
		}
	}
}

// A code for NaN makes its row NaN, and no other.
func TestDirectNaN(t *testing.T) {
	forEachDirect(t, func(t *testing.T, typ quant.Type, d *direct) {
		if typ != directE4M3 {
			return
		}
		rng := rand.New(rand.NewPCG(13, 1))
		const rows, k = 5, 384
		for _, code := range []byte{0x7f, 0xff} {
			for at := 0; at < rows*k; at += 7 {
				m := directMatrix(t, rng, typ, rows, k, false)
				m.Coded.(*quant.MatrixFP8).Codes[at] = code
				a := &dots{blocks: k / 128, xs: 1, x0: make([]float32, k), y0: make([]float32, rows)}
				a.place(m, 0, rows)
				d.multiply(a)
				for r, v := range a.y0 {
					if (v != v) != (r == at/k) {
						t.Fatalf("code %x at %d: row %d is %v", code, at, r, v)
					}
				}
				w := make([]float32, rows*k)
				d.rows(&dots{}, w, m, 0, rows)
				if w[at] == w[at] {
					t.Fatalf("code %x at %d was decoded to %v", code, at, w[at])
				}
			}
		}
	})
}

// BenchmarkDirect streams matrices that no cache holds, beside the speed of reading in the same run: GB/s
// of weights and their share of it.
func BenchmarkDirect(b *testing.B) {
	for _, threads := range []int{1, 2} {
		e, err := New(threads, "")
		if err != nil {
			b.Fatal(err)
		}
		defer e.Close()
		rng := rand.New(rand.NewPCG(1, 1))
		const n, k = 1 << 16, 2048
		read := make([]float32, 64<<20)
		for i := range read {
			read[i] = 1
		}
		for _, typ := range []quant.Type{quant.F32, quant.BF16, quant.F16, quant.Q8_0, quant.Q4_0, quant.Q4_1, quant.Q5_0, quant.Q2_K, quant.Q3_K, quant.Q4_K, quant.Q5_K, quant.Q6_K, quant.IQ4_XS, quant.TQ2_0, quant.MXFP4, quant.NVFP4, directE4M3, directE2M1} {
			w, bytes := benchMatrix(rng, typ, n, k)
			for _, rows := range []int{1, 4, 16} {
				x, y := make([]float32, rows*k), make([]float32, rows*n)
				values(rng, x, false)
				ps := []StoredProduct{{W: w, X: x, LDX: k, Y: y, LDY: n, Rows: rows}}
				b.Run(fmt.Sprintf("%s/rows=%d/threads=%d", w.Name, rows, threads), func(b *testing.B) {
					bandwidth := 0.0
					for range 3 {
						began := time.Now()
						e.SumSquares([][]float32{read})
						bandwidth = max(bandwidth, 4*float64(len(read))/time.Since(began).Seconds())
					}
					best := 0.0
					for b.Loop() {
						began := time.Now()
						e.MultiplyStored(ps, F32)
						best = max(best, bytes/time.Since(began).Seconds())
					}
					b.ReportMetric(best/1e9, "GB/s")
					b.ReportMetric(100*best/bandwidth, "%read")
				})
			}
		}
	}
}

// benchMatrix is a matrix of moderate numbers and its bytes.
func benchMatrix(rng *rand.Rand, typ quant.Type, n, k int) (*Stored, float64) {
	codes := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(0x2c + i*7%16)
		}
		return b
	}
	switch typ {
	case directE4M3:
		m := &quant.MatrixFP8{N: n, K: k, BlockRows: 128, BlockCols: 128, Codes: codes(n * k), Scales: codes(4 * n / 128 * k / 128)}
		return &Stored{Name: "E4M3", N: n, K: k, Coded: m, Decode: m.Rows}, float64(n * k)
	case directE2M1:
		m := &quant.MatrixFP4{N: n, K: k, Codes: codes(n * k / 2), Scales: codes(n * k / 32)}
		return &Stored{Name: "E2M1", N: n, K: k, Coded: m, Decode: m.Rows}, float64(n*k/2 + n*k/32)
	}
	s := stored(rng, typ, n, k)
	return s, float64(len(s.Data))
}
