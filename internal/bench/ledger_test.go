package bench

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/haenyeo/haenyeo/forward"
	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/weights"
)

// Every moment belongs to one kind in one layer; two runs are kept for the picture.
func TestLedger(t *testing.T) {
	at := time.Unix(0, 0)
	l := NewLedger(true)
	l.now = func() time.Time { return at }
	pass := func(ms int) { at = at.Add(time.Duration(ms) * time.Millisecond) }
	l.Enter(0, forward.Head) // before Start: not counted
	l.Start()
	for i := range 3 {
		pass(2)
		l.Enter(-1, forward.Small)
		pass(1)
		l.Enter(0, forward.Attending)
		l.Moved(100, 7)
		pass(3 + i)
		l.Enter(1, forward.Dense)
		l.Moved(10, 1)
		pass(5)
		l.Leave()
		l.Leave()
	}
	pass(4)
	l.Stop()
	pass(100)
	l.Moved(1000, 1000)
	want := map[string]Part{
		"attention": {Time: 12 * time.Millisecond, Bytes: 300, Ops: 21}, "ffn": {Time: 15 * time.Millisecond, Bytes: 30, Ops: 3},
		"norm, rope, residual": {Time: 3 * time.Millisecond}, "sampling": {Time: 10 * time.Millisecond},
	}
	parts := l.Parts()
	if len(parts) != len(want) || parts[0].Kind != "ffn" {
		t.Errorf("%v", parts)
	}
	for _, p := range parts {
		w := want[p.Kind]
		if p.Time != w.Time || p.Bytes != w.Bytes || p.Ops != w.Ops {
			t.Errorf("%s: %v, want %v", p.Kind, p, w)
		}
	}
	if l.Bytes() != 330 {
		t.Errorf("%d bytes", l.Bytes())
	}
	tl := l.Timeline("x")
	if len(tl.Steps) != 3 || tl.Steps[2] != 11*time.Millisecond || len(tl.Layers) != 3 || len(tl.Runs) != 2 {
		t.Fatalf("%+v", tl)
	}
	if first, last := tl.Runs[0], tl.Runs[1]; first.Number != 0 || last.Number != 2 || len(last.Spans) != 3 ||
		last.Spans[1].Layer != 0 || last.Spans[1].Begin != time.Millisecond || last.Spans[1].End != 6*time.Millisecond {
		t.Errorf("%+v", tl.Runs)
	}
}

func smallNet(t *testing.T) (Running, *weights.Source) {
	t.Helper()
	e, err := kernel.New(2, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	m, err := model.New(&model.Config{ModelType: "deepseek_v3", VocabSize: 80, HiddenSize: 32, NumHiddenLayers: 2, NumAttentionHeads: 2, IntermediateSize: 40,
		KVLoraRank: 8, QKNopeHeadDim: 16, QKRopeHeadDim: 8, VHeadDim: 16, MoEIntermediateSize: 20, NRoutedExperts: 5, NumExpertsPerTok: 2,
		FirstKDenseReplace: 1, MaxPositionEmbeddings: 48}, e, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m.Init(1)
	src := weights.FromModel(m)
	net, err := forward.New(src, e, forward.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return Running{Engine: e, Net: net, DType: kernel.F32, Prompt: 20, New: 6, Sequences: 3, Runs: 2, Sampling: infer.Sampling{Temperature: 1}}, src
}

// What a phase says of a model adds up.
func TestPhases(t *testing.T) {
	r, src := smallNet(t)
	ctx := context.Background()
	var phases []*Phase
	for _, f := range []func(context.Context, Running) (*Phase, error){Prefill, Decode, Together} {
		p, err := f(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		var sum time.Duration
		kinds := map[string]bool{}
		for _, part := range p.Parts {
			sum += part.Time
			kinds[part.Kind] = true
		}
		if sum != p.Took || p.Took <= 0 || p.Best < p.Median || p.Cache <= 0 {
			t.Errorf("%s: parts of %v in %v, best %g, median %g, caches of %d bytes", p.Name, sum, p.Took, p.Best, p.Median, p.Cache)
		}
		for _, kind := range []string{"experts", "ffn", "router", "attention", "projections", "head", "norm, rope, residual"} {
			if !kinds[kind] {
				t.Errorf("%s: no part is called %q", p.Name, kind)
			}
		}
		phases = append(phases, p)
	}
	prefill, decode, together := phases[0], phases[1], phases[2]
	// A token made alone reads all that it meets, and its context; two of the three experts that three meet may be the same.
	if low := src.TokenBytes() * 9 / 10; decode.Bytes < low || decode.Bytes > 2*low {
		t.Errorf("a token reads %d bytes, its weights are %d", decode.Bytes, src.TokenBytes())
	}
	if together.Bytes >= decode.Bytes || prefill.Bytes >= together.Bytes {
		t.Errorf("bytes a token: prefill %d, together %d, alone %d", prefill.Bytes, together.Bytes, decode.Bytes)
	}
	if !strings.Contains(decode.Name, "decode 6 after 20") || together.Made != 18 {
		t.Errorf("%s, %s of %d", decode.Name, together.Name, together.Made)
	}
	l := Measure(r, phases...)
	if l.Ops <= 0 || l.Read <= 0 {
		t.Errorf("%+v", l)
	}
	for _, p := range phases {
		if p.OfPeak == nil || *p.OfPeak <= 0 {
			t.Errorf("%s has no share of the peak", p.Name)
		}
	}
	r.Prompt = 1000 // the window is 48
	if p, err := Decode(ctx, r); err != nil || !strings.Contains(p.Name, "after 42") {
		t.Errorf("%v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Together(cancelled, r); err == nil {
		t.Error("a cancelled measurement went on")
	}
}

func TestStops(t *testing.T) {
	r, _ := smallNet(t)
	p, err := Stops(context.Background(), r)
	if err != nil || p.Count == 0 || !(p.Median > 0) || p.P99 < p.Median || p.Most < p.P99 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestPausesOf(t *testing.T) {
	bounds := []float64{0, 1e-5, 1e-4, 1e-3, math.Inf(1)}
	for _, c := range []struct {
		counts []uint64
		want   Pauses
	}{
		{[]uint64{0, 0, 0, 0}, Pauses{}},
		{[]uint64{60, 39, 1, 0}, Pauses{100, 0.01, 0.1, 1}},
		{[]uint64{0, 0, 0, 3}, Pauses{3, 1, 1, 1}},
	} {
		got := pausesOf(c.counts, bounds)
		if got.Count != c.want.Count || math.Abs(got.Median-c.want.Median)+math.Abs(got.P99-c.want.P99)+math.Abs(got.Most-c.want.Most) > 1e-9 {
			t.Errorf("%v: %+v, want %+v", c.counts, got, c.want)
		}
	}
}
