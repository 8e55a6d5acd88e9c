package bench

// Where the time of a model goes: a Ledger adds up what forward tells it, and keeps two runs for a picture.

import (
	"slices"
	"time"

	"github.com/haenyeo/haenyeo/eval/report"
	"github.com/haenyeo/haenyeo/forward"
)

// Between is the kind, beside those of forward, of what is done between two runs of the layers: tokens are drawn, and
// text is made of them.
const Between = forward.Kinds

// KindName is the name of a kind.
func KindName(kind int) string {
	if kind == Between {
		return "sampling"
	}
	return forward.Kind(kind).String()
}

// Part is what one kind of work took.
type Part struct {
	Kind  string        `json:"kind"`
	Time  time.Duration `json:"ns"`
	Bytes int64         `json:"bytes"` // of weights and caches that were read
	Ops   int64         `json:"ops"`   // multiplications and additions
}

// Ledger is a forward.Tracer. It belongs to the goroutine that runs the Net.
type Ledger struct {
	now   func() time.Time
	begun time.Time // Start
	at    time.Time // of the last entry
	layer int
	kind  int
	on    bool // between Start and Stop

	parts  [Between + 1]Part
	layers [][Between + 1]time.Duration // [layer+1]

	picture     bool
	runs        []time.Duration
	runBegan    time.Time
	first, last run
}

// run is the spans of one run of the layers.
type run struct {
	number int
	spans  []report.Span
	cut    bool
}

// mostSpans bounds a run that is kept: a prompt in very many parts.
const mostSpans = 1 << 15

// NewLedger makes a Ledger. picture keeps what Timeline shows.
func NewLedger(picture bool) *Ledger { return &Ledger{now: time.Now, picture: picture} }

// Start forgets what was added up, and counts from now on.
func (l *Ledger) Start() {
	*l = Ledger{now: l.now, picture: l.picture, layers: l.layers[:0], layer: -1, kind: Between, on: true}
	l.at = l.now()
	l.begun = l.at
}

// Stop ends the account.
func (l *Ledger) Stop() {
	if l.on {
		l.turn(-1, Between)
		l.on = false
	}
}

// Enter implements forward.Tracer.
func (l *Ledger) Enter(layer int, kind forward.Kind) {
	if !l.on {
		return
	}
	if l.kind == Between && l.picture {
		l.beginRun()
	}
	l.turn(layer, int(kind))
}

// Moved implements forward.Tracer.
func (l *Ledger) Moved(bytes, ops int64) {
	if l.on {
		p := &l.parts[l.kind]
		p.Bytes += bytes
		p.Ops += ops
	}
}

// Leave implements forward.Tracer.
func (l *Ledger) Leave() {
	if !l.on || l.kind == Between {
		return
	}
	l.turn(-1, Between)
	if l.picture {
		l.runs = append(l.runs, l.at.Sub(l.runBegan))
	}
}

// turn ends what was done and begins kind in layer.
func (l *Ledger) turn(layer, kind int) {
	now := l.now()
	d := now.Sub(l.at)
	l.parts[l.kind].Time += d
	for len(l.layers) <= l.layer+1 {
		l.layers = append(l.layers, [Between + 1]time.Duration{})
	}
	l.layers[l.layer+1][l.kind] += d
	if l.picture && l.kind != Between {
		l.keep(report.Span{Layer: l.layer, Kind: l.kind, Begin: l.at.Sub(l.runBegan), End: now.Sub(l.runBegan)})
	}
	l.at, l.layer, l.kind = now, layer, kind
}

// beginRun makes room for the spans of the run that begins: those of the first are kept, of the others the last.
func (l *Ledger) beginRun() {
	l.runBegan = l.now()
	if n := len(l.runs); n > 0 {
		l.last = run{number: n, spans: l.last.spans[:0]}
	}
}

func (l *Ledger) keep(s report.Span) {
	r := &l.first
	if len(l.runs) > 0 {
		r = &l.last
	}
	if n := len(r.spans); n > 0 && r.spans[n-1].Layer == s.Layer && r.spans[n-1].Kind == s.Kind {
		r.spans[n-1].End = s.End
		return
	}
	if r.cut = r.cut || len(r.spans) == mostSpans; !r.cut {
		r.spans = append(r.spans, s)
	}
}

// Parts lists what took time, the most first.
func (l *Ledger) Parts() []Part {
	var parts []Part
	for k, p := range l.parts {
		if p.Time > 0 {
			p.Kind = KindName(k)
			parts = append(parts, p)
		}
	}
	slices.SortStableFunc(parts, func(a, b Part) int { return int(b.Time - a.Time) })
	return parts
}

// Bytes is what was read of weights and caches.
func (l *Ledger) Bytes() (sum int64) {
	for i := range l.parts {
		sum += l.parts[i].Bytes
	}
	return sum
}

// Timeline is the picture of what was added up.
func (l *Ledger) Timeline(title string) *report.Timeline {
	t := &report.Timeline{Title: title, Steps: l.runs}
	for k := range Between + 1 {
		t.Kinds = append(t.Kinds, KindName(k))
	}
	for i := range l.layers {
		t.Layers = append(t.Layers, l.layers[i][:])
	}
	for _, r := range []*run{&l.first, &l.last} {
		if len(r.spans) > 0 {
			t.Runs = append(t.Runs, report.TimelineRun{Number: r.number, Spans: r.spans, Cut: r.cut})
		}
	}
	return t
}
