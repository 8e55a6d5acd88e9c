package tune

// This file holds what a run is asked for, its defaults, and the checks before anything is computed.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"

	"github.com/haenyeo/haenyeo/chat"
	"github.com/haenyeo/haenyeo/corpus"
	"github.com/haenyeo/haenyeo/internal/machine"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/optim"
	"github.com/haenyeo/haenyeo/tokenizer"
	"github.com/haenyeo/haenyeo/train"
)

// Request says which model to train on which conversations.
type Request struct {
	Model    string   // directory
	Data     []string // JSONL files
	Format   string   // of chat.Names; "": the model's own
	Out      string   // output directory; "": nothing is kept
	Resume   bool     // continue the run in Out from its last checkpoint
	Batch    int      // rows of a step
	Seq      int      // tokens of a row; 0: DefaultSeq, or the model's window if that is smaller
	Epochs   int      // passes through the data; or
	Steps    int      // optimiser steps
	Seed     uint64   // of the order of the data, and of fresh adapters
	Truncate bool     // cut off the end of conversations that are longer than a row, which are an error else

	LoRA    *model.LoRA // adapters instead of the weights; Targets may be empty: DefaultTargets
	Experts float64     // share of what the routers give for the data that the experts that train shall have; 0: everything trains

	Engine  *kernel.Engine
	Options func(o *train.Options) // changes the defaults, whose Steps and Seed are set; nil: nothing
	Pace    func(steps int) train.Pace
	Emit    func(train.Event) // nil: nobody watches
	Logger  *slog.Logger      // nil: slog.Default
}

// DefaultSeq is the length of a row that is not given.
const DefaultSeq = 1024

// Defaults are the options of a run: AdamW without weight decay, a cosine to a tenth of the peak, which is lower for larger
// models and five times higher for adapters. The shape is that of V3's fine-tuning (report, section 5.1).
func Defaults(cfg *model.Config, steps int, lora bool) train.Options {
	o := train.Defaults(optim.AdamW, steps, cfg)
	o.LR = 1e-3
	if total, _ := cfg.Sizes(); total > 50e6 {
		o.LR = 2e-5
	}
	if lora {
		o.LR *= 5
		o.MTPLambda = 0
	}
	o.Schedule, o.Floor, o.Decay, o.Warmup = optim.Cosine, 0.1, 0, min(100, steps/30)
	o.WeightDecay, o.BiasGamma, o.BalanceAlpha = 0, 0, 0
	return o
}

// DefaultTargets are the matrices of attention and, of a model without experts, those of the MLP.
func DefaultTargets(cfg *model.Config) []string {
	if cfg.ModelType != "deepseek_v3" {
		return []string{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
	}
	targets := []string{"kv_a_proj_with_mqa", "kv_b_proj", "o_proj"}
	if cfg.QLoraRank > 0 {
		return append([]string{"q_a_proj", "q_b_proj"}, targets...)
	}
	return append([]string{"q_proj"}, targets...)
}

// base is the model that a run begins with.
type base struct {
	cfg    *model.Config
	tok    *tokenizer.Tokenizer
	format *chat.Format
	seq    int
}

// open checks the request and reads what is small of the model.
func (r *Request) open(ctx context.Context) (*base, error) {
	switch {
	case len(r.Data) == 0:
		return nil, train.Misusef("tune: no data: name JSONL files of conversations (--data)")
	case r.Batch < 1:
		return nil, train.Misusef("tune: batches of %d rows: must be positive", r.Batch)
	case r.Epochs < 0 || r.Steps < 0 || (r.Epochs > 0) == (r.Steps > 0):
		return nil, train.Misusef("tune: give a number of epochs or of steps, one of them")
	case r.LoRA != nil && r.Experts != 0:
		return nil, train.Misusef("tune: adapters (--lora) and experts (--experts) are two ways to train a part of a model: choose one")
	case !(r.Experts >= 0 && r.Experts <= 1):
		return nil, train.Misusef("tune: --experts %g: a share, between 0 and 1", r.Experts)
	}
	b := &base{}
	var err error
	if b.cfg, err = model.ReadConfig(r.Model); err != nil {
		return nil, err
	}
	if err := b.cfg.Trainable(); err != nil {
		return nil, err
	}
	if b.tok, err = tokenizer.Load(r.Model); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("tune: %q holds no tokenizer (tokenizer.json)", r.Model)
	} else if err != nil {
		return nil, err
	}
	if err := b.tok.CheckRows(b.cfg.VocabSize); err != nil {
		return nil, err
	}
	if b.format, err = chat.Detect(b.tok, chat.Hints{ModelType: b.cfg.ModelType, Name: filepath.Base(r.Model), Format: r.Format}); err != nil {
		return nil, err
	}
	if r.LoRA != nil && len(r.LoRA.Targets) == 0 {
		lora := *r.LoRA
		lora.Targets = DefaultTargets(b.cfg)
		r.LoRA = &lora
	}
	window := b.cfg.MaxPositionEmbeddings
	switch b.seq = r.Seq; {
	case b.seq < 0 || b.seq == 1:
		return nil, train.Misusef("tune: rows of %d tokens: must be 2 or more", b.seq)
	case window > 0 && b.seq > window:
		return nil, train.Misusef("tune: rows of %d tokens, but the model's window (max_position_embeddings) is %d: give at most that as --seq", b.seq, window)
	case b.seq == 0 && window > 0:
		b.seq = min(DefaultSeq, window)
	case b.seq == 0:
		b.seq = DefaultSeq
	}
	need := r.memory(b)
	if _, free := machine.Memory(); free > 0 && need > free {
		return nil, fmt.Errorf("tune: this model and batches of %d rows of %d tokens need about %d MB of memory, and %d MB are free: choose a smaller model, --batch or --seq, or train adapters (--lora)",
			r.Batch, b.seq, need>>20, free>>20)
	}
	return b, r.lookAtOut(ctx)
}

// memory estimates the bytes of a run. With adapters, weights have neither gradients nor moments.
func (r *Request) memory(b *base) int64 {
	need := train.Memory(b.cfg, r.Batch, b.seq)
	if r.LoRA != nil {
		total, _ := b.cfg.Sizes()
		need -= total * 3 * 4
	}
	return need
}

// lookAtOut refuses an output directory that holds something else, or is part of the data or the model.
func (r *Request) lookAtOut(ctx context.Context) error {
	if r.Out == "" {
		if r.Resume {
			return train.Misusef("tune: --resume needs the --out of the run")
		}
		return nil
	}
	if err := corpus.Apart(ctx, r.Out, r.Data); err != nil {
		return err
	}
	if err := train.CheckOut(r.Out, r.Resume); err != nil {
		return fmt.Errorf("tune: %w", err)
	}
	return nil
}
