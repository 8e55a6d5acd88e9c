package quant_test

// ggml's own library encodes and decodes the same numbers. These tests run when
// told where it is, and say so when they are not told:
//
//	HAENYEO_PYTHON=/path/to/python3    any Python 3
//	HAENYEO_LLAMA=/path/to/bin         the folder with llama.cpp's libggml-base.so
//	HAENYEO_WEIGHTS=/path/to/x.gguf    a real model, to quantise its matrices too
//
//	go test -v -run Peer ./quant

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/format/gguf"
	"github.com/haenyeo/haenyeo/quant"
)

// ggml runs testdata/ggml.py.
func ggml(t *testing.T, in []byte, args ...any) []byte {
	t.Helper()
	python, folder := os.Getenv("HAENYEO_PYTHON"), os.Getenv("HAENYEO_LLAMA")
	if python == "" || folder == "" {
		t.Skip("NOT TESTED: whether ggml agrees. Set HAENYEO_PYTHON and HAENYEO_LLAMA (see peers_test.go)")
	}
	words := []string{"testdata/ggml.py", folder}
	for _, a := range args {
		words = append(words, fmt.Sprint(a))
	}
	cmd := exec.Command(python, words...)
	var complaints bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, complaints.String())
	}
	return out
}

func f32Bytes(t *testing.T, x []float32) []byte {
	t.Helper()
	b := make([]byte, 4*len(x))
	if err := quant.Encode(b, x, quant.F32); err != nil {
		t.Fatal(err)
	}
	return b
}

// Random bytes decode to the same bits, whatever scales they are.
func TestPeerDecode(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for _, typ := range decoded {
		if typ == quant.BF16 {
			continue // ggml has no function for rows of it
		}
		const blocks = 2000
		packed := randomBytes(r, blocks*typ.BlockBytes())
		name := strings.ToLower(typ.String())
		if strings.HasSuffix(name, "_k") {
			name = name[:len(name)-1] + "K"
		}
		want, got := make([]float32, blocks*typ.Block()), make([]float32, blocks*typ.Block())
		if err := quant.Decode(want, ggml(t, packed, "decode", name, typ.Block(), typ.BlockBytes()), quant.F32); err != nil {
			t.Fatal(err)
		}
		if err := quant.Decode(got, packed, typ); err != nil {
			t.Fatal(err)
		}
		bad := 0
		for i := range got {
			if math.Float32bits(got[i]) != math.Float32bits(want[i]) && !(got[i] != got[i] && want[i] != want[i]) {
				if bad++; bad < 4 {
					t.Errorf("%v: number %d of block % x is %g, ggml's is %g", typ, i%typ.Block(),
						packed[i/typ.Block()*typ.BlockBytes():][:typ.BlockBytes()], got[i], want[i])
				}
			}
		}
		t.Logf("%v: %d of %d numbers differ", typ, bad, len(got))
	}
}

// matrices are numbers to quantise: made ones, and those of a real model.
func matrices(t *testing.T) map[string][]float32 {
	r := rand.New(rand.NewPCG(13, 14))
	m := map[string][]float32{"made": weights(r, 256, 1024), "ties": make([]float32, 128*1024)}
	for i := range m["ties"] { // whole quarters, of sizes from far below fp16 up, and between them some others
		m["ties"][i] = float32(math.Ldexp(float64(r.IntN(64)-32)/4, i/32%30-24))
		if r.IntN(3) == 0 {
			m["ties"][i] *= float32(r.NormFloat64())
		}
	}
	path := os.Getenv("HAENYEO_WEIGHTS")
	if path == "" {
		t.Log("set HAENYEO_WEIGHTS to a GGUF file to quantise real weights too")
		return m
	}
	file, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, part := range []string{"attn_q", "attn_v", "attn_output", "ffn_down", "ffn_up"} {
		for _, layer := range []int{0, 20} {
			name := fmt.Sprintf("blk.%d.%s.weight", layer, part)
			tensor, ok := file.Tensor(name)
			if !ok {
				continue
			}
			x := make([]float32, tensor.Len())
			if err := quant.Decode(x, tensor.Data, tensor.Type); err != nil {
				t.Fatal(err)
			}
			// The model may have been quantised in blocks of 32: let ours not be its own.
			x = x[16:]
			m[part] = append(m[part], x[:len(x)/1024*1024]...)
		}
	}
	if len(m) == 1 {
		t.Fatalf("no matrices in %s", path)
	}
	return m
}

// Formats with a rule give ggml's bytes on many numbers; the searching ones are
// not worse, with and without importance. The root mean square errors are
// logged.
func TestPeerEncode(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	importance := make([]float32, 1024)
	for i := range importance {
		importance[i] = float32(math.Exp(1.5 * r.NormFloat64()))
	}
	importanceFile := filepath.Join(t.TempDir(), "importance")
	if err := os.WriteFile(importanceFile, f32Bytes(t, importance), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, x := range matrices(t) {
		in := f32Bytes(t, x)
		for _, typ := range ruled[1:] {
			packed := make([]byte, typ.Bytes(len(x)))
			if err := quant.Encode(packed, x, typ); err != nil {
				t.Fatal(err)
			}
			want := ggml(t, in, "encode", uint32(typ), typ.Block(), typ.BlockBytes(), 1024)
			bad := 0
			for i := 0; i < len(packed); i += typ.BlockBytes() {
				if !bytes.Equal(packed[i:][:typ.BlockBytes()], want[i:][:typ.BlockBytes()]) {
					bad++
				}
			}
			if bad > 0 {
				t.Errorf("%s: %v: %d of %d blocks differ from ggml's", name, typ, bad, len(packed)/typ.BlockBytes())
			}
		}
		for _, typ := range append([]quant.Type{quant.Q4_0, quant.Q4_1, quant.Q5_0, quant.Q5_1}, searched...) {
			for _, w := range [][]float32{nil, importance} {
				args := []any{"encode", uint32(typ), typ.Block(), typ.BlockBytes(), 1024}
				if w != nil {
					args = append(args, importanceFile)
				}
				theirs := make([]float32, len(x))
				if err := quant.Decode(theirs, ggml(t, in, args...), typ); err != nil {
					t.Fatal(err)
				}
				a, b := relative(x, roundTrip(t, x, typ, w), w), relative(x, theirs, w)
				t.Logf("%-12s %-7v importance %-5t error %.5g, ggml's %.5g, ratio %.4f", name, typ, w != nil, a, b, a/b)
				if a > b*(1+1e-6) {
					t.Errorf("%s: %v is worse than ggml's", name, typ)
				}
			}
		}
	}
}
