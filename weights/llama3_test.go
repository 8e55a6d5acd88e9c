package weights

import (
	"math"
	"testing"

	"github.com/haenyeo/haenyeo/model"
)

// Of the published scalings all four numbers come back, of others ones with the same divisors.
func TestLlama3ScalingFromItsDivisors(t *testing.T) {
	for _, c := range []struct {
		width int
		theta float64
		s     model.RopeScaling
		exact bool
	}{
		{128, 500000, model.RopeScaling{Factor: 8, OriginalMaxPosition: 8192, LowFreqFactor: 1, HighFreqFactor: 4}, true}, // 3.1
		{64, 500000, model.RopeScaling{Factor: 32, OriginalMaxPosition: 8192, LowFreqFactor: 1, HighFreqFactor: 4}, true}, // 3.2
		{64, 10000, model.RopeScaling{Factor: 3, OriginalMaxPosition: 100, LowFreqFactor: 1.5, HighFreqFactor: 7}, false},
		{16, 500000, model.RopeScaling{Factor: 8, OriginalMaxPosition: 32, LowFreqFactor: 1, HighFreqFactor: 4}, false}, // nothing between
		{32, 500000, model.RopeScaling{Factor: 8, OriginalMaxPosition: 32, LowFreqFactor: 1, HighFreqFactor: 4}, true},  // one between
		{32, 10000, model.RopeScaling{Factor: 8, OriginalMaxPosition: 1, LowFreqFactor: 1, HighFreqFactor: 4}, false},   // all in full
	} {
		c.s.Type = "llama3"
		cfg := &model.Config{HeadDim: c.width, RopeTheta: c.theta, RopeScaling: c.s}
		got, err := llama3Scaling(cfg, RopeDivisors(cfg))
		if err != nil || c.exact && got != c.s {
			t.Errorf("%+v: got %+v, %v", c.s, got, err)
		}
	}
	cfg := &model.Config{HeadDim: 8, RopeTheta: 10000}
	nan := float32(math.NaN())
	for _, d := range [][]float32{nil, {1, 1, 8}, {1, 9, 2, 8}, {nan, nan, nan, nan}, {1, 1, 1, nan}, {0, 0, 0, 0}, {8, 8, 1, 1}} {
		if got, err := llama3Scaling(cfg, d); err == nil {
			t.Errorf("divisors %v are taken for %+v", d, got)
		}
	}
}
