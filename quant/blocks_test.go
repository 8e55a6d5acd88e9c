package quant_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/quant"
)

var (
	// decoded are the types in the golden file.
	decoded = []quant.Type{
		quant.BF16, quant.Q4_0, quant.Q4_1, quant.Q5_0, quant.Q5_1, quant.Q8_0, quant.IQ4_NL, quant.MXFP4, quant.NVFP4,
		quant.Q2_K, quant.Q3_K, quant.Q4_K, quant.Q5_K, quant.Q6_K, quant.IQ4_XS, quant.TQ1_0, quant.TQ2_0,
		quant.IQ2_XXS, quant.IQ2_XS, quant.IQ2_S, quant.IQ3_XXS, quant.IQ3_S, quant.IQ1_S, quant.IQ1_M,
	}
	all = append([]quant.Type{
		quant.F32, quant.F16, quant.F64, quant.I8, quant.I16, quant.I32, quant.I64, quant.Q8_1, quant.Q8_K,
	}, decoded...)
)

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
		{"withdrawn", quant.Decode(nil, nil, 4), "type 4 was withdrawn"},
		{"newer", quant.Type(41).Check(), "newer"},
		{"fork", quant.Type(97).Check(), "fork"},
		{"largest", quant.Type(math.MaxUint32).Check(), "fork"},
		{"part of a block", quant.Decode(make([]float32, 33), make([]byte, 34), quant.Q8_0), "33 numbers"},
		{"short source", quant.Decode(make([]float32, 32), make([]byte, 33), quant.Q8_0), "34 bytes, not 33"},
		{"short destination", quant.Encode(make([]byte, 33), make([]float32, 32), quant.Q8_0), "34 bytes, not 33"},
		{"no encoder", quant.Encode(make([]byte, 66), make([]float32, 256), quant.IQ2_XXS), "IQ2_XXS cannot be encoded"},
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

// Numbers that are no formats of ggml's own.
func TestDecodePlain(t *testing.T) {
	le := binary.LittleEndian
	for _, tc := range []struct {
		typ  quant.Type
		in   []byte
		want []float32
	}{
		{quant.I8, []byte{0, 1, 0x7f, 0x80, 0xff}, []float32{0, 1, 127, -128, -1}},
		{quant.I16, []byte{1, 2, 0, 0x80}, []float32{513, -32768}},
		{quant.I32, le.AppendUint32(le.AppendUint32(nil, 1<<24+1), 1<<31), []float32{1 << 24, -1 << 31}},
		{quant.I64, le.AppendUint64(le.AppendUint64(nil, 1<<40+3), math.MaxUint64), []float32{1 << 40, -1}},
		{quant.F64, le.AppendUint64(le.AppendUint64(nil, math.Float64bits(0.1)), math.Float64bits(1e300)), []float32{0.1, float32(math.Inf(1))}},
		{quant.F16, []byte{0, 0x3c, 1, 0, 0, 0xfc, 0, 0x80, 0xff, 0x7b}, []float32{1, 0x1p-24, float32(math.Inf(-1)), float32(math.Copysign(0, -1)), 65504}},
		{quant.BF16, []byte{0x80, 0x3f, 0, 0xc0, 1, 0, 0x80, 0x7f, 0, 0x80}, []float32{1, -2, 0x1p-133, float32(math.Inf(1)), float32(math.Copysign(0, -1))}},
	} {
		got := make([]float32, len(tc.want))
		if err := quant.Decode(got, tc.in, tc.typ); err != nil {
			t.Fatal(err)
		}
		for i, want := range tc.want {
			if !same(got[i], want) {
				t.Errorf("%v: number %d is %g, want %g", tc.typ, i, got[i], want)
			}
		}
	}
}

// Rows are independent: decoding several blocks at once gives what decoding
// each does, for random bytes too, where the golden rows do not reach.
func TestDecodeBlocksApart(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, typ := range all {
		n, size := typ.Block(), typ.BlockBytes()
		packed := make([]byte, 7*size)
		for i := range packed {
			packed[i] = byte(r.Uint32())
		}
		whole, one := make([]float32, 7*n), make([]float32, n)
		if err := quant.Decode(whole, packed, typ); err != nil {
			t.Fatal(err)
		}
		for b := range 7 {
			if err := quant.Decode(one, packed[b*size:][:size], typ); err != nil {
				t.Fatal(err)
			}
			for i, x := range one {
				if !same(x, whole[b*n+i]) {
					t.Fatalf("%v: number %d of block %d is %g alone, %g among others", typ, i, b, x, whole[b*n+i])
				}
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	r := open(f, "blocks.safetensors")
	for _, typ := range decoded {
		f.Add(uint32(typ), tensor(f, r, typ.String()+".bytes").Data[:typ.BlockBytes()])
	}
	for _, typ := range all {
		f.Add(uint32(typ), bytes.Repeat([]byte{0xff}, typ.BlockBytes()))
	}
	f.Add(uint32(5), []byte{1})
	f.Add(uint32(math.MaxUint32), []byte{})
	f.Fuzz(func(t *testing.T, number uint32, packed []byte) {
		typ := quant.Type(number)
		if err := typ.Check(); err != nil {
			if quant.Decode(make([]float32, len(packed)), packed, typ) == nil {
				t.Fatal("decoded a type that does not exist")
			}
			return
		}
		blocks := len(packed) / typ.BlockBytes()
		dst := make([]float32, blocks*typ.Block()+1)
		dst[len(dst)-1] = 12345
		fits := packed[:blocks*typ.BlockBytes()]
		if err := quant.Decode(dst[:len(dst)-1], fits, typ); err != nil {
			t.Fatal(err)
		}
		if dst[len(dst)-1] != 12345 {
			t.Fatal("wrote beyond the blocks")
		}
		if len(packed) > len(fits) && quant.Decode(dst[:len(dst)-1], packed, typ) == nil {
			t.Fatal("took a part of a block")
		}
	})
}
