package main

import (
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/alecthomas/kong"

	"github.com/haenyeo/haenyeo"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/optim"
	"github.com/haenyeo/haenyeo/train"
)

type pretrainCmd struct {
	Paths     []string `arg:"" optional:"" name:"path" help:"More text, as --data."`
	Model     string   `placeholder:"DIR" help:"Model to continue from."`
	Config    string   `placeholder:"FILE" help:"config.json of a model to begin; its tokenizer is looked for beside it."`
	Tokenizer string   `placeholder:"DIR" help:"Directory of the tokenizer, if not that of the model or configuration."`
	Data      []string `sep:"none" placeholder:"PATH" help:"Text to train on: file, directory or glob; may be given several times."`
	mixing
	Batches string `placeholder:"FILE" help:"Recorded batches instead of text: tensor tokens [N,B,T+1] of a safetensors file."`
	Out     string `placeholder:"DIR" help:"Directory for checkpoints and the result. Default: nothing is kept."`
	Resume  bool   `help:"Continue from the last checkpoint in --out; repeat the flags with which the run was begun."`
	Steps   *int   `placeholder:"N" help:"Optimiser steps. Default: once through the data."`
	Batch   int    `default:"16" placeholder:"N" help:"Rows of a batch of text. Default: ${default}."`
	Seq     *int   `placeholder:"N" help:"Tokens of a row of text. Default: 256, or the window of the model if that is smaller."`
	Seed    uint64 `default:"1" placeholder:"N" help:"Seed of fresh weights and of the order of the text. Default: ${default}."`

	Optimizer    string    `enum:"adamw,muon" default:"adamw" placeholder:"NAME" help:"adamw or muon. Default: ${default}."`
	LR           *float64  `name:"lr" placeholder:"X" help:"Peak learning rate. Default: ${lr}."`
	DType        string    `name:"dtype" enum:"bf16,f32" default:"bf16" placeholder:"TYPE" help:"Arithmetic of matrix products: bf16 or f32. Default: ${default}."`
	Schedule     *string   `placeholder:"NAME" help:"wsd, cosine, multistep or constant. Default: ${schedule}; with --batches constant."`
	Warmup       *int      `placeholder:"N" help:"Steps of linear growth to the peak. Default: a tenth of the steps, at most ${warmup}; with --batches 0."`
	Decay        *float64  `placeholder:"X" help:"Share of the steps, at the end, in which wsd decays. Default: ${decay}."`
	Floor        *float64  `placeholder:"X" help:"Share of the rate left at the end of wsd and cosine. Default: ${floor}."`
	Betas        []float64 `placeholder:"B1,B2" help:"Decay of the two moments of AdamW. Default: ${betas}."`
	Eps          *float64  `placeholder:"X" help:"Added to the root of AdamW's second moment. Default: ${eps}; with muon ${epsmuon}."`
	Momentum     *float64  `placeholder:"X" help:"Muon's momentum. Default: ${momentum}."`
	WeightDecay  *float64  `placeholder:"X" help:"Decoupled weight decay of matrices. Default: ${weightdecay}."`
	Clip         *float64  `placeholder:"X" help:"Largest norm of the gradient; 0: any. Default: ${clip}."`
	EMA          *float64  `name:"ema" placeholder:"X" help:"Decay of an average of the weights that is evaluated, and left instead of the last; 0: none. Default: ${ema}."`
	BiasGamma    *float64  `placeholder:"X" help:"Speed of the routing biases. Default: ${biasgamma}."`
	BiasDecay    *float64  `placeholder:"X" help:"Share of the steps, at the end, in which that speed falls to 0. Default: ${biasdecay}."`
	BalanceAlpha *float64  `placeholder:"X" help:"Weight of the sequence-wise balance loss. Default: ${balancealpha}; with --batches 0."`
	MTPLambda    *float64  `name:"mtp-lambda" placeholder:"X" help:"Weight of the multi-token prediction loss; 0 leaves that layer out. Default: ${mtplambda} where the model has one; with --batches 0."`

	EvalEvery       int `placeholder:"N" help:"Steps between evaluations. Default: twenty in a run."`
	CheckpointEvery int `placeholder:"N" help:"Steps between checkpoints. Default: ten in a run."`
}

// pretrainDefaults are the numbers in the help above.
func pretrainDefaults() kong.Vars {
	o := train.Defaults(optim.AdamW, 1<<20, &model.Config{NumNextnPredictLayers: 1})
	v := kong.Vars{"schedule": string(o.Schedule), "betas": fmt.Sprintf("%g,%g", o.Beta1, o.Beta2), "warmup": strconv.Itoa(o.Warmup)}
	for name, x := range map[string]float64{
		"lr": o.LR, "decay": o.Decay, "floor": o.Floor, "eps": o.Eps, "epsmuon": optim.Defaults(optim.Muon).Eps, "momentum": o.Momentum,
		"weightdecay": o.WeightDecay, "clip": o.Clip, "ema": o.EMA, "biasgamma": o.BiasGamma, "biasdecay": o.BiasDecay,
		"balancealpha": o.BalanceAlpha, "mtplambda": o.MTPLambda,
	} {
		v[name] = strconv.FormatFloat(x, 'g', -1, 64)
	}
	return v
}

func (pretrainCmd) Help() string {
	return "The training stage alone. The same flags, data and kind of processor give the same weights. " +
		"With --batches it repeats a recorded run, so that nothing is added to cross-entropy and a constant rate unless it is asked for.\n\n" +
		"Example:\n\n\thaenyeo pretrain --config my-model/config.json --data books/ --steps 1000 --out my-run"
}

