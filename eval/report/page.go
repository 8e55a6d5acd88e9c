// This file makes report.html.

package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"slices"
	"strings"
)

//go:embed page.html
var pageText string

// maxSampleText is how much of a sample is shown, in runes.
const maxSampleText = 1200

// HTML returns the page.
func (r *Run) HTML() ([]byte, error) {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return nil, fmt.Errorf("report: template: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, r.view()); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return bytes.Map(visible, b.Bytes()), nil
}

// view is what the template shows.
type view struct {
	*Run
	Headline string
	Tiles    []Setting
	Figures  []figure
	Languages,
	Settings, Settings2 []Setting
	Prompts []promptView
	Sources []sourceView
	Files   []fileView
	Notes   []string
}

type figure struct {
	Title, Unit, Note string
	SVG               template.HTML
	Wide              bool
}

type promptView struct {
	Prompt, Lang string
	Samples      []sampleView
}

type sampleView struct {
	Step   int
	Tokens string
	Text   string
	Last   bool
}

type sourceView struct {
	Source
	Size string
}

type fileView struct{ Name, Size, Documents, SHA256 string }

func (r *Run) view() view {
	v := view{Run: r, Headline: r.headline()}
	v.Tiles = r.tiles()
	v.Figures = r.figures()
	v.Languages = r.languageTable()
	v.Settings = append(r.planTable(), r.Config...)
	v.Settings2 = r.Plan.Options
	v.Prompts = r.prompts()
	for _, s := range r.Data.Sources {
		v.Sources = append(v.Sources, sourceView{s, size(s.Bytes)})
	}
	for _, f := range r.Data.Files {
		v.Files = append(v.Files, fileView{f.Name, size(f.Bytes), fmt.Sprint(f.Documents), f.SHA256})
	}
	v.Notes = r.Data.notes()
	return v
}

func (r *Run) headline() string {
	var parts []string
	if r.Plan.Params > 0 {
		s := count(float64(r.Plan.Params)) + " parameters"
		if r.Plan.Active > 0 && r.Plan.Active < r.Plan.Params {
			s += ", " + count(float64(r.Plan.Active)) + " active for a token"
		}
		parts = append(parts, s)
	}
	if n := len(r.Data.Languages); n > 1 {
		parts = append(parts, fmt.Sprintf("%d languages", n))
	}
	if r.Machine != "" {
		parts = append(parts, r.Machine)
	}
	return strings.Join(parts, " · ")
}

func (r *Run) tiles() []Setting {
	var t []Setting
	if e := r.last(); e != nil && e.BPB > 0 {
		t = append(t, Setting{"bits per byte", fmt.Sprintf("%.3f", e.BPB)})
	}
	if n := len(r.Steps); n > 0 {
		last := r.Steps[n-1]
		t = append(t, Setting{"training loss", fmt.Sprintf("%.3f", r.lossNear(last.Step))},
			Setting{"tokens trained on", count(float64(last.Tokens))},
			Setting{"tokens a second", count(r.speed())})
	}
	if r.Done != nil && r.Done.Seconds > 0 {
		t = append(t, Setting{"time", clock(r.Done.Seconds)})
	}
	return t
}

func (r *Run) figures() []figure {
	pick := func(y func(Step) float64) []point {
		ps := make([]point, len(r.Steps))
		for i, s := range r.Steps {
			ps[i] = point{float64(s.Step), y(s)}
		}
		return ps
	}
	window := float64(len(r.Steps)) / 60
	var figs []figure
	add := func(title, unit, note string, svg template.HTML, wide bool) {
		if svg != "" {
			figs = append(figs, figure{title, unit, note, svg, wide})
		}
	}
	loss := chart{title: "training loss by step", format: trim, floor: 0.1, series: []series{
		{colour: 0, points: pick(func(s Step) float64 { return s.Loss }), window: max(window, 1)}}}
	add("Training loss", "nats a token, by step", "", loss.svg(), false)

	bpb := chart{title: "validation bits per byte by step and language", format: trim, names: true, floor: 0.1}
	last := r.last()
	langs := r.langs()
	for i, l := range langs {
		if i == 2*colours {
			break
		}
		s := series{name: l, colour: i, dots: true}
		for _, e := range r.Evals {
			if y, ok := e.ByLang[l]; ok {
				s.points = append(s.points, point{float64(e.Step), y})
			}
		}
		if y, ok := last.ByLang[l]; ok {
			s.note = fmt.Sprintf("%.2f", y)
		}
		bpb.series = append(bpb.series, s)
	}
	if len(langs) != 1 {
		all := series{name: "all", colour: -1, dots: true}
		for _, e := range r.Evals {
			all.points = append(all.points, point{float64(e.Step), e.BPB})
		}
		if last != nil {
			all.note = fmt.Sprintf("%.2f", last.BPB)
		}
		bpb.series = append(bpb.series, all)
	}
	add("Validation", "bits per byte of text the model never saw, by step", "", bpb.svg(), false)

	rate := chart{title: "learning rate by step", zero: true, format: small, series: []series{{colour: 1, points: pick(func(s Step) float64 { return s.LR })}}}
	add("Learning rate", "by step", "", rate.svg(), false)
	speed := chart{title: "tokens a second by step", zero: true, format: count, series: []series{
		{colour: 2, points: pick(func(s Step) float64 { return s.TokS }), window: max(window, 1)}}}
	add("Throughput", "tokens a second, by step", "", speed.svg(), false)
	norm := chart{title: "gradient norm by step", zero: true, format: trim, series: []series{
		{colour: 4, points: pick(func(s Step) float64 { return s.GradNorm }), window: max(window, 1)}}}
	add("Gradient norm", "before clipping, by step", "", norm.svg(), false)
	if slices.ContainsFunc(r.Steps, func(s Step) bool { return s.Load > 0 }) {
		load := chart{title: "load of the busiest expert over the mean by step", format: trim, floor: 0.2, series: []series{
			{colour: 3, points: pick(func(s Step) float64 { return s.Load }), window: max(window, 1)}}}
		add("Expert load", "busiest expert over the mean, by step; 1 is even", "", load.svg(), false)
	}
	add("Expert load in time", "busiest expert over the mean, by layer", "Pale is even; deep is three times the mean or more.", loadOverTime(r.Evals), false)
	add("Expert load at the end", "each expert's share", "Warm: more than the mean, deep at four times. Cool: less, deep at a quarter.", loadByExpert(r.Evals), false)
	return figs
}

// small prints learning rates.
func small(x float64) string {
	if x == 0 {
		return "0"
	}
	s := fmt.Sprintf("%.2g", x)
	if m, e, ok := strings.Cut(s, "e-0"); ok {
		s = m + "e-" + e
	}
	return s
}

func (r *Run) languageTable() []Setting {
	e := r.last()
	if e == nil {
		return nil
	}
	var t []Setting
	for _, l := range r.langs() {
		if y, ok := e.ByLang[l]; ok {
			t = append(t, Setting{l, fmt.Sprintf("%.3f", y)})
		}
	}
	return t
}

func (r *Run) planTable() []Setting {
	p := &r.Plan
	var t []Setting
	add := func(name, value string) {
		if value != "" && value != "0" {
			t = append(t, Setting{name, value})
		}
	}
	add("preset", p.Preset)
	add("parameters", count(float64(p.Params)))
	add("active for a token", count(float64(p.Active)))
	add("steps", fmt.Sprint(p.Steps))
	if p.Batch > 0 {
		add("batch", fmt.Sprintf("%d rows of %d tokens", p.Batch, p.Seq))
	}
	add("tokens", count(float64(p.Tokens)))
	if p.Epochs > 0 {
		add("epochs", trim(p.Epochs))
	}
	add("mixture", p.Mixture)
	if p.Waste > 0 {
		add("positions left empty by packing", fmt.Sprintf("%.2g %%", 100*p.Waste))
	}
	if p.Seconds > 0 {
		add("planned time", clock(p.Seconds))
	}
	if p.PeakRSSMB > 0 {
		add("planned memory", size(p.PeakRSSMB*1e6))
	}
	add("expected", p.Quality)
	add("program", r.Software)
	return t
}

// prompts groups the samples by prompt, in order of first appearance: the same question, asked
// again and again.
func (r *Run) prompts() []promptView {
	var out []promptView
	index := map[[2]string]int{}
	for _, s := range r.Samples {
		key := [2]string{s.Prompt, s.Lang}
		i, ok := index[key]
		if !ok {
			i = len(out)
			index[key] = i
			out = append(out, promptView{Prompt: plain(s.Prompt), Lang: s.Lang})
		}
		v := sampleView{Step: s.Step, Text: plain(s.Text)}
		if n := r.tokensAt(s.Step); n > 0 {
			v.Tokens = count(float64(n))
		}
		out[i].Samples = append(out[i].Samples, v)
	}
	for i := range out {
		s := thin(out[i].Samples, 12)
		s[len(s)-1].Last = true
		out[i].Samples = s
	}
	return out
}

// thin keeps n of s, spread evenly, the first and the last among them.
func thin[E any](s []E, n int) []E {
	if len(s) <= n {
		return s
	}
	out := make([]E, n)
	for i := range out {
		out[i] = s[i*(len(s)-1)/(n-1)]
	}
	return out
}

// plain cuts a text and makes control characters visible.
func plain(s string) string {
	if runes := []rune(s); len(runes) > maxSampleText {
		s = string(runes[:maxSampleText]) + "…"
	}
	return strings.Map(visible, s)
}

// visible replaces control characters, which HTML does not allow, by their pictures.
func visible(c rune) rune {
	switch {
	case c == '\n' || c == '\t':
	case c < 0x20:
		return 0x2400 + c
	case c == 0x7F:
		return 0x2421
	}
	return c
}

// notes says what happened to the data on its way.
func (d *Data) notes() []string {
	var n []string
	add := func(count int64, one, many string) {
		switch {
		case count == 1:
			n = append(n, "1 "+one)
		case count > 1:
			n = append(n, fmt.Sprintf("%d %s", count, many))
		}
	}
	add(d.Duplicates, "exact duplicate dropped", "exact duplicates dropped")
	add(d.Empty, "document without text dropped", "documents without text dropped")
	add(d.Altered, "record with half a surrogate pair dropped", "records with half a surrogate pair dropped")
	add(d.NotNFC, "document is not in Unicode NFC, kept as it is", "documents are not in Unicode NFC, kept as they are")
	add(int64(d.SkipCount), "file left out", "files left out")
	for i, s := range d.Skipped {
		if i == 10 {
			n = append(n, "…")
			break
		}
		n = append(n, fmt.Sprintf("left out: %s (%s)", s.Name, s.Reason))
	}
	return n
}
