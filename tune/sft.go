package tune

// This file holds SFT, supervised fine-tuning, and what every run of this package has around its data.

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/train"
)

// SFT trains the model of r on its conversations. When ctx is cancelled it writes a checkpoint and returns a
// *train.Interrupted. With Out, that holds in the end the whole model, adapters merged into it; the adapters
// alone are in its directory AdapterDir.
func SFT(ctx context.Context, r Request) (train.Done, error) {
	b, err := r.open(ctx)
	if err != nil {
		return train.Done{}, err
	}
	talk, files, err := Read(ctx, r.Data)
	if err != nil {
		return train.Done{}, err
	}
	examples, err := encodeAll(ctx, b.tok, b.format, talk, b.seq+1, r.Truncate, r.Logger)
	if err != nil {
		return train.Done{}, err
	}
	source, err := NewSource(examples, r.Batch, b.seq, r.Seed)
	if err != nil {
		return train.Done{}, err
	}
	job := &job{Request: r, base: b, stage: "sft", files: files, examples: len(examples), source: source, rows: source.Rows(), batch: r.Batch, waste: source.Waste()}
	if r.Experts > 0 {
		if job.experts, err = expertsFor(ctx, r.Model, r.Engine, examples, b.seq, r.Experts); err != nil {
			return train.Done{}, err
		}
	}
	return job.run(ctx)
}

// job is a run whose data is ready.
type job struct {
	Request
	*base
	stage    string // "sft" or "dpo"
	files    []File
	examples int
	source   train.Source
	rows     int // of an epoch
	batch    int // rows of a step
	waste    float64
	experts  []Expert // that train; nil: everything

	preference *preference // of DPO; nil: cross-entropy
}

func (j *job) run(ctx context.Context) (train.Done, error) {
	steps := j.Steps
	if steps == 0 {
		steps = (j.Epochs*j.rows + j.batch - 1) / j.batch
	}
	opt := Defaults(j.cfg, steps, j.LoRA != nil)
	if j.experts != nil {
		opt.MTPLambda = 0 // that layer does not train
	}
	opt.Seed = j.Seed
	if j.preference != nil {
		opt.LR, opt.MTPLambda, opt.Objective = opt.LR/10, 0, j.preference.name()
	}
	if j.Options != nil {
		j.Options(&opt)
	}
	if err := opt.Validate(); err != nil {
		return train.Done{}, err
	}
	if err := opt.Suits(j.cfg); err != nil {
		return train.Done{}, err
	}
	dt, err := train.ParseDType(opt.DType)
	if err != nil {
		return train.Done{}, err
	}
	// The layer for multi-token prediction is kept though it may not train.
	o := model.Options{DType: dt, Train: true, MTP: j.cfg.NumNextnPredictLayers > 0, LoRA: j.LoRA}
	if j.experts != nil {
		o.Trainable = trainable(j.experts)
	}
	m, err := model.New(j.cfg, j.Engine, o)
	if err != nil {
		return train.Done{}, err
	}
	total, active := j.cfg.Sizes()
	run := train.Job{
		Model: m, Engine: j.Engine, Source: j.source, Options: opt, Dir: j.Out, Resume: j.Resume,
		Plan: train.Plan{
			Params: total, Active: active, Steps: steps, Batch: j.batch, Seq: j.seq, Tokens: int64(steps) * int64(j.batch) * int64(j.seq),
			Epochs: float64(steps*j.batch) / float64(j.rows), Waste: j.waste,
		},
		Emit: j.Emit, Logger: j.Logger,
		Start:  func() error { return start(m, j.Model, j.Engine, o, j.Seed) },
		Finish: func(d train.Done) error { return j.finish(m, opt, d) },
	}
	if j.Pace != nil {
		run.Pace = j.Pace(steps)
	}
	if p := j.preference; p != nil {
		p.now = m
		if p.ref, err = model.Open(j.Model, j.Engine, model.Options{DType: dt}); err != nil {
			return train.Done{}, err
		}
		run.Objective, run.Stats = p.objective, p.stats
	}
	return train.Run(ctx, run)
}

// start fills m from the model in dir, and its adapters afresh.
func start(m *model.Model, dir string, e *kernel.Engine, o model.Options, seed uint64) error {
	from, err := model.Open(dir, e, model.Options{MTP: o.MTP})
	if err != nil {
		return err
	}
	for _, p := range m.Params() {
		if p.Kind != model.Adapter {
			copy(p.Data, from.Param(p.Name).Data)
		}
	}
	m.InitLoRA(seed)
	m.Sync()
	return nil
}

// finish leaves the model in Out.
func (j *job) finish(m *model.Model, opt train.Options, d train.Done) error {
	if j.Out == "" {
		m.MergeLoRA()
		return nil
	}
	if j.LoRA != nil {
		if err := SaveAdapter(filepath.Join(j.Out, AdapterDir), m, j.Model); err != nil {
			return err
		}
		m.MergeLoRA()
	}
	if err := j.tok.Save(j.Out); err != nil {
		return err
	}
	if err := m.Save(j.Out, kernel.F32); err != nil {
		return err
	}
	if err := copyGeneration(j.Model, j.Out); err != nil {
		return err
	}
	return j.writeCard(opt, d)
}

// trainable says whether a parameter belongs to one of the experts.
func trainable(experts []Expert) func(name string) bool {
	prefixes := map[string]bool{}
	for _, x := range experts {
		prefixes[x.prefix()] = true
	}
	return func(name string) bool {
		at := strings.Index(name, ".experts.")
		if at < 0 {
			return false
		}
		end := strings.IndexByte(name[at+len(".experts."):], '.')
		return end >= 0 && prefixes[name[:at+len(".experts.")+end+1]]
	}
}
