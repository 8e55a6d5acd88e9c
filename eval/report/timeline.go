// This file draws where the time of a model goes: Timeline, one page with a map of single runs, layer under layer, and
// the sums of all runs.

package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
	"time"
)

// Timeline is what was measured of some runs of the layers of a model.
type Timeline struct {
	Title  string
	Notes  []string          // lines under the title
	Kinds  []string          // of work
	Layers [][]time.Duration // of every layer the time of every kind, in all runs; the first row is what lies outside layers
	Steps  []time.Duration   // of every run
	Runs   []TimelineRun     // to be drawn
}

// TimelineRun is one run of the layers.
type TimelineRun struct {
	Number int // among Steps
	Spans  []Span
	Cut    bool // there were more
}

// Span is a stretch of work of one kind in one layer (-1: outside), from the beginning of the run on.
type Span struct {
	Layer, Kind int
	Begin, End  time.Duration
}

//go:embed timeline.html
var timelineText string

var timelinePage = template.Must(template.New("timeline").Parse(timelineText))

type timelineView struct {
	Title string
	Notes []string
	Kinds []kindView
	Maps  []mapView
	Sums  template.HTML
	Steps template.HTML
}

type kindView struct {
	Name, Time, Share string
	Colour            template.CSS
}

type mapView struct {
	Title, Note string
	SVG         template.HTML
}

// HTML is the page. It loads nothing and runs no script.
func (t *Timeline) HTML() ([]byte, error) {
	v := timelineView{Title: t.Title, Notes: t.Notes, Sums: t.sums(), Steps: t.steps()}
	total, sums := t.totals()
	for k, d := range sums {
		if d > 0 {
			v.Kinds = append(v.Kinds, kindView{t.Kinds[k], brief(d), fmt.Sprintf("%.1f %%", 100*float64(d)/float64(total)), template.CSS(stroke(k))})
		}
	}
	for i := range t.Runs {
		r := &t.Runs[i]
		m := mapView{Title: fmt.Sprintf("Run %d of %d", r.Number+1, len(t.Steps)), SVG: t.runMap(r)}
		if n := len(r.Spans); n > 0 {
			m.Note = brief(r.Spans[n-1].End)
		}
		if r.Cut {
			m.Note += ", its beginning"
		}
		v.Maps = append(v.Maps, m)
	}
	var b bytes.Buffer
	if err := timelinePage.Execute(&b, v); err != nil {
		return nil, fmt.Errorf("report: timeline: %w", err)
	}
	return b.Bytes(), nil
}

// totals sums over layers.
func (t *Timeline) totals() (total time.Duration, kinds []time.Duration) {
	kinds = make([]time.Duration, len(t.Kinds))
	for _, l := range t.Layers {
		for k, d := range l {
			kinds[k] += d
			total += d
		}
	}
	return total, kinds
}

// A map is wide, and as high as it has layers.
const (
	mapW, mapLeft, mapRight, mapTop = 1060.0, 62.0, 12.0, 4.0
	thinnest                        = 0.15 // of a span that is drawn: thinner ones would not be seen
)

// rowHeight is the height of one of n rows.
func rowHeight(n int) float64 { return math.Max(5, math.Min(20, 360/float64(n))) }

// rowName is the name of row i of n, "" where there is no room for it.
func rowName(i, n int) string {
	switch every := int(math.Ceil(12 / rowHeight(n))); {
	case i == 0:
		return "outside"
	case every > 1 && i%every != 0:
		return ""
	}
	return fmt.Sprintf("layer %d", i-1)
}

