package create

// This file holds Request and the checks that need nothing but the request.

import (
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/haenyeo/haenyeo/corpus"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/tokenizer"
	"github.com/haenyeo/haenyeo/train"
)

// DefaultBudget is what a run takes when nothing is said.
const DefaultBudget = 5 * time.Minute

// Request says what to make. Its zero value makes a model from the embedded corpus in five minutes.
type Request struct {
	Data    []string       `json:"data,omitempty"`   // paths of text; none: the embedded corpus
	Out     string         `json:"-"`                // output directory; required by Run
	Budget  time.Duration  `json:"budget,omitempty"` // wall-clock time of the whole run; 0: DefaultBudget
	Size    string         `json:"size,omitempty"`   // nano, S, M or auto; "": auto
	Config  *model.Config  `json:"-"`                // a configuration instead of a size
	Mixture corpus.Mixture `json:"mixture,omitzero"` // of languages and sources
	Vocab   int            `json:"vocab,omitempty"`  // 0: by size and amount of text
	Seed    uint64         `json:"seed,omitempty"`
	Steps   int            `json:"steps,omitempty"` // instead of a budget
	Resume  bool           `json:"-"`               // continue the run in Out; what is given must be what it was begun with

	SeedGiven bool `json:"-"` // Seed is meant even where it is 0, which Resume otherwise takes for not given

	Engine   *kernel.Engine                   `json:"-"`
	Emit     func(train.Event)                `json:"-"` // nil: nobody watches
	Progress func(stage string, part float64) `json:"-"` // of the preparation; part is 0 to 1, negative when unknown
	Logger   *slog.Logger                     `json:"-"` // nil: slog.Default
}

// check reports, as a train.Misuse, what makes no sense. It also spells the size as its preset does.
func (r *Request) check() error {
	switch {
	case r.Engine == nil:
		return errors.New("create: no engine: this is a mistake in the calling program")
	case r.Budget < 0:
		return train.Misusef("create: budget %v: must be positive", r.Budget)
	case r.Steps < 0:
		return train.Misusef("create: %d steps: must be positive", r.Steps)
	case r.Vocab < 0:
		return train.Misusef("create: vocabulary %d: must be positive", r.Vocab)
	case r.Steps > 0 && r.Budget > 0:
		return train.Misusef("create: both %d steps and a budget of %v were given: the budget decides the number of steps, give one of them", r.Steps, r.Budget)
	case r.Config != nil && r.Size != "" && !strings.EqualFold(r.Size, "auto"):
		return train.Misusef("create: both a size (%s) and a configuration were given: give one of them", r.Size)
	}
	if err := r.Mixture.Validate(); err != nil {
		return train.Misusef("%w", err)
	}
	if strings.EqualFold(r.Size, "auto") {
		r.Size = ""
	}
	if r.Size != "" {
		p, err := findPreset(r.Size)
		if err != nil {
			return train.Misusef("%w", err)
		}
		r.Size = p.name
	}
	if r.Config != nil {
		if err := r.Config.Validate(); err != nil {
			return err
		}
		if err := r.Config.Trainable(); err != nil {
			return err
		}
		if r.Vocab > 0 && r.Vocab != r.Config.VocabSize {
			return train.Misusef("create: vocabulary %d was asked for, but the configuration has %d: give one of them", r.Vocab, r.Config.VocabSize)
		}
	}
	vocab := r.Vocab
	if r.Config != nil {
		vocab = r.Config.VocabSize
	}
	if least := 256 + len(tokenizer.DefaultSpecialTokens()); vocab > 0 && vocab < least {
		return train.Misusef("create: a vocabulary of %d is too small: bytes and special tokens need %d", vocab, least)
	}
	return nil
}

func (r *Request) budget() time.Duration {
	if r.Budget == 0 {
		return DefaultBudget
	}
	return r.Budget
}

func (r *Request) progress(stage string, part float64) {
	if r.Progress != nil {
		r.Progress(stage, part)
	}
}

func (r *Request) logger() *slog.Logger {
	if r.Logger == nil {
		return slog.Default()
	}
	return r.Logger
}
