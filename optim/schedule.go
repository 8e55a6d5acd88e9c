package optim

// This file holds the learning rate as a function of the step.
// Sources: multi-step, DeepSeek LLM report 2.3; cosine, V3 report 4.2; warm-up-stable-decay,
// MiniCPM (Hu et al. 2024).

import (
	"fmt"
	"math"
)

// Shape names a schedule after its warm-up.
type Shape string

const (
	Constant  Shape = "constant"
	WSD       Shape = "wsd"       // constant, then a straight line to Floor over the last Decay share
	Cosine    Shape = "cosine"    // half a cosine wave to Floor
	MultiStep Shape = "multistep" // ×0.316 at 80 %, ×0.1 at 90 % of the steps
)

// Schedule is the learning rate of a run of Steps steps.
type Schedule struct {
	Shape  Shape
	Peak   float64
	Warmup int     // steps of linear growth from Peak/Warmup to Peak
	Steps  int     // of the whole run
	Decay  float64 // WSD: share of the run that decays, in (0,1]
	Floor  float64 // WSD, cosine: share of Peak that is left at the end
}

// Validate reports what makes no sense.
func (s Schedule) Validate() error {
	switch s.Shape {
	case Constant, WSD, Cosine, MultiStep:
	default:
		return fmt.Errorf("optim: schedule %q: use %q, %q, %q or %q", s.Shape, WSD, Cosine, MultiStep, Constant)
	}
	switch {
	case !(s.Peak > 0) || s.Peak > 10:
		return fmt.Errorf("optim: learning rate %g: must be above 0 and at most 10", s.Peak)
	case s.Steps < 1:
		return fmt.Errorf("optim: %d steps: at least 1 is needed", s.Steps)
	case s.Warmup < 0 || s.Warmup > s.Steps:
		return fmt.Errorf("optim: warm-up of %d steps: must be between 0 and the %d steps of the run", s.Warmup, s.Steps)
	case s.Shape == WSD && !(s.Decay > 0 && s.Decay <= 1):
		return fmt.Errorf("optim: decay share %g: must be above 0 and at most 1", s.Decay)
	case !(s.Floor >= 0 && s.Floor <= 1):
		return fmt.Errorf("optim: floor %g: must be between 0 and 1", s.Floor)
	}
	return nil
}

// At is the learning rate of step, counted from 0. It is never 0: the last step still learns.
func (s Schedule) At(step int) float64 {
	if step < s.Warmup {
		return s.Peak * float64(step+1) / float64(s.Warmup)
	}
	done := float64(step) / float64(s.Steps) // share of the run before this step
	switch s.Shape {
	case WSD:
		if left := (1 - done) / s.Decay; left < 1 {
			return s.Peak * (s.Floor + (1-s.Floor)*left)
		}
	case Cosine:
		p := float64(step-s.Warmup) / float64(max(1, s.Steps-s.Warmup))
		return s.Peak * (s.Floor + (1-s.Floor)*0.5*(1+math.Cos(math.Pi*p)))
	case MultiStep:
		if done >= 0.9 {
			return s.Peak * 0.1
		}
		if done >= 0.8 {
			return s.Peak * math.Sqrt(0.1)
		}
	}
	return s.Peak
}
