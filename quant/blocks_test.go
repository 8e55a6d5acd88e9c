package quant_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/quant"
)

var decoded = []quant.Type{
	quant.BF16, quant.Q4_0, quant.Q4_1, quant.Q5_0, quant.Q5_1, quant.Q8_0, quant.IQ4_NL, quant.MXFP4, quant.NVFP4,
	quant.Q2_K, quant.Q3_K, quant.Q4_K, quant.Q5_K, quant.Q6_K, quant.IQ4_XS, quant.TQ1_0, quant.TQ2_0,
}

// Every format decodes to the bits of ggml's reference code.
func TestDecodeGolden(t *testing.T) {
	r := open(t, "blocks.safetensors")
	for _, typ := range decoded {
		t.Run(typ.String(), func(t *testing.T) {
			packed, want := tensor(t, r, typ.String()+".bytes").Data, floats(t, r, typ.String()+".f32")
			if got := typ.Bytes(len(want)); got != len(packed) {
				t.Fatalf("%d numbers take %d bytes, want %d", len(want), got, len(packed))
			}
			got := make([]float32, len(want))
			if err := quant.Decode(got, packed, typ); err != nil {
				t.Fatal(err)
			}
			bad := 0
			for i := range got {
				if !same(got[i], want[i]) {
					if bad++; bad <= 5 {
						t.Errorf("number %d: %g (%08x), want %g (%08x)", i, got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
					}
				}
			}
			if bad > 0 {
				t.Errorf("%d of %d numbers differ", bad, len(got))
			}
		})
	}
}

// Q8_0 and BF16 encode to the bytes of ggml's reference code.
func TestEncodeGolden(t *testing.T) {
	r := open(t, "blocks.safetensors")
	for _, typ := range []quant.Type{quant.BF16, quant.Q8_0} {
		in, want := floats(t, r, typ.String()+".in"), tensor(t, r, typ.String()+".encoded").Data
		got := make([]byte, len(want))
		if err := quant.Encode(got, in, typ); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%v: encoded bytes differ", typ)
		}
	}
}

func TestEncodeDecodesBack(t *testing.T) {
	src := make([]float32, 96)
	for i := range src {
		src[i] = float32(math.Sin(float64(i)) * math.Exp2(float64(i/32*8)))
	}
	for _, tc := range []struct {
		typ quant.Type
		rel float64 // of the block's largest number
	}{{quant.F32, 0}, {quant.F16, 1.0 / 2048}, {quant.BF16, 1.0 / 256}, {quant.Q8_0, 0.505 / 127}} {
		packed, back := make([]byte, tc.typ.Bytes(len(src))), make([]float32, len(src))
		if err := quant.Encode(packed, src, tc.typ); err != nil {
			t.Fatal(err)
		}
		if err := quant.Decode(back, packed, tc.typ); err != nil {
			t.Fatal(err)
		}
		for i, x := range src {
			limit := tc.rel * math.Exp2(float64(i/32*8))
			if diff := math.Abs(float64(back[i] - x)); diff > limit {
				t.Errorf("%v: number %d: %g became %g", tc.typ, i, x, back[i])
			}
		}
	}
}

func TestQ8_0Edges(t *testing.T) {
	for _, tc := range []struct {
		name string
		x    float32
		ok   bool
	}{
		{"zero", 0, true},
		{"minus zero", float32(math.Copysign(0, -1)), true},
		{"smallest subnormal", 1e-45, true},
		{"scale below fp16", 1e-10, true},
		{"largest scale", 65504 * 127, true},
		{"scale above fp16", 65520 * 127, false},
		{"infinite", float32(math.Inf(-1)), false},
		{"NaN", float32(math.NaN()), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			src, dst, back := make([]float32, 64), make([]byte, 68), make([]float32, 64)
			src[40] = tc.x
			err := quant.Encode(dst, src, quant.Q8_0)
			if (err == nil) != tc.ok {
				t.Fatalf("got %v", err)
			}
			if err != nil {
				if !strings.Contains(err.Error(), "element 40") {
					t.Errorf("%v does not name the element", err)
				}
				return
			}
			if err := quant.Decode(back, dst, quant.Q8_0); err != nil {
				t.Fatal(err)
			}
			// Half a step, and at small scales what fp16 cannot express.
			if diff := math.Abs(float64(back[40] - tc.x)); diff > math.Abs(float64(tc.x))/200+127*0x1p-25 {
				t.Errorf("%g became %g", tc.x, back[40])
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want string
	}{
		{"lattice", quant.Decode(make([]float32, 256), make([]byte, 66), quant.IQ2_XXS), "IQ2_XXS is not yet decoded"},
		{"withdrawn", quant.Decode(nil, nil, 4), "type 4 was withdrawn"},
		{"newer", quant.Type(41).Check(), "newer"},
		{"fork", quant.Type(97).Check(), "fork"},
		{"largest", quant.Type(math.MaxUint32).Check(), "fork"},
		{"part of a block", quant.Decode(make([]float32, 33), make([]byte, 34), quant.Q8_0), "33 numbers"},
		{"short source", quant.Decode(make([]float32, 32), make([]byte, 33), quant.Q8_0), "34 bytes, not 33"},
		{"short destination", quant.Encode(make([]byte, 33), make([]float32, 32), quant.Q8_0), "34 bytes, not 33"},
		{"no encoder", quant.Encode(make([]byte, 18), make([]float32, 32), quant.Q4_0), "Q4_0 cannot be encoded"},
		{"F16 overflow", quant.Encode(make([]byte, 4), []float32{1, -7e4}, quant.F16), "element 1 is -70000"},
	} {
		if tc.err == nil || !strings.Contains(tc.err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, tc.err, tc.want)
		}
	}
	if err := quant.Encode(make([]byte, 2), []float32{float32(math.Inf(1))}, quant.F16); err != nil {
		t.Errorf("F16 holds infinity, but: %v", err)
	}
}

// TestGoldenSizes compares the sizes of all types, also those not decoded,
// with the whole golden file.
func TestGoldenSizes(t *testing.T) {
	root := os.Getenv("HAENYEO_GOLDEN")
	if root == "" {
		t.Skip("set HAENYEO_GOLDEN to the golden folder to compare the sizes of all types")
	}
	r, err := safetensors.Open(filepath.Join(root, "gguf", "blocks.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	seen := 0
	for typ := range quant.NVFP4 + 1 {
		x, ok := r.Tensor(typ.String() + ".bytes")
		if !ok {
			continue
		}
		seen++
		if n := tensor(t, r, typ.String()+".f32").Len(); typ.Bytes(n) != x.Len() {
			t.Errorf("%v: %d numbers take %d bytes, want %d", typ, n, typ.Bytes(n), x.Len())
		}
	}
	if seen < 20 {
		t.Errorf("only %d types found", seen)
	}
}
