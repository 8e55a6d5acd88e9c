package haenyeo

// Pretrain is the training stage alone: a model or a configuration, text or recorded batches, and
// every hyper-parameter in the caller's hands.

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"math"

	"github.com/haenyeo/haenyeo/corpus"
	"github.com/haenyeo/haenyeo/internal/machine"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/tokenizer"
	"github.com/haenyeo/haenyeo/train"
)

// PretrainRequest says what to train on what.
type PretrainRequest struct {
	Model     string         // directory whose weights to continue from; or
	Config    *model.Config  // a shape whose weights are drawn from Seed
	Tokenizer string         // directory; "": that of Model
	Data      []string       // paths of text; or
	Mixture   corpus.Mixture // of languages and sources of the text
	Batches   string         // a safetensors file with tokens [N,B,T+1]
	Batch     int            // rows of a batch of text
	Seq       int            // tokens of a row
	Steps     int            // 0: every token or every recorded batch once
	Seed      uint64         // of fresh weights and of the order of the text
	Out       string         // output directory; "": nothing is kept
	Resume    bool           // continue the run in Out from its last checkpoint

	Engine  *kernel.Engine
	Options func(steps int) train.Options // called when the number of steps is known; Seed is set by Pretrain
	Pace    func(steps int) train.Pace
	Emit    func(train.Event) // nil: nobody watches
	Logger  *slog.Logger      // nil: slog.Default
}

// Pretrain trains until the last step. When ctx is cancelled it writes a checkpoint and returns a
// *train.Interrupted.
func Pretrain(ctx context.Context, r PretrainRequest) (done train.Done, err error) {
	if err := r.check(); err != nil {
		return train.Done{}, err
	}
	cfg := r.Config
	if r.Model != "" {
		if cfg, err = model.ReadConfig(r.Model); err != nil {
			return train.Done{}, err
		}
	}
	if err := r.suits(cfg); err != nil {
		return train.Done{}, err
	}
	if err := r.lookAtOut(ctx); err != nil {
		return train.Done{}, err
	}
	d, err := r.open(ctx, cfg)
	if err != nil {
		return train.Done{}, err
	}
	defer func() {
		if closed := d.close(err == nil); err == nil {
			err = closed
		}
	}()
	opt := r.Options(d.steps)
	opt.Seed = r.Seed
	dt, err := train.ParseDType(opt.DType)
	if err != nil {
		return train.Done{}, err
	}
	o := model.Options{DType: dt, Train: true, MTP: opt.MTPLambda > 0}
	if err := fits(cfg, d.batch, d.seq); err != nil {
		return train.Done{}, err
	}
	m, err := model.New(cfg, r.Engine, o)
	if err != nil {
		return train.Done{}, err
	}
	if cfg.NumNextnPredictLayers > 0 && !o.MTP {
		cmp.Or(r.Logger, slog.Default()).Warn("the multi-token prediction layer is left out: mtp-lambda is 0", "layers", cfg.NumNextnPredictLayers)
	}
	total, active := cfg.Sizes()
	job := train.Job{
		Model: m, Engine: r.Engine, Source: d.source, Options: opt, Pace: r.Pace(d.steps), Dir: r.Out, Resume: r.Resume,
		Plan: train.Plan{
			Params: total, Active: active, Steps: d.steps, Batch: d.batch, Seq: d.seq,
			Tokens: int64(d.steps) * int64(d.batch) * int64(d.seq), Mixture: r.Mixture.String(), Waste: d.waste,
		},
		Validation: d.validation, Emit: r.Emit, Logger: r.Logger,
		Start: func() error {
			if r.Model != "" {
				return copyWeights(m, r.Model, r.Engine, o)
			}
			m.Init(r.Seed)
			return nil
		},
		Finish: func(train.Done) error {
			if r.Out == "" {
				return nil
			}
			if d.tok != nil {
				if err := d.tok.Save(r.Out); err != nil {
					return err
				}
			}
			return m.Save(r.Out, kernel.F32)
		},
	}
	return train.Run(ctx, job)
}

