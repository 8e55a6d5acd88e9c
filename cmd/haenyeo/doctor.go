package main

import (
	"fmt"
	"runtime"
	"time"

	"github.com/haenyeo/haenyeo/create"
	"github.com/haenyeo/haenyeo/internal/cpu"
	"github.com/haenyeo/haenyeo/internal/machine"
	"github.com/haenyeo/haenyeo/kernel"
)

type doctorCmd struct{}

func (doctorCmd) Help() string {
	return "Every tier of kernels that this processor can run is measured now; what else runs makes the numbers smaller.\n\nExample:\n\n\thaenyeo doctor"
}

// diagnosis is what doctor prints.
type diagnosis struct {
	CPU     string               `json:"cpu"`
	OS      string               `json:"os"`
	Threads int                  `json:"threads"`
	Tiers   map[string]tierSpeed `json:"tiers"`
	Peaks   struct {
		F32GFLOPS  float64 `json:"f32_gflops"`
		BF16GFLOPS float64 `json:"bf16_gflops"`
		ReadGBs    float64 `json:"read_gb_s"`
	} `json:"peaks"`
	Memory struct {
		TotalMB     int64 `json:"total_mb"`
		AvailableMB int64 `json:"available_mb"`
	} `json:"memory"`
	Fits struct {
		TrainParams int64 `json:"train_params"` // largest model that training has room for
		RunParams   int64 `json:"run_params"`
	} `json:"fits"`
}

// tierSpeed is what one tier of kernels reaches.
type tierSpeed struct {
	F32GFLOPS  float64 `json:"f32_gflops"`
	BF16GFLOPS float64 `json:"bf16_gflops"`
	Chosen     bool    `json:"chosen"`
}

// Bytes that a parameter takes: master weight, packed weight; in training also gradient and two
// moments.
const (
	runBytes   = 4 + 4
	trainBytes = 4 + 4 + 4 + 8
)

func (c *doctorCmd) Run(a *app) error {
	chosen, err := a.compute()
	if err != nil {
		return err
	}
	d := diagnosis{CPU: cpu.Name(), OS: runtime.GOOS + "/" + runtime.GOARCH, Threads: chosen.Pool().Threads(), Tiers: map[string]tierSpeed{}}
	const within = 120 * time.Millisecond
	for i, name := range kernel.Tiers() {
		if err := a.ctx.Err(); err != nil {
			return err
		}
		a.bar.stage("measuring "+name, float64(i)/float64(len(kernel.Tiers())+1))
		e, err := kernel.New(a.Threads, name)
		if err != nil {
			return err
		}
		s := tierSpeed{
			F32GFLOPS:  machine.Products(e, kernel.F32, within) / 1e9,
			BF16GFLOPS: machine.Products(e, kernel.BF16, within) / 1e9,
			Chosen:     name == chosen.Tier(),
		}
		e.Close()
		d.Tiers[name] = s
		d.Peaks.F32GFLOPS, d.Peaks.BF16GFLOPS = max(d.Peaks.F32GFLOPS, s.F32GFLOPS), max(d.Peaks.BF16GFLOPS, s.BF16GFLOPS)
	}
	d.Peaks.ReadGBs = machine.ReadBandwidth(chosen, within) / 1e9
	total, available := machine.Memory()
	d.Memory.TotalMB, d.Memory.AvailableMB = total>>20, available>>20
	if available == 0 {
		available = total / 2
	}
	d.Fits.TrainParams, d.Fits.RunParams = available/trainBytes, available/runBytes
	if a.JSON {
		return a.emit(d)
	}
	a.print("processor   %s, %s, %d threads", d.CPU, d.OS, d.Threads)
	a.print("\nkernels     matrix products in GFLOP/s, measured now\n            %-12s %8s %8s", "tier", "f32", "bf16")
	for _, name := range kernel.Tiers() {
		s, mark := d.Tiers[name], ""
		if s.Chosen {
			mark = "  <- in use"
		}
		a.print("            %-12s %8.0f %8.0f%s", name, s.F32GFLOPS, s.BF16GFLOPS, mark)
	}
	a.print("            %s", why(a.CPU))
	a.print("\nmemory      %s, %s available, read at %.1f GB/s", size(total), size(available), d.Peaks.ReadGBs)
	return a.print("room        to train about %s parameters, to run about %s; presets: %s", count(float64(d.Fits.TrainParams)), count(float64(d.Fits.RunParams)), presets())
}

// why says how the tier in use was chosen.
func why(flag string) string {
	if flag != "" {
		return "in use because --cpu asks for it"
	}
	return "in use because it is the best that this processor has; --cpu or HAENYEO_CPU takes another"
}

// presets lists the sizes that create knows.
func presets() string {
	s := ""
	for _, name := range []string{"nano", "S", "M"} {
		if cfg, err := create.Preset(name, 0); err == nil {
			total, _ := cfg.Sizes()
			s += fmt.Sprintf("%s %s  ", name, count(float64(total)))
		}
	}
	return s
}
