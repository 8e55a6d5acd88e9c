package forward

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/quant"
)

// The ideas of V3.2 and V4 against vectors made with PyTorch (testdata/ops/README.md).

func opsTensors(t *testing.T, name string) func(tensor string) []float32 {
	t.Helper()
	r, err := safetensors.Open("testdata/ops/" + name + ".safetensors")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return func(tensor string) []float32 {
		v, ok := r.Tensor(tensor)
		if !ok {
			t.Fatalf("%s: no tensor %q", name, tensor)
		}
		x, err := v.Float32(nil)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
}

func wantNear(t *testing.T, what string, got, want []float32, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range want {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= tol) {
			t.Fatalf("%s[%d] = %g, want %g (difference %.2g, %.2g allowed)", what, i, got[i], want[i], d, tol)
		}
	}
}

func TestGoldenSinkhorn(t *testing.T) {
	g := opsTensors(t, "sinkhorn")
	for _, prefix := range []string{"fixed.", ""} {
		mix := g(prefix + "mix")
		rows := len(mix) / 24
		h := &hyper{streams: 4, iterations: 20, eps: 1e-6, fn: &kernel.Stored{N: 24}, base: g(prefix + "base"), scale: g(prefix + "scale")}
		m := mixing{pre: make([]float32, rows*4), post: make([]float32, rows*4), comb: make([]float32, rows*16),
			preRow: make([]int32, rows*4), postRow: make([]int32, rows*4), combRow: make([]int32, rows*16)}
		task := hyperTask{h, mix, m, rows}
		task.Do(0, 0)
		wantNear(t, prefix+"pre", m.pre, g(prefix+"pre"), 2e-7)
		wantNear(t, prefix+"post", m.post, g(prefix+"post"), 4e-7)
		c := make([]float32, rows*16)
		for i := range c {
			c[i] = m.comb[i/16*16+i%4*4+i/4%4]
		}
		wantNear(t, prefix+"C", c, g(prefix+"c"), 1e-6)
		for r := range rows {
			for k := range 4 {
				for j := range 4 {
					if m.combRow[r*16+k*4+j] != int32(r*4+j) || m.preRow[r*4+j] != int32(r*4+j) || m.postRow[r*4+j] != int32(r) {
						t.Fatalf("token %d: wrong rows", r)
					}
				}
			}
		}
	}
}

// TestGoldenSinkhornPublished holds the numbers of family.md 21.3, written there by hand.
func TestGoldenSinkhornPublished(t *testing.T) {
	c := make([]float32, 16)
	mix := func(i int) float32 { return float32(0.1*float64((7*i)%11-5))*2 + float32(0.05*float64(i%3-1)) }
	for j := range 4 {
		for k := range 4 {
			c[k*4+j] = mix(8 + 4*j + k)
		}
	}
	sinkhorn(c, 4, 20, 1e-6)
	for j, want := range [][]float32{{0.1738512, 0.3936561, 0.2586403, 0.1738513}, {0.2487575, 0.0725130, 0.4299709, 0.2487575},
		{0.1634391, 0.4299708, 0.2431499, 0.1634392}, {0.4139512, 0.1038590, 0.0682378, 0.4139510}} {
		wantNear(t, "row of C", []float32{c[j], c[4+j], c[8+j], c[12+j]}, want, 1e-6)
	}
}

func TestGoldenRounding(t *testing.T) {
	g := opsTensors(t, "quantise_rows")
	x := g("x")
	quant.RoundFP4(x, indexBlock)
	wantNear(t, "fp4", x, g("fp4.round_trip"), 0)
	x = g("hadamard.x")
	for r := 0; r < len(x); r += 128 {
		hadamard(x[r : r+128])
	}
	wantNear(t, "Hadamard", x, g("hadamard.y"), 2e-6)
	// The part of the matrix for a width that is no power of two.
	rng := rand.New(rand.NewPCG(1, 1))
	y := make([]float32, 128)
	for i := range 96 {
		y[i] = rng.Float32()
	}
	direct := append([]float32(nil), y[:96]...)
	hadamard(direct)
	hadamard(y)
	for i := range direct {
		direct[i] *= float32(math.Sqrt(96.0 / 128))
	}
	wantNear(t, "Hadamard of 96", direct, y[:96], 1e-6)
}
