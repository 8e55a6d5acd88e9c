package train

// This file holds every number that decides what a run computes, and those that decide only what
// it shows and keeps. Sources: DeepSeek-V3 report 4.2; V4 report for Muon.

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/optim"
)

// Options name a run: two runs with equal Options, data and starting weights have equal bits.
type Options struct {
	Optimizer optim.Kind  `json:"optimizer"`
	Seed      uint64      `json:"seed"`
	Steps     int         `json:"steps"`
	DType     string      `json:"dtype"` // of matrix products: "bf16" or "f32"
	LR        float64     `json:"lr"`
	Warmup    int         `json:"warmup"` // steps
	Schedule  optim.Shape `json:"schedule"`
	Decay     float64     `json:"decay"` // share of the steps in which a wsd schedule decays
	Floor     float64     `json:"floor"` // share of LR left at the end of wsd and cosine

	Beta1       float64 `json:"beta1"`
	Beta2       float64 `json:"beta2"`
	Eps         float64 `json:"eps"`
	Momentum    float64 `json:"momentum"` // Muon's
	WeightDecay float64 `json:"weight_decay"`
	Clip        float64 `json:"clip"`
	EMA         float64 `json:"ema"` // 0: none; else the model that is left is the average

	BiasGamma    float64 `json:"bias_gamma"`    // speed of the routing biases
	BiasDecay    float64 `json:"bias_decay"`    // share of the steps, at the end, in which it falls to 0
	BalanceAlpha float64 `json:"balance_alpha"` // weight of the sequence-wise balance loss
	MTPLambda    float64 `json:"mtp_lambda"`    // weight of the multi-token prediction loss

	// Objective names Job.Objective with all that it computes from beside weights and batch, in words of
	// whoever makes it; "" without. A run is not continued with another.
	Objective string `json:"objective,omitempty"`
}

// Defaults are what the flags of pretrain say when they are not given: the constants of V3 (V4 for
// Muon), with a schedule for runs whose length is known and a learning rate for small models. The
// multi-token prediction layer is trained if the model has one; open it with it then.
func Defaults(kind optim.Kind, steps int, cfg *model.Config) Options {
	o := optim.Defaults(kind)
	opt := Options{
		Steps: steps, DType: kernel.BF16.String(), Optimizer: kind,
		LR: 2e-3, Warmup: min(100, steps/10), Schedule: optim.WSD, Decay: 0.4,
		Beta1: o.Beta1, Beta2: o.Beta2, Eps: o.Eps, Momentum: o.Momentum, WeightDecay: o.Decay, Clip: o.Clip,
		BiasGamma: 0.001, BalanceAlpha: 1e-4,
	}
	if cfg.NumNextnPredictLayers > 0 {
		opt.MTPLambda = 0.3
	}
	return opt
}

// Pace is what a run shows and keeps; it does not change what is computed. Zero means never.
type Pace struct {
	EvalEvery       int     `json:"eval_every"`       // steps; there is one at the end as well
	SampleEvery     int     `json:"sample_every"`     // steps; likewise
	CheckpointEvery int     `json:"checkpoint_every"` // steps; likewise, and on interruption
	Retries         int     `json:"retries"`          // non-finite steps that are retried before giving up
	PlannedSeconds  float64 `json:"planned_seconds"`  // what was promised; a run that cannot keep it says so
}

func (o Options) schedule() optim.Schedule {
	return optim.Schedule{Shape: o.Schedule, Peak: o.LR, Warmup: o.Warmup, Steps: o.Steps, Decay: o.Decay, Floor: o.Floor}
}

func (o Options) optim() optim.Options {
	d, _ := ParseDType(o.DType)
	return optim.Options{
		Kind: o.Optimizer, Beta1: o.Beta1, Beta2: o.Beta2, Eps: o.Eps, Decay: o.WeightDecay,
		Clip: o.Clip, Momentum: o.Momentum, DType: d, EMA: o.EMA,
	}
}

