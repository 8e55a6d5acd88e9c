// This file draws curves as SVG. Every colour is a CSS variable of the page, so that one drawing
// serves light and dark. Lines carry their names at their ends, where the eye is, not in a box.

package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"slices"
	"strings"
)

// The drawing's own units; the page scales it.
const (
	chartW, chartH = 460.0, 250.0
	marginL        = 46.0
	marginR        = 14.0
	marginT        = 12.0
	marginB        = 26.0
	labelH         = 12.5 // of a name at the end of a line
	colours        = 10   // --c0 to --c9
	buckets        = 360
)

type chart struct {
	title  string // for readers of screens
	series []series
	zero   bool                 // the axis begins at 0
	format func(float64) string // of the y axis
	names  bool                 // write the names of the series
	floor  float64              // the axis shows at least this range
}

type series struct {
	name   string
	colour int // -1: the text's colour
	points []point
	window float64 // >0: draw a smooth line over this many points, and the points as a faint band
	dots   bool
	note   string // after the name
}

// svg draws the chart; "" if there is nothing to draw.
func (c *chart) svg() template.HTML {
	x0, x1, y0, y1 := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	var lines []series
	for _, s := range c.series {
		s.points = slices.DeleteFunc(slices.Clone(s.points), func(p point) bool { return !finite(p.x) || !finite(p.y) || math.Abs(p.y) > 1e30 })
		if len(s.points) == 0 {
			continue
		}
		lines = append(lines, s)
		for _, p := range s.points {
			x0, x1 = math.Min(x0, p.x), math.Max(x1, p.x)
		}
		for _, b := range s.visible() {
			y0, y1 = math.Min(y0, b), math.Max(y1, b)
		}
	}
	if len(lines) == 0 {
		return ""
	}
	if c.zero {
		y0 = math.Min(0, y0)
	}
	if x1 <= x0 {
		x1 = x0 + 1
	}
	if d := math.Max(c.floor, 1e-3*math.Abs(y1)) - (y1 - y0); d > 0 {
		y0, y1 = y0-d/2, y1+d/2
		if c.zero {
			y0, y1 = y0+d/2, y1+d/2
		}
	}
	if y1 <= y0 {
		y1 = y0 + 1
	}
	y1 += (y1 - y0) * 0.04
	if !c.zero {
		y0 -= (y1 - y0) * 0.04
	}
	right := marginR
	if c.names {
		for _, s := range lines {
			right = math.Max(right, 16+6.3*float64(len([]rune(s.label()))))
		}
		right = math.Min(right, chartW/3)
	}
	px := func(x float64) float64 { return marginL + (x-x0)/(x1-x0)*(chartW-marginL-right) }
	py := func(y float64) float64 { return chartH - marginB - (y-y0)/(y1-y0)*(chartH-marginT-marginB) }

	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, chartW, chartH, html.EscapeString(c.title))
	for _, y := range ticks(y0, y1, 5) {
		fmt.Fprintf(&b, `<path class="grid" d="M%.1f %.1fH%.1f"/><text class="tick" x="%.1f" y="%.1f" text-anchor="end">%s</text>`,
			marginL, py(y), chartW-right, marginL-7, py(y)+3.8, html.EscapeString(c.format(y)))
	}
	for i, x := range ticks(x0, x1, 6) {
		anchor := "middle"
		if i == 0 && px(x) < marginL+8 {
			anchor = "start"
		}
		fmt.Fprintf(&b, `<text class="tick" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, px(x), chartH-8, anchor, html.EscapeString(count(x)))
	}
	for _, s := range lines {
		s.draw(&b, px, py)
	}
	if c.names {
		c.label(&b, lines, px(x1), py)
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

func (s *series) label() string {
	if s.note == "" {
		return s.name
	}
	return s.name + " " + s.note
}

// visible returns the values that set the range: all, but of a noisy series the middle 99.5 %.
func (s *series) visible() []float64 {
	v := make([]float64, len(s.points))
	for i, p := range s.points {
		v[i] = p.y
	}
	if s.window > 0 && len(v) >= 400 {
		slices.Sort(v)
		cut := len(v) / 400
		v = v[cut : len(v)-cut]
	}
	return v
}

func stroke(colour int) string {
	if colour < 0 {
		return "var(--text)"
	}
	return fmt.Sprintf("var(--c%d)", colour%colours)
}

func (s *series) draw(b *strings.Builder, px, py func(float64) float64) {
	top, bottom := marginT-6, chartH-marginB+2
	y := func(v float64) float64 { return math.Max(top, math.Min(bottom, py(v))) }
	line := s.points
	if s.window > 0 {
		band := shrink(s.points, buckets)
		fmt.Fprintf(b, `<path class="band" style="fill:%s;stroke:%s" d="`, stroke(s.colour), stroke(s.colour))
		for i, k := range band {
			fmt.Fprintf(b, "%c%.1f %.1f", "ML"[min(i, 1)], px(k.x), y(k.max))
		}
		for _, k := range slices.Backward(band) {
			fmt.Fprintf(b, "L%.1f %.1f", px(k.x), y(k.min))
		}
		b.WriteString(`Z"/>`)
		line = smooth(s.points, s.window)
	}
	class := "line"
	if s.colour < 0 {
		class = "line total"
	}
	dash := ""
	if s.colour >= colours {
		dash = ";stroke-dasharray:5 3"
	}
	fmt.Fprintf(b, `<path class="%s" style="stroke:%s%s" d="`, class, stroke(s.colour), dash)
	for i, k := range shrink(line, buckets) {
		fmt.Fprintf(b, "%c%.1f %.1f", "ML"[min(i, 1)], px(k.x), y(k.mean))
	}
	b.WriteString(`"/>`)
	if s.dots && len(line) <= 60 {
		for _, p := range line {
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="2.1" style="fill:%s"><title>%s: %s</title></circle>`,
				px(p.x), y(p.y), stroke(s.colour), html.EscapeString(s.name), trim(p.y))
		}
	}
}

// label writes the names at the ends of the lines, moved apart so that none covers another.
func (c *chart) label(b *strings.Builder, lines []series, x float64, py func(float64) float64) {
	type tag struct {
		s    *series
		at   float64
		want float64
	}
	var tags []tag
	for i := range lines {
		s := &lines[i]
		y := py(s.points[len(s.points)-1].y)
		tags = append(tags, tag{s, y, y})
	}
	slices.SortStableFunc(tags, func(a, b tag) int {
		switch {
		case a.want < b.want:
			return -1
		case a.want > b.want:
			return 1
		}
		return 0
	})
	top, bottom := marginT, chartH-marginB
	if room := int((bottom-top)/labelH) + 1; len(tags) > room {
		tags = tags[:room]
	}
	for i := range tags { // down
		low := top
		if i > 0 {
			low = tags[i-1].at + labelH
		}
		tags[i].at = math.Max(tags[i].at, low)
	}
	for i := len(tags) - 1; i >= 0; i-- { // and up again
		high := bottom
		if i < len(tags)-1 {
			high = tags[i+1].at - labelH
		}
		tags[i].at = math.Min(tags[i].at, high)
	}
	for _, t := range tags {
		if math.Abs(t.at-t.want) > 2 {
			fmt.Fprintf(b, `<path class="leader" style="stroke:%s" d="M%.1f %.1fL%.1f %.1f"/>`, stroke(t.s.colour), x+2, t.want, x+8, t.at)
		}
		weight := ""
		if t.s.colour < 0 {
			weight = ";font-weight:650"
		}
		fmt.Fprintf(b, `<text class="name" x="%.1f" y="%.1f" style="fill:%s%s">%s</text>`, x+10, t.at+3.8, stroke(t.s.colour), weight, html.EscapeString(t.s.label()))
	}
}
