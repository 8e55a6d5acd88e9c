// This file holds matrices [N,K] (out, in) whose numbers are a few bits each
// and whose scales are a tensor of their own, as safetensors files of the
// DeepSeek generations have them:
//
//   - MatrixFP8: E4M3 with one scale per block of rows and columns;
//   - MatrixFP4: E2M1 with a power-of-two scale per 32 columns of a row;
//   - MatrixNVFP4: E2M1 with an E4M3 scale per 16 columns and one for all.
//
// Check once, then read Rows. Every number is the float32 product of element
// and scale.

package quant

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Scale names how the scales of a MatrixFP8 are stored.
type Scale byte

const (
	ScaleF32  Scale = iota // four bytes
	ScaleBF16              // two bytes
	ScaleE8M0              // one byte, a power of two
)

func (s Scale) bytes() int { return [...]int{4, 2, 1}[s] }

func (s Scale) at(b []byte, i int) float32 {
	switch s {
	case ScaleF32:
		return math.Float32frombits(u32(b[4*i:]))
	case ScaleBF16:
		return FromBF16(u16(b[2*i:]))
	default:
		return FromE8M0(b[i])
	}
}

// MatrixFP8 is a matrix of E4M3 numbers: w[o][i] = code * scale[o/BlockRows][i/BlockCols].
// The last block of a row or column may be partial.
type MatrixFP8 struct {
	N, K                 int
	Codes                []byte // [N,K]
	Scales               []byte // [ceil(N/BlockRows), ceil(K/BlockCols)]
	Scale                Scale
	BlockRows, BlockCols int
}

// Check returns an error if the parts do not fit together.
func (m *MatrixFP8) Check() error {
	if m.BlockRows < 1 || m.BlockCols < 1 || m.Scale > ScaleE8M0 {
		return fmt.Errorf("quant: fp8 matrix with blocks of %d×%d and scales of kind %d", m.BlockRows, m.BlockCols, m.Scale)
	}
	if err := checkMatrix("fp8", m.N, m.K, len(m.Codes), 1); err != nil {
		return err
	}
	rows, cols := ceilDiv(m.N, m.BlockRows), ceilDiv(m.K, m.BlockCols)
	if want := rows * cols * m.Scale.bytes(); len(m.Scales) != want {
		return fmt.Errorf("quant: fp8 matrix [%d,%d] with blocks of %d×%d has %d×%d scales in %d bytes, not %d",
			m.N, m.K, m.BlockRows, m.BlockCols, rows, cols, want, len(m.Scales))
	}
	return nil
}

// Rows decodes rows [lo,hi).
//
//	dst [hi-lo,K] float32  written
func (m *MatrixFP8) Rows(dst []float32, lo, hi int) {
	cols := ceilDiv(m.K, m.BlockCols)
	for o := lo; o < hi; o++ {
		row, out := m.Codes[o*m.K:][:m.K], dst[(o-lo)*m.K:][:m.K]
		for j := o / m.BlockRows * cols; len(row) > 0; j++ {
			n := min(m.BlockCols, len(row))
			scaledE4M3(out[:n], row[:n], m.Scale.at(m.Scales, j))
			row, out = row[n:], out[n:]
		}
	}
}

// AppendScales appends the scales of row o, of all its blocks, as float32 in little-endian order.
func (m *MatrixFP8) AppendScales(b []byte, o int) []byte {
	cols := ceilDiv(m.K, m.BlockCols)
	for j := o / m.BlockRows * cols; cols > 0; j, cols = j+1, cols-1 {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(m.Scale.at(m.Scales, j)))
	}
	return b
}

func scaledE4M3(y []float32, codes []byte, scale float32) {
	for len(y) >= 8 && len(codes) >= 8 {
		v, out := u64(codes), (*[8]float32)(y)
		out[0] = e4m3[byte(v)] * scale
		out[1] = e4m3[byte(v>>8)] * scale
		out[2] = e4m3[byte(v>>16)] * scale
		out[3] = e4m3[byte(v>>24)] * scale
		out[4] = e4m3[byte(v>>32)] * scale
		out[5] = e4m3[byte(v>>40)] * scale
		out[6] = e4m3[byte(v>>48)] * scale
		out[7] = e4m3[byte(v>>56)] * scale
		y, codes = y[8:], codes[8:]
	}
	for i := range y {
		y[i] = e4m3[codes[i]] * scale
	}
}

