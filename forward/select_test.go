package forward

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestSelect compares selector with sorting, on scores with many ties, both zeros, infinities and NaN.
func TestSelect(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	odd := []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 1e-45, -1e-45, math.MaxFloat32}
	var s selector
	for trial := range 500 {
		n := 1 + rng.IntN(300)
		x := make([]float32, n)
		for i := range x {
			switch trial % 4 {
			case 0:
				x[i] = float32(rng.NormFloat64())
			case 1:
				x[i] = float32(rng.IntN(5) - 2)
			case 2:
				x[i] = float32(i) // ascending: the worst case of an insertion
			case 3:
				x[i] = odd[rng.IntN(len(odd))]
			}
		}
		want := make([]int32, n)
		for i := range want {
			want[i] = int32(i)
		}
		slices.SortStableFunc(want, func(a, b int32) int { return cmp.Compare(x[b], x[a]) })
		k := rng.IntN(n + 1)
		want = want[:k]
		slices.Sort(want)
		got := make([]int32, k)
		s.top(got, x)
		if !slices.Equal(got, want) {
			t.Fatalf("top %d of %v = %v, want %v", k, x, got, want)
		}
	}
}

func BenchmarkSelect(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	x, idx := make([]float32, 128<<10), make([]int32, 2048)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	var s selector
	for b.Loop() {
		s.top(idx, x)
	}
	b.ReportMetric(float64(len(x))*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mscores/s")
}
