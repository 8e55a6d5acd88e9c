package main

// The flags of how tokens are chosen.

import (
	"math"
	"strconv"
	"strings"

	"github.com/haenyeo/haenyeo/infer"
)

type samplingFlags struct {
	Temperature *float64 `placeholder:"X" help:"0 takes the most probable token. Default: what the model's makers recommend; generate takes 0 where they say nothing."`
	TopK        *int     `placeholder:"N" help:"Sample from the N most probable tokens only; 0: all."`
	TopP        *float64 `placeholder:"X" help:"Sample from the fewest tokens that together have this probability; 0: one."`
	MinP        *float64 `placeholder:"X" help:"Sample from tokens at least X times as probable as the first."`
	TypicalP    *float64 `group:"rules" placeholder:"X" help:"Sample from the tokens nearest to the expected surprise that together have this probability."`
	Seed        uint64   `default:"1" placeholder:"N" help:"Same seed, same text. Default: ${default}."`

	RepetitionPenalty *float64 `group:"rules" placeholder:"X" help:"Make every token of the text so far less likely, X times in its logit; 1: none."`
	PresencePenalty   *float64 `group:"rules" placeholder:"X" help:"Take X from the logit of every token written so far."`
	FrequencyPenalty  *float64 `group:"rules" placeholder:"X" help:"Take X from it for every time that it was written."`
	PenaltyWindow     *int     `group:"rules" placeholder:"N" help:"Penalise tokens among the last N only; 0: all."`
	DRY               float64  `name:"dry" group:"rules" placeholder:"X" help:"Make a token that would lengthen a repetition less likely, the more the longer it is (DRY); 0.8 is usual."`
	DRYBase           *float64 `name:"dry-base" group:"rules" placeholder:"X" help:"How much more for every further token. Default: 1.75."`
	DRYAllowed        *int     `name:"dry-allowed" group:"rules" placeholder:"N" help:"Repetitions of fewer tokens cost nothing. Default: 2."`
	DRYWindow         *int     `name:"dry-window" group:"rules" placeholder:"N" help:"Look for repetitions among the last N tokens only; 0: all."`
	NoRepeat          *int     `group:"rules" placeholder:"N" help:"Never write the same N tokens twice; 0: no such rule."`
	NoRepeatWindow    *int     `group:"rules" placeholder:"N" help:"Within the last N tokens; 0: all."`
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
	set(&s.TopP, probability(f.TopP))
	set(&s.MinP, f.MinP)
	set(&s.TypicalP, probability(f.TypicalP))
	set(&s.RepetitionPenalty, f.RepetitionPenalty)
	set(&s.PresencePenalty, f.PresencePenalty)
	set(&s.FrequencyPenalty, f.FrequencyPenalty)
	set(&s.PenaltyWindow, f.PenaltyWindow)
	if err := f.applyRules(s, text); err != nil {
		return err
	}
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

// applyRules does it for the rules against repetition.
func (f *samplingFlags) applyRules(s *infer.Sampling, text bool) error {
	set(&s.NoRepeat.N, f.NoRepeat)
	set(&s.NoRepeat.Window, f.NoRepeatWindow)
	if f.NoRepeatWindow != nil && s.NoRepeat.N == 0 {
		return misuse("--no-repeat-window has no effect without --no-repeat N")
	}
	if f.PenaltyWindow != nil && (s.RepetitionPenalty == 0 || s.RepetitionPenalty == 1) && s.PresencePenalty == 0 && s.FrequencyPenalty == 0 {
		return misuse("--penalty-window has no effect without --repetition-penalty, --presence-penalty or --frequency-penalty")
	}
	if f.DRY == 0 {
		if f.DRYBase != nil || f.DRYAllowed != nil || f.DRYWindow != nil {
			return misuse("--dry-base, --dry-allowed and --dry-window have no effect without --dry X")
		}
		return nil
	}
	s.DRY = infer.DRY{Multiplier: f.DRY, Base: 1.75, Allowed: 2}
	set(&s.DRY.Base, f.DRYBase)
	set(&s.DRY.Allowed, f.DRYAllowed)
	set(&s.DRY.Window, f.DRYWindow)
	if text {
		s.DRY.BreakerTexts = dryBreakers[:]
	}
	return nil
}

// cutsNothing names the flags that cut the tokens to draw from, when s draws none; "" otherwise.
func (f *samplingFlags) cutsNothing(s *infer.Sampling) string {
	if s.Temperature != 0 || f.Temperature != nil {
		return ""
	}
	var given []string
	if f.TopK != nil {
		given = append(given, "--top-k")
	}
	for _, cut := range []struct {
		name  string
		value *float64
	}{{"--top-p", f.TopP}, {"--min-p", f.MinP}, {"--typical-p", f.TypicalP}} {
		if cut.value != nil {
			given = append(given, cut.name)
		}
	}
	return strings.Join(given, ", ")
}

// probability is a limit as package infer takes it: 0, where the limit is the most probable token alone,
// means all of them there.
func probability(p *float64) *float64 {
	if p == nil || *p != 0 {
		return p
	}
	least := float64(math.SmallestNonzeroFloat32)
	return &least
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
