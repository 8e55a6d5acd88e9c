package main

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/haenyeo/haenyeo/corpus"
	"github.com/haenyeo/haenyeo/create"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/train"
)

// mixing are the flags that say how the text is mixed.
type mixing struct {
	Mix            []string `sep:"none" placeholder:"NAME=X" help:"Multiply the share of a language (ko) or a source (the directory, the file or the record's field) by X; 0 leaves it out; may be given several times."`
	MixTemperature *float64 `placeholder:"X" help:"Even out the languages: their sizes to the power X, 1 (as they are) to near 0 (equal); no text comes more than four times as often. Default: 1."`
}

func (f *mixing) mixture() (corpus.Mixture, error) {
	var m corpus.Mixture
	for _, part := range f.Mix {
		at := strings.LastIndexByte(part, '=') // a name may have one
		if at < 1 {
			return m, misuse("--mix %s: want NAME=X, a language or source and the number to multiply its share by", part)
		}
		x, err := strconv.ParseFloat(part[at+1:], 64)
		if err != nil {
			return m, misuse("--mix %s: %q is not a number", part, part[at+1:])
		}
		if m.Weights == nil {
			m.Weights = map[string]float64{}
		}
		if _, twice := m.Weights[part[:at]]; twice {
			return m, misuse("--mix %s: %q is given twice", part, part[:at])
		}
		m.Weights[part[:at]] = x
	}
	if f.MixTemperature != nil {
		if m.Temperature = *f.MixTemperature; m.Temperature == 0 {
			return m, misuse("--mix-temperature 0: want more than 0; 0.01 makes the languages nearly equal")
		}
	}
	return m, nil
}

// making are the flags that create and plan share.
type making struct {
	Paths []string `arg:"" optional:"" name:"path" help:"More text, as --data: so that the shell may expand --data books/*.txt."`
	Data  []string `sep:"none" placeholder:"PATH" help:"Text to learn from: file, directory or glob of text, Markdown or JSONL, also .gz and .zst; may be given several times. Default: the corpus inside this program."`
	mixing
	Budget *time.Duration `placeholder:"TIME" help:"Time the whole run may take, such as 30s, 5m or 10h. Default: 5m."`
	Size   string         `enum:"nano,S,M,auto," default:"" placeholder:"NAME" help:"nano, S, M or auto. Default: auto, the best for the budget."`
	Config string         `placeholder:"FILE" help:"config.json of the shape to make, instead of a size."`
	Vocab  int            `placeholder:"N" help:"Tokens of the vocabulary. Default: by size and amount of text."`
	Seed   *uint64        `placeholder:"N" help:"Same seed, text, steps and kind of processor: same model. Default: 0."`
	Steps  *int           `placeholder:"N" help:"Optimiser steps, instead of a budget."`
}

// request makes a create.Request of the flags; resumed is the directory of the run to continue, if any.
func (f *making) request(a *app, resumed string) (create.Request, error) {
	r := create.Request{
		Data: append(f.Data, f.Paths...), Size: f.Size, Vocab: f.Vocab, Logger: a.log, Progress: a.bar.stage,
	}
	if f.Seed != nil {
		r.Seed, r.SeedGiven = *f.Seed, true
	}
	if f.Budget != nil {
		if r.Budget = *f.Budget; r.Budget <= 0 {
			return r, misuse("--budget %v: must be positive", r.Budget)
		}
	}
	if f.Steps != nil {
		if r.Steps = *f.Steps; r.Steps <= 0 {
			return r, misuse("--steps %d: must be positive", r.Steps)
		}
	}
	var err error
	if r.Mixture, err = f.mixture(); err != nil {
		return r, err
	}
	if f.Config != "" {
		if r.Config, err = model.ReadConfigFile(f.Config); err != nil {
			return r, err
		}
	}
	r.Engine, err = a.computeFor(resumed)
	return r, err
}

type createCmd struct {
	making
	Out    string `default:"haenyeo-model" placeholder:"DIR" help:"Directory of the model: new, empty or, with --resume, that of an unfinished run. Default: ${default}."`
	Resume bool   `help:"Continue an interrupted run; give no other flags than --out."`
}

func (createCmd) Help() string {
	return "Reads text, learns a vocabulary, trains a model and leaves a directory that transformers, llama.cpp and this program load. Ctrl-C keeps what was done.\n\n" +
		"Example:\n\n\thaenyeo create --data books/ --budget 1h --out my-model"
}

func (c *createCmd) Run(a *app) error {
	resumed := ""
	if c.Resume {
		resumed = c.Out
	}
	r, err := c.request(a, resumed)
	if err != nil {
		return err
	}
	w := &watch{a: a, peak: func() float64 { return 1e9 * r.Engine.Peak(kernel.BF16) }, plans: true}
	r.Out, r.Resume, r.Emit = c.Out, c.Resume, w.event
	done, err := create.Run(a.ctx, r)
	if err == nil {
		err = w.err
	}
	if err != nil || a.JSON {
		return err
	}
	if len(w.last) > 0 {
		a.print("\nIt continues [the beginnings of texts] that it did not learn from:")
		a.showSamples(w.last)
	}
	a.print("\n%s holds a model of %s parameters after %s: %.3f bits per byte on text it did not learn from.\nIts curves: %s",
		c.Out, count(float64(w.plan.Params)), duration(time.Duration(done.Seconds*float64(time.Second))), done.ValBPB, filepath.Join(c.Out, "report.html"))
	return a.print("\nNext:\n  %[1]s generate %[2]s --prompt %[3]s\n  %[1]s convert %[2]s --out %[4]s --type q8_0",
		program(), quoted(c.Out), quoted(suggestedPrompt(w.last)), quoted(filepath.Clean(c.Out)+".gguf"))
}

// suggestedPrompt is the beginning of a text of the kind that was learned, in English if there was any.
func suggestedPrompt(samples []train.Sample) string {
	if len(samples) == 0 {
		return "Once upon a time"
	}
	if i := slices.IndexFunc(samples, func(s train.Sample) bool { return s.Lang == "en" }); i > 0 {
		return samples[i].Prompt
	}
	return samples[0].Prompt
}
