package kernel

// The elementwise kernels: the inner loops over one row or one chunk that the operations of this
// package are made of. This file holds their table and the portable set that defines them. The
// generated sets (vector_amd64.go, vector_arm64.go) are described in
// internal/asmgen/vector_programs.go.

import "math"

// vector is the table of elementwise kernels, chosen once per Engine. The first slice that does not
// hold pairs or words gives the length n; the others have at least as many elements. Slices of
// one call are equal or do not overlap. A call should last less than 100 us: chunk elements.
type vector struct {
	sumSquares func(x []float32) float64 // sum of x²
	dot        func(x, y []float32) float64
	maximum    func(x []float32) float32 // -Inf when empty; NaN may be skipped
	add        func(y, x []float32)      // y += x
	scale      func(y, x []float32, a float32)
	axpy       func(y, x []float32, a float32)              // y += a·x
	scaleDot   func(ds, dy, s []float32, w float32) float64 // ds = w·dy, returns dy·s

	normApply     func(y, x, w []float32, rstd float32)              // y = w·(x·rstd)
	normGradSum   func(dw, dy, x, w []float32, rstd float32) float64 // t = dy·(x·rstd): dw += t, returns w·t
	normGradApply func(dx, dy, x, w []float32, rstd, c float32)      // dx = rstd·(w·dy − x·c)
	normGradAdd   func(dx, dy, x, w []float32, rstd, c float32)      // the same added to dx

	exp        func(y, x []float32)
	sigmoid    func(y, x []float32)
	swiglu     func(h, g, u []float32)
	swigluGrad func(dg, du, h, dh, g, u []float32)

	expSum      func(y, x []float32, scale, shift float32) float64 // y = exp(scale·x + shift), returns its sum
	sumExp      func(x []float32, shift float32) float64           // sum of exp(x + shift)
	softmaxGrad func(p, d, lse, delta []float32, scale float32)    // p = exp(scale·p − lse), d = scale·p·(d − delta)

	// The same with results as words of bfloat16 (see gemm_tile.go): y for expSum; y and ds for p and
	// d of softmaxGrad, which also leaves d in float32. The upper half of a last, half-filled word
	// is not written. Nil where no tier multiplies such words fast.
	expSumBF16      func(y, x []float32, scale, shift float32) float64
	softmaxGradBF16 func(y, ds, p, d, lse, delta []float32, scale float32)

	ropeHalves func(a, b, c, s []float32, sign float32) // rotates (a[i], b[i])
	ropePairs  func(x, c, s []float32, sign float32)    // rotates (x[2i], x[2i+1])

	// g = gs·G, m = b1·m + d1·g, v = b2·v + d2·g², w = keep·w − rate·m/(sqrt(v)·root + eps)
	adamw      func(w, g, m, v []float32, gs, b1, d1, b2, d2, keep, rate, root, eps float32)
	adamwClear func(w, g, m, v []float32, gs, b1, d1, b2, d2, keep, rate, root, eps float32)
}

// chunk is how many elements one kernel call, and one task of an elementwise operation, takes.
const chunk = 8192

var vectorPortable = vector{
	sumSquares:    sumSquaresPortable,
	dot:           dotPortable,
	maximum:       maximumPortable,
	add:           addPortable,
	scale:         scalePortable,
	axpy:          axpyPortable,
	scaleDot:      scaleDotPortable,
	normApply:     normApplyPortable,
	normGradSum:   normGradSumPortable,
	normGradApply: normGradApplyPortable,
	normGradAdd:   normGradAddPortable,
	exp:           expPortable,
	sigmoid:       sigmoidPortable,
	swiglu:        swigluPortable,
	swigluGrad:    swigluGradPortable,
	expSum:        expSumPortable,
	sumExp:        sumExpPortable,
	softmaxGrad:   softmaxGradPortable,
	ropeHalves:    ropeHalvesPortable,
	ropePairs:     ropePairsPortable,
	adamw:         adamwPortable,
	adamwClear:    adamwClearPortable,
}

func sumSquaresPortable(x []float32) float64 { return dotPortable(x, x) }

func dotPortable(x, y []float32) float64 {
	var s float64
	for i, v := range x {
		s += float64(v) * float64(y[i])
	}
	return s
}

func maximumPortable(x []float32) float32 {
	m := minusInf
	for _, v := range x {
		m = max(m, v)
	}
	return m
}

func addPortable(y, x []float32) {
	for i := range y {
		y[i] += x[i]
	}
}

func scalePortable(y, x []float32, a float32) {
	for i := range y {
		y[i] = a * x[i]
	}
}

func axpyPortable(y, x []float32, a float32) {
	for i := range y {
		y[i] += a * x[i]
	}
}

func scaleDotPortable(ds, dy, s []float32, w float32) float64 {
	d := dotPortable(dy[:len(ds)], s)
	scalePortable(ds, dy, w)
	return d
}

var minusInf = float32(math.Inf(-1))
