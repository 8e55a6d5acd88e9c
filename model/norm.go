// This file holds the RMSNorm layer, forward and backward. The backward pass needs inputs and rstd;
// those who need outputs there keep them (block.go) or compute them again (mla.go).

package model

// latentEps is the eps of the norms on the query and key/value latents, whatever rms_norm_eps says.
// Source: the publisher's code.
const latentEps = 1e-6

type norm struct {
	n     int
	eps   float32
	w, dw []float32 // [n]
}

// forward computes y = w ⊙ x·rstd for rows rows.
//
//	y [rows,n] stride ldy written   rstd [rows] written   x [rows,n] stride ldx read
func (m *norm) forward(p *pass, y []float32, ldy int, rstd, x []float32, ldx, rows int) {
	p.e.RMSNorm(y, ldy, rstd, x, ldx, m.w, rows, m.n, m.eps)
}

// backward writes dx (adds to it when accumulate) and adds to the gradient of w.
//
//	dx [rows,n] stride lddx written   dy [rows,n] stride lddy read   x, rstd as in forward
func (m *norm) backward(p *pass, dx []float32, lddx int, dy []float32, lddy int, x []float32, ldx int, rstd []float32, rows int, accumulate bool) {
	p.e.RMSNormGrad(dx, lddx, m.dw, dy, lddy, x, ldx, m.w, rstd, rows, m.n, accumulate)
}
