// This file holds the decoders of plain numbers: the floats of 16, 32 and 64
// bits and the whole numbers, one after the other, little-endian.

package quant

import "math"

func decodeF32(y []float32, b []byte) {
	for len(y) >= 4 && len(b) >= 16 {
		v, w, out := u64(b), u64(b[8:]), (*[4]float32)(y)
		out[0] = math.Float32frombits(uint32(v))
		out[1] = math.Float32frombits(uint32(v >> 32))
		out[2] = math.Float32frombits(uint32(w))
		out[3] = math.Float32frombits(uint32(w >> 32))
		y, b = y[4:], b[16:]
	}
	for i := range y {
		y[i] = math.Float32frombits(u32(b[4*i:]))
	}
}

// Eight numbers a step, four in a load.
func decodeBF16(y []float32, b []byte) {
	for len(y) >= 8 && len(b) >= 16 {
		v, w, out := u64(b), u64(b[8:]), (*[8]float32)(y)
		out[0] = math.Float32frombits(uint32(v << 16))
		out[1] = math.Float32frombits(uint32(v) & 0xffff0000)
		out[2] = math.Float32frombits(uint32(v >> 32 << 16))
		out[3] = math.Float32frombits(uint32(v>>32) & 0xffff0000)
		out[4] = math.Float32frombits(uint32(w << 16))
		out[5] = math.Float32frombits(uint32(w) & 0xffff0000)
		out[6] = math.Float32frombits(uint32(w >> 32 << 16))
		out[7] = math.Float32frombits(uint32(w>>32) & 0xffff0000)
		y, b = y[8:], b[16:]
	}
	for i := range y {
		y[i] = FromBF16(u16(b[2*i:]))
	}
}

// Four numbers a step. The bits of an fp16, moved to where float32 has its
// exponent and mantissa, are the number times 2^-112; so one exact product
// widens it, also from a subnormal. Infinity and NaN are found by adding one to
// the exponents, which then reach the sign bits.
func decodeF16(y []float32, b []byte) {
	const each = 0x0001_0001_0001_0001
	for len(y) >= 4 && len(b) >= 8 {
		v, out := u64(b), (*[4]float32)(y)
		if (v&(0x7c00*each)+0x400*each)&(0x8000*each) == 0 {
			out[0] = math.Float32frombits(uint32(int32(int16(v))<<13)&0x8fffe000) * 0x1p112
			out[1] = math.Float32frombits(uint32(int32(int16(v>>16))<<13)&0x8fffe000) * 0x1p112
			out[2] = math.Float32frombits(uint32(int32(int16(v>>32))<<13)&0x8fffe000) * 0x1p112
			out[3] = math.Float32frombits(uint32(int32(int16(v>>48))<<13)&0x8fffe000) * 0x1p112
		} else {
			for i := range out {
				out[i] = FromF16(uint16(v >> (16 * i)))
			}
		}
		y, b = y[4:], b[8:]
	}
	for i := range y {
		y[i] = FromF16(u16(b[2*i:]))
	}
}

func decodeF64(y []float32, b []byte) {
	for i := range y {
		y[i] = float32(math.Float64frombits(u64(b[8*i:])))
	}
}

func decodeI8(y []float32, b []byte) {
	for i := range y {
		y[i] = float32(int8(b[i]))
	}
}

func decodeI16(y []float32, b []byte) {
	for i := range y {
		y[i] = float32(int16(u16(b[2*i:])))
	}
}

func decodeI32(y []float32, b []byte) {
	for i := range y {
		y[i] = float32(int32(u32(b[4*i:])))
	}
}

func decodeI64(y []float32, b []byte) {
	for i := range y {
		y[i] = float32(int64(u64(b[8*i:])))
	}
}
