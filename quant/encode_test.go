package quant_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/quant"
)

var (
	ruled    = []quant.Type{quant.BF16, quant.Q4_0, quant.Q4_1, quant.Q5_0, quant.Q5_1, quant.Q8_0, quant.MXFP4, quant.TQ1_0, quant.TQ2_0}
	searched = []quant.Type{quant.IQ4_NL, quant.IQ4_XS, quant.Q2_K, quant.Q3_K, quant.Q4_K, quant.Q5_K, quant.Q6_K}
)

// Formats with a fixed rule encode to the bytes of ggml's reference code.
func TestEncodeGolden(t *testing.T) {
	r := open(t, "blocks.safetensors")
	for _, typ := range ruled {
		in, want := floats(t, r, typ.String()+".in"), tensor(t, r, typ.String()+".encoded").Data
		got := make([]byte, len(want))
		if err := quant.Encode(got, in, typ); err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%v: byte %d of block %d is %02x, want %02x", typ, i%typ.BlockBytes(), i/typ.BlockBytes(), got[i], want[i])
				break
			}
		}
	}
}

// relative returns the root mean square error over the root mean square, with
// weights if w is not nil.
func relative(x, y, w []float32) float64 {
	var err, sum float64
	for i := range x {
		weight := 1.0
		if w != nil {
			weight = float64(w[i%len(w)])
		}
		d := float64(y[i]) - float64(x[i])
		err += weight * d * d
		sum += weight * float64(x[i]) * float64(x[i])
	}
	return math.Sqrt(err / max(1e-60, sum))
}

func roundTrip(t testing.TB, x []float32, typ quant.Type, importance []float32) []float32 {
	t.Helper()
	packed, y := make([]byte, typ.Bytes(len(x))), make([]float32, len(x))
	if err := quant.EncodeWeighted(packed, x, typ, importance); err != nil {
		t.Fatal(err)
	}
	if err := quant.Decode(y, packed, typ); err != nil {
		t.Fatal(err)
	}
	return y
}

// The searching encoders are nowhere worse than ggml's, row by row.
func TestEncodeErrorGolden(t *testing.T) {
	text, err := os.ReadFile("testdata/blocks.json")
	if err != nil {
		t.Fatal(err)
	}
	var meta struct {
		Types map[string]struct {
			Errors []float64 `json:"encode_rmse_over_rms"`
		}
	}
	if err := json.Unmarshal(text, &meta); err != nil {
		t.Fatal(err)
	}
	r := open(t, "blocks.safetensors")
	for _, typ := range searched {
		in, limits := floats(t, r, typ.String()+".in"), meta.Types[typ.String()].Errors
		if len(limits) != 8 {
			t.Fatalf("%v: %d errors in the file", typ, len(limits))
		}
		n := len(in) / len(limits)
		for i, limit := range limits {
			x := in[i*n:][:n]
			// The file has five digits.
			if got := relative(x, roundTrip(t, x, typ, nil), nil); got > limit*(1+5e-5) {
				t.Errorf("%v row %d: error %.5g, ggml's is %.5g", typ, i, got, limit)
			} else {
				t.Logf("%v row %d: error %.5g, ggml's is %.5g", typ, i, got, limit)
			}
		}
	}
}

// weights are numbers as a trained matrix has them: rows of different size and
// some outliers.
func weights(r *rand.Rand, rows, k int) []float32 {
	x := make([]float32, rows*k)
	for i := range x {
		x[i] = float32(r.NormFloat64() * 0.02 * (1 + float64(i/k%3)))
		if r.IntN(300) == 0 {
			x[i] *= 6
		}
	}
	return x
}

// With an importance the weighted error falls, without one that is the same as
// all ones; rows come out the same one by one and together.
func TestEncodeWeighted(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	const rows, k = 4, 1024
	x, importance, ones := weights(r, rows, k), make([]float32, k), make([]float32, k)
	for i := range importance {
		importance[i], ones[i] = float32(math.Exp(2*r.NormFloat64())), 1
	}
	for _, typ := range append([]quant.Type{quant.Q4_0, quant.Q4_1, quant.Q5_0, quant.Q5_1, quant.MXFP4}, searched...) {
		with := relative(x, roundTrip(t, x, typ, importance), importance)
		without := relative(x, roundTrip(t, x, typ, nil), importance)
		if !(with < 0.995*without) {
			t.Errorf("%v: weighted error %.5g with importance, %.5g without", typ, with, without)
		}
		if a, b := relative(x, roundTrip(t, x, typ, ones), nil), relative(x, roundTrip(t, x, typ, nil), nil); a > b*1.001 {
			t.Errorf("%v: error %.5g with equal importance, %.5g without any", typ, a, b)
		}
		whole, row := make([]byte, typ.Bytes(rows*k)), make([]byte, typ.Bytes(k))
		if err := quant.EncodeWeighted(whole, x, typ, importance); err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			if err := quant.EncodeWeighted(row, x[i*k:][:k], typ, importance); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(row, whole[i*len(row):][:len(row)]) {
				t.Errorf("%v: row %d differs alone", typ, i)
			}
		}
	}
}

