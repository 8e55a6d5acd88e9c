package quant_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/quant"
)

func TestSmallFormatsGolden(t *testing.T) {
	r := open(t, "float_formats.safetensors")
	for _, tc := range []struct {
		name   string
		decode func(byte) float32
	}{
		{"e4m3.decode", quant.FromE4M3},
		{"e5m2.decode", quant.FromE5M2},
		{"e8m0.decode", quant.FromE8M0},
		{"e2m1.decode", quant.FromE2M1},
	} {
		for i, want := range floats(t, r, tc.name) {
			if got := tc.decode(byte(i)); !same(got, want) && !(got != got && want != want) {
				t.Errorf("%s: code %02x -> %g, want %g", tc.name, i, got, want)
			}
		}
	}
	for _, tc := range []struct {
		values, codes string
		encode        func(float32) byte
	}{
		{"values", "e4m3.saturating", quant.ToE4M3},
		{"values", "e4m3.torch", quant.ToE4M3},
		{"values", "e5m2.torch", quant.ToE5M2},
		{"values", "e2m1.saturating", quant.ToE2M1},
		{"e8m0.values", "e8m0.torch", quant.ToE8M0},
		{"e8m0.values", "e8m0.ceil", quant.CeilE8M0},
	} {
		want := tensor(t, r, tc.codes).Data
		for i, x := range floats(t, r, tc.values) {
			if tc.codes == "e2m1.saturating" && math.Abs(float64(x)) > 1e30 {
				continue // the file has a zero there, as its nearest-value search finds all values equally far
			}
			if got := tc.encode(x); got != want[i] {
				t.Errorf("%s: %g -> %02x, want %02x", tc.codes, x, got, want[i])
			}
		}
	}
}

// Beyond the largest number everything saturates, except in E5M2.
func TestSmallFormatsBeyond(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, x := range []float32{1e9, 3e38, inf} {
		if a, b := quant.ToE2M1(x), quant.ToE2M1(-x); a != 7 || b != 15 {
			t.Errorf("E2M1 of ±%g is %x and %x", x, a, b)
		}
		if a, b := quant.ToE4M3(x), quant.ToE4M3(-x); a != 0x7e || b != 0xfe {
			t.Errorf("E4M3 of ±%g is %x and %x", x, a, b)
		}
		if a, b := quant.ToE5M2(x), quant.ToE5M2(-x); a != 0x7c || b != 0xfc {
			t.Errorf("E5M2 of ±%g is %x and %x", x, a, b)
		}
	}
}

// Every code survives the way to float32 and back; NaN stays NaN.
func TestSmallFormatsAllCodes(t *testing.T) {
	for _, tc := range []struct {
		name  string
		from  func(byte) float32
		to    func(float32) byte
		codes int
	}{
		{"E4M3", quant.FromE4M3, quant.ToE4M3, 256},
		{"E5M2", quant.FromE5M2, quant.ToE5M2, 256},
		{"E8M0", quant.FromE8M0, quant.ToE8M0, 256},
		{"E8M0 not below", quant.FromE8M0, quant.CeilE8M0, 255},
		{"E2M1", quant.FromE2M1, quant.ToE2M1, 16},
	} {
		for c := range tc.codes {
			x := tc.from(byte(c))
			if back := tc.to(x); back != byte(c) && !(x != x && tc.from(back) != tc.from(back)) {
				t.Errorf("%s: %02x -> %g -> %02x", tc.name, c, x, back)
			}
		}
	}
}

func TestRoundGolden(t *testing.T) {
	r := open(t, "quantise_rows.safetensors")
	x := floats(t, r, "x")
	for _, tc := range []struct {
		want  string
		round func(x []float32)
	}{
		{"fp8_v3.round_trip_bf16", func(x []float32) { quant.RoundFP8(x, 128, false) }},
		{"fp8_ue8m0.round_trip_bf16", func(x []float32) { quant.RoundFP8(x, 128, true) }},
		{"fp4.round_trip", func(x []float32) { quant.RoundFP4(x, 32) }},
	} {
		got := append([]float32(nil), x...)
		tc.round(got)
		for i, want := range floats(t, r, tc.want) {
			if !same(got[i], want) {
				t.Errorf("%s: number %d, %g, became %g, want %g", tc.want, i, x[i], got[i], want)
			}
		}
	}
}

