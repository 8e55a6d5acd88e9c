// This file holds the encoders of Q2_K, Q4_K and Q5_K: sub-blocks of numbers
// scale q - floor, whose scales and floors are small whole numbers times the
// block's d and dmin.
//
// The steps: best scale and floor of each sub-block alone (fit.go); d and dmin
// so that the largest of them are the largest whole numbers; then in turns the
// best whole numbers and codes under d and dmin, and the best d and dmin under
// those, while the error falls.

package quant

import "math"

// affine describes such a format.
type affine struct {
	sub    int // numbers in a sub-block
	top    int // largest code
	scales int // largest whole number for a scale or floor
}

var (
	formatQ2_K = affine{16, 3, 15}
	formatQ4_K = affine{32, 15, 63}
	formatQ5_K = affine{32, 31, 63}
)

// affineStarts are what part of the largest whole number the largest scale and
// the largest floor become at first. Which d and dmin suit the smaller ones, and
// what fp16 makes of them, is luck: so several are tried.
var affineStarts = [][2]float64{{1, 1}, {0.94, 1}, {1, 0.889}, {0.88, 0.94}, {0.97, 0.83}, {0.82, 0.97}, {0.91, 0.91}, {1.06, 1.03}}

// packed is a block in the whole numbers of an affine format.
type packed struct {
	d, dmin       float32
	scale, floor  [16]byte
	codes         [256]byte
	exact, exactm float64 // d and dmin in units of the block
}

// pack finds the block for 256 numbers; ok is false if no fp16 can hold a
// scale.
func (f *affine) pack(x, w []float32) (best packed, ok bool) {
	var n numbers
	if !n.load(x, w) {
		return best, true
	}
	count := 256 / f.sub
	var scales, floors [16]float64
	var sums [16]fixed
	var maxScale, maxFloor float64
	for j := range count {
		xs, ws := n.x[j*f.sub:][:f.sub], n.w[j*f.sub:][:f.sub]
		sums[j] = sumFixed(xs, ws)
		scales[j], floors[j] = fitAffine(xs, ws, f.top, false)
		maxScale, maxFloor = max(maxScale, scales[j]), max(maxFloor, floors[j])
	}
	least := math.Inf(1)
	try := func(d, dmin float64) (nextd, nextdmin float64, better bool) {
		var p packed
		p.d, p.exact = n.half(d)
		p.dmin, p.exactm = n.half(dmin)
		if math.IsInf(p.exact, 0) || math.IsInf(p.exactm, 0) {
			return 0, 0, false
		}
		e, nextd, nextdmin := f.whole(&p, &n, &sums, &scales, &floors)
		if better = e < least*(1-1e-6); better {
			least, best, ok = e, p, true
		}
		return nextd, nextdmin, better
	}
	var d, dmin float64
	for _, start := range affineStarts {
		top := float64(f.scales)
		if nextd, nextdmin, better := try(maxScale/(top*start[0]), maxFloor/(top*start[1])); better {
			d, dmin = nextd, nextdmin
		}
	}
	if !ok {
		return best, false
	}
	for range 4 {
		var better bool
		if d, dmin, better = try(d, dmin); !better {
			break
		}
	}
	for j := range count {
		xs, ws := n.x[j*f.sub:][:f.sub], n.w[j*f.sub:][:f.sub]
		if s := best.exact * float64(best.scale[j]); s > 0 {
			round(best.codes[j*f.sub:][:f.sub], xs, ws, 1/s, best.exactm*float64(best.floor[j]), f.top)
		}
	}
	return best, true
}

