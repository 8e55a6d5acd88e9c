// This file holds the K-quants: 256 numbers a block in sub-blocks of 16 or 32,
// whose scales are themselves small whole numbers times one or two fp16.
//
// Products of fp16, scale and number are exact in float32 (11 + 6 + 5 bits at
// most), so each formula rounds at most once.
//
// Source: ggml-quants of the ggml project, whose files this reads.

package quant

import (
	"encoding/binary"
	"math"
)

// scales[16], qs[64], d, dmin. Sub-block g of 16 numbers: half n = g/8, shift
// 2j with j = g/2%4, part p = g%2 of the half's 32 bytes;
// y = d (scale&15) q - dmin (scale>>4)
func decodeQ2_K(y []float32, b []byte) {
	scales, qs, d, dmin := b[:16], b[16:80], f16(b[80:]), f16(b[82:])
	for g, s := range scales {
		n, j, p := g/8, g/2%4, g%2
		scale, floor := d*float32(s&15), dmin*float32(s>>4)
		out, in := y[16*g:][:16], qs[32*n+16*p:][:16]
		for l, q := range in {
			out[l] = float32(scale*float32(q>>(2*j)&3)) - floor
		}
	}
}

// hmask[32], qs[64], scales[12], d. Order as Q2_K; bit 4n+j of the mask adds
// 4 to q; y = d (scale-32) (q-4)
func decodeQ3_K(y []float32, b []byte) {
	hmask, qs, scales, d := b[:32], b[32:96], b[96:108], f16(b[108:])
	for g := range 16 {
		n, j, p := g/8, g/2%4, g%2
		low := scales[g%8] >> (g / 8 * 4) & 15
		high := scales[8+g%4] >> (g / 4 * 2) & 3
		scale := d * float32(int(low|high<<4)-32)
		out, in, mask := y[16*g:][:16], qs[32*n+16*p:][:16], hmask[16*p:][:16]
		for l, q := range in {
			out[l] = scale * float32(int(q>>(2*j)&3)+int(mask[l]>>(4*n+j)&1)<<2-4)
		}
	}
}

// get6 unpacks the 6-bit scale and minimum of sub-block j from the 12 bytes
// that Q4_K and Q5_K share.
func get6(b []byte, j int) (scale, floor byte) {
	if j < 4 {
		return b[j] & 63, b[j+4] & 63
	}
	return b[j+4]&15 | b[j-4]>>6<<4, b[j+4]>>4 | b[j]>>6<<4
}

// d, dmin, scales[12], qs[128]. Sub-block j of 32 numbers: low nibbles of 32
// bytes for even j, high nibbles of the same bytes for odd j;
// y = d scale q - dmin min
func decodeQ4_K(y []float32, b []byte) {
	d, dmin, scales, qs := f16(b), f16(b[2:]), b[4:16], b[16:144]
	for j := range 8 {
		s, m := get6(scales, j)
		scale, floor := d*float32(s), dmin*float32(m)
		out, in := y[32*j:][:32], qs[j/2*32:][:32]
		for l, q := range in {
			out[l] = float32(scale*float32(q>>(j%2*4)&15)) - floor
		}
	}
}

// d, dmin, scales[12], qh[32], qs[128]. As Q4_K; bit j of qh[l] adds 16.
func decodeQ5_K(y []float32, b []byte) {
	d, dmin, scales, qh, qs := f16(b), f16(b[2:]), b[4:16], b[16:48], b[48:176]
	for j := range 8 {
		s, m := get6(scales, j)
		scale, floor := d*float32(s), dmin*float32(m)
		out, in := y[32*j:][:32], qs[j/2*32:][:32]
		for l, q := range in {
			out[l] = float32(scale*float32(q>>(j%2*4)&15|qh[l]>>j&1<<4)) - floor
		}
	}
}

// ql[128], qh[64], int8 scales[16], d. Half n, quarter k of 32 numbers: low
// four bits from nibble k/2 of ql[64n + 32(k%2)...], high two from bits 2k of
// qh[32n...]; y = d scale (q-32)
func decodeQ6_K(y []float32, b []byte) {
	ql, qh, scales, d := b[:128], b[128:192], b[192:208], f16(b[208:])
	for g := range 8 {
		n, k := g/4, g%4
		out, low, high := y[32*g:][:32], ql[64*n+k%2*32:][:32], qh[32*n:][:32]
		for l := range out {
			scale := d * float32(int8(scales[2*g+l/16]))
			q := int(low[l]>>(k/2*4)&15) | int(high[l]>>(2*k)&3)<<4
			out[l] = scale * float32(q-32)
		}
	}
}

// float32 d, int8 qs[256], int16 sums[16]: y = d q. An activation format, not
// one of weights.
func decodeQ8_K(y []float32, b []byte) {
	d, qs := math.Float32frombits(binary.LittleEndian.Uint32(b)), b[4:260]
	for i, q := range qs {
		y[i] = d * float32(int8(q))
	}
}
