package kernel

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/internal/cpu"
)

// forEachISA runs a test on every set of elementwise kernels that this machine has.
func forEachISA(t *testing.T, f func(t *testing.T, vec *vector)) {
	features := cpu.Detect()
	for _, tier := range tierISA {
		if tier.name != "portable" && tier.name != "avx2" && tier.name != "avx512" && tier.name != "neon" {
			continue // shares its elementwise kernels with one of these
		}
		t.Run(tier.name, func(t *testing.T) {
			if !tier.has(features) {
				t.Skip("SKIPPED: this machine lacks the instructions")
			}
			vec := newVector(tier.isa)
			f(t, &vec)
		})
	}
}

// TestVector holds every kernel of every set against the portable one, over lengths around the
// vector widths and unroll factors and over alignments, with memory around every slice watched.
func TestVector(t *testing.T) {
	forEachISA(t, func(t *testing.T, vec *vector) {
		eachKernel(vec, func(name string, got, want reflect.Value) {
			t.Run(name, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(1, 1))
				for n := range 140 {
					compareKernel(t, rng, name, n, got, want)
				}
				for _, n := range []int{255, 256, 1000, chunk} {
					compareKernel(t, rng, name, n, got, want)
				}
			})
		})
	})
}

// FuzzVector does the same for lengths and values that the fuzzer finds.
func FuzzVector(f *testing.F) {
	f.Add(uint64(1), uint16(33))
	f.Fuzz(func(t *testing.T, seed uint64, n uint16) {
		forEachISA(t, func(t *testing.T, vec *vector) {
			eachKernel(vec, func(name string, got, want reflect.Value) {
				compareKernel(t, rand.New(rand.NewPCG(seed, 2)), name, int(n%2048), got, want)
			})
		})
	})
}

// eachKernel pairs the kernels of a set with the portable ones. Those that have none (results in
// bfloat16) are tested by TestVectorBF16.
func eachKernel(vec *vector, f func(name string, got, want reflect.Value)) {
	set, portable := reflect.ValueOf(vec).Elem(), reflect.ValueOf(&vectorPortable).Elem()
	for i := range set.NumField() {
		if !portable.Field(i).IsNil() {
			f(set.Type().Field(i).Name, set.Field(i), portable.Field(i))
		}
	}
}

// exactKernels only add and multiply: on small integers all sets give the same bits.
var exactKernels = []string{"sumSquares", "dot", "maximum", "add", "scale", "axpy", "scaleDot", "normApply", "normGradSum",
	"normGradApply", "normGradAdd", "ropeHalves", "ropePairs"}

// compareKernel calls both kernels by reflection: slices and scalars get random values.
func compareKernel(t *testing.T, rng *rand.Rand, name string, n int, got, want reflect.Value) {
	t.Helper()
	exact := slices.Contains(exactKernels, name) && rng.IntN(2) == 0
	value := func() float32 {
		switch {
		case exact:
			return float32(rng.IntN(9) - 4)
		case strings.HasPrefix(name, "adamw"): // second moments are not negative
			return float32(rng.Float64())
		}
		return float32(rng.NormFloat64())
	}
	ft := got.Type()
	var gotArgs, wantArgs []reflect.Value
	var guards []guarded[float32]
	var results [][2][]float32
	for i := range ft.NumIn() {
		if ft.In(i).Kind() == reflect.Float32 {
			v := float32(0.1 + rng.Float64())
			if exact {
				v = value()
			}
			gotArgs, wantArgs = append(gotArgs, reflect.ValueOf(v)), append(wantArgs, reflect.ValueOf(v))
			continue
		}
		size := n
		if name == "ropePairs" && i == 0 {
			size = 2 * n
		}
		g := newGuarded[float32](size, rng.IntN(16)*rng.IntN(2))
		defer g.release()
		for j := range g.data {
			g.data[j] = value()
		}
		w := slices.Clone(g.data)
		guards, results = append(guards, g), append(results, [2][]float32{g.data, w})
		gotArgs, wantArgs = append(gotArgs, reflect.ValueOf(g.data)), append(wantArgs, reflect.ValueOf(w))
	}
	r, s := callKernel(got, gotArgs), callKernel(want, wantArgs)
	for i := range r {
		a, b := r[i].Float(), s[i].Float()
		if a != b && (exact || !(math.Abs(a-b) <= 1e-5*math.Sqrt(float64(n+1))+1e-6*math.Abs(b))) {
			t.Fatalf("%s: n=%d: result %g, want %g", name, n, a, b)
		}
	}
	for i, p := range results {
		for j := range p[0] {
			a, b := float64(p[0][j]), float64(p[1][j])
			if a != b && (exact || !(math.Abs(a-b) <= 2e-6*(1+math.Abs(b)))) {
				t.Fatalf("%s: n=%d: slice %d element %d is %g, want %g", name, n, i, j, a, b)
			}
		}
		if err := guards[i].check(); err != nil {
			t.Fatalf("%s: n=%d: slice %d: %v", name, n, i, err)
		}
	}
}

// callKernel calls f through its unexported field.
func callKernel(f reflect.Value, args []reflect.Value) []reflect.Value {
	return reflect.NewAt(f.Type(), f.Addr().UnsafePointer()).Elem().Call(args)
}

// TestVectorBF16 holds the kernels that round to bfloat16 against those that do not.
func TestVectorBF16(t *testing.T) {
	if !cpu.Detect().AVX512BF16 {
		t.Skip("SKIPPED: this machine has no AVX-512 BF16")
	}
	vec := newVector(isaAVX512)
	rng := rand.New(rand.NewPCG(2, 2))
	for n := range 100 {
		in := func() []float32 { return to32(normal(rng, n)) }
		out := func() guarded[float32] { return newGuarded[float32]((n+1)/2, rng.IntN(4)) }
		check := func(name string, got guarded[float32], want []float32) {
			t.Helper()
			for i, w := range want {
				lo, hi := unpair(got.data[i/2])
				if g := [2]float32{lo, hi}[i%2]; math.Abs(float64(g-w)) > 0x1p-8*math.Abs(float64(w))+1e-6 {
					t.Fatalf("%s: n=%d: element %d is %g, want %g", name, n, i, g, w)
				}
			}
			if n%2 == 1 {
				if _, hi := unpair(got.data[n/2]); hi != 0 {
					t.Fatalf("%s: n=%d: half a word too much was written", name, n)
				}
			}
			if err := got.check(); err != nil {
				t.Fatal(err)
			}
			got.release()
		}
		x, y, words := in(), make([]float32, n), out()
		got, want := vec.expSumBF16(words.data, x, 0.7, 0.1), vec.expSum(y, x, 0.7, 0.1)
		if got != want {
			t.Fatalf("n=%d: sum %g, want %g", n, got, want)
		}
		check("exp", words, y)

		p, d, lse, delta := in(), in(), in(), in()
		d2, yw, dw := slices.Clone(d), out(), out()
		vec.softmaxGradBF16(yw.data, dw.data, p, d2, lse, delta, 0.7)
		vec.softmaxGrad(p, d, lse, delta, 0.7)
		if !slices.Equal(d, d2) {
			t.Fatalf("n=%d: d differs", n)
		}
		check("p", yw, p)
		check("ds", dw, d)
	}
}
