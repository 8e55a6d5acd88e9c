package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/optim"
)

// squared is an objective of one's own: half of the square of every logit's distance from a goal.
type squared struct{ positions int }

func (o squared) Row(r model.Row) float64 {
	var loss float64
	for i, l := range r.Logits {
		goal := float32(0)
		if int32(i) == r.Target {
			goal = 2
		}
		loss += float64(l-goal) * float64(l-goal) / 2
		r.Logits[i] = (l - goal) / float32(o.positions)
	}
	return loss / float64(o.positions)
}

// partJob is realJob with an objective and a model of which only parts train.
func partJob(t *testing.T, dir string, threads int, opt model.Options) (Job, *model.Model) {
	job, _ := realJob(t, dir, threads, optim.AdamW)
	opt.Train, opt.DType = true, 1
	m, err := model.New(job.Model.Config(), job.Engine, opt)
	if err != nil {
		t.Fatal(err)
	}
	job.Model, job.Validation = m, nil
	job.Start = func() error { m.Init(3); return nil }
	job.Options.EMA, job.Options.Objective = 0.9, "squares"
	job.Objective = func(b *model.Batch) (model.Objective, error) {
		return squared{b.B * b.T}, m.LogProbs(b, make([]float32, b.B*b.T))
	}
	job.Stats = func() map[string]float64 { return map[string]float64{"one": 1} }
	return job, m
}

var parts = map[string]model.Options{
	"adapters": {LoRA: &model.LoRA{Rank: 2, Alpha: 4, Targets: []string{"q_b_proj", "o_proj", "down_proj"}}},
	"experts": {Trainable: func(name string) bool {
		return strings.Contains(name, "experts.1.") || strings.Contains(name, "experts.2.")
	}},
}

func TestPartsResumeToTheSameBits(t *testing.T) {
	for name, opt := range parts {
		t.Run(name, func(t *testing.T) {
			whole, m := partJob(t, t.TempDir(), 1, opt)
			var first, last Step
			whole.Emit = func(e Event) {
				if s, ok := e.(Step); ok {
					if last = s; s.Step == 1 {
						first = s
					}
				}
			}
			if _, err := Run(context.Background(), whole); err != nil {
				t.Fatal(err)
			}
			if !(last.Loss < first.Loss) || last.Stats["one"] != 1 {
				t.Errorf("the first step is %+v, the last %+v", first, last)
			}
			want := result(t, whole, m)
			untouched, _ := model.New(m.Config(), whole.Engine, model.Options{})
			untouched.Init(3)
			changed := 0
			for _, p := range m.Params() {
				base := untouched.Param(p.Name)
				same := base != nil && fmt.Sprint(base.Data) == fmt.Sprint(p.Data)
				if p.Frozen && !same {
					t.Errorf("%s is frozen and has changed", p.Name)
				}
				if !same {
					changed++
				}
			}
			if changed == 0 {
				t.Error("nothing has changed")
			}

			dir := t.TempDir()
			for _, stop := range []int{4, 11, 13} {
				job, _ := partJob(t, dir, stop%3+1, opt)
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
			job, m := partJob(t, dir, 3, opt)
			if _, err := Run(context.Background(), job); err != nil {
				t.Fatal(err)
			}
			if got := result(t, job, m); got != want {
				t.Errorf("resumed:\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// What a checkpoint of adapters holds, and with what it is not continued.
func TestCheckpointsOfParts(t *testing.T) {
	dir := t.TempDir()
	job, m := partJob(t, dir, 1, parts["adapters"])
	if _, err := Run(context.Background(), job); err != nil {
		t.Fatal(err)
	}
	checkpoint := filepath.Join(dir, checkpointsDir, "step-20")
	info, err := os.Stat(filepath.Join(checkpoint, adaptersFile))
	if err != nil {
		t.Fatal(err)
	}
	all := 0
	for _, p := range m.Params() {
		all += 4 * len(p.Data)
	}
	if info.Size() > int64(all/4) {
		t.Errorf("the adapters take %d bytes, the whole model %d", info.Size(), all)
	}
	if _, err := os.Stat(filepath.Join(checkpoint, "model.safetensors")); err == nil {
		t.Error("the base model is in the checkpoint")
	}

	alpha := parts["adapters"]
	alpha.LoRA = &model.LoRA{Rank: 2, Alpha: 5, Targets: alpha.LoRA.Targets}
	for want, change := range map[string]func() Job{
		"adapters had another shape": func() Job { j, _ := partJob(t, dir, 1, alpha); return j },
		"the base model was another": func() Job {
			j, m := partJob(t, dir, 1, parts["adapters"])
			j.Start = func() error { m.Init(4); return nil }
			return j
		},
		"parameters were frozen": func() Job { j, _ := partJob(t, dir, 1, model.Options{Trainable: parts["experts"].Trainable}); return j },
		`the objective was "squares" and is now "cubes"`: func() Job {
			j, _ := partJob(t, dir, 1, parts["adapters"])
			j.Options.Objective = "cubes"
			return j
		},
	} {
		if _, err := Run(context.Background(), change()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}
