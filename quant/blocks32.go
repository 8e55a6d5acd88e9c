// This file holds the formats of 32 numbers a block (NVFP4: 64), each decoder
// beside its layout. d and m are fp16; nibble i of qs is number i in the low
// half of byte i, number i+16 in the high half.
//
// Products of an fp16 scale and a small whole number are exact in float32, so
// each formula rounds at most once and gives the same bits with or without
// fused multiply-add.
//
// Source: ggml-quants of the ggml project, whose files this reads.

package quant

import (
	"encoding/binary"
	"math"
)

// d, qs[16]: y = d (q-8)
func decodeQ4_0(y []float32, b []byte) {
	d, qs := f16(b), b[2:18]
	for i, q := range qs {
		y[i] = d * float32(int(q&15)-8)
		y[i+16] = d * float32(int(q>>4)-8)
	}
}

// d, m, qs[16]: y = d q + m
func decodeQ4_1(y []float32, b []byte) {
	d, m, qs := f16(b), f16(b[2:]), b[4:20]
	for i, q := range qs {
		y[i] = float32(d*float32(q&15)) + m
		y[i+16] = float32(d*float32(q>>4)) + m
	}
}

// d, qh[4], qs[16]: bit i of qh is the fifth bit of number i; y = d (q-16)
func decodeQ5_0(y []float32, b []byte) {
	d, qh, qs := f16(b), binary.LittleEndian.Uint32(b[2:]), b[6:22]
	for i, q := range qs {
		y[i] = d * float32(int(q&15)+int(qh>>i&1)<<4-16)
		y[i+16] = d * float32(int(q>>4)+int(qh>>(i+16)&1)<<4-16)
	}
}

// d, m, qh[4], qs[16]: y = d q + m
func decodeQ5_1(y []float32, b []byte) {
	d, m, qh, qs := f16(b), f16(b[2:]), binary.LittleEndian.Uint32(b[4:]), b[8:24]
	for i, q := range qs {
		y[i] = float32(d*float32(int(q&15)+int(qh>>i&1)<<4)) + m
		y[i+16] = float32(d*float32(int(q>>4)+int(qh>>(i+16)&1)<<4)) + m
	}
}

// d, int8 qs[32]: y = d q
func decodeQ8_0(y []float32, b []byte) {
	d, qs := f16(b), b[2:34]
	for i, q := range qs {
		y[i] = d * float32(int8(q))
	}
}

// encodeQ8_0 takes d = max|x| / 127 and rounds x/d half away from zero, as
// ggml does. It returns the index of a number that is not finite or whose
// scale fp16 cannot hold, -1 if there is none.
func encodeQ8_0(b []byte, x []float32) int {
	var amax float32
	at := 0
	for i, v := range x {
		if v < 0 {
			v = -v
		}
		if !(v <= math.MaxFloat32) {
			return i
		}
		if v > amax {
			amax, at = v, i
		}
	}
	d := amax / 127
	h := ToF16(d)
	if h == 0x7c00 {
		return at
	}
	binary.LittleEndian.PutUint16(b, h)
	var id float32
	if d != 0 {
		id = 1 / d // infinite for the smallest subnormal d, see below
	}
	qs := b[2:34]
	for i, v := range x {
		q := math.Round(float64(v * id))
		if !(math.Abs(q) <= 127) { // subnormal d: x * Inf; the fp16 scale is 0 anyway
			q = 0
		}
		qs[i] = byte(int8(q))
	}
	return -1
}

// d, s = d * sum of q, int8 qs[32]: y = d q. An activation format, not one of
// weights.
func decodeQ8_1(y []float32, b []byte) {
	d, qs := f16(b), b[4:36]
	for i, q := range qs {
		y[i] = d * float32(int8(q))
	}
}

// iq4 are the values of the codes of IQ4_NL and IQ4_XS.
var iq4 = [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// d, qs[16]: y = d iq4[q]
func decodeIQ4_NL(y []float32, b []byte) {
	d, qs := f16(b), b[2:18]
	for i, q := range qs {
		y[i] = d * iq4[q&15]
		y[i+16] = d * iq4[q>>4]
	}
}

// e (E8M0), qs[16]: y = 2^(e-127) e2m1[q]
func decodeMXFP4(y []float32, b []byte) {
	d, qs := FromE8M0(b[0]), b[1:17]
	for i, q := range qs {
		y[i] = d * e2m1[q&15]
		y[i+16] = d * e2m1[q>>4]
	}
}

// d[4] (unsigned E4M3), qs[32]: four parts of 16 numbers and 8 bytes; byte j
// of a part holds its numbers j and j+8; y = d[part] e2m1[q]
func decodeNVFP4(y []float32, b []byte) {
	for part := range 4 {
		d := FromE4M3(b[part])
		out, qs := y[16*part:][:16], b[4+8*part:][:8]
		for j, q := range qs {
			out[j] = d * e2m1[q&15]
			out[j+8] = d * e2m1[q>>4]
		}
	}
}
