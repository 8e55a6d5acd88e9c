package kernel

import "github.com/haenyeo/haenyeo/quant"

// Kernels on weights in the blocks of their files, for the types and processors that have them: the
// table, the arguments, and what stored_product.go makes of them. They are described in
// internal/asmgen/quant.go. For everything else weights are decoded in Go and multiplied as float32,
// which is also the twin that tests hold these kernels against.

// direct holds the kernels of one type.
type direct struct {
	dot            func(*dots)
	decode         func(dst *float32, src *byte, blocks int)
	weights, bytes int // of a block
	most           int // rows of x that dot takes at once, a power of two
}

// dots asks for products of rows rows of weights, stride bytes apart, with xs rows of float32:
//
//	y_i[r] = Σ_k w[r,k]·x_i[k]     blocks·weights values of k
//
// Every one is summed in float32, in an order that depends on nothing but k. Assembly reads this struct
// by field name.
type dots struct {
	w              []byte
	stride         int
	rows, blocks   int
	xs             int // 1, 2 or 4
	x0, x1, x2, x3 []float32
	y0, y1, y2, y3 []float32
	tail           [32]float32 // weights, of addTails
}

// Limits of one call, so that it lasts well below 100 µs. Where several calls follow each other with the
// same weights, these stay in a core's first caches.
const (
	directBytes  = 128 << 10
	againBytes   = 24 << 10
	decodeBlocks = 1 << 16 // weights decoded by a call
)

// directOf is how w is multiplied where it lies, or nil.
func (e *Engine) directOf(w *Stored) *direct {
	if w.Decode != nil || int(w.Type) >= len(e.direct) || e.direct[w.Type].dot == nil {
		return nil
	}
	return &e.direct[w.Type]
}

// multiply calls the kernel. Like the methods of route it is never inlined.
//
//go:noinline
func (d *direct) multiply(t *dots) {
	if t.rows == 0 || t.blocks == 0 {
		return
	}
	_ = t.w[(t.rows-1)*t.stride+t.blocks*d.bytes-1]
	n := t.blocks * d.weights
	xs, ys := [4][]float32{t.x0, t.x1, t.x2, t.x3}, [4][]float32{t.y0, t.y1, t.y2, t.y3}
	for i := range t.xs {
		_, _ = xs[i][n-1], ys[i][t.rows-1]
	}
	d.dot(t)
}

//go:noinline
func (d *direct) decodeBlocks(dst []float32, src []byte, blocks int) {
	if blocks > 0 {
		_, _ = dst[blocks*d.weights-1], src[blocks*d.bytes-1]
		d.decode(&dst[0], &src[0], blocks)
	}
}

// rows decodes rows [lo,hi) of w to dst.
func (d *direct) rows(dst []float32, w *Stored, lo, hi int) {
	if w.K%d.weights != 0 {
		w.Rows(dst, lo, hi)
		return
	}
	row := w.Type.Bytes(w.K)
	src := w.Data[lo*row : hi*row]
	for blocks := (hi - lo) * (w.K / d.weights); blocks > 0; {
		n := min(blocks, decodeBlocks/d.weights)
		d.decodeBlocks(dst, src, n)
		dst, src, blocks = dst[n*d.weights:], src[n*d.bytes:], blocks-n
	}
}

// fewDirect computes outputs [lo,hi) of p from the weights where they lie.
func (t *storedTask) fewDirect(sc *worker, d *direct, p *StoredProduct, lo, hi int) {
	k := p.W.K
	stride, blocks := p.W.Type.Bytes(k), k/d.weights
	limit := directBytes
	if p.Rows > d.most {
		limit = againBytes
	}
	step := max(2, limit/max(1, stride)&^1)
	a := &sc.dots
	for n0 := lo; n0 < hi; n0 += step {
		n1 := min(n0+step, hi)
		a.w, a.stride, a.rows, a.blocks = p.W.Data[n0*stride:n1*stride], stride, n1-n0, blocks
		for r := 0; r < p.Rows; r += a.xs {
			a.xs = d.most
			for a.xs > p.Rows-r {
				a.xs /= 2
			}
			xs, ys := [...]*[]float32{&a.x0, &a.x1, &a.x2, &a.x3}, [...]*[]float32{&a.y0, &a.y1, &a.y2, &a.y3}
			sums := ys[:a.xs]
			out := room(&sc.a, a.xs*a.rows)
			for i := range sums {
				*xs[i] = p.row(r+i, k)
				*ys[i] = p.Y[(r+i)*p.LDY:][n0:n1]
				if p.Accumulate {
					*ys[i] = out[i*a.rows:][:a.rows]
				}
				if blocks == 0 {
					clear(*ys[i])
				}
			}
			d.multiply(a)
			for i := range sums {
				a.addTails(p.W, *ys[i], (*xs[i])[blocks*d.weights:], n0)
				if p.Accumulate {
					t.e.vec.add(p.Y[(r+i)*p.LDY:][n0:n1], *ys[i])
				}
			}
		}
	}
	*a = dots{}
}

// addTails adds the products of x, the end of a row, to the sums of the rows of w from row n on: numbers
// after the last whole block, of types whose rows need not be whole blocks of a kernel.
func (a *dots) addTails(w *Stored, y, x []float32, n int) {
	if len(x) == 0 {
		return
	}
	tail := a.tail[:len(x)]
	row, size := w.Type.Bytes(w.K), w.Type.Bytes(len(x))
	for i := range y {
		end := w.Data[(n+i+1)*row-size:][:size]
		if quant.Decode(tail, end, w.Type) != nil {
			panic("kernel: the tail of a row is not whole blocks")
		}
		for j, v := range x {
			y[i] += float32(tail[j] * v)
		}
	}
}
