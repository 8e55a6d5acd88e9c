package main

// The flags of how tokens are chosen.

import (
	"strconv"
	"strings"

	"github.com/haenyeo/haenyeo/infer"
)

type samplingFlags struct {
	Temperature *float64 `placeholder:"X" help:"0 takes the most probable token. Default: what the model's makers recommend; generate takes 0 where they say nothing."`
	TopK        *int     `placeholder:"N" help:"Sample from the N most probable tokens only; 0: all."`
	TopP        *float64 `placeholder:"X" help:"Sample from the fewest tokens that together have this probability."`
	MinP        *float64 `placeholder:"X" help:"Sample from tokens at least X times as probable as the first."`
	TypicalP    *float64 `group:"rules" placeholder:"X" help:"Sample from the tokens nearest to the expected surprise that together have this probability."`
	Seed        uint64   `default:"1" placeholder:"N" help:"Same seed, same text. Default: ${default}."`

	RepetitionPenalty *float64 `group:"rules" placeholder:"X" help:"Make every token of the text so far less likely, X times in its logit; 1: none."`
	PresencePenalty   *float64 `group:"rules" placeholder:"X" help:"Take X from the logit of every token written so far."`
	FrequencyPenalty  *float64 `group:"rules" placeholder:"X" help:"Take X from it for every time that it was written."`
	PenaltyWindow     *int     `group:"rules" placeholder:"N" help:"Penalise tokens among the last N only; 0: all."`
	DRY               float64  `name:"dry" group:"rules" placeholder:"X" help:"Make a token that would lengthen a repetition less likely, the more the longer it is (DRY); 0.8 is usual."`
	DRYBase           float64  `name:"dry-base" group:"rules" default:"1.75" placeholder:"X" help:"How much more for every further token. Default: ${default}."`
	DRYAllowed        int      `name:"dry-allowed" group:"rules" default:"2" placeholder:"N" help:"Repetitions of fewer tokens cost nothing. Default: ${default}."`
	DRYWindow         int      `name:"dry-window" group:"rules" placeholder:"N" help:"Look for repetitions among the last N tokens only; 0: all."`
	NoRepeat          int      `group:"rules" placeholder:"N" help:"Never write the same N tokens twice."`
	NoRepeatWindow    int      `group:"rules" placeholder:"N" help:"Within the last N tokens; 0: all."`
	LogitBias         []string `group:"rules" sep:"none" placeholder:"ID=X" help:"Add X to the logit of this token id; -inf bans it. May be given several times."`
}

// dryBreakers are where people expect a repetition to end.
var dryBreakers = [...]string{"\n", ":", "\"", "*"}

// apply changes s, the sampling that a model's makers recommend, by the flags that were given. text says whether the
// model has a tokenizer.
func (f *samplingFlags) apply(s *infer.Sampling, text bool) error {
	if f.RepetitionPenalty != nil && *f.RepetitionPenalty == 0 {
		return misuse("--repetition-penalty 0: give a number between 0.01 and 100, 1 for none")
	}
	s.Seed = f.Seed
	set(&s.Temperature, f.Temperature)
	set(&s.TopK, f.TopK)
	set(&s.TopP, f.TopP)
	set(&s.MinP, f.MinP)
	set(&s.TypicalP, f.TypicalP)
	set(&s.RepetitionPenalty, f.RepetitionPenalty)
	set(&s.PresencePenalty, f.PresencePenalty)
	set(&s.FrequencyPenalty, f.FrequencyPenalty)
	set(&s.PenaltyWindow, f.PenaltyWindow)
	if f.DRY != 0 {
		s.DRY = infer.DRY{Multiplier: f.DRY, Base: f.DRYBase, Allowed: f.DRYAllowed, Window: f.DRYWindow}
		if text {
			s.DRY.BreakerTexts = dryBreakers[:]
		}
	}
	s.NoRepeat = infer.NoRepeat{N: f.NoRepeat, Window: f.NoRepeatWindow}
	for _, flag := range f.LogitBias {
		id, x, err := parseBias(flag)
		if err != nil {
			return err
		}
		if s.Bias == nil {
			s.Bias = map[int32]float64{}
		}
		s.Bias[id] = x
	}
	if err := s.Validate(); err != nil {
		return usageError{err}
	}
	return nil
}

// parseBias reads ID=X.
func parseBias(flag string) (int32, float64, error) {
	id, value, ok := strings.Cut(flag, "=")
	i, err := strconv.ParseInt(id, 10, 32)
	x, wrong := strconv.ParseFloat(value, 64)
	if !ok || err != nil || wrong != nil {
		return 0, 0, misuse("--logit-bias %q: give ID=X, a token id and a number or -inf", flag)
	}
	return int32(i), x, nil
}
