// This file holds the decoders of the lattice formats: 256 numbers a block,
// eight or four of which one code stands for (see codebooks.go), with signs
// beside it. Groups are eight numbers, sub-blocks 32.
//
// Every product is exact in float32: an fp16 scale, a few bits of sub-scale and
// a coordinate of at most six bits.
//
// Source: ggml-quants of the ggml project, whose files this reads.

package quant

// signed writes scale * point * signs.
func signed(y *[8]float32, scale float32, point, signs *[8]float32) {
	y[0] = scale * point[0] * signs[0]
	y[1] = scale * point[1] * signs[1]
	y[2] = scale * point[2] * signs[2]
	y[3] = scale * point[3] * signs[3]
	y[4] = scale * point[4] * signs[4]
	y[5] = scale * point[5] * signs[5]
	y[6] = scale * point[6] * signs[6]
	y[7] = scale * point[7] * signs[7]
}

// signed4 is the same for two points of four coordinates.
func signed4(y *[8]float32, scale float32, low, high *[4]float32, signs *[8]float32) {
	y[0] = scale * low[0] * signs[0]
	y[1] = scale * low[1] * signs[1]
	y[2] = scale * low[2] * signs[2]
	y[3] = scale * low[3] * signs[3]
	y[4] = scale * high[0] * signs[4]
	y[5] = scale * high[1] * signs[5]
	y[6] = scale * high[2] * signs[6]
	y[7] = scale * high[3] * signs[7]
}

// d, qs[64]. Sub-block: four codes of a byte, then 32 bits of four 7-bit sign
// codes and a 4-bit scale; y = d (0.5 + scale)/4 point sign
func decodeIQ2_XXS(y []float32, b []byte) {
	c := lattice()
	for len(y) >= 256 && len(b) >= 66 {
		d := f16(b)
		for k := range 8 {
			in := (*[8]byte)(b[2+8*k:])
			u := u32(in[4:])
			scale := d * (0.5 + float32(u>>28)) * 0.25
			out := y[32*k:][:32]
			for l, code := range in[:4] {
				signed((*[8]float32)(out[8*l:]), scale, &c.iq2xxs[code], &c.signs[c.even[u&127]])
				u >>= 7
			}
		}
		y, b = y[256:], b[66:]
	}
}

// d, u16 qs[32], scales[8]. A group's 16 bits: code of nine, sign code of
// seven. A sub-block has two scales of a nibble, for two groups each;
// y = d (0.5 + scale)/4 point sign
func decodeIQ2_XS(y []float32, b []byte) {
	c := lattice()
	for len(y) >= 256 && len(b) >= 74 {
		d := f16(b)
		for g := range 32 {
			q, s := u16(b[2+2*g:]), b[66+g/4]>>(g/2%2*4)&15
			scale := d * (0.5 + float32(s)) * 0.25
			signed((*[8]float32)(y[8*g:]), scale, &c.iq2xs[q&511], &c.signs[c.even[q>>9]])
		}
		y, b = y[256:], b[74:]
	}
}

// d, qs[32], signs[32], qh[8], scales[8]. A group's code of ten bits is a byte
// of qs and two bits of its sub-block's qh; its signs are a byte. Scales as
// IQ2_XS.
func decodeIQ2_S(y []float32, b []byte) {
	c := lattice()
	for len(y) >= 256 && len(b) >= 82 {
		d := f16(b)
		for g := range 32 {
			code := int(b[2+g]) | int(b[66+g/4])>>(g%4*2)&3<<8
			s := b[74+g/4] >> (g / 2 % 2 * 4) & 15
			scale := d * (0.5 + float32(s)) * 0.25
			signed((*[8]float32)(y[8*g:]), scale, &c.iq2s[code], &c.signs[b[34+g]])
		}
		y, b = y[256:], b[82:]
	}
}

