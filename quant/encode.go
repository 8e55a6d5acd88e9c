// This file holds Encode and EncodeWeighted, which choose an encoder from a
// Type. The encoders are in encode32.go, encode_affine.go and encode_scale.go.

package quant

import (
	"encoding/binary"
	"fmt"
	"math"
)

// encoders pack one block: b has the bytes of a block of zeros, x is finite, w
// is nil or holds the importance of each number. They return false if no fp16
// can hold a scale.
var encoders = map[Type]func(b []byte, x, w []float32) bool{
	Q4_0:   encodeQ4_0,
	Q4_1:   encodeQ4_1,
	Q5_0:   encodeQ5_0,
	Q5_1:   encodeQ5_1,
	Q8_0:   encodeQ8_0,
	MXFP4:  encodeMXFP4,
	IQ4_NL: encodeIQ4_NL,
	Q2_K:   encodeQ2_K,
	Q3_K:   encodeQ3_K,
	Q4_K:   encodeQ4_K,
	Q5_K:   encodeQ5_K,
	Q6_K:   encodeQ6_K,
	IQ4_XS: encodeIQ4_XS,
	TQ1_0:  encodeTQ1_0,
	TQ2_0:  encodeTQ2_0,
}

// Encode packs whole blocks. It makes the same bytes as ggml's reference code
// for the formats with a fixed rule: F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1,
// Q8_0, MXFP4, TQ1_0 and TQ2_0. For IQ4_NL, IQ4_XS and the K-quants it searches
// for scales with the least squared error.
//
//	dst [t.Bytes(n)]  packed   written
//	src [n]           float32  read; n a multiple of t.Block()
//
// It fails for another type, if the lengths do not fit, and on a number that
// the format cannot hold: a finite one that would become infinite, and in a
// block format one that is not finite. dst is then partly written.
func Encode(dst []byte, src []float32, t Type) error {
	return EncodeWeighted(dst, src, t, nil)
}

// EncodeWeighted is Encode for one or several rows of a matrix with an
// importance for each input, such as the mean square of that input over some
// text. It minimises the sum of importance * error^2.
//
//	dst        [t.Bytes(n)]  packed   written
//	src        [n]           float32  read; n a multiple of K
//	importance [K]           float32  read; not negative; nil: all the same
//
// Formats with more than seven bits a number and the ternary ones do not use
// it.
func EncodeWeighted(dst []byte, src []float32, t Type, importance []float32) error {
	if err := checkLengths(len(src), len(dst), t); err != nil {
		return err
	}
	switch t {
	case F32:
		for i, x := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(x))
		}
		return nil
	case F16:
		for i, x := range src {
			h := ToF16(x)
			if h&0x7fff == 0x7c00 && math.Abs(float64(x)) <= math.MaxFloat32 {
				return fmt.Errorf("quant: element %d is %g, too large for F16: use BF16 or F32", i, x)
			}
			binary.LittleEndian.PutUint16(dst[2*i:], h)
		}
		return nil
	case BF16:
		for i, x := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], ToBF16(x))
		}
		return nil
	}
	encode := encoders[t]
	if encode == nil {
		return fmt.Errorf("quant: %v cannot be encoded", t)
	}
	block, size := t.Block(), t.BlockBytes()
	if err := checkImportance(importance, len(src), block); err != nil {
		return err
	}
	for i := 0; i < len(src); i += block {
		x, b := src[i:i+block], dst[:size:size]
		at, finite := extreme(x)
		if !finite {
			return fmt.Errorf("quant: element %d is %g, which %v cannot hold", i+at, x[at], t)
		}
		var w []float32
		if importance != nil {
			w = importance[i%len(importance):][:block]
		}
		clear(b)
		if !encode(b, x, w) {
			return fmt.Errorf("quant: element %d is %g, which %v cannot hold: its scales are at most 65504", i+at, x[at], t)
		}
		dst = dst[size:]
	}
	return nil
}

func checkImportance(importance []float32, n, block int) error {
	if importance == nil {
		return nil
	}
	k := len(importance)
	if k == 0 || k%block != 0 || n%k != 0 {
		return fmt.Errorf("quant: importance of %d inputs does not fit %d numbers in blocks of %d", k, n, block)
	}
	for i, w := range importance {
		if !(w >= 0 && w <= math.MaxFloat32) {
			return fmt.Errorf("quant: importance of input %d is %g, not a finite number of at least 0", i, w)
		}
	}
	return nil
}

// extreme returns the index of the first number with the largest magnitude, or
// of a number that is not finite.
func extreme(x []float32) (at int, finite bool) {
	var amax float32
	for i, v := range x {
		if v < 0 {
			v = -v
		}
		if !(v <= math.MaxFloat32) {
			return i, false
		}
		if v > amax {
			amax, at = v, i
		}
	}
	return at, true
}

// putF16 writes x as fp16. It returns false, for numbers beyond fp16, if x
// became infinite.
func putF16(b []byte, x float32) bool {
	h := ToF16(x)
	binary.LittleEndian.PutUint16(b, h)
	return h&0x7fff < 0x7c00
}