// MatrixFP4 is a matrix of E2M1 numbers, two to a byte, the low nibble for the
// even column: w[o][i] = code * 2^(scale[o][i/32]-127).
type MatrixFP4 struct {
	N, K   int    // K is a multiple of 32
	Codes  []byte // [N,K/2]
	Scales []byte // [N,K/32] E8M0
}

// Check returns an error if the parts do not fit together.
func (m *MatrixFP4) Check() error {
	return checkFP4("fp4", m.N, m.K, 32, len(m.Codes), len(m.Scales))
}

// Rows decodes rows [lo,hi).
//
//	dst [hi-lo,K] float32  written
func (m *MatrixFP4) Rows(dst []float32, lo, hi int) {
	DecodeFP4(dst[:(hi-lo)*m.K], m.Codes[lo*m.K/2:hi*m.K/2], m.Scales[lo*m.K/32:hi*m.K/32])
}

// DecodeFP4 decodes E2M1 numbers with a scale per 32.
//
//	dst    [n]     float32  written; n a multiple of 32
//	codes  [n/2]   low nibble first  read
//	scales [n/32]  E8M0     read
func DecodeFP4(dst []float32, codes, scales []byte) {
	for _, s := range scales {
		scaledFP4((*[32]float32)(dst), (*[16]byte)(codes), FromE8M0(s))
		dst, codes = dst[32:], codes[16:]
	}
}

func scaledFP4(y *[32]float32, codes *[16]byte, scale float32) {
	for i, q := range codes {
		v := &fp4s[q]
		y[2*i] = v[0] * scale
		y[2*i+1] = v[1] * scale
	}
}

// MatrixNVFP4 is a matrix of E2M1 numbers, two to a byte, the low nibble for
// the even column: w[o][i] = code * (scale[o][i/16] * Global).
type MatrixNVFP4 struct {
	N, K   int    // K is a multiple of 16
	Codes  []byte // [N,K/2]
	Scales []byte // [N,K/16] E4M3
	Global float32
}

// Check returns an error if the parts do not fit together.
func (m *MatrixNVFP4) Check() error {
	return checkFP4("NVFP4", m.N, m.K, 16, len(m.Codes), len(m.Scales))
}

// Rows decodes rows [lo,hi).
//
//	dst [hi-lo,K] float32  written
func (m *MatrixNVFP4) Rows(dst []float32, lo, hi int) {
	dst = dst[:(hi-lo)*m.K]
	for b := lo * m.K / 16; len(dst) > 0; b++ {
		scale, out := e4m3[m.Scales[b]]*m.Global, (*[16]float32)(dst)
		for i, q := range (*[8]byte)(m.Codes[8*b:]) {
			v := &fp4s[q]
			out[2*i] = v[0] * scale
			out[2*i+1] = v[1] * scale
		}
		dst = dst[16:]
	}
}

func checkFP4(format string, n, k, block, codes, scales int) error {
	if k%block != 0 {
		return fmt.Errorf("quant: %s matrix [%d,%d]: rows are no multiple of %d", format, n, k, block)
	}
	if err := checkMatrix(format, n, k, codes, 2); err != nil {
		return err
	}
	if want := n * k / block; scales != want {
		return fmt.Errorf("quant: %s matrix [%d,%d] has %d bytes of scales, not %d", format, n, k, want, scales)
	}
	return nil
}

// checkMatrix compares the bytes of the codes, perByte of which fit into one.
func checkMatrix(format string, n, k, codes, perByte int) error {
	if n < 1 || k < 1 || n > math.MaxInt/k {
		return fmt.Errorf("quant: %s matrix [%d,%d]: no valid shape", format, n, k)
	}
	if want := n * k / perByte; codes != want {
		return fmt.Errorf("quant: %s matrix [%d,%d] takes %d bytes, not %d", format, n, k, want, codes)
	}
	return nil
}

func ceilDiv(a, b int) int { return (a-1)/b + 1 }
