// This file holds the decoders of the K-quants: 256 numbers a block in
// sub-blocks of 16 or 32, whose scales are themselves small whole numbers times
// one or two fp16. The encoders are in encode_affine.go and encode_scale.go.
//
// Products of fp16, scale and number are exact in float32 (11 + 6 + 5 bits at
// most), so each formula rounds at most once.
//
// Source: ggml-quants of the ggml project, whose files this reads.

package quant

import "math"

// quads are four numbers for every byte, of its pairs of bits from the low end.
type quads [256][4]float32

func makeQuads(value func(bits int) float32) (t quads) {
	for i := range t {
		t[i] = [4]float32{value(i & 3), value(i >> 2 & 3), value(i >> 4 & 3), value(i >> 6)}
	}
	return t
}

var (
	twos  = makeQuads(func(q int) float32 { return float32(q) })         // of Q2_K and Q3_K
	highs = makeQuads(func(q int) float32 { return float32(16*q - 32) }) // of Q6_K

	// masks are what four bits of the mask of Q3_K add.
	masks = func() (t [16][4]float32) {
		for i := range t {
			for j := range 4 {
				t[i][j] = float32(i>>j&1)*4 - 4
			}
		}
		return t
	}()
)

// scales[16], qs[64], d, dmin. Sub-block g of 16 numbers: half n = g/8, shift
// 2j with j = g/2%4, part p = g%2 of the half's 32 bytes;
// y = d (scale&15) q - dmin (scale>>4)
func decodeQ2_K(y []float32, b []byte) {
	for len(y) >= 256 && len(b) >= 84 {
		d, dmin := f16(b[80:]), f16(b[82:])
		for part := range 4 {
			n, p := part/2, part%2
			var scale, floor [4]float32
			for j := range 4 {
				s := &nibbles[b[8*n+2*j+p]]
				scale[j], floor[j] = d*s[0], dmin*s[1]
			}
			out := (*[112]float32)(y[128*n+16*p:])
			for l, q := range (*[16]byte)(b[16+16*part:]) {
				v := &twos[q]
				out[l] = float32(scale[0]*v[0]) - floor[0]
				out[l+32] = float32(scale[1]*v[1]) - floor[1]
				out[l+64] = float32(scale[2]*v[2]) - floor[2]
				out[l+96] = float32(scale[3]*v[3]) - floor[3]
			}
		}
		y, b = y[256:], b[84:]
	}
}

// hmask[32], qs[64], scales[12], d. Order as Q2_K; bit 4n+j of the mask adds
// 4 to q; y = d (scale-32) (q-4)
func decodeQ3_K(y []float32, b []byte) {
	for len(y) >= 256 && len(b) >= 110 {
		d, scales := f16(b[108:]), unpackQ3(b[96:108])
		for part := range 4 {
			n, p := part/2, part%2
			var scale [4]float32
			for j := range 4 {
				scale[j] = d * float32(int(scales[8*n+2*j+p])-32)
			}
			out, mask := (*[112]float32)(y[128*n+16*p:]), (*[16]byte)(b[16*p:])
			for l, q := range (*[16]byte)(b[32+16*part:]) {
				v, m := &twos[q], &masks[mask[l]>>(4*n)&15]
				out[l] = scale[0] * (v[0] + m[0])
				out[l+32] = scale[1] * (v[1] + m[1])
				out[l+64] = scale[2] * (v[2] + m[2])
				out[l+96] = scale[3] * (v[3] + m[3])
			}
		}
		y, b = y[256:], b[110:]
	}
}

// unpackQ3 reads the sixteen 6-bit scales of Q3_K from 12 bytes: low four bits
// in the nibbles of bytes 0-7, high two in bytes 8-11.
func unpackQ3(b []byte) (scales [16]byte) {
	for g := range scales {
		scales[g] = b[g%8]>>(g/8*4)&15 | b[8+g%4]>>(g/4*2)&3<<4
	}
	return scales
}

// get6 unpacks the 6-bit scale and minimum of sub-block j from the 12 bytes
// that Q4_K and Q5_K share.
func get6(b *[12]byte, j int) (scale, floor byte) {
	if j < 4 {
		return b[j] & 63, b[j+4] & 63
	}
	return b[j+4]&15 | b[j-4]>>6<<4, b[j+4]>>4 | b[j]>>6<<4
}

