// This file holds the Hadamard transform and the low-precision round trips that DeepSeek's own code puts
// on keys and queries: they are part of the model, which was trained with them.
// Sources: DeepSeek-V3.2 and DeepSeek-V4 reference code.

package forward

import (
	"math"
	"math/bits"

	"github.com/haenyeo/haenyeo/quant"
)

const (
	keyBlock   = 64 // channels under one scale in fp8 keys of V4
	indexBlock = 32 // channels under one scale in fp4 index vectors of V4
)

// roundKeys is the fp8 round trip of the channels without rotary embedding, [0,plain) of each of rows
// rows of x.
func roundKeys(x []float32, row, plain, rows int) {
	for r := range rows {
		quant.RoundFP8(x[r*row:][:plain], keyBlock, true)
	}
}

// hadamard multiplies x in place with the Sylvester matrix H[i][j] = (-1)^popcount(i&j) and n^(-1/2),
// n = len(x). Cost: n·log2 n additions when n is a power of two; for other n, which no published model
// has, the leading n rows and columns of the matrix are meant.
func hadamard(x []float32) {
	n := len(x)
	scale := float32(1 / math.Sqrt(float64(n)))
	if n&(n-1) != 0 {
		hadamardDirect(x, scale)
		return
	}
	for step := 1; step < n; step *= 2 {
		for i := 0; i < n; i += 2 * step {
			a, b := x[i:i+step], x[i+step:i+2*step]
			for j, u := range a {
				v := b[j]
				a[j], b[j] = u+v, u-v
			}
		}
	}
	for i := range x {
		x[i] *= scale
	}
}

func hadamardDirect(x []float32, scale float32) {
	y := make([]float32, len(x))
	for i := range y {
		var s float32
		for j, v := range x {
			if bits.OnesCount(uint(i&j))%2 == 1 {
				v = -v
			}
			s += v
		}
		y[i] = s * scale
	}
	copy(x, y)
}
