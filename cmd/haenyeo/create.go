package main

import (
	"path/filepath"
	"slices"
	"time"

	"github.com/haenyeo/haenyeo/create"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/train"
)

// making are the flags that create and plan share.
type making struct {
	Paths  []string       `arg:"" optional:"" name:"path" help:"More text, as --data: so that the shell may expand --data books/*.txt."`
	Data   []string       `sep:"none" placeholder:"PATH" help:"Text to learn from: file, directory or glob of text, Markdown or JSONL, also .gz and .zst; may be given several times. Default: the corpus inside this program."`
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
