package kernel

import "math"

// The exponential function of float32. The vector kernels evaluate it by a polynomial to within
// maxExpULP units in the last place of the exact value, over the whole range: results below the
// normal range are rounded like the others, exp(+Inf) = +Inf, exp(-Inf) = 0, NaN stays NaN.
// The portable definition goes through float64 and is correctly rounded but for rare ties.

// maxExpULP bounds the error of exp in every set of kernels; tests go through all float32.
const maxExpULP = 1

func exp32(x float32) float32 { return float32(math.Exp(float64(x))) }

func expPortable(y, x []float32) {
	for i := range y {
		y[i] = exp32(x[i])
	}
}

func expSumPortable(y, x []float32, scale, shift float32) float64 {
	var s float64
	for i := range y {
		y[i] = float32(math.Exp(float64(scale)*float64(x[i]) + float64(shift)))
		s += float64(y[i])
	}
	return s
}

func sumExpPortable(x []float32, shift float32) float64 {
	var s float64
	for _, v := range x {
		s += float64(exp32(v + shift))
	}
	return s
}

func softmaxGradPortable(p, d, lse, delta []float32, scale float32) {
	for i := range p {
		p[i] = float32(math.Exp(float64(scale)*float64(p[i]) - float64(lse[i])))
		d[i] = p[i] * (scale * (d[i] - delta[i]))
	}
}