func (o Options) loss() model.LossOptions {
	return model.LossOptions{BalanceAlpha: float32(o.BalanceAlpha), MTPLambda: float32(o.MTPLambda)}
}

// gamma is the bias speed of a step, counted from 0: constant, then a straight line to 0.
func (o Options) gamma(step int) float32 {
	g := o.BiasGamma
	if left := float64(o.Steps-step) / float64(o.Steps); o.BiasDecay > 0 && left < o.BiasDecay {
		g *= left / o.BiasDecay
	}
	return float32(g)
}

// ParseDType reads "bf16" or "f32".
func ParseDType(s string) (kernel.DType, error) {
	for _, d := range []kernel.DType{kernel.F32, kernel.BF16} {
		if s == d.String() {
			return d, nil
		}
	}
	return 0, fmt.Errorf("train: dtype %q: use %q or %q", s, kernel.BF16, kernel.F32)
}

// Misuse is the error of a request that no machine and no data could fulfil.
type Misuse struct{ error }

// Unwrap returns what is wrong.
func (m Misuse) Unwrap() error { return m.error }

// Misusef makes a Misuse.
func Misusef(format string, args ...any) error { return Misuse{fmt.Errorf(format, args...)} }

// Validate reports, as a Misuse, the first option that makes no sense.
func (o Options) Validate() error {
	if err := o.validate(); err != nil {
		return Misuse{err}
	}
	return nil
}

func (o Options) validate() error {
	if _, err := ParseDType(o.DType); err != nil {
		return err
	}
	if err := o.schedule().Validate(); err != nil {
		return err
	}
	if err := o.optim().Validate(); err != nil {
		return err
	}
	for _, x := range []struct {
		name  string
		value float64
	}{
		{"bias-gamma", o.BiasGamma}, {"bias-decay", o.BiasDecay}, {"balance-alpha", o.BalanceAlpha}, {"mtp-lambda", o.MTPLambda},
	} {
		if !(x.value >= 0 && x.value <= 10) { // false for NaN
			return fmt.Errorf("train: %s %g: must be between 0 and 10", x.name, x.value)
		}
	}
	return nil
}

// Suits reports a model of shape cfg that cannot be trained, and, as a Misuse, an option that it cannot
// follow.
func (o Options) Suits(cfg *model.Config) error {
	if err := cfg.Trainable(); err != nil {
		return err
	}
	if o.MTPLambda > 0 && cfg.NumNextnPredictLayers == 0 {
		return Misusef("train: mtp-lambda %g: the model has no multi-token prediction layer (num_nextn_predict_layers)", o.MTPLambda)
	}
	return nil
}

// difference names the first option in which two runs differ as its flag, "" if none does: the
// optimiser, from which others follow, the batches, and the rest in the order of the fields. Batches
// of no size are unknown.
func (o Options) difference(now Options, batch, batchNow, seq, seqNow int) string {
	change := func(flag string, was, now any) string {
		return fmt.Sprintf("--%s was %v and is now %v", flag, was, now)
	}
	switch {
	case o.Optimizer != now.Optimizer:
		return change("optimizer", o.Optimizer, now.Optimizer)
	case batch > 0 && batch != batchNow:
		return change("batch", batch, batchNow)
	case seq > 0 && seq != seqNow:
		return change("seq", seq, seqNow)
	}
	a, b := reflect.ValueOf(o), reflect.ValueOf(now)
	for i := range a.NumField() {
		if was, is := a.Field(i).Interface(), b.Field(i).Interface(); was != is {
			name, _, _ := strings.Cut(a.Type().Field(i).Tag.Get("json"), ",")
			if name == "objective" {
				return fmt.Sprintf("the objective was %q and is now %q", was, is)
			}
			return change(strings.ReplaceAll(name, "_", "-"), was, is)
		}
	}
	return ""
}
