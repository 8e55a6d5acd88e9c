// This file holds Run and its parts: plain values that a trainer fills.

package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Run is one training run.
type Run struct {
	Name    string // of the model
	License string // of the model, an identifier of the Hugging Face hub; "" is written as not stated

	// From the log.
	Plan    Plan
	Steps   []Step
	Evals   []Eval
	Samples []Sample
	Done    *Done // nil while the run goes on, or if it was stopped

	// What the log does not know.
	Architecture string   // of the model, in words: "DeepSeek-V3"
	Tags         []string // of the model, for the hub: "deepseek_v3", "mixture-of-experts"
	Machine      string   // processor and kernels, in words
	Software     string   // program and version
	Config       []Setting
	Commands     []Command // what to do with the model
	Data         Data
}

// Plan is what was decided before the first step.
type Plan struct {
	Preset         string
	Params, Active int64
	Tokens         int64
	Steps          int
	Batch, Seq     int
	Epochs         float64
	Mixture        string  // of languages and sources, in words
	Waste          float64 // share of the positions that predict nothing
	Seconds        float64
	PeakRSSMB      int64
	Quality        string    // what was expected, in words
	Options        []Setting // hyper-parameters, in the order of the log
}

// Setting is a name and its value.
type Setting struct{ Name, Value string }

// Command is a line for a shell, and what it does.
type Command struct{ What, Line string }

// Step is one optimiser step.
type Step struct {
	Step     int
	Tokens   int64
	Loss, LR float64
	GradNorm float64
	TokS     float64
	Load     float64 // of the busiest expert over the mean, the worst layer
}

// Eval is a measurement on validation text.
type Eval struct {
	Step   int
	BPB    float64            // bits per byte
	ByLang map[string]float64 // the same by language
	Load   [][]float64        // [MoE layer][expert] tokens over the mean of the layer
}

// Sample is text that the model wrote at a step.
type Sample struct {
	Step               int
	Prompt, Text, Lang string
}

// Done is the end of a run.
type Done struct {
	Step    int
	Tokens  int64
	Loss    float64
	BPB     float64
	Seconds float64
	Retries int
}

// Data is where the text came from.
type Data struct {
	Sources   []Source
	Files     []File
	Languages []Language

	Documents, Bytes           int64
	ValidationBytes            int64
	Duplicates, Empty, Altered int64
	NotNFC                     int64
	Skipped                    []Skip // the first ones
	SkipCount                  int
	Tokenizer                  string // what it is, in words
}

// Source is a part of the data under one licence.
type Source struct {
	Name, Licence, Lang string
	Repository, Author  string // may be empty
	SHA256              string // of its texts, when known
	Translated          bool   // by a machine
	Documents, Bytes    int64
}

// File is a file that was read.
type File struct {
	Name      string
	Bytes     int64
	Documents int64
	SHA256    string
}

// Language is the share of a language.
type Language struct {
	Lang             string
	Documents, Bytes int64
}

// Skip is a file that was left out.
type Skip struct{ Name, Reason string }

// maxLanguages bounds the tables; a log may say anything.
const maxLanguages = 256

// last returns the final measurement, or nil.
func (r *Run) last() *Eval {
	if len(r.Evals) == 0 {
		return nil
	}
	return &r.Evals[len(r.Evals)-1]
}

// langs returns the languages of the measurements, the best known first: by bytes of data, then
// name.
func (r *Run) langs() []string {
	size := map[string]int64{}
	for _, l := range r.Data.Languages {
		size[l.Lang] = l.Bytes
	}
	seen := map[string]bool{}
	var out []string
	for _, e := range r.Evals {
		for l := range e.ByLang {
			if !seen[l] {
				seen[l] = true
				out = append(out, l)
			}
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		if size[a] != size[b] {
			if size[a] > size[b] {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	return out[:min(len(out), maxLanguages)]
}

// tokensAt returns the tokens trained on after a step.
func (r *Run) tokensAt(step int) int64 {
	i, ok := slices.BinarySearchFunc(r.Steps, step, func(s Step, at int) int { return s.Step - at })
	if ok {
		return r.Steps[i].Tokens
	}
	if i > 0 {
		return r.Steps[i-1].Tokens
	}
	return 0
}

// lossNear returns the mean loss of the steps up to a step: single steps are noisy.
func (r *Run) lossNear(step int) float64 {
	const window = 20
	sum, n := 0.0, 0
	for i := len(r.Steps) - 1; i >= 0 && n < window; i-- {
		if s := r.Steps[i]; s.Step <= step && finite(s.Loss) {
			sum += s.Loss
			n++
		}
	}
	return sum / float64(max(n, 1))
}

// speed is the median of the steps' tokens/s.
func (r *Run) speed() float64 {
	var v []float64
	for _, s := range r.Steps {
		if finite(s.TokS) && s.TokS > 0 {
			v = append(v, s.TokS)
		}
	}
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return v[len(v)/2]
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// count prints a number in short: 18.6M.
func count(n float64) string {
	switch a := math.Abs(n); {
	case a >= 1e12:
		return trim(n/1e12) + "T"
	case a >= 1e9:
		return trim(n/1e9) + "B"
	case a >= 1e6:
		return trim(n/1e6) + "M"
	case a >= 1e4:
		return trim(n/1e3) + "k"
	}
	return trim(n)
}

// trim prints three digits at most, without trailing zeros.
func trim(x float64) string {
	digits := 2
	switch a := math.Abs(x); {
	case a >= 100:
		digits = 0
	case a >= 10:
		digits = 1
	}
	s := fmt.Sprintf("%.*f", digits, x)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// size prints bytes.
func size(n int64) string {
	switch {
	case n >= 1e9:
		return trim(float64(n)/1e9) + " GB"
	case n >= 1e6:
		return trim(float64(n)/1e6) + " MB"
	case n >= 1e3:
		return trim(float64(n)/1e3) + " kB"
	}
	return fmt.Sprintf("%d B", n)
}

// clock prints seconds as people say them.
func clock(s float64) string {
	if !finite(s) || s < 0 || s > 1e9 {
		return ""
	}
	d := time.Duration(s * float64(time.Second)).Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
}
