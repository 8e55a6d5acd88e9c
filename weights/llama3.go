// This file holds the rotary scaling of Llama 3.1 both ways: config.json names four numbers, a GGUF holds
// the divisors of the frequencies that they give, in rope_freqs.weight.
//
// Source: the Llama 3.1 release; ggml divides the angle by them.

package weights

import (
	"errors"
	"math"

	"github.com/haenyeo/haenyeo/model"
)

// RopeDivisors are what the frequencies of llama3 scaling are divided by, [HeadDim/2].
func RopeDivisors(c *model.Config) []float32 {
	s := c.RopeScaling
	n := float64(s.OriginalMaxPosition)
	f := make([]float32, c.HeadDim/2)
	for i := range f {
		length := waveLength(c, i)
		switch {
		case length < n/s.HighFreqFactor:
			f[i] = 1
		case length > n/s.LowFreqFactor:
			f[i] = float32(s.Factor)
		default:
			u := (n/length - s.LowFreqFactor) / (s.HighFreqFactor - s.LowFreqFactor)
			f[i] = float32(1 / ((1-u)/s.Factor + u))
		}
	}
	return f
}

// waveLength is how many tokens frequency i takes for a turn.
func waveLength(c *model.Config, i int) float64 {
	return 2 * math.Pi * math.Pow(c.RopeTheta, 2*float64(i)/float64(c.HeadDim))
}

// llama3Scaling finds the scaling whose divisors are d. Short waves have 1 and long ones the factor; between
// them the blend u, from 1/d = (1-u)/factor + u, is a straight line in 1/length: n/(high-low) is its slope and
// -low/(high-low) its start. A common multiple of n, low and high changes nothing, so low is 1, or as near to
// 1 as makes n a whole number.
func llama3Scaling(c *model.Config, d []float32) (model.RopeScaling, error) {
	wrong := errors.New("weights: tensor \"rope_freqs.weight\" is not a scaling of the Llama 3.1 kind, the only one known: open the safetensors")
	if len(d) != c.HeadDim/2 || len(d) == 0 || !(d[len(d)-1] >= 1) {
		return model.RopeScaling{}, wrong
	}
	factor := float64(d[len(d)-1]) // the longest wave has it in every published model
	var kept, stretched float64    // the longest wave with 1; the shortest with the factor
	var blend [][2]float64         // 1/length, u
	for i := len(d) - 1; i >= 0; i-- {
		switch x, length := float64(d[i]), waveLength(c, i); {
		case x == factor:
			stretched = length
		case x == 1:
			kept = max(kept, length)
		default:
			blend = append(blend, [2]float64{1 / length, (1/x - 1/factor) / (1 - 1/factor)})
		}
	}
	n, high := stretched*(1-1e-9), 0.0
	switch last := len(blend) - 1; {
	case last > 0:
		slope := (blend[last][1] - blend[0][1]) / (blend[last][0] - blend[0][0])
		start := slope*blend[0][0] - blend[0][1]
		n, high = slope/start, 1+1/start
	case last == 0: // one point on the line: high as in every published model
		high = 4
		n = (1 + blend[0][1]*(high-1)) / blend[0][0]
	default: // the line lies between two waves: where, is all the same
		high = (1 + n/max(kept, 1)) / 2
	}
	whole := max(1, math.Round(n))
	low := whole / n
	high *= low
	s := model.RopeScaling{Type: "llama3", Factor: factor, OriginalMaxPosition: int(min(whole, math.MaxInt32)), LowFreqFactor: near(low), HighFreqFactor: near(high)}
	again := *c
	again.RopeScaling = s
	for i, x := range RopeDivisors(&again) {
		if !(math.Abs(float64(x-d[i])) <= 1e-6*float64(d[i])) {
			return model.RopeScaling{}, wrong
		}
	}
	return s, nil
}

// near is x, or the whole number that it misses by rounding only.
func near(x float64) float64 {
	if r := math.Round(x); math.Abs(x-r) < 1e-4 {
		return r
	}
	return x
}
