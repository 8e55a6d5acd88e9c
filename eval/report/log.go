// This file reads log.jsonl. Lines that are not events, or not whole, are skipped and counted: a
// log may end in the middle of a line. A run that went back to a checkpoint repeats steps; the
// later ones count.

package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

const maxLine = 8 << 20

// ReadLog fills a Run from the events of a log. skipped counts the lines that were not understood;
// an error is one of r.
func ReadLog(r io.Reader) (run *Run, skipped int, err error) {
	run = &Run{}
	in := bufio.NewReaderSize(r, 64<<10)
	var long []byte
	for {
		part, err := in.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull && err != io.EOF {
			return nil, skipped, fmt.Errorf("report: reading the log: %w", err)
		}
		if len(long) <= maxLine {
			long = append(long, part...)
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if line := bytes.TrimSpace(long); len(line) > 0 && (len(line) > maxLine || !run.event(line)) {
			skipped++
		}
		long = long[:0]
		if err == io.EOF {
			return run, skipped, nil
		}
	}
}

// event adds one line; false if it is not an event.
func (r *Run) event(line []byte) bool {
	var e struct {
		Event string `json:"event"`

		Preset    string          `json:"preset"`
		Params    int64           `json:"params"`
		Active    int64           `json:"active"`
		PeakRSSMB int64           `json:"peak_rss_mb"`
		Steps     int             `json:"steps"`
		Batch     int             `json:"batch"`
		Seq       int             `json:"seq"`
		Epochs    float64         `json:"epochs"`
		Mixture   string          `json:"mixture"`
		Waste     float64         `json:"waste"`
		Quality   string          `json:"quality"`
		Options   json.RawMessage `json:"options"`

		Step     int     `json:"step"`
		Tokens   int64   `json:"tokens"`
		Seconds  float64 `json:"seconds"`
		Loss     float64 `json:"loss"`
		LR       float64 `json:"lr"`
		GradNorm float64 `json:"grad_norm"`
		TokS     float64 `json:"tok_s"`
		Load     float64 `json:"load_max_over_mean"`

		ValBPB     float64            `json:"val_bpb"`
		ByLang     map[string]float64 `json:"by_lang"`
		ExpertLoad [][]float64        `json:"expert_load"`

		Prompt  string `json:"prompt"`
		Text    string `json:"text"`
		Lang    string `json:"lang"`
		Retries int    `json:"retries"`
	}
	if json.Unmarshal(line, &e) != nil || e.Step < 0 {
		return false
	}
	switch e.Event {
	case "plan":
		r.Plan = Plan{
			Preset: e.Preset, Params: e.Params, Active: e.Active, Tokens: e.Tokens, Steps: e.Steps, Batch: e.Batch, Seq: e.Seq,
			Epochs: e.Epochs, Mixture: e.Mixture, Waste: e.Waste, Seconds: e.Seconds, PeakRSSMB: e.PeakRSSMB, Quality: e.Quality, Options: settings(e.Options),
		}
	case "step":
		r.Steps = append(before(r.Steps, e.Step, func(s Step) int { return s.Step }),
			Step{Step: e.Step, Tokens: e.Tokens, Loss: e.Loss, LR: e.LR, GradNorm: e.GradNorm, TokS: e.TokS, Load: e.Load})
		// What was measured after this step belongs to the run that was given up.
		r.Evals = before(r.Evals, e.Step, func(s Eval) int { return s.Step })
		r.Samples = before(r.Samples, e.Step, func(s Sample) int { return s.Step })
		r.Done = nil
	case "eval":
		r.Evals = append(before(r.Evals, e.Step, func(s Eval) int { return s.Step }), Eval{e.Step, e.ValBPB, e.ByLang, e.ExpertLoad})
	case "sample":
		r.Samples = append(r.Samples, Sample{e.Step, e.Prompt, e.Text, e.Lang})
	case "done":
		r.Done = &Done{e.Step, e.Tokens, e.Loss, e.ValBPB, e.Seconds, e.Retries}
	case "checkpoint":
	default:
		return false
	}
	return true
}

// before drops the items at a step and later.
func before[E any](s []E, step int, at func(E) int) []E {
	n := len(s)
	for n > 0 && at(s[n-1]) >= step {
		n--
	}
	return s[:n]
}

// settings flattens a JSON object, keeping its order: a.b = c.
func settings(raw json.RawMessage) []Setting {
	var out []Setting
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var walk func(prefix string, depth int) bool
	walk = func(prefix string, depth int) bool {
		t, err := d.Token()
		if err != nil || depth > 8 {
			return false
		}
		add := func(v string) { out = append(out, Setting{prefix, v}) }
		switch v := t.(type) {
		case json.Delim:
			if v == '[' {
				var items []string
				for d.More() {
					var item any
					if d.Decode(&item) != nil {
						return false
					}
					items = append(items, fmt.Sprint(item))
				}
				add(strings.Join(items, ", "))
			} else {
				for d.More() {
					key, err := d.Token()
					if err != nil {
						return false
					}
					name := fmt.Sprint(key)
					if prefix != "" {
						name = prefix + "." + name
					}
					if !walk(name, depth+1) {
						return false
					}
				}
			}
			_, err := d.Token() // the closing one
			return err == nil
		case nil:
			add("none")
		default:
			add(fmt.Sprint(v))
		}
		return true
	}
	if len(raw) == 0 || raw[0] != '{' || !walk("", 0) {
		return nil
	}
	return slices.Clip(out)
}
