// This file holds the encoders of Q3_K, Q6_K, IQ4_XS and IQ4_NL: numbers that
// are levels times a scale, without a floor. In the first three the scales of
// sub-blocks are small whole numbers, of both signs, times the block's d.
//
// The steps are those of encode_affine.go.

package quant

import (
	"encoding/binary"
	"math"
)

// scaled describes such a format.
type scaled struct {
	levels
	sub    int // numbers in a sub-block
	lo, hi int // whole numbers for a scale
}

var (
	formatQ3_K = scaled{
		levels: levels{lo: -4, hi: 3, tries: []float64{-4, -4.4, -3.7, -3.4, -3, -2.6, -2.2, -1.8, 3, 3.4, 2.7, 2.3, 1.9, -5.2, 4.3}},
		sub:    16, lo: -32, hi: 31,
	}
	formatQ6_K = scaled{
		levels: levels{lo: -32, hi: 31, tries: []float64{-32, -32.4, -31.7, -31.4, -31, -30.5, -30, -29.5, -29, 31, 31.4, 30.5, 30, 29.5, 29}},
		sub:    16, lo: -128, hi: 127,
	}
	formatIQ4_XS = scaled{levels: iq4Levels, sub: 32, lo: -32, hi: 31}

	iq4Levels = levels{table: true, tries: []float64{-127, -133, -123, -119, -115, -111, 113, 118, 109, 105, 101, -104, 89, -83, 69}}
)

// scaledStarts are what part of the lowest whole number the largest scale
// becomes at first: see affineStarts.
var scaledStarts = []float64{1, 0.985, 0.97, 0.955, 0.94, 0.925, 0.91, 0.895, 0.88, 0.85, 0.82, 1.03}

// multiples is a block of such a format.
type multiples struct {
	d     float32
	exact float64 // d in units of the block
	scale [16]int8
	codes [256]byte // index of the level
}

// pack finds the block for 256 numbers; ok is false if no fp16 can hold d.
func (f *scaled) pack(x, w []float32) (best multiples, ok bool) {
	var n numbers
	if !n.load(x, w) {
		return best, true
	}
	count := 256 / f.sub
	var scales [16]float64
	var sums [16]fixed
	var largest float64
	for j := range count {
		xs, ws := n.x[j*f.sub:][:f.sub], n.w[j*f.sub:][:f.sub]
		sums[j] = sumFixed(xs, ws)
		scales[j] = f.fit(xs, ws)
		if math.Abs(scales[j]) > math.Abs(largest) {
			largest = scales[j]
		}
	}
	least := math.Inf(1)
	try := func(d float64) (next float64, better bool) {
		var p multiples
		p.d, p.exact = n.half(d)
		if math.IsInf(p.exact, 0) {
			return 0, false
		}
		e, next := f.whole(&p, &n, &sums, &scales)
		if better = e < least*(1-1e-6); better {
			least, best, ok = e, p, true
		}
		return next, better
	}
	var d float64
	for _, start := range scaledStarts {
		if next, better := try(largest / (float64(f.lo) * start)); better {
			d = next
		}
	}
	if !ok {
		return best, false
	}
	for range 4 {
		var better bool
		if d, better = try(d); !better {
			break
		}
	}
	for j := range count {
		xs, ws := n.x[j*f.sub:][:f.sub], n.w[j*f.sub:][:f.sub]
		if s := best.exact * float64(best.scale[j]); s != 0 {
			f.round(best.codes[j*f.sub:][:f.sub], xs, ws, 1/s)
		}
	}
	return best, true
}

// whole finds the whole numbers of p under its d. It returns the error and the
// d that would be best for these numbers and their codes.
func (f *scaled) whole(p *multiples, n *numbers, all *[16]fixed, scales *[16]float64) (total, d float64) {
	var aa, ax float64
	for j := range 256 / f.sub {
		xs, ws := n.x[j*f.sub:][:f.sub], n.w[j*f.sub:][:f.sub]
		least, bestScale, bestqq, bestqx := all[j].wxx, 0, 0.0, 0.0
		near := 0
		if p.exact != 0 {
			near = int(min(max(math.Round(scales[j]/p.exact), float64(f.lo)), float64(f.hi)))
		}
		for scale := max(near-1, f.lo); scale <= min(near+1, f.hi); scale++ {
			s := p.exact * float64(scale)
			if s == 0 {
				continue
			}
			qq, qx := f.round(nil, xs, ws, 1/s)
			if e := all[j].wxx + s*(s*qq-2*qx); e < least {
				least, bestScale, bestqq, bestqx = e, scale, qq, qx
			}
		}
		total += least
		p.scale[j] = int8(bestScale)
		a := float64(bestScale)
		aa += a * a * bestqq
		ax += a * bestqx
	}
	if aa == 0 {
		return total, p.exact
	}
	return total, ax / aa
}

// encodeQ3_K writes hmask[32], qs[64], scales[12], d.
func encodeQ3_K(b []byte, x, w []float32) bool {
	p, ok := formatQ3_K.pack(x, w)
	for g, scale := range p.scale {
		s := byte(scale + 32)
		b[96+g%8] |= s & 15 << (g / 8 * 4)
		b[104+g%4] |= s >> 4 << (g / 4 * 2)
		n, j, part := g/8, g/2%4, g%2
		for l, q := range p.codes[16*g:][:16] {
			b[32+32*n+16*part+l] |= q & 3 << (2 * j)
			b[16*part+l] |= q >> 2 << (4*n + j)
		}
	}
	return putF16(b[108:], p.d) && ok
}

// encodeQ6_K writes ql[128], qh[64], int8 scales[16], d.
func encodeQ6_K(b []byte, x, w []float32) bool {
	p, ok := formatQ6_K.pack(x, w)
	for i, q := range p.codes {
		n, k, l := i/128, i/32%4, i%32
		b[64*n+k%2*32+l] |= q & 15 << (k / 2 * 4)
		b[128+32*n+l] |= q >> 4 << (2 * k)
	}
	for g, scale := range p.scale {
		b[192+g] = byte(scale)
	}
	return putF16(b[208:], p.d) && ok
}

// encodeIQ4_XS writes d, u16 scales_h, scales_l[4], qs[128].
func encodeIQ4_XS(b []byte, x, w []float32) bool {
	p, ok := formatIQ4_XS.pack(x, w)
	var high uint16
	for k := range 8 {
		s := byte(p.scale[k] + 32)
		b[4+k/2] |= s & 15 << (k % 2 * 4)
		high |= uint16(s>>4) << (2 * k)
		packNibbles(b[8+16*k:], (*[32]byte)(p.codes[32*k:]))
	}
	binary.LittleEndian.PutUint16(b[2:], high)
	return putF16(b, p.d) && ok
}

// encodeIQ4_NL writes d, qs[16].
func encodeIQ4_NL(b []byte, x, w []float32) bool {
	var codes [32]byte
	d := iq4Levels.search(&codes, x, w)
	packNibbles(b[2:], &codes)
	return putF16(b, d)
}
