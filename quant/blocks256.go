// This file holds the decoders of 256 numbers a block that need no codebook
// beyond 16 values: IQ4_XS and the two ternary ones. The encoders are in
// encode_scale.go and encode32.go.
//
// Source: ggml-quants of the ggml project, whose files this reads.

package quant

// d, u16 scales_h, scales_l[4], qs[128]. Sub-block k of 32 numbers has a 6-bit
// scale: nibble k of scales_l, and bits 2k of scales_h above it; its 16 bytes
// hold numbers 0-15 in low and 16-31 in high nibbles; y = d (scale-32) iq4[q]
func decodeIQ4_XS(y []float32, b []byte) {
	for len(y) >= 256 && len(b) >= 136 {
		d, sh := f16(b), u16(b[2:])
		for k := range 8 {
			s := int(b[4+k/2]>>(k%2*4)&15) | int(sh>>(2*k)&3)<<4
			scaledPairs((*[32]float32)(y[32*k:]), d*float32(s-32), (*[16]byte)(b[8+16*k:]), &iq4s)
		}
		y, b = y[256:], b[136:]
	}
}

// trits are the five numbers of every byte of TQ1_0: -1, 0 or 1. A byte is the
// fraction 0.q1 q2 q3 q4 q5 in base 3, scaled to 256 and rounded up, so that
// multiplying by 3 moves the next digit above the byte.
var trits = func() (t [5][256]float32) {
	for i := range 256 {
		q := i
		for n := range 5 {
			t[n][i] = float32(q*3>>8 - 1)
			q = q * 3 & 255
		}
	}
	return t
}()

// qs[48], qh[4], d. Numbers are -1, 0 or 1 times d, five to a byte: digit n of
// bytes 0-31, then of bytes 32-47, then four digits of qh.
func decodeTQ1_0(y []float32, b []byte) {
	for len(y) >= 256 && len(b) >= 54 {
		d, at := f16(b[52:]), 0
		for _, part := range [...]struct{ lo, hi, digits int }{{0, 32, 5}, {32, 48, 5}, {48, 52, 4}} {
			for n := range part.digits {
				digit := &trits[n]
				for _, q := range b[part.lo:part.hi] {
					y[at] = d * digit[q]
					at++
				}
			}
		}
		y, b = y[256:], b[54:]
	}
}

// qs[64], d. Two bits a number, -1, 0, 1 (or, never written, 2) times d: half
// a, shift l, byte m hold number 128a + 32l + m.
func decodeTQ2_0(y []float32, b []byte) {
	for len(y) >= 256 && len(b) >= 66 {
		d := f16(b[64:])
		for a := range 2 {
			out := (*[128]float32)(y[128*a:])
			for m, q := range (*[32]byte)(b[32*a:]) {
				v := &twos[q]
				out[m] = d * (v[0] - 1)
				out[m+32] = d * (v[1] - 1)
				out[m+64] = d * (v[2] - 1)
				out[m+96] = d * (v[3] - 1)
			}
		}
		y, b = y[256:], b[66:]
	}
}