// whole finds the whole numbers of p under its d and dmin. It returns the error
// and the d and dmin that would be best for these numbers and their codes.
func (f *affine) whole(p *packed, n *numbers, all *[16]fixed, scales, floors *[16]float64) (total, d, dmin float64) {
	// The sums of the equations for d and dmin: with a = scale q and b = floor,
	// minimise sum w (d a - dmin b - x)^2.
	var aa, ab, bb, ax, bx float64
	for j := range 256 / f.sub {
		xs, ws, fx := n.x[j*f.sub:][:f.sub], n.w[j*f.sub:][:f.sub], all[j]
		least, bestScale, bestFloor, bestSums := math.Inf(1), 0, 0, sums{}
		try := func(scale, floor int) sums {
			var r sums
			s, m := p.exact*float64(scale), p.exactm*float64(floor)
			if s > 0 {
				r = round(nil, xs, ws, 1/s, m, f.top)
			}
			if e := r.err(fx, s, m); e < least {
				least, bestScale, bestFloor, bestSums = e, scale, floor, r
			}
			return r
		}
		near := f.nearest(scales[j], p.exact)
		floor := f.nearest(floors[j], p.exactm)
		for scale := max(near-1, 0); scale <= min(near+1, f.scales); scale++ {
			r := try(scale, floor)
			s := p.exact * float64(scale)
			if better := f.nearest((s*r.q-fx.wx)/fx.w, p.exactm); better != floor {
				try(scale, better)
			}
		}
		total += least
		p.scale[j], p.floor[j] = byte(bestScale), byte(bestFloor)
		a, b := float64(bestScale), float64(bestFloor)
		aa += a * a * bestSums.qq
		ab += a * b * bestSums.q
		bb += b * b * fx.w
		ax += a * bestSums.qx
		bx += b * fx.wx
	}
	d, dmin = p.exact, p.exactm
	if det := aa*bb - ab*ab; det > 1e-12*aa*bb {
		d, dmin = (bb*ax-ab*bx)/det, (ab*ax-aa*bx)/det
	} else if aa > 0 {
		d = (ax + dmin*ab) / aa
	} else if bb > 0 {
		dmin = -bx / bb
	}
	return total, max(d, 0), max(dmin, 0)
}

// nearest is the whole number for v in units of d.
func (f *affine) nearest(v, d float64) int {
	if d == 0 || v <= 0 {
		return 0
	}
	return int(min(v/d+0.5, float64(f.scales)))
}

// encodeQ2_K writes scales[16], qs[64], d, dmin.
func encodeQ2_K(b []byte, x, w []float32) bool {
	p, ok := formatQ2_K.pack(x, w)
	for g, s := range p.scale {
		b[g] = s | p.floor[g]<<4
		n, shift, part := g/8, g/2%4*2, g%2
		for l, q := range p.codes[16*g:][:16] {
			b[16+32*n+16*part+l] |= q << shift
		}
	}
	return putF16(b[80:], p.d) && putF16(b[82:], p.dmin) && ok
}

// encodeQ4_K writes d, dmin, scales[12], qs[128].
func encodeQ4_K(b []byte, x, w []float32) bool {
	p, ok := formatQ4_K.pack(x, w)
	put6(b[4:], &p)
	for i, q := range p.codes {
		b[16+i/64*32+i%32] |= q << (i / 32 % 2 * 4)
	}
	return putF16(b, p.d) && putF16(b[2:], p.dmin) && ok
}

// encodeQ5_K writes d, dmin, scales[12], qh[32], qs[128].
func encodeQ5_K(b []byte, x, w []float32) bool {
	p, ok := formatQ5_K.pack(x, w)
	put6(b[4:], &p)
	for i, q := range p.codes {
		b[16+i%32] |= q >> 4 << (i / 32)
		b[48+i/64*32+i%32] |= q & 15 << (i / 32 % 2 * 4)
	}
	return putF16(b, p.d) && putF16(b[2:], p.dmin) && ok
}

// put6 is the inverse of get6.
func put6(b []byte, p *packed) {
	for j := range 4 {
		b[j] = p.scale[j] | p.scale[j+4]>>4<<6
		b[j+4] = p.floor[j] | p.floor[j+4]>>4<<6
		b[j+8] = p.scale[j+4]&15 | p.floor[j+4]<<4
	}
}
