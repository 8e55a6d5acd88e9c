package main

// What a training run looks like while it runs: events in, one live line and a few lasting ones out.

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/haenyeo/haenyeo/train"
)

// watch shows the events of one run, or passes them on as JSON.
type watch struct {
	a     *app
	peak  func() float64 // measures FLOP/s of products on this machine, in no time
	plans bool           // show the plan

	best    float64 // of the peaks measured so far
	plan    train.Plan
	first   train.Step // of this process: not step 1 after a resume
	started time.Time
	loss    float64 // smoothed
	bpb     float64 // of the last evaluation
	last    []train.Sample
	path    string // of the last checkpoint
	err     error  // of writing an event to stdout
}

// event is the callback of a run.
func (w *watch) event(e train.Event) {
	w.show(e)
	if !w.a.JSON || w.err != nil {
		return
	}
	line, err := train.Line(e)
	if err == nil {
		w.a.stdout.Write(line)
		err = w.a.stdout.Flush()
	}
	w.err = err
}

func (w *watch) show(e train.Event) {
	switch e := e.(type) {
	case train.Plan:
		again := w.plan.Steps > 0 // the model became another than was planned
		w.plan = e
		switch {
		case !w.plans || w.a.JSON:
		case again:
			w.a.print("  %-9s %s", "now", describeSize(e))
		default:
			w.a.print("The plan:\n%s", describePlan(e))
		}
	case train.Step:
		w.step(e)
	case train.Eval:
		w.bpb = e.ValBPB
		w.a.say("step %d: %.3f bits per byte on text it does not learn from%s", e.Step, e.ValBPB, byLanguage(e.ByLang))
	case train.Sample:
		if len(w.last) > 0 && w.last[0].Step != e.Step {
			w.last = w.last[:0]
		}
		w.last = append(w.last, e)
		if e.Step < w.plan.Steps || !w.plans || w.a.JSON { // the last ones are part of the result
			w.a.say("step %d writes: [%s] %s", e.Step, oneLine(e.Prompt, 60), oneLine(e.Text, 120))
		}
	case train.Checkpoint:
		w.path = e.Path
		w.a.log.Info("checkpoint", "step", e.Step, "path", e.Path, "size", size(e.Bytes), "seconds", e.Seconds)
	}
}

// step shows the live line.
func (w *watch) step(e train.Step) {
	if w.started.IsZero() {
		w.first, w.loss, w.started = e, e.Loss, time.Now()
	}
	w.loss += 0.1 * (e.Loss - w.loss)
	parts := []string{fmt.Sprintf("step %d/%d", e.Step, w.plan.Steps), fmt.Sprintf("loss %.3f", w.loss)}
	if w.bpb > 0 {
		parts = append(parts, fmt.Sprintf("%.3f bits/byte", w.bpb))
	}
	parts = append(parts, count(e.TokS)+" tok/s")
	if w.plan.Active > 0 {
		parts = append(parts, fmt.Sprintf("%.0f%% of peak", 100*w.ofPeak(trainFLOPs(w.plan.Active)*e.TokS)))
	}
	if done := e.Step - w.first.Step; done > 0 {
		left := time.Since(w.started) * time.Duration(w.plan.Steps-e.Step) / time.Duration(done)
		parts = append(parts, duration(left)+" left")
	}
	w.a.bar.update(float64(e.Step)/float64(max(1, w.plan.Steps)), strings.Join(parts, "  "))
}

// ofPeak is the share of the peak that a rate in FLOP/s is. A peak that is beaten was measured while the machine
// was busy: it is measured again, and is at least what was reached.
func (w *watch) ofPeak(rate float64) float64 {
	if rate > w.best {
		w.best = max(rate, w.best, w.peak())
	}
	return rate / w.best
}

// trainFLOPs is what one token costs in training: a multiplication and an addition for each
// parameter it meets, once forward and twice backward.
func trainFLOPs(active int64) float64 { return 6 * float64(active) }

// byLanguage lists bits per byte of the languages, best first.
func byLanguage(bpb map[string]float64) string {
	if len(bpb) < 2 {
		return ""
	}
	langs := slices.SortedFunc(maps.Keys(bpb), func(a, b string) int {
		if bpb[a] < bpb[b] || bpb[a] == bpb[b] && a < b {
			return -1
		}
		return 1
	})
	var parts []string
	for _, l := range langs {
		parts = append(parts, fmt.Sprintf("%s %.2f", l, bpb[l]))
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

func describeSize(p train.Plan) string {
	name := p.Preset
	if name == "" {
		name = "given"
	}
	return fmt.Sprintf("%s: %s parameters, %s of them active per token", name, count(float64(p.Params)), count(float64(p.Active)))
}

// describePlan says what a run is going to do.
func describePlan(p train.Plan) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-9s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("size", "%s", describeSize(p))
	text := fmt.Sprintf("%s tokens in %d steps of %d×%d", count(float64(p.Tokens)), p.Steps, p.Batch, p.Seq)
	if p.Epochs > 0 {
		text += fmt.Sprintf(", %.1f times through the text", p.Epochs)
	}
	line("training", "%s", text)
	if p.Mixture != "" {
		line("mixture", "%s", p.Mixture)
	}
	line("method", "%s, learning rate %g (%s), %s, seed %d", p.Options.Optimizer, p.Options.LR, p.Options.Schedule, p.Options.DType, p.Options.Seed)
	if p.TokS > 0 {
		line("speed", "%s tokens/s measured on this machine", count(p.TokS))
	}
	if p.Seconds > 0 {
		line("time", "%s", duration(time.Duration(p.Seconds*float64(time.Second))))
	}
	if p.PeakRSSMB > 0 {
		line("memory", "about %d MB", p.PeakRSSMB)
	}
	if p.Quality != "" {
		line("expect", "%s", p.Quality)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