// Cases whose scales are known: the largest number itself stays.
func TestRoundScales(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   []float32
		pow2 bool
		fp4  bool
		want []float32
	}{
		{"fp8, scale 1", []float32{448, 1.0625, -1.1875}, true, false, []float32{448, 1, -1.25}},
		{"fp8, scale 2", []float32{449, 17, 19}, true, false, []float32{448, 16, 20}},
		{"fp8, short last block", []float32{1, 2, 3, 0x1p-33}, true, false, []float32{1, 2, 3, 0}},
		{"fp8, zeros", []float32{0, 0}, false, false, []float32{0, 0}},
		{"fp4, scale 1", []float32{6, 2.5, 3.5, -5}, false, true, []float32{6, 2, 4, -4}},
		{"fp4, scale 1/8", []float32{0.75, 0.0625, 0.4375}, false, true, []float32{0.75, 0.0625, 0.5}},
		{"fp4, zeros", []float32{0, 0}, false, true, []float32{0, 0}},
		{"nothing", nil, true, false, nil},
	} {
		if tc.fp4 {
			quant.RoundFP4(tc.in, 32)
		} else {
			quant.RoundFP8(tc.in, 3, tc.pow2)
		}
		for i, want := range tc.want {
			if tc.in[i] != want {
				t.Errorf("%s: number %d became %g, want %g", tc.name, i, tc.in[i], want)
			}
		}
	}
	x := []float32{1, float32(math.NaN()), 2}
	quant.RoundFP8(x, 4, true)
	if x[0] != 1 || x[1] == x[1] || x[2] != 2 {
		t.Errorf("a NaN among numbers: %g", x)
	}
}

// Rows of odd shapes, in one piece and in others, are what the formula says.
func TestMatrixFP8(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, tc := range []struct{ n, k, rows, cols int }{{5, 7, 2, 3}, {129, 257, 128, 128}, {3, 64, 32, 32}, {4, 8, 1, 1}, {1, 1, 128, 128}} {
		for scale := quant.ScaleF32; scale <= quant.ScaleE8M0; scale++ {
			grid := (tc.k-1)/tc.cols + 1
			m := &quant.MatrixFP8{
				N: tc.n, K: tc.k, Codes: randomBytes(r, tc.n*tc.k), Scale: scale, BlockRows: tc.rows, BlockCols: tc.cols,
				Scales: randomBytes(r, ((tc.n-1)/tc.rows+1)*grid*[...]int{4, 2, 1}[scale]),
			}
			if err := m.Check(); err != nil {
				t.Fatal(err)
			}
			got, part := make([]float32, tc.n*tc.k), make([]float32, tc.k)
			m.Rows(got, 0, tc.n)
			scales := make([]float32, ((tc.n-1)/tc.rows+1)*grid)
			switch scale {
			case quant.ScaleE8M0:
				for i, b := range m.Scales {
					scales[i] = quant.FromE8M0(b)
				}
			default:
				if err := quant.Decode(scales, m.Scales, [...]quant.Type{quant.F32, quant.BF16}[scale]); err != nil {
					t.Fatal(err)
				}
			}
			for o := range tc.n {
				m.Rows(part, o, o+1)
				for i := range tc.k {
					want := quant.FromE4M3(m.Codes[o*tc.k+i]) * scales[o/tc.rows*grid+i/tc.cols]
					if x := got[o*tc.k+i]; x != want && x == x {
						t.Fatalf("%v, scale %d: [%d,%d] is %g, want %g", tc, scale, o, i, x, want)
					}
					if x := got[o*tc.k+i]; part[i] != x && x == x {
						t.Fatalf("%v, scale %d: [%d,%d] is %g alone, %g among others", tc, scale, o, i, part[i], x)
					}
				}
			}
		}
	}
}

