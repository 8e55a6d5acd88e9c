package kernel

import (
	"bytes"

	"github.com/haenyeo/haenyeo/quant"
)

// Kernels on weights in the blocks of their files, for the types and processors that have them: the
// table, the arguments, and what stored_product.go makes of them. They are described in
// internal/asmgen/quant.go. For everything else weights are decoded in Go and multiplied as float32,
// which is also the twin that tests hold these kernels against.

// direct holds the kernels of one type.
type direct struct {
	dot            func(*dots)
	decode         func(dst *float32, src, scales *byte, blocks int)
	weights, bytes int // of a block
	scales         int // bytes of its scales, if they lie apart
	most           int // rows of x that dot takes at once, a power of two
}

// The matrices of safetensors files have no quant.Type; their kernels come after those that have.
const (
	directE4M3 = quant.NVFP4 + 1 + iota
	directE2M1
)

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

	scales      []byte // that lie apart from the codes, of every row scaleStride bytes further on
	scaleStride int

	tail  [32]float32 // weights, of addTails
	table []byte      // scales, of place
}

// Limits of one call, so that it lasts well below 100 µs. What several calls with more rows of x read again
// stays in a core's second cache.
const (
	directBytes   = 128 << 10 // of weights multiplied
	decodeWeights = 1 << 16
)

// directOf is how w is multiplied where it lies, or nil.
func (e *Engine) directOf(w *Stored) *direct {
	typ := w.Type
	switch m := w.Coded.(type) {
	case *quant.MatrixFP8:
		if m.BlockCols != 128 || m.K%128 != 0 || m.K != w.K {
			return nil
		}
		typ = directE4M3
	case *quant.MatrixFP4:
		if m.K != w.K {
			return nil
		}
		typ = directE2M1
	default:
		if w.Decode != nil {
			return nil
		}
	}
	return e.directFor(typ)
}

// directFor is the kernels of a type, nil where there are none.
func (e *Engine) directFor(t quant.Type) *direct {
	if int(t) >= len(e.direct) || e.direct[t].dot == nil {
		return nil
	}
	return &e.direct[t]
}

// place points a at rows [lo,hi) of w, or at fewer of them, and returns where they end. The number of
// blocks is set before.
func (a *dots) place(w *Stored, lo, hi int) int {
	switch m := w.Coded.(type) {
	case *quant.MatrixFP8: // rows of the same scales, which become float32
		first := lo + w.First
		a.table = m.AppendScales(a.table[:0], first)
		hi = min(hi, lo+m.BlockRows-first%m.BlockRows)
		a.w, a.stride = m.Codes[first*m.K:(hi+w.First)*m.K], m.K
		a.scales, a.scaleStride = a.table, 0
	case *quant.MatrixFP4:
		a.stride, a.scaleStride = m.K/2, m.K/32
		lo, end := lo+w.First, hi+w.First
		a.w, a.scales = m.Codes[lo*a.stride:end*a.stride], m.Scales[lo*a.scaleStride:end*a.scaleStride]
	default:
		a.stride = w.Type.Bytes(w.K)
		a.w = w.Data[lo*a.stride : hi*a.stride]
	}
	a.rows = hi - lo
	return hi
}

// multiply calls the kernel. Like the methods of route it is never inlined.
//
//go:noinline
func (d *direct) multiply(a *dots) {
	if a.rows == 0 || a.blocks == 0 {
		return
	}
	_ = a.w[(a.rows-1)*a.stride+a.blocks*d.bytes-1]
	if d.scales > 0 {
		_ = a.scales[(a.rows-1)*a.scaleStride+a.blocks*d.scales-1]
	}
	n := a.blocks * d.weights
	xs, ys := [4][]float32{a.x0, a.x1, a.x2, a.x3}, [4][]float32{a.y0, a.y1, a.y2, a.y3}
	for i := range a.xs {
		_, _ = xs[i][n-1], ys[i][a.rows-1]
	}
	d.dot(a)
}

// decodeBlocks unpacks blocks, whose scales are nil unless they lie apart.
//
//go:noinline
func (d *direct) decodeBlocks(dst []float32, src, scales []byte, blocks int) {
	if blocks == 0 {
		return
	}
	_, _ = dst[blocks*d.weights-1], src[blocks*d.bytes-1]
	if d.scales == 0 {
		d.decode(&dst[0], &src[0], nil, blocks)
		return
	}
	_ = scales[blocks*d.scales-1]
	d.decode(&dst[0], &src[0], &scales[0], blocks)
}

// rows decodes rows [lo,hi) of w to dst.
func (d *direct) rows(a *dots, dst []float32, w *Stored, lo, hi int) {
	if w.K%d.weights != 0 {
		w.Rows(dst, lo, hi)
		return
	}
	each := w.K / d.weights
	if d.scales > 0 {
		for i := lo; i < hi; i++ {
			a.place(w, i, i+1)
			if y := dst[(i-lo)*w.K:][:w.K]; hasNaN(w, a.w) {
				w.Rows(y, i, i+1)
			} else {
				d.decodeBlocks(y, a.w, a.scales, each)
			}
		}
	} else {
		a.place(w, lo, hi)
		src := a.w
		for blocks := (hi - lo) * each; blocks > 0; {
			n := min(blocks, decodeWeights/d.weights)
			d.decodeBlocks(dst, src, nil, n)
			dst, src, blocks = dst[n*d.weights:], src[n*d.bytes:], blocks-n
		}
	}
	*a = dots{table: a.table}
}

// hasNaN looks for the codes of E4M3 for NaN, which the decoder takes for numbers. No file should have one.
func hasNaN(w *Stored, codes []byte) bool {
	_, fp8 := w.Coded.(*quant.MatrixFP8)
	return fp8 && (bytes.IndexByte(codes, 0x7f) >= 0 || bytes.IndexByte(codes, 0xff) >= 0)
}

// fewDirect computes outputs [lo,hi) of p from the weights where they lie.
func (t *storedTask) fewDirect(sc *worker, d *direct, p *StoredProduct, lo, hi int) {
	k := p.W.K
	blocks := k / d.weights
	step := max(2, directBytes/max(1, blocks*d.bytes)&^1)
	a := &sc.dots
	a.blocks = blocks
	for n0 := lo; n0 < hi; n0 += a.rows {
		n1 := a.place(p.W, n0, min(n0+step, hi))
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
	*a = dots{table: a.table}
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
