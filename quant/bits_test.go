package quant_test

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/quant"
)

// open returns a reader of a golden file, closed when the test ends.
func open(t testing.TB, name string) *safetensors.Reader {
	t.Helper()
	r, err := safetensors.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func tensor(t testing.TB, r *safetensors.Reader, name string) safetensors.Tensor {
	t.Helper()
	x, ok := r.Tensor(name)
	if !ok {
		t.Fatalf("no tensor %q", name)
	}
	return x
}

func floats(t testing.TB, r *safetensors.Reader, name string) []float32 {
	t.Helper()
	v, err := tensor(t, r, name).Float32(nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func u16s(t testing.TB, r *safetensors.Reader, name string) []uint16 {
	t.Helper()
	b := tensor(t, r, name).Data
	v := make([]uint16, len(b)/2)
	for i := range v {
		v[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return v
}

// same compares bits, but any NaN equals any NaN of the same sign.
func same(a, b float32) bool {
	if a != a && b != b {
		return math.Signbit(float64(a)) == math.Signbit(float64(b))
	}
	return math.Float32bits(a) == math.Float32bits(b)
}

func TestBF16Golden(t *testing.T) {
	r := open(t, "bf16.safetensors")
	in, want := tensor(t, r, "input_bits").Data, u16s(t, r, "output_bits")
	isNaN := tensor(t, r, "is_nan").Data
	for i, w := range want {
		bits := binary.LittleEndian.Uint32(in[4*i:])
		got := quant.ToBF16(math.Float32frombits(bits))
		if isNaN[i] != 0 {
			if x := quant.FromBF16(got); x == x || got>>15 != uint16(bits>>31) {
				t.Errorf("%08x -> %04x, want a NaN of the same sign", bits, got)
			}
		} else if got != w {
			t.Errorf("%08x -> %04x, want %04x", bits, got, w)
		}
	}
}

func TestF16Golden(t *testing.T) {
	r := open(t, "float_formats.safetensors")
	values, want := floats(t, r, "values"), u16s(t, r, "f16.bits")
	for i, x := range values {
		if got := quant.ToF16(x); got != want[i] && x == x {
			t.Errorf("%g (%08x) -> %04x, want %04x", x, math.Float32bits(x), got, want[i])
		}
	}
	r = open(t, "blocks.safetensors")
	values, want = floats(t, r, "F16.in"), u16s(t, r, "F16.encoded")
	for i, x := range values {
		if got := quant.ToF16(x); got != want[i] {
			t.Errorf("%g (%08x) -> %04x, want %04x", x, math.Float32bits(x), got, want[i])
		}
	}
}

// f16Value computes the value of an fp16 code from its definition.
func f16Value(h uint16) float64 {
	e, m := int(h>>10&31), float64(h&1023)
	v := math.Ldexp(1024+m, e-25)
	switch {
	case e == 0:
		v = math.Ldexp(m, -24)
	case e == 31 && m == 0:
		v = math.Inf(1)
	case e == 31:
		v = math.NaN()
	}
	if h>>15 != 0 {
		v = math.Copysign(v, -1)
	}
	return v
}

// Every code is checked by its definition, and survives the way back; every
// midpoint between neighbours goes to the even one, and the float32 numbers
// beside it to the nearer one.
func TestF16AllCodes(t *testing.T) {
	for c := range 1 << 16 {
		h := uint16(c)
		x := quant.FromF16(h)
		if !same(x, float32(f16Value(h))) {
			t.Fatalf("%04x -> %g, want %g", h, x, f16Value(h))
		}
		back := quant.ToF16(x)
		if x != x {
			if back&0x7c00 != 0x7c00 || back&0x3ff == 0 || back>>15 != h>>15 {
				t.Fatalf("NaN %04x -> %04x", h, back)
			}
			continue
		}
		if back != h {
			t.Fatalf("%04x -> %g -> %04x", h, x, back)
		}
		if h&0x7fff >= 0x7bff { // largest number: its upper neighbour is 2^16
			continue
		}
		mid := float32((f16Value(h) + f16Value(h+1)) / 2)
		for _, tc := range []struct {
			x    float32
			want uint16
		}{
			{mid, h + h&1},
			{math.Float32frombits(math.Float32bits(mid) - 1), h},
			{math.Float32frombits(math.Float32bits(mid) + 1), h + 1},
		} {
			if got := quant.ToF16(tc.x); got != tc.want {
				t.Fatalf("%g -> %04x, want %04x", tc.x, got, tc.want)
			}
		}
	}
	for x, want := range map[float32]uint16{65519.996: 0x7bff, 65520: 0x7c00, -65520: 0xfc00, 1e30: 0x7c00, 1e-30: 0} {
		if got := quant.ToF16(x); got != want {
			t.Errorf("%g -> %04x, want %04x", x, got, want)
		}
	}
	if got := quant.ToF16(math.Float32frombits(0x7f800001)); got&0x3ff == 0 {
		t.Errorf("a NaN with low payload bits became %04x", got)
	}
}

// Decode, which widens several fp16 at once, agrees with FromF16 about every
// code, whatever stands beside it.
func TestF16Decode(t *testing.T) {
	for _, beside := range []uint16{0, 0x3c00, 0x7c00, 0xfe01, 0x8001} {
		for c := range 1 << 16 {
			for place := range 5 {
				codes := [5]uint16{beside, beside, beside, beside, beside}
				codes[place] = uint16(c)
				var b [10]byte
				for i, h := range codes {
					binary.LittleEndian.PutUint16(b[2*i:], h)
				}
				var got [5]float32
				if err := quant.Decode(got[:], b[:], quant.F16); err != nil {
					t.Fatal(err)
				}
				for i, h := range codes {
					if want := quant.FromF16(h); math.Float32bits(got[i]) != math.Float32bits(want) {
						t.Fatalf("%04x beside %04x -> %08x, want %08x", h, beside, math.Float32bits(got[i]), math.Float32bits(want))
					}
				}
			}
		}
	}
}

// The same for bf16: every code in every place.
func TestBF16Decode(t *testing.T) {
	for c := range 1 << 16 {
		var b [22]byte
		for i := range 11 {
			binary.LittleEndian.PutUint16(b[2*i:], uint16(c+i*0x1357))
		}
		var got [11]float32
		if err := quant.Decode(got[:], b[:], quant.BF16); err != nil {
			t.Fatal(err)
		}
		for i, x := range got {
			if want := uint32(uint16(c+i*0x1357)) << 16; math.Float32bits(x) != want {
				t.Fatalf("code %04x in place %d -> %08x, want %08x", want>>16, i, math.Float32bits(x), want)
			}
		}
	}
}

func TestSlices(t *testing.T) {
	src := []float32{1, -2.5, 0.1, 1e-7, float32(math.Inf(-1))}
	b, h, out := make([]uint16, 8), make([]uint16, 8), make([]float32, 8)
	quant.ToBF16s(b, src)
	quant.FromBF16s(out, b[:len(src)])
	for i, x := range src {
		if b[i] != quant.ToBF16(x) || out[i] != quant.FromBF16(b[i]) {
			t.Errorf("bf16 of element %d differs from the scalar form", i)
		}
	}
	quant.ToF16s(h, src)
	quant.FromF16s(out, h[:len(src)])
	for i, x := range src {
		if h[i] != quant.ToF16(x) || out[i] != quant.FromF16(h[i]) {
			t.Errorf("fp16 of element %d differs from the scalar form", i)
		}
	}
}
