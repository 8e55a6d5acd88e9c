package create

// This file measures how fast this machine trains: real steps of the real model on random tokens,
// for about a second. Nothing else tells: the same processor is three times slower when busy or hot.
//
// Where whole batches would take too long, steps of fewer rows are measured and the time of a batch is
// drawn out of a step's fixed part (the optimiser, which with Muon is as long as the rest) and what a row
// adds to it.

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/train"
)

const (
	measureTime  = 800 * time.Millisecond // after the first steps
	measureBrief = 100 * time.Millisecond // when the number of steps does not depend on it
	measureStep  = 600 * time.Millisecond // a step should not take longer: it gets fewer rows
)

// speed is what was measured.
type speed struct {
	tokS  float64 // tokens trained on in a second
	bytes int64   // of memory that weights, gradients, moments and activations took
}

// measure trains cfg, with kernels and threads like those of an engine, on rows of seq random
// tokens, at most batch of them a step.
func measure(ctx context.Context, like *kernel.Engine, cfg *model.Config, batch, seq int, opt train.Options, atLeast time.Duration) (speed, error) {
	// An engine of its own, because engines remember what they worked on last; and the collector
	// would let garbage of a model's size lie beside the next model.
	defer debug.FreeOSMemory()
	e, err := kernel.New(like.Pool().Threads(), like.Tier())
	if err != nil {
		return speed{}, err
	}
	defer e.Close()
	before := heap()
	m, err := openModel(cfg, e, opt)
	if err != nil {
		return speed{}, err
	}
	src := &noise{rows: 1, seq: seq, vocab: cfg.VocabSize}
	opt.Steps, opt.Warmup = 1000, 0
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var s speed
	var began time.Time
	var one, best float64 // seconds of a step of one row, and of src.rows
	step := 0
	_, err = train.Run(ctx, train.Job{
		Model: m, Engine: e, Source: src, Options: opt,
		Start: func() error { m.Init(1); return nil },
		Emit: func(ev train.Event) {
			st, ok := ev.(train.Step)
			if !ok {
				return
			}
			step++
			took := float64(src.rows*seq) / st.TokS
			switch {
			case step == 1: // pages in memory and caches
			case step == 2:
				one, best = took, math.Inf(1)
				src.rows = min(batch, max(2, int(measureStep.Seconds()/took)))
				began = time.Now()
			default:
				best = min(best, took)
				if step >= 4 && time.Since(began) >= atLeast {
					stop()
				}
			}
		},
	})
	if stopped := new(train.Interrupted); err == nil || !errors.As(err, &stopped) {
		return speed{}, fmt.Errorf("create: measuring this machine: %w", errors.Join(err, ctx.Err()))
	}
	s.tokS = float64(batch*seq) / batchTime(one, best, src.rows, batch)
	s.bytes = max(0, heap()-before)
	runtime.KeepAlive(m)
	return s, nil
}

// batchTime is how long a step of batch rows takes when one of 1 row takes one seconds and one of rows
// takes some.
func batchTime(one, some float64, rows, batch int) float64 {
	if rows >= batch {
		return some
	}
	return some + max(0, some-one)/float64(rows-1)*float64(batch-rows)
}

// heap is the memory in use after a collection.
func heap() int64 {
	runtime.GC()
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	return int64(ms.HeapAlloc)
}

// openModel makes the model that opt trains.
func openModel(cfg *model.Config, e *kernel.Engine, opt train.Options) (*model.Model, error) {
	d, err := train.ParseDType(opt.DType)
	if err != nil {
		return nil, err
	}
	return model.New(cfg, e, model.Options{DType: d, Train: true, MTP: opt.MTPLambda > 0})
}

// noise is a Source of random tokens.
type noise struct{ rows, seq, vocab, at int }

func (n *noise) Next(b *model.Batch) error {
	rng := rand.New(rand.NewPCG(0, uint64(n.at)))
	n.at++
	b.B, b.T, b.Tokens = n.rows, n.seq, b.Tokens[:0]
	for range n.rows * (n.seq + 1) {
		b.Tokens = append(b.Tokens, int32(rng.IntN(n.vocab)))
	}
	return nil
}

func (n *noise) Cursor() ([]byte, error) { return []byte("0"), nil }
func (n *noise) Seek([]byte) error       { return nil }
func (n *noise) Fingerprint() string     { return "noise" }