// copyWeights fills m from the model in dir.
func copyWeights(m *model.Model, dir string, e *kernel.Engine, o model.Options) error {
	from, err := model.Open(dir, e, model.Options{MTP: o.MTP})
	if err != nil {
		return err
	}
	for _, p := range m.Params() {
		copy(p.Data, from.Param(p.Name).Data)
	}
	m.Sync()
	return nil
}

func (r *PretrainRequest) check() error {
	one := func(a, b bool) bool { return a != b }
	switch {
	case !one(r.Model != "", r.Config != nil):
		return train.Misusef("haenyeo: pretrain: give a model to continue from or a configuration to begin with, one of them")
	case !one(len(r.Data) > 0, r.Batches != ""):
		return train.Misusef("haenyeo: pretrain: give text or recorded batches, one of them")
	case r.Batches == "" && (r.Batch < 1 || r.Seq < 1):
		return train.Misusef("haenyeo: pretrain: batches of %d rows of %d tokens: both must be positive", r.Batch, r.Seq)
	case r.Batches != "" && !r.Mixture.Even():
		return train.Misusef("haenyeo: pretrain: a mixture (%s) was given with recorded batches, which are taken as they are: leave it out", r.Mixture)
	case r.Steps < 0:
		return train.Misusef("haenyeo: pretrain: %d steps: must be positive", r.Steps)
	}
	if err := r.Mixture.Validate(); err != nil {
		return train.Misusef("%w", err)
	}
	return nil
}

// suits refuses, before any data is read, what a model of shape cfg cannot be trained with.
func (r *PretrainRequest) suits(cfg *model.Config) error {
	steps := r.Steps
	if steps == 0 {
		steps = 1 << 20 // unknown yet, and perhaps many
	}
	o := r.Options(steps)
	if err := o.Validate(); err != nil {
		return err
	}
	if err := o.Suits(cfg); err != nil {
		return err
	}
	if r.Batches != "" {
		return nil
	}
	if window := cfg.MaxPositionEmbeddings; window > 0 && r.Seq > window {
		return train.Misusef("haenyeo: pretrain: rows of %d tokens, but the model's window (max_position_embeddings) is %d: give at most that as --seq", r.Seq, window)
	}
	return fits(cfg, r.Batch, r.Seq)
}

// fits refuses what there is no memory for.
func fits(cfg *model.Config, batch, seq int) error {
	need := train.Memory(cfg, batch, seq)
	if _, free := machine.Memory(); free > 0 && need > free {
		return fmt.Errorf("haenyeo: pretrain: this model and batches of %d rows of %d tokens need about %d MB of memory, and %d MB are free: choose a smaller model, --batch or --seq",
			batch, seq, need>>20, free>>20)
	}
	return nil
}

// lookAtOut refuses an output directory that holds something else, or is part of the data.
func (r *PretrainRequest) lookAtOut(ctx context.Context) error {
	if r.Out == "" {
		return nil
	}
	if err := corpus.Apart(ctx, r.Out, r.Data); err != nil {
		return err
	}
	if err := train.CheckOut(r.Out, r.Resume); err != nil {
		return fmt.Errorf("haenyeo: pretrain: %w", err)
	}
	return nil
}

// data is what a run trains on.
type data struct {
	tok               *tokenizer.Tokenizer // nil for recorded batches without one
	source            train.Source
	validation        *corpus.Evaluation
	batch, seq, steps int
	waste             float64 // share of positions that predict nothing
	close             func(finished bool) error
}

