package main

// Benchmarks of running a model: bench MODEL, bench prefill, bench decode, and what doctor says of a model.

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/haenyeo/haenyeo"
	"github.com/haenyeo/haenyeo/create"
	"github.com/haenyeo/haenyeo/forward"
	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/internal/bench"
	"github.com/haenyeo/haenyeo/internal/machine"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/weights"
)

// running are the flags of all that runs a model.
type running struct {
	arithmeticOfBench
	Prompt  int    `placeholder:"N" help:"Tokens of the prompt. Default: 32 before tokens are made, 512 where it is read."`
	Runs    int    `default:"5" placeholder:"N" help:"Runs that count. Default: ${default}."`
	Profile string `placeholder:"DIR" help:"Write cpu.pprof and timeline.html, a picture of the layers, to this new directory."`
}

type arithmeticOfBench struct {
	DType  string `name:"dtype" enum:"bf16,f32" default:"bf16" placeholder:"NAME" help:"Arithmetic of products of many rows: bf16 or f32. Default: ${default}."`
	KVType string `name:"kv-type" enum:"f32,f16,bf16,q8_0" default:"f32" placeholder:"TYPE" help:"What caches hold: f32, f16, bf16 or q8_0. Default: ${default}."`
	RAM    memory `name:"ram" placeholder:"SIZE" help:"Hold at most this much memory, as 6G or 800M. Linux only."`
}

// typical is how tokens are drawn where the model's makers say nothing.
var typical = infer.Sampling{Temperature: 0.7, TopP: 0.95}

// subject is a model to be measured. m is nil for one of preset S with random weights, "".
type subject struct {
	m       *haenyeo.Model
	r       bench.Running
	weights int64
	load    time.Duration
}

func (s *subject) close() {
	if s.m != nil {
		s.m.Close()
	}
}

// subject opens a model for measuring.
func (c *running) subject(a *app, name string) (*subject, error) {
	if c.Runs < 1 || c.Prompt < 0 {
		return nil, misuse("--runs and --prompt: at least 1")
	}
	r := bench.Running{DType: parseDType(c.DType), Runs: c.Runs, Sampling: typical}
	if name != "" {
		began := time.Now()
		m, err := a.open(name, arithmetic{DType: c.DType, KVType: c.KVType, RAM: c.RAM})
		if err != nil {
			return nil, err
		}
		if r.Engine, r.Net = m.Engine(), m.Net(); m.Sampling().Temperature > 0 {
			r.Sampling = m.Sampling()
		}
		return &subject{m, r, m.Source().Bytes(), time.Since(began)}, nil
	}
	e, err := a.compute()
	if err != nil {
		return nil, err
	}
	cfg, err := create.Preset("S", 0)
	if err != nil {
		return nil, err
	}
	cfg.MaxPositionEmbeddings = 4096
	m, err := model.New(&cfg, e, model.Options{})
	if err != nil {
		return nil, err
	}
	m.Init(1)
	src := weights.FromModel(m)
	net, err := forward.New(src, e, forward.Options{DType: r.DType, KV: kvTypes[c.KVType]})
	r.Engine, r.Net = e, net
	return &subject{r: r, weights: src.Bytes()}, err
}

// measure opens a model and measures one phase of it.
func (c *running) measure(a *app, name string, phase func(s *subject) (*bench.Phase, error)) error {
	s, err := c.subject(a, name)
	if err != nil {
		return err
	}
	defer s.close()
	profile, err := a.profile(c.Profile)
	if err != nil {
		return err
	}
	defer profile.abort()
	s.r.Ledger = profile.ledger
	p, err := phase(s)
	if err != nil {
		return err
	}
	if err := profile.finish(benchTitle(name), p.Name); err != nil {
		return err
	}
	return a.showPhase(p, bench.Measure(s.r, p))
}

func benchTitle(name string) string {
	if name == "" {
		return "preset S"
	}
	return filepath.Base(name)
}

// showPhase prints a phase and where its time went.
func (a *app) showPhase(p *bench.Phase, l bench.Limits) error {
	if a.JSON {
		return a.emit(p)
	}
	if err := a.measured(p.Result); err != nil {
		return err
	}
	return a.print("%s", phaseTable(p, l))
}

