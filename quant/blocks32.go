// This file holds the decoders of 32 numbers a block (NVFP4: 64), each with
// its layout. d and m are fp16; nibble i of qs is number i in the low half of
// byte i, number i+16 in the high half. The encoders are in encode32.go.
//
// Products of an fp16 scale and a small whole number are exact in float32, so
// each formula rounds at most once and gives the same bits with or without
// fused multiply-add.
//
// The loops read whole bytes into tables of both their nibbles, and convert
// slices to array pointers so that no index is checked.
//
// Source: ggml-quants of the ggml project, whose files this reads.

package quant

import "math"

// pairs are two numbers for every byte: of its low and of its high nibble.
type pairs [256][2]float32

func makePairs(value func(nibble int) float32) (t pairs) {
	for i := range t {
		t[i] = [2]float32{value(i & 15), value(i >> 4)}
	}
	return t
}

var (
	nibbles  = makePairs(func(q int) float32 { return float32(q) })
	nibbles8 = makePairs(func(q int) float32 { return float32(q - 8) })
	iq4s     = makePairs(func(q int) float32 { return iq4[q] })
	e2m1x2   = makePairs(func(q int) float32 { return float32(fp4x2[q]) })
	int8s    = func() (t [256]float32) {
		for i := range t {
			t[i] = float32(int8(i))
		}
		return t
	}()
)

// iq4 are the values of the codes of IQ4_NL and IQ4_XS.
var iq4 = [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// fp4x2 are the values of the E2M1 codes, doubled. Code 8 is a zero without a
// sign here.
var fp4x2 = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}

// d, qs[16]: y = d (q-8)
func decodeQ4_0(y []float32, b []byte) {
	for len(y) >= 32 && len(b) >= 18 {
		scaledPairs((*[32]float32)(y), f16(b), (*[16]byte)(b[2:]), &nibbles8)
		y, b = y[32:], b[18:]
	}
}

// scaledPairs writes the 32 numbers of 16 bytes, scaled by d.
func scaledPairs(y *[32]float32, d float32, qs *[16]byte, values *pairs) {
	for i, q := range qs {
		v := &values[q]
		y[i] = d * v[0]
		y[i+16] = d * v[1]
	}
}

// d, m, qs[16]: y = d q + m
func decodeQ4_1(y []float32, b []byte) {
	for len(y) >= 32 && len(b) >= 20 {
		d, m, out := f16(b), f16(b[2:]), (*[32]float32)(y)
		for i, q := range (*[16]byte)(b[4:]) {
			v := &nibbles[q]
			out[i] = float32(d*v[0]) + m
			out[i+16] = float32(d*v[1]) + m
		}
		y, b = y[32:], b[20:]
	}
}

// d, qh[4], qs[16]: bit i of qh is the fifth bit of number i; y = d (q-16)
func decodeQ5_0(y []float32, b []byte) {
	for len(y) >= 32 && len(b) >= 22 {
		d, qh, out := f16(b), u32(b[2:]), (*[32]float32)(y)
		for i, q := range (*[16]byte)(b[6:]) {
			out[i] = d * float32(int32(q&15)+int32(qh&1)<<4-16)
			out[i+16] = d * float32(int32(q>>4)+int32(qh>>16&1)<<4-16)
			qh >>= 1
		}
		y, b = y[32:], b[22:]
	}
}

// d, m, qh[4], qs[16]: y = d q + m
func decodeQ5_1(y []float32, b []byte) {
	for len(y) >= 32 && len(b) >= 24 {
		d, m, qh, out := f16(b), f16(b[2:]), u32(b[4:]), (*[32]float32)(y)
		for i, q := range (*[16]byte)(b[8:]) {
			out[i] = float32(d*float32(int32(q&15)+int32(qh&1)<<4)) + m
			out[i+16] = float32(d*float32(int32(q>>4)+int32(qh>>16&1)<<4)) + m
			qh >>= 1
		}
		y, b = y[32:], b[24:]
	}
}

// d, int8 qs[32]: y = d q
func decodeQ8_0(y []float32, b []byte) {
	for len(y) >= 32 && len(b) >= 34 {
		scaledInt8((*[32]float32)(y), f16(b), (*[32]byte)(b[2:]))
		y, b = y[32:], b[34:]
	}
}

func scaledInt8(y *[32]float32, d float32, qs *[32]byte) {
	for i, q := range qs {
		y[i] = d * int8s[q]
	}
}

// d, s = d * sum of q, int8 qs[32]: y = d q. An activation format, not one of
// weights.
func decodeQ8_1(y []float32, b []byte) {
	for len(y) >= 32 && len(b) >= 36 {
		scaledInt8((*[32]float32)(y), f16(b), (*[32]byte)(b[4:]))
		y, b = y[32:], b[36:]
	}
}

// d, qs[16]: y = d iq4[q]
func decodeIQ4_NL(y []float32, b []byte) {
	for len(y) >= 32 && len(b) >= 18 {
		scaledPairs((*[32]float32)(y), f16(b), (*[16]byte)(b[2:]), &iq4s)
		y, b = y[32:], b[18:]
	}
}

// e (E8M0), qs[16]: y = 2^(e-127) e2m1[q]. As the reference does, this takes
// half the scale times doubled values, so that e = 255 is no NaN but 2^128.
func decodeMXFP4(y []float32, b []byte) {
	for len(y) >= 32 && len(b) >= 17 {
		scaledPairs((*[32]float32)(y), halfE8M0(b[0]), (*[16]byte)(b[1:]), &e2m1x2)
		y, b = y[32:], b[17:]
	}
}

// halfE8M0 is 2^(e-128).
func halfE8M0(e byte) float32 {
	if e < 2 { // subnormal
		return math.Float32frombits(1 << (21 + e))
	}
	return math.Float32frombits(uint32(e-1) << 23)
}

// d[4] (unsigned E4M3), qs[32]: four parts of 16 numbers and 8 bytes; byte j
// of a part holds its numbers j and j+8; y = d[part] e2m1[q]
func decodeNVFP4(y []float32, b []byte) {
	for len(y) >= 64 && len(b) >= 36 {
		for part := range 4 {
			d := halfUE4M3(b[part])
			out := (*[16]float32)(y[16*part:])
			for j, q := range (*[8]byte)(b[4+8*part:]) {
				v := &e2m1x2[q]
				out[j] = d * v[0]
				out[j+8] = d * v[1]
			}
		}
		y, b = y[64:], b[36:]
	}
}

// halfUE4M3 is half of an E4M3 read as the reference reads it: the sign bit
// means nothing, 0x7f is zero, and 0xff, no scale that anyone writes, 480.
func halfUE4M3(b byte) float32 {
	switch b {
	case 0x7f:
		return 0
	case 0xff:
		return 240
	default:
		return FromE4M3(b&0x7f) / 2
	}
}
