package kernel

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// The probe decides how products are made, because what a processor can do is not what pays: the
// same bfloat16 instruction doubles the speed of one and halves that of another. Each candidate
// multiplies small integers, whose product must be exact, and then runs against the clock.

// Candidate is one way to multiply that was considered for a DType.
type Candidate struct {
	DType  DType
	Tier   string
	GFLOPS float64 // of one thread in cache; 0 when it was not measured
	Chosen bool
	Note   string // why it was not measured
}

// Describe lists the candidates for the matrix products of e and which of them were chosen.
func (e *Engine) Describe() []Candidate { return e.candidates }

const (
	// Rounds go on until so many in a row have made no candidate faster, because a busy machine can hold
	// one back for a while.
	probeSettled = 8
	probeRounds  = 100
	probeRun     = 50 * time.Microsecond
	// A route must be faster by this factor to replace one that rounds less or is simpler. The
	// choice between them moves bits, so it should not depend on the noise of a moment.
	probeMargin = 1.2
)

// measured is a route with its speed in GFLOPS of one thread, or why it has none.
type measured struct {
	*route
	speed float64
	note  string
}

// probe measures the routes of this processor. Once: all engines of a process make the same choice, so that what one
// computes another repeats to the bit.
var probe = sync.OnceValue(func() []measured {
	have := Tiers()
	var list []measured
	b := &block{}
	for _, r := range archRoutes() {
		if !slices.Contains(have, r.name) {
			continue
		}
		m := measured{route: r}
		if err := r.exactness(b); err != nil {
			m.note = err.Error()
		}
		list = append(list, m)
	}
	for round, settled := 0, 0; round < probeRounds && settled < probeSettled; round++ {
		settled++
		for i := range list {
			m := &list[i]
			if m.note != "" {
				continue
			}
			now := m.route.speed(b, probeRun)
			if now > 1.02*m.speed {
				settled = 0
			}
			m.speed = max(m.speed, now)
		}
	}
	return list
})

// chooseRoutes sets e.f32 and e.bf16: the routes of t when it was asked for, else those that the
// probe finds best, which may belong to a lower tier.
func (e *Engine) chooseRoutes(t tier, asked bool) {
	e.f32, e.bf16 = portableRoute(F32), portableRoute(BF16)
	if asked || len(archRoutes()) == 0 {
		have := Tiers()
		for _, r := range archRoutes() {
			if !slices.Contains(have, r.name) {
				continue
			}
			if r.name == t.f32 {
				e.f32 = r
			}
			if r.name == t.bf16 {
				e.bf16 = r
			}
		}
		e.candidates = append(e.candidates, Candidate{F32, e.f32.name, 0, true, "the tier asked for"},
			Candidate{BF16, e.bf16.name, 0, true, "the tier asked for"})
		return
	}

	list := probe()
	best, bestBF16 := -1, -1
	for i, m := range list {
		switch {
		case m.note != "":
		case !m.pair && (best < 0 || m.speed > list[best].speed/1.1): // later ones are wider, and sum alike
			best = i
		case m.pair && (bestBF16 < 0 || m.speed > list[bestBF16].speed*probeMargin):
			bestBF16 = i
		}
	}
	if best >= 0 {
		e.f32, e.bf16 = list[best].route, list[best].route
		if bestBF16 >= 0 && list[bestBF16].speed > list[best].speed*probeMargin {
			e.bf16 = list[bestBF16].route
		}
	}
	for _, m := range list {
		if !m.pair {
			e.candidates = append(e.candidates, Candidate{F32, m.name, m.speed, m.route == e.f32, m.note})
		}
	}
	for _, m := range list {
		e.candidates = append(e.candidates, Candidate{BF16, m.name, m.speed, m.route == e.bf16, m.note})
	}
	e.tier = e.bf16.name
}

// exactness multiplies small integers, with edges in every direction.
func (r *route) exactness(b *block) error {
	m, n, k := r.mr+3, 2*r.nr-3, 67
	x, y, c := make([]float32, m*k), make([]float32, n*k), make([]float32, m*n)
	for i := range x {
		x[i] = float32(i*7%9 - 4)
	}
	for i := range y {
		y[i] = float32(i*5%11 - 5)
	}
	r.left(b, aligned(r.leftLen(m, k)), x, k, nil, m, k)
	r.rightT(b, aligned(r.rightLen(n, k)), y, k, k, n)
	b.c, b.ldc, b.alpha, b.beta = c, n, 1, 0
	r.product(&b.tile, m, n)
	for i := range m {
		for j := range n {
			var s float32
			for l := range k {
				s += x[i*k+l] * y[j*k+l]
			}
			if c[i*n+j] != s {
				return fmt.Errorf("wrong: %v instead of %v", c[i*n+j], s)
			}
		}
	}
	return nil
}

// speed returns the GFLOPS of one thread.
func (r *route) speed(b *block, within time.Duration) float64 {
	r.peakTile(&b.tile)
	calls, began := 0, time.Now()
	for ; calls == 0 || time.Since(began) < within; calls++ {
		r.multiply(&b.tile)
	}
	return float64(calls) * b.flops(r) / float64(time.Since(began).Nanoseconds())
}

// peakTile sets up a product whose operands fit in any first-level cache: one panel, and A in place,
// one word for each row.
func (r *route) peakTile(t *tile) {
	const steps = 8 * stepBlock
	*t = tile{rows: r.mr, count: 4, cols: r.nr, panels: 1, steps: steps, aRow: 1, ldc: r.nr, alpha: 1}
	if r.exact {
		t.aRow, t.aStep = steps, 1
	}
	rows := t.rows * t.count
	t.a = aligned((rows-1)*t.aRow + (steps-1)*t.aStep + 1)
	t.b, t.bNext = aligned(steps*r.nr), steps*r.nr
	t.c = aligned(rows * r.nr)
}

// flops is the number of additions and multiplications of one call.
func (t *tile) flops(r *route) float64 {
	return 2 * float64(r.elems(t.steps)) * float64(t.rows*t.count) * float64(t.cols*t.panels)
}

// peakTask is a share of a peak measurement.
type peakTask struct {
	r     *route
	tiles []tile // one per worker
	calls int
}

// Do multiplies without memory traffic.
func (t *peakTask) Do(worker, _ int) {
	for range t.calls {
		t.r.multiply(&t.tiles[worker])
	}
}

// Peak measures the GFLOPS that the processor reaches in the matrix products of dt when all threads
// compute on operands in their first-level caches: the best of about 20 ms. What a layer reaches is
// a share of it.
func (e *Engine) Peak(dt DType) float64 {
	t := &peakTask{r: e.route(dt), tiles: make([]tile, e.pool.Threads()), calls: 1}
	for i := range t.tiles {
		t.r.peakTile(&t.tiles[i])
	}
	one := t.tiles[0].flops(t.r)
	for began := time.Now(); time.Since(began) < 100*time.Microsecond; t.calls++ {
		t.r.multiply(&t.tiles[0])
	}
	parts := 4 * len(t.tiles)
	best := 0.0
	for end := time.Now().Add(20 * time.Millisecond); best == 0 || time.Now().Before(end); { // once, however late it is
		began := time.Now()
		e.pool.Run(parts, t)
		best = max(best, float64(parts*t.calls)*one/float64(time.Since(began).Nanoseconds()))
	}
	return best
}
