package kernel

import (
	"flag"
	"math"
	"testing"
)

var everyFloat = flag.Bool("every-float", false, "test exp on all 2^32 float32 values (a minute per set of kernels)")

// TestExpULP goes through float32 values in the order of their bits.
func TestExpULP(t *testing.T) {
	step := uint64(509) // prime: visits all residues of exponent and mantissa
	switch {
	case *everyFloat:
		step = 1
	case testing.Short():
		step = 10007
	}
	forEachISA(t, func(t *testing.T, vec *vector) {
		var worst float64
		var at float32
		x, y := make([]float32, 0, 4096), make([]float32, 4096)
		check := func() {
			vec.exp(y[:len(x)], x)
			for i, v := range x {
				if e := ulpError(y[i], math.Exp(float64(v))); e > worst || e != e {
					worst, at = e, v
				}
			}
			x = x[:0]
		}
		for bits := uint64(0); bits < 1<<32; bits += step {
			x = append(x, math.Float32frombits(uint32(bits)))
			if len(x) == cap(x) {
				check()
			}
		}
		check()
		t.Logf("largest error %.3f ulp at %g", worst, at)
		if !(worst <= maxExpULP) {
			t.Errorf("exp(%g) is off by %.3f units in the last place, at most %d allowed", at, worst, maxExpULP)
		}
	})
}

// ulpError is |got − want| in units of the last place of a float32 near want; 0 when both are NaN
// or the same infinity.
func ulpError(got float32, want float64) float64 {
	switch {
	case want != want:
		if got != got {
			return 0
		}
		return math.Inf(1)
	case math.IsInf(float64(got), 0) || got != got:
		if float32(want) == got { // want rounds to infinity
			return 0
		}
		return math.Inf(1)
	case want > math.MaxFloat32:
		want = 1 << 127 * 2
	}
	_, e := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, max(e-24, -149))
}

func TestExpSpecial(t *testing.T) {
	inf := float32(math.Inf(1))
	in := []float32{inf, -inf, float32(math.NaN()), 0, float32(math.Copysign(0, -1)), 1e-45, -1e-45, 88.73, 88.72, -103.97, -103.98, 3e38, -3e38}
	want := []float32{inf, 0, float32(math.NaN()), 1, 1, 1, 1, inf, 3.3931806e38, 1e-45, 0, inf, 0}
	forEachISA(t, func(t *testing.T, vec *vector) {
		got := make([]float32, len(in))
		vec.exp(got, in)
		for i := range in {
			if e := ulpError(got[i], float64(want[i])); !(e <= maxExpULP) {
				t.Errorf("exp(%g) = %g, want %g", in[i], got[i], want[i])
			}
		}
	})
}