// open prepares the data of the request for a model of shape cfg.
func (r *PretrainRequest) open(ctx context.Context, cfg *model.Config) (*data, error) {
	dir := r.Tokenizer
	if dir == "" {
		dir = r.Model
	}
	d := &data{close: func(bool) error { return nil }}
	if dir != "" {
		var err error
		if d.tok, err = loadTokenizer(dir); err != nil {
			return nil, err
		}
	}
	if r.Batches != "" {
		rec, err := corpus.OpenRecorded(r.Batches, cfg.VocabSize)
		if err != nil {
			return nil, err
		}
		if d.batch, d.seq, d.steps = rec.B, rec.T, r.Steps; d.steps == 0 {
			d.steps = rec.N
		}
		if d.steps > rec.N {
			return nil, fmt.Errorf("haenyeo: pretrain: %d steps, but %q holds only %d batches: take at most as many steps", d.steps, r.Batches, rec.N)
		}
		d.source = train.FromStream(rec, rec.B, rec.T)
		return d, nil
	}
	if d.tok == nil {
		if dir == "" {
			return nil, train.Misusef("haenyeo: pretrain: text needs a tokenizer: name its directory (--tokenizer)")
		}
		return nil, fmt.Errorf("haenyeo: pretrain: text needs a tokenizer, and %q holds none (tokenizer.json): name its directory (--tokenizer)", dir)
	}
	if d.tok.VocabSize() > cfg.VocabSize {
		return nil, fmt.Errorf("haenyeo: pretrain: the tokenizer in %q has %d tokens, but the model only %d: they do not belong together", dir, d.tok.VocabSize(), cfg.VocabSize)
	}
	return d, d.text(ctx, r)
}

// text reads and tokenises the text, and cuts it into batches.
func (d *data) text(ctx context.Context, r *PretrainRequest) (err error) {
	text, err := corpus.Open(ctx, r.Data, corpus.Options{})
	if err != nil {
		return err
	}
	if skips := text.Report().Skips(); skips != "" {
		cmp.Or(r.Logger, slog.Default()).Warn("pretrain: " + skips)
	}
	if err := r.Mixture.Suits(text.Report()); err != nil {
		return err
	}
	opt := tokenOptions(d.tok)
	name, err := d.tok.MarshalJSON()
	if err != nil {
		return fmt.Errorf("haenyeo: pretrain: %w", err)
	}
	sum := text.Fingerprint()
	opt.Fingerprint = sha256.Sum256(append(sum[:], name...))
	learn, err := train.Tokenize(ctx, r.Out, text.Documents(ctx, corpus.Train), opt)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			learn.Release(false)
		}
	}()
	copies, err := learn.Copies(r.Mixture)
	if err != nil {
		return err
	}
	sampler, err := corpus.NewSampler(learn.Tokens, corpus.SamplerOptions{B: r.Batch, T: r.Seq, Seed: r.Seed, Copies: copies})
	if err != nil {
		return err
	}
	d.waste = math.Round(1e5*sampler.Stats().Waste) / 1e5
	cmp.Or(r.Logger, slog.Default()).Info("pretrain: packed", "rows", sampler.Stats().Rows, "empty_share", d.waste)
	held, err := corpus.Tokenize(ctx, text.Documents(ctx, corpus.Validation), opt)
	if err != nil {
		return err
	}
	const perLanguage = 1 << 14 // tokens; more tells little and costs time at every evaluation
	if d.validation, err = corpus.NewEvaluation(held, r.Batch, r.Seq, perLanguage); err != nil {
		return err
	}
	if d.batch, d.seq, d.steps = r.Batch, r.Seq, r.Steps; d.steps == 0 {
		d.steps = max(1, int(sampler.Stats().Rows)/r.Batch)
	}
	d.source = train.FromStream(sampler, r.Batch, r.Seq)
	d.close = learn.Release
	return nil
}

// tokenOptions says how documents become tokens.
func tokenOptions(t *tokenizer.Tokenizer) corpus.TokenOptions {
	mark := func(id int32, ok bool) int32 {
		if !ok {
			return -1
		}
		return id
	}
	return corpus.TokenOptions{
		Encode: func(dst []int32, text string) []int32 {
			return t.Encode(dst, text, tokenizer.EncodeOptions{NoAddedTokens: true})
		},
		Vocab: t.VocabSize(), BOS: mark(t.BOS()), EOS: mark(t.EOS()),
	}
}
