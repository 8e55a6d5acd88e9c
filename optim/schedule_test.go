package optim

import (
	"math"
	"testing"
)

func TestSchedules(t *testing.T) {
	s := func(shape Shape) Schedule {
		return Schedule{Shape: shape, Peak: 1, Warmup: 10, Steps: 100, Decay: 0.4, Floor: 0.1}
	}
	for _, c := range []struct {
		shape Shape
		step  int
		want  float64
	}{
		{Constant, 0, 0.1}, {Constant, 4, 0.5}, {Constant, 9, 1}, {Constant, 99, 1},
		{WSD, 9, 1}, {WSD, 60, 1}, {WSD, 80, 0.1 + 0.9*0.5}, {WSD, 99, 0.1 + 0.9*0.025},
		{Cosine, 10, 1}, {Cosine, 55, 0.55}, {Cosine, 99, 0.1 + 0.45*(1+math.Cos(math.Pi*89/90))},
		{MultiStep, 79, 1}, {MultiStep, 80, math.Sqrt(0.1)}, {MultiStep, 89, math.Sqrt(0.1)}, {MultiStep, 90, 0.1},
	} {
		if got := s(c.shape).At(c.step); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s at %d: %g, want %g", c.shape, c.step, got, c.want)
		}
	}
	for _, bad := range []Schedule{
		{Shape: "step", Peak: 1, Steps: 1}, {Shape: Constant, Steps: 1}, {Shape: Constant, Peak: 1},
		{Shape: Constant, Peak: math.NaN(), Steps: 1}, {Shape: WSD, Peak: 1, Steps: 1},
		{Shape: Cosine, Peak: 1, Steps: 5, Warmup: 6}, {Shape: Cosine, Peak: 1, Steps: 5, Floor: 2},
	} {
		if bad.Validate() == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
	for _, shape := range []Shape{Constant, WSD, Cosine, MultiStep} {
		if err := s(shape).Validate(); err != nil {
			t.Error(err)
		}
		if s(shape).At(99) <= 0 {
			t.Errorf("%s ends at 0", shape)
		}
	}
}
