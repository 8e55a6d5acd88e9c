// This file holds the matrices whose scales lie in a tensor of their own: fp8 with a grid of blocks, fp4
// with blocks along the row, NVFP4 with these and one factor for all. The scales stay where they are
// mapped: together they are a thirtieth of an fp4 model.
//
// Source: the published checkpoints of DeepSeek-V3 and V4, and community conversions; family notes 12.5
// and 12.6.

package weights

import (
	"fmt"
	"slices"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/quant"
)

// decoder writes rows [lo,hi) of a matrix.
type decoder func(dst []float32, lo, hi int)

// coded is a matrix whose scales lie apart.
type coded interface {
	Rows(dst []float32, lo, hi int)
}

// fp8 is w, E4M3 [n,k], whose scales are a grid [ceil(n/rows),ceil(k/cols)].
func fp8(w, scale safetensors.Tensor, rows, cols int) (coded, error) {
	if len(w.Shape) != 2 {
		return nil, fmt.Errorf("weights: tensor %q is stored as %v with scales and has shape %v: only matrices are known", w.Name, w.DType, w.Shape)
	}
	m := &quant.MatrixFP8{N: w.Shape[0], K: w.Shape[1], Codes: w.Data, Scales: scale.Data, BlockRows: rows, BlockCols: cols}
	switch scale.DType {
	case safetensors.F32:
		m.Scale = quant.ScaleF32
	case safetensors.BF16:
		m.Scale = quant.ScaleBF16
	case safetensors.F8_E8M0, safetensors.U8: // U8: written before the type existed
		m.Scale = quant.ScaleE8M0
	default:
		return nil, fmt.Errorf("weights: scales %q are stored as %v: only F32, BF16 and F8_E8M0 are known", scale.Name, scale.DType)
	}
	if grid := []int{ceil(m.N, rows), ceil(m.K, cols)}; !slices.Equal(scale.Shape, grid) {
		return nil, fmt.Errorf("weights: scales %q have shape %v, but blocks of %d×%d in %q %v need %v: check weight_block_size in config.json", scale.Name, scale.Shape, rows, cols, w.Name, w.Shape, grid)
	}
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("weights: tensor %q: %w", w.Name, err)
	}
	return m, nil
}

// fp4 is w, two E2M1 codes a byte, [n,k/2] bytes, with scales [n,k/32].
func fp4(w, scale safetensors.Tensor) (coded, error) {
	m := &quant.MatrixFP4{N: w.Shape[0], K: 2 * w.Shape[1], Codes: w.Data, Scales: scale.Data}
	if scale.DType != safetensors.F8_E8M0 && scale.DType != safetensors.U8 {
		return nil, fmt.Errorf("weights: scales %q of fp4 numbers are stored as %v: only F8_E8M0 is known", scale.Name, scale.DType)
	}
	if grid := []int{m.N, ceil(m.K, 32)}; !slices.Equal(scale.Shape, grid) {
		return nil, fmt.Errorf("weights: scales %q have shape %v, but %d rows of %d fp4 numbers in %q need %v", scale.Name, scale.Shape, m.N, m.K, w.Name, grid)
	}
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("weights: tensor %q: %w", w.Name, err)
	}
	return m, nil
}

// nvfp4 is w, two E2M1 codes a byte, [n,k/2] bytes, with E4M3 scales [n,k/16] and one
// factor for all. Some writers store the factor and some its reciprocal: weights are small, so it is the one
// below 1.
func nvfp4(w, scale, global safetensors.Tensor) (coded, error) {
	m := &quant.MatrixNVFP4{N: w.Shape[0], K: 2 * w.Shape[1], Codes: w.Data, Scales: scale.Data}
	if grid := []int{m.N, ceil(m.K, 16)}; scale.DType != safetensors.F8_E4M3 || !slices.Equal(scale.Shape, grid) {
		return nil, fmt.Errorf("weights: scales %q are %v of shape %v, but %d rows of %d NVFP4 numbers in %q need F8_E4M3 of %v", scale.Name, scale.DType, scale.Shape, m.N, m.K, w.Name, grid)
	}
	factor, err := global.Float32(nil)
	if err != nil || len(factor) != 1 || !(factor[0] > 0) || factor[0] > 1e30 {
		return nil, fmt.Errorf("weights: %q must hold one positive factor", global.Name)
	}
	if m.Global = factor[0]; m.Global > 1 {
		m.Global = 1 / m.Global
	}
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("weights: tensor %q: %w", w.Name, err)
	}
	return m, nil
}

func ceil(a, b int) int { return (a + b - 1) / b }
