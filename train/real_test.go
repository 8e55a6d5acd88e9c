package train

// The loop with a real model: resumed at another number of threads, and what a step allocates.

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/haenyeo/haenyeo/format/safetensors"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/optim"
)

func realJob(t testing.TB, dir string, threads int, kind optim.Kind) (Job, *model.Model) {
	want, err := safetensors.Open(filepath.Join("testdata", "v3_adamw", "expected.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	tokens, _ := want.Tensor("tokens")
	src := &recorded{steps: tokens.Shape[0], b: tokens.Shape[1], t: tokens.Shape[2] - 1}
	if src.tokens, err = tokens.Int64s(); err != nil {
		t.Fatal(err)
	}
	e := engine(t, threads)
	cfg, err := model.ReadConfig(filepath.Join("testdata", "v3_train"))
	if err != nil {
		t.Fatal(err)
	}
	opt := Defaults(kind, 20, cfg)
	opt.BiasGamma = 0.01
	d, _ := ParseDType(opt.DType)
	m, err := model.New(cfg, e, model.Options{Train: true, DType: d})
	if err != nil {
		t.Fatal(err)
	}
	return Job{
		Model: m, Engine: e, Source: src, Options: opt, Dir: dir, Resume: true,
		Pace:       Pace{EvalEvery: 5, CheckpointEvery: 6},
		Start:      func() error { m.Init(3); return nil },
		Validation: evaluation(t),
		Logger:     slog.New(slog.DiscardHandler),
	}, m
}

func TestRealModelResumesToTheSameBitsAtAnyThreadCount(t *testing.T) {
	for _, tier := range kernel.Tiers() {
		for _, kind := range []optim.Kind{optim.AdamW, optim.Muon} {
			t.Run(tier+" "+string(kind), func(t *testing.T) {
				t.Setenv("HAENYEO_CPU", tier)
				resumeToTheSameBits(t, kind)
			})
		}
	}
}

func resumeToTheSameBits(t *testing.T, kind optim.Kind) {
	whole, m := realJob(t, t.TempDir(), 1, kind)
	if _, err := Run(context.Background(), whole); err != nil {
		t.Fatal(err)
	}
	want := result(t, whole, m)
	dir := t.TempDir()
	for _, stop := range []int{4, 11, 13} {
		job, _ := realJob(t, dir, stop%3+1, kind)
		ctx, cancel := context.WithCancel(context.Background())
		job.Emit = func(e Event) {
			if s, ok := e.(Step); ok && s.Step == stop {
				cancel()
			}
		}
		if _, err := Run(ctx, job); !errors.As(err, new(*Interrupted)) {
			t.Fatal(err)
		}
	}
	job, m := realJob(t, dir, 3, kind)
	if _, err := Run(context.Background(), job); err != nil {
		t.Fatal(err)
	}
	if got := result(t, job, m); got != want {
		t.Errorf("%s: resumed at other thread counts:\n%s\nwant\n%s", kind, got, want)
	}
	// A checkpoint is a model.
	c := filepath.Join(dir, checkpointsDir, "step-20")
	again, err := model.Open(c, job.Engine, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range again.Params() {
		for j, w := range p.Data {
			if w != m.Params()[i].Data[j] {
				t.Fatalf("%s differs in the checkpoint", p.Name)
			}
		}
	}
}

// TestStepAllocatesNextToNothing holds the promise of a few kilobytes a step.
func TestStepAllocatesNextToNothing(t *testing.T) {
	job, _ := realJob(t, "", 2, optim.Muon)
	job.Validation = nil
	var bytes []uint64
	var ms runtime.MemStats
	job.Emit = func(e Event) {
		if _, ok := e.(Step); ok {
			runtime.ReadMemStats(&ms)
			bytes = append(bytes, ms.TotalAlloc)
		}
	}
	if _, err := Run(context.Background(), job); err != nil {
		t.Fatal(err)
	}
	// The median: a buffer that has to grow once more, where a step sends an expert more rows than any before, is no
	// allocation of every step.
	var steps []uint64
	for i := 10; i < 20; i++ {
		steps = append(steps, bytes[i]-bytes[i-1])
	}
	slices.Sort(steps)
	if per := steps[len(steps)/2]; per > 8<<10 {
		t.Errorf("%d bytes are allocated a step", per)
	} else {
		t.Logf("%d bytes are allocated a step", per)
	}
}
