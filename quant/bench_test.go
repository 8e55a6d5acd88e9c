package quant_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/haenyeo/haenyeo/quant"
)

// Decoding panels of 16 rows of 4096: what the engine does for every matrix.
func BenchmarkDecode(b *testing.B) {
	const n = 16 * 4096
	r := rand.New(rand.NewPCG(1, 1))
	dst := make([]float32, n)
	rate := func(b *testing.B, bytes int) {
		b.SetBytes(int64(bytes))
		b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds()/1e9, "Gelem/s")
	}
	for _, typ := range append([]quant.Type{quant.F32, quant.F16}, decoded...) {
		src := randomBytes(r, typ.Bytes(n))
		if typ == quant.F16 { // as weights are: no infinities, few subnormals
			if err := quant.Encode(src, weights(r, 16, 4096), typ); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(typ.String(), func(b *testing.B) {
			for b.Loop() {
				if err := quant.Decode(dst, src, typ); err != nil {
					b.Fatal(err)
				}
			}
			rate(b, len(src))
		})
	}
	fp8 := &quant.MatrixFP8{N: 16, K: 4096, Codes: randomBytes(r, n), Scales: make([]byte, 4*32), BlockRows: 128, BlockCols: 128}
	b.Run("MatrixFP8", func(b *testing.B) {
		for b.Loop() {
			fp8.Rows(dst, 0, 16)
		}
		rate(b, n)
	})
	fp4 := &quant.MatrixFP4{N: 16, K: 4096, Codes: randomBytes(r, n/2), Scales: randomBytes(r, n/32)}
	b.Run("MatrixFP4", func(b *testing.B) {
		for b.Loop() {
			fp4.Rows(dst, 0, 16)
		}
		rate(b, n/2+n/32)
	})
}

func BenchmarkEncode(b *testing.B) {
	const n = 16 * 1024
	x := weights(rand.New(rand.NewPCG(2, 2)), 16, 1024)
	importance := make([]float32, 1024)
	for i := range importance {
		importance[i] = float32(i%7 + 1)
	}
	for _, typ := range append(ruled, searched...) {
		for _, w := range [][]float32{nil, importance} {
			dst := make([]byte, typ.Bytes(n))
			b.Run(fmt.Sprintf("%v/weighted=%t", typ, w != nil), func(b *testing.B) {
				for b.Loop() {
					if err := quant.EncodeWeighted(dst, x, typ, w); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/n, "ns/elem")
			})
		}
	}
}

func BenchmarkRound(b *testing.B) {
	x := weights(rand.New(rand.NewPCG(3, 3)), 1, 4096)
	b.Run("FP8", func(b *testing.B) {
		for b.Loop() {
			quant.RoundFP8(x, 128, true)
		}
	})
	b.Run("FP4", func(b *testing.B) {
		for b.Loop() {
			quant.RoundFP4(x, 32)
		}
	})
}