func TestMatrixFP4(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	n, k := 5, 96
	m := &quant.MatrixFP4{N: n, K: k, Codes: randomBytes(r, n*k/2), Scales: randomBytes(r, n*k/32)}
	v := &quant.MatrixNVFP4{N: n, K: k, Codes: m.Codes, Scales: randomBytes(r, n*k/16), Global: 0.013}
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	if err := v.Check(); err != nil {
		t.Fatal(err)
	}
	got, gotNV := make([]float32, 3*k), make([]float32, 3*k)
	m.Rows(got, 2, 5)
	v.Rows(gotNV, 2, 5)
	for o := range 3 {
		for i := range k {
			at := (o+2)*k + i
			code := m.Codes[at/2] >> (at % 2 * 4)
			if want := quant.FromE2M1(code) * quant.FromE8M0(m.Scales[at/32]); got[o*k+i] != want && want == want {
				t.Fatalf("fp4 [%d,%d] is %g, want %g", o, i, got[o*k+i], want)
			}
			want := quant.FromE2M1(code) * (quant.FromE4M3(v.Scales[at/16]) * v.Global)
			if gotNV[o*k+i] != want && want == want {
				t.Fatalf("NVFP4 [%d,%d] is %g, want %g", o, i, gotNV[o*k+i], want)
			}
		}
	}
}

func TestMatrixRefusals(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want string
	}{
		{(&quant.MatrixFP8{N: 2, K: 3, Codes: make([]byte, 5), BlockRows: 1, BlockCols: 1}).Check(), "takes 6 bytes, not 5"},
		{(&quant.MatrixFP8{N: 576, K: 2, Codes: make([]byte, 1152), Scales: make([]byte, 16), BlockRows: 128, BlockCols: 128}).Check(), "5×1 scales in 20 bytes, not 16"},
		{(&quant.MatrixFP8{N: 2, K: 3}).Check(), "blocks of 0×0"},
		{(&quant.MatrixFP8{N: math.MaxInt, K: 3, BlockRows: 1, BlockCols: 1}).Check(), "no valid shape"},
		{(&quant.MatrixFP8{Scale: 3, BlockRows: 1, BlockCols: 1}).Check(), "kind 3"},
		{(&quant.MatrixFP4{N: 2, K: 48}).Check(), "no multiple of 32"},
		{(&quant.MatrixFP4{N: 2, K: 64, Codes: make([]byte, 64), Scales: make([]byte, 3)}).Check(), "4 bytes of scales, not 3"},
		{(&quant.MatrixNVFP4{N: 2, K: 16, Codes: make([]byte, 15)}).Check(), "takes 16 bytes, not 15"},
		{(&quant.MatrixFP4{N: -1, K: 32}).Check(), "no valid shape"},
	} {
		if tc.err == nil || !strings.Contains(tc.err.Error(), tc.want) {
			t.Errorf("%v, want %q", tc.err, tc.want)
		}
	}
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// A matrix of any shape and bytes is refused or decoded.
func FuzzMatrix(f *testing.F) {
	f.Add(2, 32, 1, 16, byte(2), []byte{1, 2, 3}, 64, 4)
	f.Add(1, 1, 128, 128, byte(0), []byte{0xff}, 1, 4)
	f.Add(-1, 1<<62, 0, -5, byte(9), []byte{}, 0, 0)
	f.Fuzz(func(t *testing.T, n, k, rows, cols int, scale byte, raw []byte, codes, scales int) {
		if codes < 0 || codes > 1<<12 || scales < 0 || scales > 1<<12 {
			return
		}
		fill := func(n int) []byte {
			b := make([]byte, n)
			for i := range b {
				if len(raw) > 0 {
					b[i] = raw[i%len(raw)]
				}
			}
			return b
		}
		m := &quant.MatrixFP8{N: n, K: k, Codes: fill(codes), Scales: fill(scales), Scale: quant.Scale(scale), BlockRows: rows, BlockCols: cols}
		if m.Check() == nil {
			m.Rows(make([]float32, n*k), 0, n)
		}
		m4 := &quant.MatrixFP4{N: n, K: k, Codes: m.Codes, Scales: m.Scales}
		if m4.Check() == nil {
			m4.Rows(make([]float32, n*k), 0, n)
		}
		nv := &quant.MatrixNVFP4{N: n, K: k, Codes: m.Codes, Scales: m.Scales, Global: 2}
		if nv.Check() == nil {
			nv.Rows(make([]float32, n*k), 0, n)
		}
	})
}
