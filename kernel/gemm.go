package kernel

// Weights and the products of linear layers, forward and backward. The work is done by
// gemm_linear.go (y and dx) and gemm_weightgrad.go (dW).

// Weight is a matrix [N,K] (out, in) prepared for products with activations. Pack fills it.
type Weight struct {
	N, K  int
	DType DType

	r       *route
	source  []float32 // of the last Pack
	forward []float32 // panels of N columns, reduced over K
	inverse []float32 // panels of K columns, reduced over N; made when first needed
}

// NewWeight makes room for a matrix of n output and k input features.
func (e *Engine) NewWeight(n, k int, dt DType) *Weight {
	w := &Weight{N: n, K: k, DType: dt, r: e.route(dt)}
	w.forward = aligned(w.r.rightLen(n, k))
	return w
}

// Pack fills ws[i] from src[i], row-major [N,K]. Call it whenever the master weights changed. The
// form for LinearInputGrad is made by the first call of that, from src[i] as it is then, and by
// Pack ever after; a Weight that only serves inference has no second copy.
func (e *Engine) Pack(ws []*Weight, src [][]float32) {
	t := &e.packing
	t.ws, t.parts, t.only = ws, t.parts[:0], packBoth
	for i, w := range ws {
		w.source = src[i][:w.N*w.K]
		t.cut(i, w)
	}
	e.pool.Run(len(t.parts), t)
	t.ws = nil
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
	e.linear(false, y, ldy, x, ldx, gather, groups, accumulate)
}

// LinearInputGrad computes dx[r,:] = W_gᵀ dy[r,:], added to dx when accumulate.
//
//	dx [rows,K] stride lddx written   dy [rows,N] stride lddy read
func (e *Engine) LinearInputGrad(dx []float32, lddx int, dy []float32, lddy int, groups []Group, accumulate bool) {
	e.needInverse(groups)
	e.linear(true, dx, lddx, dy, lddy, nil, groups, accumulate)
}

// LinearWeightGrad adds sum_r dy[r,n]·x[row(r),k] to Grad[n,k] of every group.
//
//	dy [rows,N] stride lddy read   x [tokens,K] stride ldx read
func (e *Engine) LinearWeightGrad(dy []float32, lddy int, x []float32, ldx int, gather []int32, groups []Group) {
	e.weightGrad(dy, lddy, x, ldx, gather, groups)
}

// Product is C = Alpha·op(A)·op(B) + Beta·C with op(X) = X or Xᵀ, over row-major float32 matrices.
type Product struct {
	C, A, B        []float32
	LDC, LDA, LDB  int
	TransA, TransB bool
	M, N, K        int
	Alpha, Beta    float32
	Symmetric      bool // C is known to be symmetric, before (if Beta is not 0) and after: half is computed
}

// Multiply computes independent products in parallel. The C matrices must not overlap.
func (e *Engine) Multiply(ps []Product, dt DType) { e.products(ps, dt) }
