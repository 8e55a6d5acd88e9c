package main

import (
	"fmt"

	"github.com/haenyeo/haenyeo"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/optim"
	"github.com/haenyeo/haenyeo/train"
	"github.com/haenyeo/haenyeo/tune"
)

type sftCmd struct {
	Model string `arg:"" placeholder:"DIR" help:"Directory of the model to train further."`
	tuning
	Experts  float64 `placeholder:"X" help:"Train only the experts that the data uses: in each layer those to which the router gives this share of its weight, such as 0.2 (ESFT)."`
	Truncate bool    `help:"Cut off the end of conversations that are longer than a row. Default: they are an error."`
}

// tuning is what training on conversations and on preferences have in common.
type tuning struct {
	Data   []string `required:"" sep:"none" placeholder:"FILE" help:"JSONL, a record a line; may be given several times."`
	Format string   `placeholder:"NAME" help:"Chat format, if not the model's own: ${formats}."`
	Out    string   `placeholder:"DIR" help:"Directory for checkpoints and the result. Default: nothing is kept."`
	Resume bool     `help:"Continue from the last checkpoint in --out; repeat the flags with which the run was begun."`
	Epochs *int     `placeholder:"N" help:"Passes through the data. Default: 2."`
	Steps  *int     `placeholder:"N" help:"Optimiser steps, instead of --epochs."`
	Batch  int      `default:"16" placeholder:"N" help:"Rows of a step; memory does not grow with them. Default: ${default}."`
	Seq    int      `placeholder:"N" help:"Tokens of a row. Default: 1024, or the window of the model if that is smaller."`
	Seed   uint64   `default:"1" placeholder:"N" help:"Seed of the order of the data and of fresh adapters. Default: ${default}."`

	LoRA    *int     `name:"lora" placeholder:"R" help:"Train adapters of rank R; the weights stay."`
	Alpha   *float64 `placeholder:"X" help:"Adapters count Alpha/R times. Default: twice R."`
	Targets []string `placeholder:"NAME,…" help:"Matrices that get adapters. Default: those of attention, and of the MLP of a model without experts."`

	LR              *float64 `name:"lr" placeholder:"X" help:"Peak learning rate. Default: 1e-3, above 50 million parameters 2e-5; for adapters five times that."`
	Optimizer       *string  `placeholder:"NAME" help:"adamw or muon. Default: adamw."`
	DType           *string  `name:"dtype" placeholder:"TYPE" help:"Arithmetic of matrix products: bf16 or f32. Default: bf16."`
	Schedule        *string  `placeholder:"NAME" help:"wsd, cosine, multistep or constant. Default: cosine."`
	Warmup          *int     `placeholder:"N" help:"Steps of linear growth to the peak. Default: a thirtieth of the steps, at most 100."`
	WeightDecay     *float64 `placeholder:"X" help:"Decoupled weight decay of matrices. Default: 0."`
	Clip            *float64 `placeholder:"X" help:"Largest norm of the gradient; 0: any. Default: 1."`
	CheckpointEvery int      `placeholder:"N" help:"Steps between checkpoints. Default: ten in a run."`
}

func (sftCmd) Help() string {
	return "Supervised fine-tuning: the model learns the answers of the assistant, and nothing else, in conversations of three shapes: " +
		"\"messages\" (OpenAI, with tools and reasoning_content), \"conversations\" (ShareGPT), and \"instruction\" (Alpaca). " +
		"What it leaves is a whole model, stored as float32; adapters lie beside it in adapter/, in the files of PEFT.\n\n" +
		"Example:\n\n\thaenyeo sft my-model --data talk.jsonl --epochs 3 --lora 16 --out my-chat"
}

func (c *sftCmd) Run(a *app) error {
	return c.train(a, c.Model, func(r tune.Request) (train.Done, error) {
		r.Experts, r.Truncate = c.Experts, c.Truncate
		return haenyeo.SFT(a.ctx, r)
	})
}

// train runs what run makes of the flags, and shows it.
func (c *tuning) train(a *app, dir string, run func(tune.Request) (train.Done, error)) error {
	r, err := c.request(dir)
	if err != nil {
		return err
	}
	resumed := ""
	if c.Resume {
		resumed = c.Out
	}
	if r.Engine, err = a.computeFor(resumed); err != nil {
		return err
	}
	dtype := "bf16"
	set(&dtype, c.DType)
	w := &watch{a: a, peak: func() float64 { return 1e9 * r.Engine.Peak(parseDType(dtype)) }}
	r.Emit, r.Logger = w.event, a.log
	done, err := run(r)
	if err == nil {
		err = w.err
	}
	if err != nil || a.JSON {
		return err
	}
	result := fmt.Sprintf("%d steps, loss %.4f", done.Step, done.Loss)
	if done.Out != "" {
		result += ", in " + done.Out
	}
	return a.print("%s", result)
}

func (c *tuning) request(dir string) (tune.Request, error) {
	r := tune.Request{
		Model: dir, Data: c.Data, Format: c.Format, Out: c.Out, Resume: c.Resume, Batch: c.Batch, Seq: c.Seq, Seed: c.Seed,
		Options: c.options,
		Pace: func(steps int) train.Pace {
			return train.Pace{CheckpointEvery: or(c.CheckpointEvery, share(steps, 10)), Retries: 3}
		},
	}
	switch {
	case c.Epochs != nil && c.Steps != nil:
		return r, misuse("give --epochs or --steps, one of them")
	case c.Epochs != nil && *c.Epochs < 1, c.Steps != nil && *c.Steps < 1, c.CheckpointEvery < 0:
		return r, misuse("--epochs, --steps and --checkpoint-every: give a positive number")
	case c.LoRA == nil && (c.Alpha != nil || len(c.Targets) > 0):
		return r, misuse("--alpha and --targets are of adapters: give their rank as well (--lora)")
	case c.Resume && c.Out == "":
		return r, misuse("--resume needs the --out of the run")
	}
	switch {
	case c.Steps != nil:
		r.Steps = *c.Steps
	default:
		r.Epochs = 2
		set(&r.Epochs, c.Epochs)
	}
	if c.LoRA != nil {
		r.LoRA = &model.LoRA{Rank: *c.LoRA, Alpha: 2 * float64(*c.LoRA), Targets: c.Targets}
		set(&r.LoRA.Alpha, c.Alpha)
	}
	return r, nil
}

// options gives the flags that were given to o.
func (c *tuning) options(o *train.Options) {
	if c.Optimizer != nil && optim.Kind(*c.Optimizer) != o.Optimizer {
		o.Optimizer, o.Eps = optim.Kind(*c.Optimizer), optim.Defaults(optim.Kind(*c.Optimizer)).Eps
	}
	if c.Schedule != nil {
		o.Schedule = optim.Shape(*c.Schedule)
	}
	set(&o.DType, c.DType)
	set(&o.LR, c.LR)
	set(&o.Warmup, c.Warmup)
	set(&o.WeightDecay, c.WeightDecay)
	set(&o.Clip, c.Clip)
}