// runMap draws a run: time to the right, layers downwards.
func (t *Timeline) runMap(r *TimelineRun) template.HTML {
	n := len(t.Layers)
	var end time.Duration
	for _, s := range r.Spans {
		n, end = max(n, s.Layer+2), max(end, s.End)
	}
	if end <= 0 {
		return ""
	}
	row := rowHeight(n)
	h := mapTop + row*float64(n) + marginB
	px := func(d time.Duration) float64 { return mapLeft + float64(d)/float64(end)*(mapW-mapLeft-mapRight) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %.1f" role="img" aria-label="run %d, layer by layer">`, mapW, h, r.Number+1)
	drawRows(&b, n, row)
	for _, x := range ticks(0, float64(end), 8) {
		at := px(time.Duration(x))
		fmt.Fprintf(&b, `<path class="grid" d="M%.1f %.1fV%.1f"/><text class="tick" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`,
			at, mapTop, h-marginB, at, h-8, brief(time.Duration(x)))
	}
	for _, s := range r.Spans {
		x, w := px(s.Begin), px(s.End)-px(s.Begin)
		if w < thinnest || s.Kind < 0 || s.Kind >= len(t.Kinds) {
			continue
		}
		fmt.Fprintf(&b, `<rect x="%.2f" y="%.1f" width="%.2f" height="%.1f" style="fill:%s"><title>%s, %s: %s</title></rect>`,
			x, mapTop+row*float64(s.Layer+1), w, row-1, stroke(s.Kind), layerName(s.Layer), html.EscapeString(t.Kinds[s.Kind]), brief(s.End-s.Begin))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// sums draws, for every layer, the time of every kind in all runs.
func (t *Timeline) sums() template.HTML {
	var most time.Duration
	for _, l := range t.Layers {
		var sum time.Duration
		for _, d := range l {
			sum += d
		}
		most = max(most, sum)
	}
	if most <= 0 {
		return ""
	}
	n := len(t.Layers)
	row := rowHeight(n)
	h := mapTop + row*float64(n) + marginB
	scale := (mapW - mapLeft - mapRight) / float64(most)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %.1f" role="img" aria-label="time of every layer by kind of work">`, mapW, h)
	drawRows(&b, n, row)
	for _, x := range ticks(0, float64(most), 8) {
		fmt.Fprintf(&b, `<text class="tick" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, mapLeft+x*scale, h-8, brief(time.Duration(x)))
	}
	for i, l := range t.Layers {
		x := mapLeft
		for k, d := range l {
			if w := float64(d) * scale; w >= thinnest {
				fmt.Fprintf(&b, `<rect x="%.2f" y="%.1f" width="%.2f" height="%.1f" style="fill:%s"><title>%s, %s: %s</title></rect>`,
					x, mapTop+row*float64(i), w, row-1, stroke(k), layerName(i-1), html.EscapeString(t.Kinds[k]), brief(d))
			}
			x += float64(d) * scale
		}
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

func drawRows(b *strings.Builder, n int, row float64) {
	for i := range n {
		if name := rowName(i, n); name != "" {
			fmt.Fprintf(b, `<text class="tick" x="%.1f" y="%.1f" text-anchor="end">%s</text>`, mapLeft-7, mapTop+row*float64(i)+row/2+3.8, name)
		}
	}
}

func layerName(layer int) string {
	if layer < 0 {
		return "outside layers"
	}
	return fmt.Sprintf("layer %d", layer)
}

// steps draws how long every run took.
func (t *Timeline) steps() template.HTML {
	if len(t.Steps) < 3 {
		return ""
	}
	var points []point
	for i, d := range t.Steps[1:] { // the first reads the prompt
		points = append(points, point{float64(i + 2), d.Seconds()})
	}
	c := chart{title: "time of every run", zero: true, format: func(s float64) string { return brief(time.Duration(s * 1e9)) },
		series: []series{{colour: 0, points: points, window: math.Max(1, float64(len(points))/40)}}}
	return c.svg()
}

// brief writes a time with three digits: 812 ns, 3.41 µs, 12.3 ms.
func brief(d time.Duration) string {
	x, unit := float64(d), "ns"
	for _, u := range []string{"µs", "ms", "s"} {
		if x < 999.5 {
			break
		}
		x, unit = x/1000, u
	}
	if x == math.Trunc(x) {
		return fmt.Sprintf("%.0f %s", x, unit)
	}
	return fmt.Sprintf("%.3g %s", x, unit)
}