// Errors do not depend on the size of the numbers, as long as fp16 holds the
// scales well.
func TestEncodeScaleFree(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	x := weights(r, 2, 512)
	for _, typ := range append(ruled[1:], searched...) {
		if typ == quant.TQ1_0 || typ == quant.TQ2_0 {
			continue
		}
		var base float64
		for i, factor := range []float32{1, 0x1p8, 0x1p14} {
			y := append([]float32(nil), x...)
			for j := range y {
				y[j] *= factor
			}
			e := relative(y, roundTrip(t, y, typ, nil), nil)
			if i == 0 {
				base = e
			}
			if math.Abs(e-base) > 0.02*base {
				t.Errorf("%v: error %.5g at factor %g, %.5g at 1", typ, e, factor, base)
			}
		}
	}
}

// Numbers of any size are either encoded to finite numbers or refused by name.
func TestEncodeExtremes(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, typ := range append(ruled[1:], searched...) {
		for _, tc := range []struct {
			x  float32
			ok bool
		}{{0, true}, {1e-45, true}, {-1e-39, true}, {1e-20, true}, {60000, true}, {-60000, true}, {nan, false}, {inf, false}, {-inf, false}, {math.MaxFloat32, typ == quant.MXFP4}, {-math.MaxFloat32, typ == quant.MXFP4}} {
			for _, importance := range [][]float32{nil, make([]float32, typ.Block())} {
				x := make([]float32, 2*typ.Block())
				x[typ.Block()+3] = tc.x
				packed := make([]byte, typ.Bytes(len(x)))
				err := quant.EncodeWeighted(packed, x, typ, importance)
				if (err == nil) != tc.ok {
					t.Fatalf("%v of %g: %v", typ, tc.x, err)
				}
				if err != nil {
					if want := fmt.Sprintf("element %d is", typ.Block()+3); !strings.Contains(err.Error(), want) {
						t.Errorf("%v: %v does not name the element", typ, err)
					}
					continue
				}
				y := make([]float32, len(x))
				if err := quant.Decode(y, packed, typ); err != nil {
					t.Fatal(err)
				}
				for i, v := range y {
					if d := math.Abs(float64(v - x[i])); !(d <= math.Abs(float64(tc.x))) && d > 0x1p-18 {
						t.Errorf("%v: %g became %g beside %g", typ, x[i], v, tc.x)
					}
				}
			}
		}
	}
}

func TestImportanceRefusals(t *testing.T) {
	x, dst := make([]float32, 512), make([]byte, quant.Q4_K.Bytes(512))
	with := func(n, at int, v float32) []float32 {
		w := make([]float32, n)
		w[at] = v
		return w
	}
	for _, tc := range []struct {
		w    []float32
		want string
	}{
		{[]float32{}, "importance of 0 inputs"},
		{make([]float32, 128), "importance of 128 inputs"},
		{make([]float32, 768), "importance of 768 inputs"},
		{with(256, 7, -1), "importance of input 7 is -1"},
		{with(512, 500, float32(math.NaN())), "importance of input 500 is NaN"},
	} {
		err := quant.EncodeWeighted(dst, x, quant.Q4_K, tc.w)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v, want %q", err, tc.want)
		}
	}
}

// Any bytes, read as numbers and repeated over two blocks, are encoded or
// refused; what is encoded decodes to finite numbers within reach of the
// block's.
func FuzzEncode(f *testing.F) {
	types := append(ruled[1:len(ruled):len(ruled)], searched...)
	f.Add(byte(11), []byte{0, 0, 0x80, 0x3f}, byte(0))
	f.Add(byte(9), []byte{0, 0, 0x80, 0xbf, 1, 2, 3, 4}, byte(1))
	f.Add(byte(8), []byte{1, 0, 0, 0, 0xff, 0xff, 0x7f, 0x7f}, byte(2))
	f.Add(byte(14), []byte{0xff, 0xff, 0xff, 0xff, 1, 1, 1, 1, 0}, byte(3))
	f.Fuzz(func(t *testing.T, choice byte, raw []byte, seed byte) {
		typ := types[int(choice)%len(types)]
		if len(raw) < 4 {
			return
		}
		x, packed := make([]float32, 2*typ.Block()), make([]byte, typ.Bytes(2*typ.Block()))
		for i := range x {
			var bits [4]byte
			for j := range bits {
				bits[j] = raw[(4*i+j)%len(raw)]
			}
			x[i] = math.Float32frombits(binary.LittleEndian.Uint32(bits[:]))
		}
		var w []float32
		if seed > 0 {
			w = make([]float32, typ.Block())
			for i := range w {
				w[i] = float32(i * int(seed) % 11)
			}
		}
		err := quant.EncodeWeighted(packed, x, typ, w)
		var amax float64
		for _, v := range x {
			amax = max(amax, math.Abs(float64(v)))
		}
		if err != nil {
			if amax < 65504 {
				t.Fatalf("%v refused numbers up to %g: %v", typ, amax, err)
			}
			return
		}
		y := make([]float32, len(x))
		if err := quant.Decode(y, packed, typ); err != nil {
			t.Fatal(err)
		}
		for i, v := range y {
			if !(math.Abs(float64(v)) <= 2.1*amax+0x1p-17) {
				t.Fatalf("%v: %g became %g; the largest is %g", typ, x[i], v, amax)
			}
		}
	})
}