// d, dmin, scales[12], qs[128]. Sub-block j of 32 numbers: low nibbles of 32
// bytes for even j, high nibbles of the same bytes for odd j;
// y = d scale q - dmin min
func decodeQ4_K(y []float32, b []byte) {
	for len(y) >= 256 && len(b) >= 144 {
		d, dmin, scales := f16(b), f16(b[2:]), (*[12]byte)(b[4:])
		for j := range 4 {
			s0, m0 := get6(scales, 2*j)
			s1, m1 := get6(scales, 2*j+1)
			scale0, floor0 := d*float32(s0), dmin*float32(m0)
			scale1, floor1 := d*float32(s1), dmin*float32(m1)
			out := (*[64]float32)(y[64*j:])
			for l, q := range (*[32]byte)(b[16+32*j:]) {
				v := &nibbles[q]
				out[l] = float32(scale0*v[0]) - floor0
				out[l+32] = float32(scale1*v[1]) - floor1
			}
		}
		y, b = y[256:], b[144:]
	}
}

// d, dmin, scales[12], qh[32], qs[128]. As Q4_K; bit j of qh[l] adds 16.
func decodeQ5_K(y []float32, b []byte) {
	for len(y) >= 256 && len(b) >= 176 {
		d, dmin, scales, high := f16(b), f16(b[2:]), (*[12]byte)(b[4:]), (*[32]byte)(b[16:])
		for j := range 4 {
			s0, m0 := get6(scales, 2*j)
			s1, m1 := get6(scales, 2*j+1)
			scale0, floor0 := d*float32(s0), dmin*float32(m0)
			scale1, floor1 := d*float32(s1), dmin*float32(m1)
			out := (*[64]float32)(y[64*j:])
			for l, q := range (*[32]byte)(b[48+32*j:]) {
				v, h := &nibbles[q], &sixteens[high[l]>>(2*j)&3]
				out[l] = float32(scale0*(v[0]+h[0])) - floor0
				out[l+32] = float32(scale1*(v[1]+h[1])) - floor1
			}
		}
		y, b = y[256:], b[176:]
	}
}

// sixteens are what two bits of qh add.
var sixteens = [4][2]float32{{0, 0}, {16, 0}, {0, 16}, {16, 16}}

// ql[128], qh[64], int8 scales[16], d. Half n, quarter k of 32 numbers: low
// four bits from nibble k/2 of ql[64n + 32(k%2)...], high two from bits 2k of
// qh[32n...]; y = d scale (q-32)
func decodeQ6_K(y []float32, b []byte) {
	for len(y) >= 256 && len(b) >= 210 {
		d, scales := f16(b[208:]), (*[16]byte)(b[192:])
		for n := range 2 {
			for p := range 2 { // scales change every 16 numbers
				low0, low1 := (*[16]byte)(b[64*n+16*p:]), (*[16]byte)(b[64*n+32+16*p:])
				s := scales[8*n+p:]
				s0, s1, s2, s3 := d*int8s[s[0]], d*int8s[s[2]], d*int8s[s[4]], d*int8s[s[6]]
				out := (*[112]float32)(y[128*n+16*p:])
				for l, h := range (*[16]byte)(b[128+32*n+16*p:]) {
					v0, v1, u := &nibbles[low0[l]], &nibbles[low1[l]], &highs[h]
					out[l] = s0 * (v0[0] + u[0])
					out[l+32] = s1 * (v1[0] + u[1])
					out[l+64] = s2 * (v0[1] + u[2])
					out[l+96] = s3 * (v1[1] + u[3])
				}
			}
		}
		y, b = y[256:], b[210:]
	}
}

// float32 d, int8 qs[256], int16 sums[16]: y = d q. An activation format, not
// one of weights.
func decodeQ8_K(y []float32, b []byte) {
	for len(y) >= 256 && len(b) >= 292 {
		d, out := math.Float32frombits(u32(b)), (*[256]float32)(y)
		for i, q := range (*[256]byte)(b[4:]) {
			out[i] = d * int8s[q]
		}
		y, b = y[256:], b[292:]
	}
}
