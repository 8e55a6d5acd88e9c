// This file draws expert load: how uneven it was in time, layer by layer, and which experts bore it
// in the end.

package report

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

const (
	maxRows    = 64
	maxColumns = 120
)

// loadOverTime is a strip for each layer: the busiest expert's load over the mean, from 1 (even) to
// 3 and more. The last value is written at the end.
func loadOverTime(evals []Eval) template.HTML {
	var with []Eval
	layers := 0
	for _, e := range evals {
		if len(e.Load) > 0 {
			with = append(with, e)
			layers = max(layers, len(e.Load))
		}
	}
	layers = min(layers, maxRows)
	if layers == 0 {
		return ""
	}
	columns := min(len(with), maxColumns)
	at := func(column int) []Eval { return with[column*len(with)/columns : (column+1)*len(with)/columns] }
	row := math.Max(7, math.Min(20, 170/float64(layers)))
	h := row*float64(layers) + marginT + marginB
	w := (chartW - marginL - 40) / float64(columns)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %.1f" role="img" aria-label="busiest expert over mean, by layer and step">`, chartW, h)
	for l := range layers {
		y := marginT + row*float64(l)
		if row >= 11 || l%2 == 0 {
			fmt.Fprintf(&b, `<text class="tick" x="%.1f" y="%.1f" text-anchor="end">layer %d</text>`, marginL-7, y+row/2+3.8, l+1)
		}
		last := math.NaN()
		for c := range columns {
			worst := 0.0
			group := at(c)
			for _, e := range group {
				if l < len(e.Load) {
					worst = math.Max(worst, busiest(e.Load[l]))
				}
			}
			if worst == 0 {
				continue
			}
			last = worst
			fmt.Fprintf(&b, `<rect class="cell" x="%.2f" y="%.1f" width="%.2f" height="%.1f" style="fill:var(--hot);fill-opacity:%.2f"><title>layer %d, step %d: %s</title></rect>`,
				marginL+w*float64(c), y, w-0.6, row-1.2, 0.06+0.94*math.Max(0, math.Min(1, (worst-1)/2)), l+1, group[len(group)-1].Step, trim(worst))
		}
		if finite(last) {
			fmt.Fprintf(&b, `<text class="tick" x="%.1f" y="%.1f">%.2f</text>`, chartW-34, y+row/2+3.8, last)
		}
	}
	fmt.Fprintf(&b, `<text class="tick" x="%.1f" y="%.1f">step %d</text><text class="tick" x="%.1f" y="%.1f" text-anchor="end">%d</text></svg>`,
		marginL, h-8, with[0].Step, chartW-40, h-8, with[len(with)-1].Step)
	return template.HTML(b.String())
}

// loadByExpert is a map of the last measurement: a row for each layer, a cell for each expert,
// warm where it got more than its share, cool where less.
func loadByExpert(evals []Eval) template.HTML {
	var load [][]float64
	for _, e := range evals {
		if len(e.Load) > 0 {
			load = e.Load
		}
	}
	layers, experts := min(len(load), maxRows), 0
	for _, l := range load[:layers] {
		experts = max(experts, len(l))
	}
	if experts == 0 || experts > 1024 {
		return ""
	}
	row := math.Max(7, math.Min(20, 170/float64(layers)))
	h := row*float64(layers) + marginT + marginB
	w := (chartW - marginL - marginR) / float64(experts)
	gap := math.Min(1.2, w/8)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %.1f" role="img" aria-label="load of each expert at the end">`, chartW, h)
	for l := range layers {
		y := marginT + row*float64(l)
		if row >= 11 || l%2 == 0 {
			fmt.Fprintf(&b, `<text class="tick" x="%.1f" y="%.1f" text-anchor="end">layer %d</text>`, marginL-7, y+row/2+3.8, l+1)
		}
		for k, v := range load[l] {
			if !finite(v) || v < 0 {
				continue
			}
			fill, depth := "var(--hot)", math.Log2(math.Max(v, 1.0/64))/2
			if v < 1 {
				fill, depth = "var(--cold)", -depth
			}
			fmt.Fprintf(&b, `<rect class="cell" x="%.2f" y="%.1f" width="%.2f" height="%.1f" style="fill:%s;fill-opacity:%.2f"><title>layer %d, expert %d: %s</title></rect>`,
				marginL+w*float64(k), y, w-gap, row-1.2, fill, 0.06+0.94*math.Min(1, depth), l+1, k+1, trim(v))
		}
	}
	fmt.Fprintf(&b, `<text class="tick" x="%.1f" y="%.1f">expert 1</text><text class="tick" x="%.1f" y="%.1f" text-anchor="end">%d</text></svg>`,
		marginL, h-8, chartW-marginR, h-8, experts)
	return template.HTML(b.String())
}

func busiest(load []float64) float64 {
	m := 0.0
	for _, v := range load {
		if finite(v) {
			m = math.Max(m, v)
		}
	}
	return m
}
