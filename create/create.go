package create

// This file holds Run, from the request to the finished directory.

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/haenyeo/haenyeo/corpus"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/train"
)

// Run makes a model in r.Out and returns the last event. Nothing is written before the plan stands
// and the text is ready. When ctx is cancelled the state is kept and the error is a
// *train.Interrupted.
func Run(ctx context.Context, r Request) (done train.Done, err error) {
	began := time.Now()
	if err := r.check(); err != nil {
		return train.Done{}, err
	}
	rec, err := lookAt(r.Out, r.Resume)
	if err != nil {
		return train.Done{}, err
	}
	if err := corpus.Apart(ctx, r.Out, r.Data); err != nil {
		return train.Done{}, err
	}
	if rec != nil {
		if err := rec.agrees(&r); err != nil {
			return train.Done{}, err
		}
		if len(r.Data) == 0 {
			r.Data = rec.Request.Data
		}
		r.Mixture = rec.Request.Mixture
	}
	c, err := r.openCorpus(ctx)
	if err != nil {
		return train.Done{}, err
	}
	if rec != nil && rec.Corpus != corpusName(c) {
		return train.Done{}, fmt.Errorf("create: the text is not that with which the run in %q was begun: bring back the old files, or choose another --out", r.Out)
	}
	if rec == nil {
		p, err := decide(ctx, &r, c, began)
		if err != nil {
			return train.Done{}, err
		}
		rec = &record{Version: recordVersion, Request: r, Plan: *p, Corpus: corpusName(c)}
		if rec.Request.Data, err = absolute(r.Data); err != nil {
			return train.Done{}, err
		}
	}
	p := &rec.Plan
	p.mix = r.Mixture.String()
	if r.Emit != nil {
		r.Emit(p.event())
	}
	m, err := prepare(ctx, &r, c, p)
	if err != nil {
		return train.Done{}, err
	}
	defer func() {
		if released := m.tokens.Release(err == nil); err == nil {
			err = released
		}
	}()
	if got := m.tok.VocabSize(); got != p.config.VocabSize {
		// From here on the plan is of the model that is trained: a resumed run is compared with it.
		r.logger().Warn("create: the text supports only a smaller vocabulary, so the model is smaller than planned", "planned", p.config.VocabSize, "got", got)
		p.config.VocabSize = got
		if r.Emit != nil {
			r.Emit(p.event())
		}
	}
	return trainModel(ctx, &r, rec, m)
}

// trainModel trains what was planned on what was prepared.
func trainModel(ctx context.Context, r *Request, rec *record, m *material) (train.Done, error) {
	p := &rec.Plan
	bos, eos := -1, []int(nil)
	if id, ok := m.tok.BOS(); ok {
		bos = int(id)
	}
	if id, ok := m.tok.EOS(); ok {
		eos = []int{int(id)}
	}
	cfg := p.config
	cfg.BOSTokenID, cfg.EOSTokenID = bos, eos
	debug.FreeOSMemory() // what the preparation took is not needed any more
	net, err := openModel(&cfg, r.Engine, p.Options)
	if err != nil {
		return train.Done{}, err
	}
	if rec.Config, err = cfg.JSON(); err != nil {
		return train.Done{}, err
	}
	s := &sampler{model: net, engine: r.Engine, tok: m.tok, prompts: m.prompts, seed: p.Options.Seed, every: p.Pace.SampleEvery, last: p.Options.Steps}
	return train.Run(ctx, train.Job{
		Model: net, Engine: r.Engine, Source: m.source, Options: p.Options, Pace: p.Pace,
		Start: func() error { net.Init(p.Options.Seed); return nil },
		Dir:   r.Out, Resume: r.Resume, Plan: p.event(),
		Begin: func() error {
			if !r.Resume {
				if err := rec.write(r.Out); err != nil {
					return err
				}
			}
			return m.tok.Save(r.Out)
		},
		Validation: m.validation, Sample: s.sample,
		Emit: func(e train.Event) {
			if _, again := e.(train.Plan); !again && r.Emit != nil {
				r.Emit(e)
			}
			if _, ok := e.(train.Eval); ok {
				showProgress(r, &cfg, m)
			}
		},
		Finish: func(d train.Done) error { return finish(r.Out, net, m, d) },
		Logger: r.Logger,
	})
}

// showProgress brings report.html up to date while the run goes on. If it cannot, the run does not
// mind: the report is made again at the end.
func showProgress(r *Request, cfg *model.Config, m *material) {
	page, err := tell(r.Out, cfg, m)
	if err == nil {
		err = writeReport(r.Out, page)
	}
	if err != nil {
		r.logger().Warn("create: the report could not be brought up to date", "error", err)
	}
}

var (
	_ train.Model   = (*model.Model)(nil)
	_ corpus.Stream = (*corpus.Sampler)(nil)
)
