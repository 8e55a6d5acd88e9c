package bench

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/haenyeo/haenyeo/create"
	"github.com/haenyeo/haenyeo/internal/machine"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/optim"
	"github.com/haenyeo/haenyeo/train"
)

// Training says what to train: the shape of a preset, random tokens.
type Training struct {
	Preset     string
	Batch, Seq int
	Steps      int // the first two are not counted
	DType      kernel.DType
	Optimizer  optim.Kind
}

// uncounted steps touch memory for the first time and settle buffers.
const uncounted = 2

// Train measures tokens/s of whole steps: forward, backward, optimiser. Its peak is that of products
// in the same arithmetic, at six operations for each parameter that a token meets.
func Train(ctx context.Context, e *kernel.Engine, t Training) (Result, error) {
	if t.Steps <= uncounted {
		return Result{}, fmt.Errorf("bench: %d steps: the first %d are not counted, give more", t.Steps, uncounted)
	}
	cfg, err := create.Preset(t.Preset, 0)
	if err != nil {
		return Result{}, err
	}
	cfg.MaxPositionEmbeddings = max(cfg.MaxPositionEmbeddings, t.Seq)
	if err := fits(train.Memory(&cfg, t.Batch, t.Seq)); err != nil {
		return Result{}, fmt.Errorf("bench: batches of %d rows of %d tokens %w: give a smaller --batch or --seq", t.Batch, t.Seq, err)
	}
	m, err := model.New(&cfg, e, model.Options{DType: t.DType, Train: true})
	if err != nil {
		return Result{}, err
	}
	before := e.Peak(t.DType)
	opt := train.Defaults(t.Optimizer, t.Steps, &cfg)
	opt.DType, opt.Warmup, opt.Schedule = t.DType.String(), 0, optim.Constant
	var rates []float64
	_, err = train.Run(ctx, train.Job{
		Model: m, Engine: e, Source: newNoise(t.Batch, t.Seq, cfg.VocabSize), Options: opt,
		Start: func() error { m.Init(1); return nil },
		Emit: func(ev train.Event) {
			if s, ok := ev.(train.Step); ok && s.Step > uncounted {
				rates = append(rates, s.TokS)
			}
		},
	})
	if err != nil {
		return Result{}, err
	}
	peak := 1e9 * max(before, e.Peak(t.DType))
	_, active := cfg.Sizes()
	name := fmt.Sprintf("train %s %v B%d T%d %s", t.Preset, t.DType, t.Batch, t.Seq, t.Optimizer)
	return result(name, "tokens/s", rates, peak/(6*float64(active)), e.Pool().Threads()), nil
}

// fits refuses what this machine has no memory for, where it says how much it has.
func fits(need int64) error {
	total, available := machine.Memory()
	if has := max(available, total/2); has > 0 && need > has {
		return fmt.Errorf("take about %d MB of memory, %d MB are available", need>>20, has>>20)
	}
	return nil
}

// noise is a train.Source that gives the same random batch for ever.
type noise struct{ batch model.Batch }

func newNoise(rows, seq, vocab int) *noise {
	rng := rand.New(rand.NewPCG(1, 0))
	n := &noise{model.Batch{B: rows, T: seq, Tokens: make([]int32, rows*(seq+1))}}
	for i := range n.batch.Tokens {
		n.batch.Tokens[i] = int32(rng.IntN(vocab))
	}
	return n
}

func (n *noise) Next(b *model.Batch) error {
	*b = n.batch
	return nil
}

func (n *noise) Cursor() ([]byte, error) { return []byte("0"), nil }
func (n *noise) Seek([]byte) error       { return nil }
func (n *noise) Fingerprint() string     { return "noise" }