// phaseTable is the table of the parts of a phase, with the shares of what the machine can do.
func phaseTable(p *bench.Phase, l bench.Limits) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %-24s %10s %6s %10s %9s %6s %9s %6s", "", "a token", "time", "MB read", "GB/s", "", "GFLOP/s", "")
	for _, x := range p.Parts {
		s, n := x.Time.Seconds(), float64(p.Made)
		fmt.Fprintf(&b, "\n  %-24s %10s %5.1f%% %10.3g", x.Kind, micro(x.Time/time.Duration(p.Made)), 100*s/p.Took.Seconds(), float64(x.Bytes)/n/1e6)
		if x.Bytes > 0 {
			fmt.Fprintf(&b, " %9.3g %5.0f%% %9.3g %5.0f%%", float64(x.Bytes)/s/1e9, 100*float64(x.Bytes)/s/l.Read, float64(x.Ops)/s/1e9, 100*float64(x.Ops)/s/l.Ops)
		}
	}
	fmt.Fprintf(&b, "\n  %-24s %10s %6s %10.3g", "together", micro(p.Took/time.Duration(p.Made)), "", float64(p.Bytes)/1e6)
	return b.String()
}

// micro writes the time of a token.
func micro(d time.Duration) string {
	switch s := d.Seconds(); {
	case s < 1e-3:
		return fmt.Sprintf("%.3g µs", 1e6*s)
	case s < 1:
		return fmt.Sprintf("%.3g ms", 1e3*s)
	default:
		return fmt.Sprintf("%.3g s", s)
	}
}

type benchDecodeCmd struct {
	Model string `arg:"" optional:"" help:"Model directory or .gguf file. Default: preset S with random weights."`
	running
	New int `default:"64" placeholder:"N" help:"Tokens to make. Default: ${default}."`
}

func (benchDecodeCmd) Help() string {
	return "The share of the peak is that of the bandwidth at which the weights and caches that a token meets could be read from memory; a model that fits the caches exceeds it. " +
		"The table says where the time goes.\n\nExample:\n\n\thaenyeo bench decode my-model"
}

func (c *benchDecodeCmd) Run(a *app) error {
	return c.measure(a, c.Model, func(s *subject) (*bench.Phase, error) {
		s.r.Prompt, s.r.New = or(c.Prompt, 32), c.New
		return bench.Decode(a.ctx, s.r)
	})
}

type benchPrefillCmd struct {
	Model string `arg:"" optional:"" help:"Model directory or .gguf file. Default: preset S with random weights."`
	running
}

func (benchPrefillCmd) Help() string {
	return "The share of the peak counts two operations for each parameter that a token meets. The table says where the time goes.\n\nExample:\n\n\thaenyeo bench prefill my-model --prompt 512"
}

func (c *benchPrefillCmd) Run(a *app) error {
	return c.measure(a, c.Model, func(s *subject) (*bench.Phase, error) {
		s.r.Prompt = or(c.Prompt, 512)
		return bench.Prefill(a.ctx, s.r)
	})
}

type benchModelCmd struct {
	Model string `arg:"" help:"Model directory, .gguf file, or the name of a model that was pulled."`
	running
	New      int `default:"32" placeholder:"N" help:"Tokens to make. Default: ${default}."`
	Together int `default:"16" placeholder:"N" help:"Sequences that are run together. Default: ${default}."`
}

func (benchModelCmd) Help() string {
	return "All that running a model takes: loading it, the first token, reading a prompt, making tokens for one sequence and for several; where the time of each goes, " +
		"pauses of the collector, memory.\n\nExample:\n\n\thaenyeo bench my-model"
}

func (c *benchModelCmd) Run(a *app) error {
	if c.New < 1 || c.Together < 1 {
		return misuse("--new and --together: at least 1")
	}
	s, err := c.subject(a, c.Model)
	if err != nil {
		return err
	}
	defer s.close()
	profile, err := a.profile(c.Profile)
	if err != nil {
		return err
	}
	defer profile.abort()
	s.r.Ledger, s.r.New, s.r.Sequences = profile.ledger, c.New, c.Together
	report, err := s.measure(a, or(c.Prompt, 512), or(c.Prompt, 32))
	if err != nil {
		return err
	}
	if err := profile.finish(benchTitle(c.Model), report.Phases[len(report.Phases)-1].Name); err != nil {
		return err
	}
	return a.showReport(report)
}

