// This file holds the formats of 256 numbers a block that need no codebook
// beyond 16 values: IQ4_XS and the two ternary ones.
//
// Source: ggml-quants of the ggml project, whose files this reads.

package quant

// d, u16 scales_h, scales_l[4], qs[128]. Sub-block k of 32 numbers has a 6-bit
// scale: nibble k of scales_l, and bits 2k of scales_h above it; its 16 bytes
// hold numbers 0-15 in low and 16-31 in high nibbles; y = d (scale-32) iq4[q]
func decodeIQ4_XS(y []float32, b []byte) {
	d, sh, sl, qs := f16(b), u16(b[2:]), b[4:8], b[8:136]
	for k := range 8 {
		s := int(sl[k/2]>>(k%2*4)&15) | int(sh>>(2*k)&3)<<4
		scale := d * float32(s-32)
		out, in := y[32*k:][:32], qs[16*k:][:16]
		for i, q := range in {
			out[i] = scale * iq4[q&15]
			out[i+16] = scale * iq4[q>>4]
		}
	}
}

// qs[48], qh[4], d. Numbers are -1, 0 or 1 times d, five to a byte: a byte is
// the fraction 0.q1 q2 q3 q4 q5 in base 3, scaled to 256 and rounded up, so
// that multiplying by 3 moves the next digit above the byte.
func decodeTQ1_0(y []float32, b []byte) {
	d := f16(b[52:])
	at := 0
	digits := func(bytes []byte, count int) {
		pow := byte(1)
		for range count {
			for _, q := range bytes {
				y[at] = d * float32(int(uint16(q*pow)*3>>8)-1)
				at++
			}
			pow *= 3
		}
	}
	digits(b[:32], 5)
	digits(b[32:48], 5)
	digits(b[48:52], 4)
}

// qs[64], d. Two bits a number, -1, 0 or 1 (2) times d: half a, shift l,
// byte m hold number 128a + 32l + m.
func decodeTQ2_0(y []float32, b []byte) {
	qs, d := b[:64], f16(b[64:])
	for g := range 8 {
		out, in := y[32*g:][:32], qs[g/4*32:][:32]
		for m, q := range in {
			out[m] = d * float32(int(q>>(g%4*2)&3)-1)
		}
	}
}
