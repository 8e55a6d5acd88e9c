// This file holds the rotary embedding: frequencies with their scalings, the softmax temperature that
// comes with YaRN, and the tables that kernel.Rope reads. The backward pass is the inverse rotation.
// Sources: Su et al. 2021; Peng et al. 2023 (YaRN); the Llama 3.1 release; DeepSeek-V2 report.

package model

import (
	"math"

	"github.com/haenyeo/haenyeo/kernel"
)

// rope rotates width channels per head. Pairs are (2i,2i+1) in MLA, (i,i+width/2) in the Llama line.
type rope struct {
	width       int
	interleaved bool
	frequency   []float64 // [width/2] angle per position
	factor      float64   // cos and sin are multiplied by it

	positions int
	cos, sin  []float32 // [positions,width/2]
}

func newRope(c *Config) *rope {
	r := &rope{width: c.HeadDim}
	if c.ModelType == v3 {
		r.width, r.interleaved = c.QKRopeHeadDim, true
	}
	r.frequency, r.factor = c.RopeScaling.Frequencies(r.width, c.RopeTheta)
	return r
}

// Frequencies returns theta^(-2i/width), i < width/2, stretched, and the factor of cos and sin.
func (s RopeScaling) Frequencies(width int, theta float64) ([]float64, float64) {
	f := make([]float64, width/2)
	for i := range f {
		f[i] = math.Pow(theta, -2*float64(i)/float64(width))
	}
	switch s.Type {
	case "linear":
		for i := range f {
			f[i] /= s.Factor
		}
	case "llama3":
		n := float64(s.OriginalMaxPosition)
		for i := range f {
			length := 2 * math.Pi / f[i]
			switch {
			case length < n/s.HighFreqFactor:
			case length > n/s.LowFreqFactor:
				f[i] /= s.Factor
			default:
				u := (n/length - s.LowFreqFactor) / (s.HighFreqFactor - s.LowFreqFactor)
				f[i] = (1-u)*f[i]/s.Factor + u*f[i]
			}
		}
	case "yarn":
		low, high := s.yarnRange(width, theta)
		for i := range f {
			ramp := min(max((float64(i)-low)/(high-low), 0), 1)
			f[i] = f[i]/s.Factor*ramp + f[i]*(1-ramp)
		}
		switch {
		case s.AttentionFactor > 0:
			return f, s.AttentionFactor
		case s.MScale > 0 && s.MScaleAllDim > 0:
			return f, yarnScale(s.Factor, s.MScale) / yarnScale(s.Factor, s.MScaleAllDim)
		}
		return f, yarnScale(s.Factor, 1)
	}
	return f, 1
}

// yarnRange returns the indices between which YaRN blends: those that turn beta_fast and beta_slow
// times within the original length.
func (s RopeScaling) yarnRange(width int, theta float64) (low, high float64) {
	turn := func(n float64) float64 {
		return float64(width) * math.Log(float64(s.OriginalMaxPosition)/(n*2*math.Pi)) / (2 * math.Log(theta))
	}
	low, high = turn(s.BetaFast), turn(s.BetaSlow)
	if !s.NoTruncate {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, float64(width-1))
	if low == high {
		high += 0.001
	}
	return low, high
}

// yarnScale is m = 0.1·mscale·ln(factor) + 1.
func yarnScale(factor, mscale float64) float64 {
	if factor <= 1 {
		return 1
	}
	return 0.1*mscale*math.Log(factor) + 1
}

// SoftmaxScale is the factor of q·k: width^(-1/2), and in latent attention m² with YaRN.
// Source: DeepSeek-V2 report; the key mscale_all_dim.
func (c *Config) SoftmaxScale() float64 {
	if !c.latent() {
		return 1 / math.Sqrt(float64(c.HeadDim))
	}
	s := 1 / math.Sqrt(float64(c.QKNopeHeadDim+c.QKRopeHeadDim))
	if r := c.RopeScaling; r.Type != "" && r.MScaleAllDim != 0 {
		m := yarnScale(r.Factor, r.MScaleAllDim)
		s *= m * m
	}
	return s
}

// grow makes the tables cover n positions. Angles are computed in float64: far positions lose
// nothing before they are rounded.
func (r *rope) grow(n int) {
	if n <= r.positions {
		return
	}
	n = max(n, 2*r.positions)
	half := r.width / 2
	cos, sin := make([]float32, n*half), make([]float32, n*half)
	copy(cos, r.cos)
	copy(sin, r.sin)
	for p := r.positions; p < n; p++ {
		for i, f := range r.frequency {
			s, c := math.Sincos(float64(p) * f)
			cos[p*half+i], sin[p*half+i] = float32(c*r.factor), float32(s*r.factor)
		}
	}
	r.positions, r.cos, r.sin = n, cos, sin
}

// forward rotates, in place, heads heads of x, whose first channels are the rotated ones.
func (r *rope) forward(p *pass, x kernel.View, heads int) {
	p.e.Rope(x, p.n, heads, r.width, p.pos, r.cos, r.sin, r.interleaved, false)
}

// backward rotates the gradient back, in place.
func (r *rope) backward(p *pass, dx kernel.View, heads int) {
	p.e.Rope(dx, p.n, heads, r.width, p.pos, r.cos, r.sin, r.interleaved, true)
}