// modelReport is all that running a model takes.
type modelReport struct {
	Load   float64        `json:"load_ms"`
	First  float64        `json:"first_token_ms"` // after it was loaded
	Phases []*bench.Phase `json:"phases"`
	Limits bench.Limits   `json:"limits"`
	Pauses bench.Pauses   `json:"pauses"` // of the world, for the collector
	Memory memoryReport   `json:"memory"`
}

// memoryReport compares what was held with what a model cannot do without.
type memoryReport struct {
	PeakMB    int64 `json:"peak_mb"`
	WeightsMB int64 `json:"weights_mb"`
	CachesMB  int64 `json:"caches_mb"`  // the most at a time
	AllowedMB int64 `json:"allowed_mb"` // both and 64 MB, and a tenth of it
}

// measure measures all phases: reading read tokens, and making tokens after a prompt of before.
func (s *subject) measure(a *app, read, before int) (*modelReport, error) {
	rep := &modelReport{Load: milliseconds(s.load)}
	first, err := bench.FirstToken(a.ctx, s.r)
	if err != nil {
		return nil, err
	}
	rep.First = milliseconds(first)
	r := s.r
	for _, phase := range []struct {
		prompt int
		run    func(context.Context, bench.Running) (*bench.Phase, error)
	}{{read, bench.Prefill}, {before, bench.Together}, {before, bench.Decode}} {
		r.Prompt = phase.prompt
		p, err := phase.run(a.ctx, r)
		if err != nil {
			return nil, err
		}
		rep.Phases = append(rep.Phases, p)
		rep.Memory.CachesMB = max(rep.Memory.CachesMB, p.Cache>>20)
	}
	rep.Memory.PeakMB, rep.Memory.WeightsMB = machine.PeakRSS()>>20, s.weights>>20
	rep.Memory.AllowedMB = (rep.Memory.WeightsMB + rep.Memory.CachesMB + 64) * 11 / 10
	if rep.Pauses, err = bench.Stops(a.ctx, r); err != nil {
		return nil, err
	}
	rep.Limits = bench.Measure(s.r, rep.Phases...)
	return rep, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// showReport prints a report: with --json a line for each phase and one for the rest.
func (a *app) showReport(r *modelReport) error {
	if a.JSON {
		return a.emitReport(r)
	}
	if err := a.print("%-52s %.1f ms, and %.1f ms more to the first token", "load", r.Load, r.First); err != nil {
		return err
	}
	for _, p := range r.Phases {
		if err := a.showPhase(p, r.Limits); err != nil {
			return err
		}
	}
	return a.print("%s", r.rest())
}

// rest is what a report says beside its phases.
func (r *modelReport) rest() string {
	note := ""
	if r.Memory.PeakMB > r.Memory.AllowedMB {
		note = ": more than it should be"
	}
	return fmt.Sprintf("%-52s %d, median %.3g ms, 99%% below %.3g ms, longest %.3g ms\n%-52s %d MB at most; weights %d MB, caches %d MB (with 64 MB and a tenth: %d MB%s)\n%-52s %.0f GFLOP/s in products, %.1f GB/s read from memory",
		"pauses, collecting without end", r.Pauses.Count, r.Pauses.Median, r.Pauses.P99, r.Pauses.Most,
		"memory", r.Memory.PeakMB, r.Memory.WeightsMB, r.Memory.CachesMB, r.Memory.AllowedMB, note,
		"this machine", r.Limits.Ops/1e9, r.Limits.Read/1e9)
}

func (a *app) emitReport(r *modelReport) error {
	for _, p := range r.Phases {
		if err := a.emit(p); err != nil {
			return err
		}
	}
	return a.emit(struct {
		Name string `json:"name"`
		modelReport
		Phases any `json:"phases,omitempty"` // stand above
	}{Name: "model", modelReport: *r})
}