// d, qs[64], tail[32]. A group has two codes of a byte; a sub-block 32 bits of
// the tail: four 7-bit sign codes and a 4-bit scale;
// y = d (0.5 + scale)/2 point sign
func decodeIQ3_XXS(y []float32, b []byte) {
	c := lattice()
	for len(y) >= 256 && len(b) >= 98 {
		d := f16(b)
		for k := range 8 {
			u := u32(b[66+4*k:])
			scale := d * (0.5 + float32(u>>28)) * 0.5
			codes, out := (*[8]byte)(b[2+8*k:]), y[32*k:][:32]
			for l := range 4 {
				signed4((*[8]float32)(out[8*l:]), scale, &c.iq3xxs[codes[2*l]], &c.iq3xxs[codes[2*l+1]], &c.signs[c.even[u&127]])
				u >>= 7
			}
		}
		y, b = y[256:], b[98:]
	}
}

// d, qs[64], qh[8], signs[32], scales[4]. A group has two codes of nine bits,
// the ninth from its sub-block's qh, and a byte of signs; a sub-block has a
// nibble of scale; y = d (1 + 2 scale) point sign
func decodeIQ3_S(y []float32, b []byte) {
	c := lattice()
	for len(y) >= 256 && len(b) >= 110 {
		d := f16(b)
		for k := range 8 {
			scale := d * float32(1+2*int(b[106+k/2]>>(k%2*4)&15))
			codes, signs, h := (*[8]byte)(b[2+8*k:]), (*[4]byte)(b[74+4*k:]), int(b[66+k])<<8
			out := y[32*k:][:32]
			for l, sign := range signs {
				low, high := int(codes[2*l])|h&256, int(codes[2*l+1])|h>>1&256
				signed4((*[8]float32)(out[8*l:]), scale, &c.iq3s[low], &c.iq3s[high], &c.signs[sign])
				h >>= 2
			}
		}
		y, b = y[256:], b[110:]
	}
}

// shifted writes scale * (point + delta).
func shifted(y *[8]float32, scale, delta float32, point *[8]float32) {
	for j, p := range point {
		y[j] = scale * (p + delta)
	}
}

// deltas are what the formats of one bit add to a coordinate.
var deltas = [2]float32{0.125, -0.125}

// d, qs[32], u16 qh[8]. A sub-block's 16 bits: three upper bits of each of its
// four codes, a 3-bit scale, the sign of delta; y = d (2 scale + 1) (point + delta)
func decodeIQ1_S(y []float32, b []byte) {
	c := lattice()
	for len(y) >= 256 && len(b) >= 50 {
		d := f16(b)
		for k := range 8 {
			h := int(u16(b[34+2*k:]))
			scale, delta := d*float32(2*(h>>12&7)+1), deltas[h>>15]
			codes, out := (*[4]byte)(b[2+4*k:]), y[32*k:][:32]
			for l, code := range codes {
				shifted((*[8]float32)(out[8*l:]), scale, delta, &c.iq1s[int(code)|h&7<<8])
				h >>= 3
			}
		}
		y, b = y[256:], b[50:]
	}
}

// qs[32], qh[16], u16 scales[4]. The fp16 d is in the top nibbles of the
// scales, whose other twelve bits are four 3-bit scales, each for two groups. A
// group has a nibble of qh: three upper bits of its code and the sign of delta.
func decodeIQ1_M(y []float32, b []byte) {
	c := lattice()
	for len(y) >= 256 && len(b) >= 56 {
		s := u64(b[48:])
		d := FromF16(uint16(s>>12&0xf | s>>24&0xf0 | s>>36&0xf00 | s>>48&0xf000))
		for g := range 32 {
			h := int(b[32+g/2]) >> (g % 2 * 4) & 15
			scale := d * float32(2*int(s>>(g/8*16+g/2%4*3)&7)+1)
			shifted((*[8]float32)(y[8*g:]), scale, deltas[h>>3], &c.iq1s[int(b[g])|h&7<<8])
		}
		y, b = y[256:], b[56:]
	}
}