func (c *pretrainCmd) Run(a *app) error {
	c.Data = append(c.Data, c.Paths...)
	config, err := c.config()
	if err != nil {
		return err
	}
	options, err := c.options(config)
	if err != nil {
		return err
	}
	mixture, err := c.mixture()
	if err != nil {
		return err
	}
	resumed := ""
	if c.Resume {
		resumed = c.Out
	}
	e, err := a.computeFor(resumed)
	if err != nil {
		return err
	}
	w := &watch{a: a, peak: func() float64 { return 1e9 * e.Peak(parseDType(c.DType)) }}
	r := haenyeo.PretrainRequest{
		Model: c.Model, Tokenizer: c.Tokenizer, Data: c.Data, Mixture: mixture, Batches: c.Batches, Batch: c.Batch, Seq: c.seq(config), Steps: c.steps(), Seed: c.Seed,
		Out: c.Out, Resume: c.Resume, Engine: e, Options: options, Emit: w.event, Logger: a.log,
		Pace: func(steps int) train.Pace {
			return train.Pace{EvalEvery: or(c.EvalEvery, share(steps, 20)), CheckpointEvery: or(c.CheckpointEvery, share(steps, 10)), Retries: 3}
		},
	}
	if c.Model == "" {
		r.Config = config
		if r.Tokenizer == "" && c.Batches == "" {
			r.Tokenizer = filepath.Dir(c.Config)
		}
	}
	done, err := haenyeo.Pretrain(a.ctx, r)
	if err == nil {
		err = w.err
	}
	if err != nil || a.JSON {
		return err
	}
	result := fmt.Sprintf("%d steps, loss %.4f", done.Step, done.Loss)
	if done.ValBPB > 0 {
		result += fmt.Sprintf(", %.3f bits per byte", done.ValBPB)
	}
	if done.Out != "" {
		result += ", in " + done.Out
	}
	return a.print("%s", result)
}

// config is the shape to train.
func (c *pretrainCmd) config() (*model.Config, error) {
	switch {
	case c.Resume && c.Model == "" && c.Config == "":
		return nil, misuse("--resume: repeat the flags with which the run was begun (--model or --config, --data and the others)")
	case (c.Model != "") == (c.Config != ""):
		return nil, misuse("give --model or --config, one of them")
	case (len(c.Data) > 0) == (c.Batches != ""):
		return nil, misuse("give --data or --batches, one of them")
	case c.Resume && c.Out == "":
		return nil, misuse("--resume needs the --out of the run")
	case c.Steps != nil && *c.Steps <= 0:
		return nil, misuse("--steps %d: must be positive; leave it out to go once through the data", *c.Steps)
	case c.EvalEvery < 0 || c.CheckpointEvery < 0:
		return nil, misuse("--eval-every and --checkpoint-every: give a positive number of steps")
	case len(c.Betas) != 0 && len(c.Betas) != 2:
		return nil, misuse("--betas takes two numbers, such as 0.9,0.95")
	}
	if c.Model != "" {
		return model.ReadConfig(c.Model)
	}
	return model.ReadConfigFile(c.Config)
}

// steps is the number of steps, 0 for once through the data.
func (c *pretrainCmd) steps() int {
	if c.Steps == nil {
		return 0
	}
	return *c.Steps
}

// seq is the length of a row.
func (c *pretrainCmd) seq(config *model.Config) int {
	switch {
	case c.Seq != nil:
		return *c.Seq
	case config.MaxPositionEmbeddings > 0:
		return min(defaultSeq, config.MaxPositionEmbeddings)
	}
	return defaultSeq
}

// options returns the hyper-parameters for a number of steps: the trainer's defaults, overridden by
// flags.
func (c *pretrainCmd) options(config *model.Config) (func(steps int) train.Options, error) {
	options := func(steps int) train.Options {
		o := train.Defaults(optim.Kind(c.Optimizer), steps, config)
		o.DType = c.DType
		if c.Batches != "" { // what is recorded is a run to be repeated: nothing is added to it unasked
			o.Schedule, o.Warmup, o.BalanceAlpha, o.MTPLambda = optim.Constant, 0, 0, 0
		}
		if c.Schedule != nil {
			o.Schedule = optim.Shape(*c.Schedule)
		}
		if len(c.Betas) == 2 {
			o.Beta1, o.Beta2 = c.Betas[0], c.Betas[1]
		}
		set(&o.LR, c.LR)
		set(&o.Warmup, c.Warmup)
		set(&o.Decay, c.Decay)
		set(&o.Floor, c.Floor)
		set(&o.Eps, c.Eps)
		set(&o.Momentum, c.Momentum)
		set(&o.WeightDecay, c.WeightDecay)
		set(&o.Clip, c.Clip)
		set(&o.EMA, c.EMA)
		set(&o.BiasGamma, c.BiasGamma)
		set(&o.BiasDecay, c.BiasDecay)
		set(&o.BalanceAlpha, c.BalanceAlpha)
		set(&o.MTPLambda, c.MTPLambda)
		return o
	}
	// Flags are checked before data is read; a run of unknown length may be a long one.
	if err := options(or(c.steps(), 1<<20)).Validate(); err != nil {
		return nil, usageError{err}
	}
	return options, nil
}

const defaultSeq = 256

// share is a pace of n times in a run of steps.
func share(steps, n int) int { return max(1, (steps+n-1)/n) }

func or(flag, otherwise int) int {
	if flag > 0 {
		return flag
	}
	return otherwise
}
