package eval

// Report is everything that was measured at once: lines of JSON, and a page.

import (
	"maps"
	"slices"

	"github.com/haenyeo/haenyeo/eval/report"
)

// Report holds the results of one or two models on the same sets.
type Report struct {
	Results       []*Result // all of the first model, then all of the second
	Comparisons   []Paired
	Contamination []Contamination // of each set; nil: nobody looked
	Bits          []Bits
}

// Paired is a Comparison with what was compared.
type Paired struct {
	Event  string `json:"event"`
	Task   string `json:"task"`
	First  string `json:"first"`
	Second string `json:"second"`
	Comparison
}

// Bits are bits per byte of text.
type Bits struct {
	Event  string             `json:"event"`
	Model  string             `json:"model"`
	BPB    float64            `json:"bpb"`
	Bytes  int64              `json:"bytes"`
	ByLang map[string]float64 `json:"by_lang"`
}

// Langs are the languages, in order.
func (b *Bits) Langs() []string {
	return slices.Sorted(maps.Keys(b.ByLang))
}

// Compare compares the second half of the results with the first. Of one model there is nothing to compare.
func (r *Report) Compare() error {
	half := len(r.Results) / 2
	if half == 0 || r.Results[0].Model == r.Results[half].Model {
		return nil
	}
	for i, a := range r.Results[:half] {
		b := r.Results[half+i]
		cs, err := Compare(a, b)
		if err != nil {
			return err
		}
		for _, c := range cs {
			r.Comparisons = append(r.Comparisons, Paired{"comparison", a.Task, a.Model, b.Model, c})
		}
	}
	return nil
}

// Lines are the results, each to be written as a line of JSON.
func (r *Report) Lines() []any {
	var lines []any
	for _, x := range r.Results {
		lines = append(lines, x)
	}
	for _, x := range r.Comparisons {
		lines = append(lines, x)
	}
	for i, c := range r.Contamination {
		lines = append(lines, struct {
			Event string `json:"event"`
			Task  string `json:"task"`
			Contamination
		}{"contamination", r.Results[i].Task, c})
	}
	for _, b := range r.Bits {
		b.Event = "bpb"
		lines = append(lines, b)
	}
	return lines
}

// ItemLines are all questions with what the models made of them.
func (r *Report) ItemLines() []any {
	var lines []any
	for _, x := range r.Results {
		for _, it := range x.Items {
			lines = append(lines, struct {
				Model string `json:"model"`
				Task  string `json:"task"`
				Asked
			}{x.Model, x.Task, it})
		}
	}
	return lines
}

// HTML is the page.
func (r *Report) HTML() ([]byte, error) {
	s := report.Scores{Title: "Evaluation"}
	for _, x := range r.Results {
		for _, m := range x.Metrics {
			s.Rows = append(s.Rows, report.Score{Model: x.Model, Task: x.Task, Metric: m.Name, Value: m.Value, Low: m.Low, High: m.High,
				Share: m.How == ByWilson, Items: x.N, Of: x.Of, Shots: x.Shots, SHA256: x.SHA256})
		}
	}
	for _, c := range r.Comparisons {
		s.Pairs = append(s.Pairs, report.Pair{Task: c.Task, Metric: c.Metric, First: c.First, Second: c.Second, Difference: c.Difference.Value,
			Low: c.Difference.Low, High: c.Difference.High, P: c.P, Items: c.Items})
	}
	for i, c := range r.Contamination {
		s.Found = append(s.Found, report.Found{Task: r.Results[i].Task, Items: c.Items, Found: c.Found, Short: c.Short})
	}
	for _, b := range r.Bits {
		s.Bits = append(s.Bits, report.BitsRow{Model: b.Model, Lang: "all", BPB: b.BPB})
		for _, lang := range b.Langs() {
			s.Bits = append(s.Bits, report.BitsRow{Model: b.Model, Lang: lang, BPB: b.ByLang[lang]})
		}
	}
	return s.HTML()
}
