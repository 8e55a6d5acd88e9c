package kernel

// Weight is a matrix [N,K] (out, in) prepared for products with activations. Pack fills it.
type Weight struct {
	N, K  int
	DType DType
	rows  []float32
}

// NewWeight makes room for a matrix of n output and k input features.
func (e *Engine) NewWeight(n, k int, dt DType) *Weight {
	return &Weight{N: n, K: k, DType: dt, rows: make([]float32, n*k)}
}

// Pack fills ws[i] from src[i], row-major [N,K]. Call it whenever the master weights changed.
func (e *Engine) Pack(ws []*Weight, src [][]float32) {
	for i, w := range ws {
		copy(w.rows, src[i][:w.N*w.K])
	}
}

// Group says that rows [Lo,Hi) of the activations meet weight W. Groups of one call must not
// overlap. A plain linear layer is one group; the experts of an MoE layer are E groups over rows
// sorted by expert.
type Group struct {
	W      *Weight
	Lo, Hi int
	Grad   []float32 // [N,K], accumulated by LinearWeightGrad; else unused
}

// Linear computes y[r,:] = W_g x[row(r),:] for every row r of every group, added to y when
// accumulate. row(r) is gather[r], or r when gather is nil.
//
//	y [rows,N] stride ldy written   x [tokens,K] stride ldx read
//
// 2·rows·N·K FLOPs.
func (e *Engine) Linear(y []float32, ldy int, x []float32, ldx int, gather []int32, groups []Group, accumulate bool) {
	for _, g := range groups {
		for r := g.Lo; r < g.Hi; r++ {
			src := r
			if gather != nil {
				src = int(gather[r])
			}
			xr := x[src*ldx:][:g.W.K]
			yr := y[r*ldy:][:g.W.N]
			for n := range yr {
				wr := g.W.rows[n*g.W.K:][:g.W.K]
				var s float32
				for k, v := range xr {
					s += v * wr[k]
				}
				if accumulate {
					s += yr[n]
				}
				yr[n] = s
			}
		}
	}
}

// LinearInputGrad computes dx[r,:] = W_gᵀ dy[r,:], added to dx when accumulate.
//
//	dx [rows,K] stride lddx written   dy [rows,N] stride lddy read
func (e *Engine) LinearInputGrad(dx []float32, lddx int, dy []float32, lddy int, groups []Group, accumulate bool) {
	for _, g := range groups {
		for r := g.Lo; r < g.Hi; r++ {
			dyr := dy[r*lddy:][:g.W.N]
			dxr := dx[r*lddx:][:g.W.K]
			if !accumulate {
				clear(dxr)
			}
			for n, v := range dyr {
				wr := g.W.rows[n*g.W.K:][:g.W.K]
				for k := range dxr {
					dxr[k] += v * wr[k]
				}
			}
		}
	}
}

// LinearWeightGrad adds sum_r dy[r,n]·x[row(r),k] to Grad[n,k] of every group.
func (e *Engine) LinearWeightGrad(dy []float32, lddy int, x []float32, ldx int, gather []int32, groups []Group) {
	for _, g := range groups {
		for r := g.Lo; r < g.Hi; r++ {
			src := r
			if gather != nil {
				src = int(gather[r])
			}
			xr := x[src*ldx:][:g.W.K]
			for n, v := range dy[r*lddy:][:g.W.N] {
				gr := g.Grad[n*g.W.K:][:g.W.K]
				for k := range gr {
					gr[k] += v * xr[k]
				}
			}
		}
	}
}

// Product is C = Alpha·op(A)·op(B) + Beta·C with op(X) = X or Xᵀ, over row-major float32 matrices.
type Product struct {
	C, A, B        []float32
	LDC, LDA, LDB  int
	TransA, TransB bool
	M, N, K        int
	Alpha, Beta    float32
}

// Multiply computes independent products in parallel. The C matrices must not overlap.
func (e *Engine) Multiply(ps []Product, dt DType) {
	for _, p := range ps {
		for i := range p.M {
			for j := range p.N {
				var s float32
				for k := range p.K {
					var a, b float32
					if p.TransA {
						a = p.A[k*p.LDA+i]
					} else {
						a = p.A[i*p.LDA+k]
					}
					if p.TransB {
						b = p.B[j*p.LDB+k]
					} else {
						b = p.B[k*p.LDB+j]
					}
					s += a * b
				}
				c := &p.C[i*p.LDC+j]
				if p.Beta == 0 {
					*c = p.Alpha * s
				} else {
					*c = p.Alpha*s + p.Beta**c
				}
			}
		}
	}
}
