package main

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/haenyeo/haenyeo/create"
	"github.com/haenyeo/haenyeo/internal/cpu"
	"github.com/haenyeo/haenyeo/internal/machine"
	"github.com/haenyeo/haenyeo/kernel"
)

type doctorCmd struct {
	Model string `arg:"" optional:"" help:"Measure this model too, as bench does, with fewer runs."`
}

func (doctorCmd) Help() string {
	return "Everything is measured now: what else runs on the machine makes the numbers smaller.\n\nExample:\n\n\thaenyeo doctor\n\thaenyeo doctor my-model"
}

// diagnosis is what doctor prints.
type diagnosis struct {
	CPU     string                `json:"cpu"`
	OS      string                `json:"os"`
	Threads int                   `json:"threads"`
	Tiers   map[string]tierChoice `json:"tiers"` // by arithmetic: f32, bf16
	Peaks   struct {
		F32GFLOPS  float64 `json:"f32_gflops"`
		BF16GFLOPS float64 `json:"bf16_gflops"`
		ReadGBs    float64 `json:"read_gb_s"`
	} `json:"peaks"` // of all threads together
	Memory struct {
		TotalMB     int64 `json:"total_mb"`
		AvailableMB int64 `json:"available_mb"`
	} `json:"memory"`
	Fits struct {
		TrainParams int64 `json:"train_params"` // largest model that training has room for
		RunParams   int64 `json:"run_params"`
	} `json:"fits"`
	Model *modelReport `json:"model,omitempty"`
}

// tierChoice is how products of one arithmetic are made, and what else was tried.
type tierChoice struct {
	Chosen     string          `json:"chosen"`
	Candidates []tierCandidate `json:"candidates"`
}

type tierCandidate struct {
	Tier   string  `json:"tier"`
	GFLOPS float64 `json:"gflops"` // of one thread; 0: not measured
	Note   string  `json:"note,omitempty"`
}

// Bytes that a parameter takes: master weight, packed weight; in training also gradient and two
// moments.
const (
	runBytes   = 4 + 4
	trainBytes = 4 + 4 + 4 + 8
)

func (c *doctorCmd) Run(a *app) error {
	e, err := a.compute()
	if err != nil {
		return err
	}
	d := diagnosis{CPU: cpu.Name(), OS: runtime.GOOS + "/" + runtime.GOARCH, Threads: e.Pool().Threads(), Tiers: map[string]tierChoice{}}
	for _, x := range e.Describe() {
		t := d.Tiers[x.DType.String()]
		t.Candidates = append(t.Candidates, tierCandidate{x.Tier, x.GFLOPS, x.Note})
		if x.Chosen {
			t.Chosen = x.Tier
		}
		d.Tiers[x.DType.String()] = t
	}
	d.Peaks.F32GFLOPS, d.Peaks.BF16GFLOPS = e.Peak(kernel.F32), e.Peak(kernel.BF16)
	if err := a.ctx.Err(); err != nil {
		return err
	}
	d.Peaks.ReadGBs = machine.ReadBandwidth(e, 200*time.Millisecond) / 1e9
	total, available := machine.Memory()
	d.Memory.TotalMB, d.Memory.AvailableMB = total>>20, available>>20
	if available == 0 {
		available = total / 2
	}
	d.Fits.TrainParams, d.Fits.RunParams = available/trainBytes, available/runBytes
	if err := a.ctx.Err(); err != nil {
		return err
	}
	if c.Model != "" {
		if d.Model, err = c.measure(a); err != nil {
			return err
		}
	}
	if a.JSON {
		return a.emit(d)
	}
	if err := a.print("%s", d.text(total, available)); err != nil || d.Model == nil {
		return err
	}
	return a.showReport(d.Model)
}

// measure says where the time of the model goes.
func (c *doctorCmd) measure(a *app) (*modelReport, error) {
	flags := running{arithmeticOfBench: arithmeticOfBench{DType: kernel.BF16.String()}, Runs: 2}
	s, err := flags.subject(a, c.Model)
	if err != nil {
		return nil, err
	}
	defer s.close()
	s.r.New, s.r.Sequences = 16, 8
	return s.measure(a, 256, 32)
}

// text is the diagnosis for people.
func (d *diagnosis) text(total, available int64) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("processor   %s, %s, %d threads", d.CPU, d.OS, d.Threads)
	line("tiers       %s (--cpu or HAENYEO_CPU asks for one)", strings.Join(kernel.Tiers(), ", "))
	for _, dt := range []string{"bf16", "f32"} {
		line("\nproducts in %s, GFLOP/s of one thread", dt)
		for _, c := range d.Tiers[dt].Candidates {
			mark, speed := "", fmt.Sprintf("%6.0f", c.GFLOPS)
			if c.Tier == d.Tiers[dt].Chosen {
				mark = "  <- in use"
			}
			if c.GFLOPS == 0 {
				speed = "     -  " + c.Note
			}
			line("            %-12s %s%s", c.Tier, speed, mark)
		}
	}
	line("\npeak        %.0f GFLOP/s in bf16, %.0f in f32, all threads, measured now", d.Peaks.BF16GFLOPS, d.Peaks.F32GFLOPS)
	line("memory      %s, %s available, read at %.1f GB/s", size(total), size(available), d.Peaks.ReadGBs)
	line("room        to train about %s parameters, to run about %s", count(float64(d.Fits.TrainParams)), count(float64(d.Fits.RunParams)))
	fmt.Fprintf(&b, "sizes       %s", presets())
	return b.String()
}

// presets lists the sizes that create knows.
func presets() string {
	var list []string
	for _, name := range []string{"nano", "S", "M"} {
		if cfg, err := create.Preset(name, 0); err == nil {
			total, active := cfg.Sizes()
			list = append(list, fmt.Sprintf("%s %s (%s active)", name, count(float64(total)), count(float64(active))))
		}
	}
	return strings.Join(list, ", ")
}
