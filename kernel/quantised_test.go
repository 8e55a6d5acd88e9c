package kernel

import (
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
		if tier.name != "avx2" && tier.name != "avx512" {
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

// checkDirect decodes and multiplies rows rows of blocks blocks of random bytes. Weights and sums lie
// against guard pages, weights at any alignment.
func checkDirect(t *testing.T, rng *rand.Rand, typ quant.Type, d *direct, rows, blocks int, wild bool) {
	t.Helper()
	k := blocks * d.weights
	stride := typ.Bytes(k)
	data := newGuarded[byte](rows*stride, 0)
	defer data.release()
	for i := range data.data {
		data.data[i] = byte(0x2c + rng.IntN(16))
		if wild {
			data.data[i] = byte(rng.IntN(256))
		}
	}
	want := make([]float32, rows*k)
	if err := quant.Decode(want, data.data, typ); err != nil {
		t.Fatal(err)
	}
	got := newGuarded[float32](rows*k, 0)
	defer got.release()
	d.decodeBlocks(got.data, data.data, rows*blocks)
	for i, v := range got.data {
		if finite(want[i]) && v != want[i] || finite(want[i]) != finite(v) {
			t.Fatalf("weight %d is %v, want %v", i, v, want[i])
		}
	}

	a := &dots{w: data.data, stride: stride, rows: rows, blocks: blocks}
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
		for _, typ := range []quant.Type{quant.F32, quant.BF16, quant.F16, quant.Q8_0, quant.Q4_0, quant.Q4_1, quant.Q5_0, quant.Q4_K, quant.Q5_K, quant.Q6_K, quant.IQ4_XS, quant.MXFP4} {
			w := stored(rng, typ, n, k)
			for _, rows := range []int{1, 4, 16} {
				x, y := make([]float32, rows*k), make([]float32, rows*n)
				values(rng, x, false)
				ps := []StoredProduct{{W: w, X: x, LDX: k, Y: y, LDY: n, Rows: rows}}
				b.Run(fmt.Sprintf("%v/rows=%d/threads=%d", typ, rows, threads), func(b *testing.B) {
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
						best = max(best, float64(len(w.Data))/time.Since(began).Seconds())
					}
					b.ReportMetric(best/1e9, "GB/s")
					b.ReportMetric(100*best/bandwidth, "%read")
				})
			}
		}
	}
}
