package main

import (
	"fmt"
	"runtime"

	"github.com/haenyeo/haenyeo/internal/bench"
	"github.com/haenyeo/haenyeo/optim"
	"github.com/haenyeo/haenyeo/tokenizer"
)

type benchCmd struct {
	Model     benchModelCmd     `cmd:"" default:"withargs" help:"All that running a model takes; bench MODEL is the same."`
	Train     benchTrainCmd     `cmd:"" help:"Whole training steps of a preset on random tokens."`
	Decode    benchDecodeCmd    `cmd:"" help:"Making one token after the other."`
	Prefill   benchPrefillCmd   `cmd:"" help:"Reading a prompt."`
	Tokenizer benchTokenizerCmd `cmd:"" help:"Learning a vocabulary, encoding, decoding."`
	Kernels   benchKernelsCmd   `cmd:"" help:"The operations of a training step, one by one."`
	Serve     benchServeCmd     `cmd:"" help:"A server, as its clients see it."`
}

func (benchCmd) Help() string {
	return "Best and median of several runs on this machine as it is now: what else runs makes them smaller.\n\nExample:\n\n\thaenyeo bench my-model\n\thaenyeo bench train --preset S"
}

// measure prints one result, or passes the error on.
func (a *app) measure(r bench.Result, err error) error {
	if err != nil {
		return err
	}
	return a.measured(r)
}

// measured prints one result.
func (a *app) measured(r bench.Result) error {
	if a.JSON {
		return a.emit(r)
	}
	share := ""
	if r.OfPeak != nil {
		share = fmt.Sprintf(", %3.0f%% of peak", 100**r.OfPeak)
	}
	return a.print("%-52s best %9.1f, median %9.1f %s%s; %d threads, %d MB", r.Name, r.Best, r.Median, r.Unit, share, r.Threads, r.RSSMB)
}

type benchTrainCmd struct {
	Preset    string `default:"S" enum:"nano,S,M" placeholder:"NAME" help:"nano, S or M. Default: ${default}."`
	Batch     int    `default:"16" placeholder:"N" help:"Rows of a batch. Default: ${default}."`
	Seq       int    `default:"256" placeholder:"N" help:"Tokens of a row. Default: ${default}."`
	Steps     int    `default:"12" placeholder:"N" help:"Steps; the first two are not counted. Default: ${default}."`
	DType     string `name:"dtype" enum:"bf16,f32" default:"bf16" placeholder:"NAME" help:"Arithmetic of matrix products: bf16 or f32. Default: ${default}."`
	Optimizer string `enum:"adamw,muon" default:"adamw" placeholder:"NAME" help:"adamw or muon. Default: ${default}."`
}

func (benchTrainCmd) Help() string {
	return "The share of the peak counts six operations for each parameter that a token meets, against the best products measured before and after.\n\nExample:\n\n\thaenyeo bench train --preset S --batch 16 --seq 256 --steps 12"
}

func (c *benchTrainCmd) Run(a *app) error {
	if c.Batch < 1 || c.Seq < 1 || c.Steps < 3 {
		return misuse("--batch, --seq and --steps: at least 1, 1 and 3")
	}
	e, err := a.compute()
	if err != nil {
		return err
	}
	return a.measure(bench.Train(a.ctx, e, bench.Training{
		Preset: c.Preset, Batch: c.Batch, Seq: c.Seq, Steps: c.Steps, DType: parseDType(c.DType), Optimizer: optim.Kind(c.Optimizer),
	}))
}

type benchTokenizerCmd struct {
	Model string   `arg:"" optional:"" help:"Directory of the tokenizer to encode and decode with. Default: the one that was just learned."`
	Data  []string `sep:"none" placeholder:"PATH" help:"Text. Default: the corpus inside this program."`
	MB    int      `name:"mb" default:"20" placeholder:"N" help:"Megabytes of it at most. Default: ${default}."`
	Vocab int      `default:"8192" placeholder:"N" help:"Size of the vocabulary to learn. Default: ${default}."`
	Runs  int      `default:"5" placeholder:"N" help:"Runs that count. Default: ${default}."`
}

func (benchTokenizerCmd) Help() string {
	return "Learning uses all threads, encoding and decoding one.\n\nExample:\n\n\thaenyeo bench tokenizer my-model --data books/"
}

func (c *benchTokenizerCmd) Run(a *app) error {
	if c.Runs < 1 || c.MB < 1 {
		return misuse("--runs and --mb: at least 1")
	}
	texts, err := bench.Texts(a.ctx, c.Data, c.MB*1e6)
	if err != nil {
		return err
	}
	t := bench.Tokenizing{Texts: texts, Vocab: c.Vocab, Threads: or(a.Threads, runtime.GOMAXPROCS(0)), Runs: c.Runs}
	if c.Model != "" {
		if t.Tokenizer, err = tokenizer.Load(c.Model); err != nil {
			return err
		}
	}
	results, err := bench.Tokenizer(a.ctx, t)
	if err != nil {
		return err
	}
	for _, r := range results {
		if err := a.measured(r); err != nil {
			return err
		}
	}
	return nil
}

type benchKernelsCmd struct {
	Runs int `default:"7" placeholder:"N" help:"Runs that count. Default: ${default}."`
}

func (benchKernelsCmd) Help() string {
	return "Shapes are those of preset S, B16 T256. The peak is the best product measured just before.\n\nExample:\n\n\thaenyeo bench kernels --cpu avx512"
}

func (c *benchKernelsCmd) Run(a *app) error {
	if c.Runs < 1 {
		return misuse("--runs: at least 1")
	}
	e, err := a.compute()
	if err != nil {
		return err
	}
	return bench.Kernels(a.ctx, e, c.Runs, a.measured)
}
