// This file holds the encoders with a fixed rule: those of 32 numbers a block
// and the ternary ones. Without importance they make the bytes of ggml's
// reference code; with it they search (fit.go).
//
// The rule: the scale comes from the number of largest magnitude, or from the
// smallest and the largest; codes come from the scale before it is rounded to
// fp16. A product is rounded before something is added to it.
//
// Source: ggml-quants of the ggml project, whose files this writes.

package quant

import (
	"encoding/binary"
	"math"
)

func encodeQ4_0(b []byte, x, w []float32) bool {
	var codes [32]byte
	d := symmetricCodes(&codes, x, w, &q4Levels)
	packNibbles(b[2:], &codes)
	return putF16(b, d)
}

func encodeQ5_0(b []byte, x, w []float32) bool {
	var codes [32]byte
	d := symmetricCodes(&codes, x, w, &q5Levels)
	packFifths(b[2:], &codes)
	packNibbles(b[6:], &codes)
	return putF16(b, d)
}

func encodeQ4_1(b []byte, x, w []float32) bool {
	var codes [32]byte
	d, m := affineCodes(&codes, x, w, 15)
	packNibbles(b[4:], &codes)
	return putF16(b, d) && putF16(b[2:], m)
}

func encodeQ5_1(b []byte, x, w []float32) bool {
	var codes [32]byte
	d, m := affineCodes(&codes, x, w, 31)
	packFifths(b[4:], &codes)
	packNibbles(b[8:], &codes)
	return putF16(b, d) && putF16(b[2:], m)
}

var (
	q4Levels = levels{lo: -8, hi: 7, tries: []float64{-8, -8.5, -7.6, -7.2, -6.8, -6.3, 7, 7.5, 7.3, 6.8, 6.3}}
	q5Levels = levels{lo: -16, hi: 15, tries: []float64{-16, -16.5, -15.5, -15, -14.4, -13.6, 15, 15.5, 14.5, 14, 13.3}}
)

// symmetricCodes finds d and codes for x = d level.
func symmetricCodes(codes *[32]byte, x, w []float32, l *levels) float32 {
	if w != nil {
		return l.search(codes, x, w)
	}
	at, _ := extreme(x)
	d := x[at] / float32(l.lo)
	id, half := inverse(d), 0.5-float32(l.lo)
	for i, v := range x[:32] {
		q := int(float32(v*id) + half)
		codes[i] = byte(min(q, l.hi-l.lo))
	}
	return d
}

// affineCodes finds d, m and codes of 0 to top for x = d code + m.
func affineCodes(codes *[32]byte, x, w []float32, top int) (d, m float32) {
	if w != nil {
		return searchAffine(codes, x, w, top)
	}
	lo, hi := x[0], x[0]
	for _, v := range x {
		lo, hi = min(lo, v), max(hi, v)
	}
	d = (hi - lo) / float32(top)
	if d > math.MaxFloat32 {
		return d, lo
	}
	id := inverse(d)
	for i, v := range x[:32] {
		q := int(float32((v-lo)*id) + 0.5)
		codes[i] = byte(min(q, top))
	}
	return d, lo
}

// inverse is 1/d, or 0 where that is infinite: fp16 then holds no d but 0.
func inverse(d float32) float32 {
	id := 1 / d
	if math.IsInf(float64(id), 0) {
		return 0
	}
	return id
}

// packNibbles writes the low four bits of codes i and i+16 to byte i.
func packNibbles(b []byte, codes *[32]byte) {
	for i := range 16 {
		b[i] = codes[i]&15 | codes[i+16]<<4
	}
}

// packFifths writes bit 4 of each code to bit i of four bytes.
func packFifths(b []byte, codes *[32]byte) {
	var h uint32
	for i, q := range codes {
		h |= uint32(q>>4&1) << i
	}
	binary.LittleEndian.PutUint32(b, h)
}

// encodeQ8_0 takes d = max|x| / 127 and rounds x/d half away from zero.
func encodeQ8_0(b []byte, x, _ []float32) bool {
	at, _ := extreme(x)
	d := float32(math.Abs(float64(x[at]))) / 127
	id := inverse(d)
	qs := b[2:34]
	for i, v := range x {
		qs[i] = byte(int8(math.Round(float64(v * id))))
	}
	return putF16(b, d)
}

// encodeMXFP4 takes the scale with which the largest magnitude lies in [4,8),
// of which 6 is the largest that a code has. With importance it also tries the
// two scales beside that one.
func encodeMXFP4(b []byte, x, w []float32) bool {
	at, _ := extreme(x)
	e := max(int(math.Float32bits(x[at])>>23&0xff)-2, 0)
	best := math.Inf(1)
	for _, e := range [...]int{e, e - 1, e + 1} {
		if e < 0 || e > 254 {
			continue
		}
		var codes [32]byte
		if err := nearestMXFP4(&codes, x, w, halfE8M0(byte(e))); err < best {
			best = err
			b[0] = byte(e)
			packNibbles(b[1:], &codes)
		}
		if w == nil {
			break
		}
	}
	return true
}

// nearestMXFP4 finds the codes nearest to x/d, of two equally near ones that of
// smaller magnitude, and returns the squared error.
func nearestMXFP4(codes *[32]byte, x, w []float32, d float32) (total float64) {
	id := 2 / float64(d) // a power of two
	for i, v := range x[:32] {
		halves := math.Abs(float64(v)) * id
		k := int(min(halves, 21))
		if halves > float64(k) {
			k++
		}
		code := fp4Codes[min(k, 21)]
		if v < 0 && code > 0 {
			code |= 8
		}
		codes[i] = code
		weight := 1.0
		if w != nil {
			weight = float64(w[i])
		}
		diff := float64(d)*float64(fp4x2[code]) - float64(v)
		total += weight * diff * diff
	}
	return total
}

// fp4Codes are the codes of the doubled values nearest to i/2 and down to less
// than 1/2 below; the midpoints are multiples of 1/2.
var fp4Codes = func() (t [22]byte) {
	code := byte(0)
	for i := range t {
		for code < 7 && i > int(fp4x2[code]+fp4x2[code+1]) {
			code++
		}
		t[i] = code
	}
	return t
}()

// ternary returns d = max|x| and codes 0, 1, 2 for -d, 0, d.
func ternary(codes *[256]byte, x []float32) float32 {
	at, _ := extreme(x)
	d := float32(math.Abs(float64(x[at])))
	id := inverse(d)
	for i, v := range x[:256] {
		codes[i] = byte(int(math.Round(float64(v*id))) + 1)
	}
	return d
}

func encodeTQ1_0(b []byte, x, _ []float32) bool {
	var codes [256]byte
	d := ternary(&codes, x)
	at := 0
	for _, part := range [...]struct{ lo, hi, digits int }{{0, 32, 5}, {32, 48, 5}, {48, 52, 4}} {
		stride := part.hi - part.lo
		for m := range stride {
			q := 0
			for n := range 5 {
				q *= 3
				if n < part.digits {
					q += int(codes[at+n*stride+m])
				}
			}
			b[part.lo+m] = byte((q*256 + 242) / 243) // q/243 scaled to 256, rounded up
		}
		at += stride * part.digits
	}
	return putF16(b[52:], d)
}

func encodeTQ2_0(b []byte, x, _ []float32) bool {
	var codes [256]byte
	d := ternary(&codes, x)
	for i, q := range codes {
		b[i/128*32+i%32] |= q << (i / 32 % 4 * 2)
	}
	return putF16(b[64:], d)
}
