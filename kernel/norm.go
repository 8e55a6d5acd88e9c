package kernel

import "math"

// RMSNorm computes y = w ⊙ x·rstd, rstd = (mean x² + eps)^(-1/2), for each of rows rows of n
// channels.
//
//	y [rows,n] stride ldy written   rstd [rows] written   x [rows,n] stride ldx read   w [n] read
//
// Source: DeepSeek-V3 reference code; family of Zhang and Sennrich 2019.
func (e *Engine) RMSNorm(y []float32, ldy int, rstd []float32, x []float32, ldx int, w []float32, rows, n int, eps float32) {
	for r := range rows {
		xr, yr := x[r*ldx:][:n], y[r*ldy:][:n]
		var s float64
		for _, v := range xr {
			s += float64(v) * float64(v)
		}
		rs := float32(1 / math.Sqrt(s/float64(n)+float64(eps)))
		rstd[r] = rs
		for i, v := range xr {
			yr[i] = w[i] * (v * rs)
		}
	}
}

// RMSNormGrad adds to dw and writes dx (adds to it when accumulate):
//
//	x̂ = x·rstd   a = w ⊙ dy   dw += dy ⊙ x̂   dx = rstd·(a − x̂·mean(a ⊙ x̂))
func (e *Engine) RMSNormGrad(dx []float32, lddx int, dw []float32, dy []float32, lddy int, x []float32, ldx int, w, rstd []float32, rows, n int, accumulate bool) {
	for r := range rows {
		xr, dyr, dxr, rs := x[r*ldx:][:n], dy[r*lddy:][:n], dx[r*lddx:][:n], rstd[r]
		var m float32
		for i := range xr {
			xh := xr[i] * rs
			m += w[i] * dyr[i] * xh
			dw[i] += dyr[i] * xh
		}
		m /= float32(n)
		for i := range xr {
			d := rs * (w[i]*dyr[i] - xr[i]*rs*m)
			if accumulate {
				d += dxr[i]
			}
			dxr[i] = d
		}
	}
}
