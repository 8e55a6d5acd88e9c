package bench

// How long the collector stops the world, as the runtime counts it.

import (
	"context"
	"errors"
	"math"
	"runtime"
	"runtime/metrics"
	"time"
)

// Pauses are how long the world stood still.
type Pauses struct {
	Count  int     `json:"count"`
	Median float64 `json:"median_ms"`
	P99    float64 `json:"p99_ms"`
	Most   float64 `json:"max_ms"`
}

// Stops makes tokens for r.Sequences sequences while the collector runs without pause, and returns how long it stopped
// the world each time: an upper bound of the class that runtime/metrics counts it in.
func Stops(ctx context.Context, r Running) (Pauses, error) {
	r.Runs, r.Ledger = 1, nil
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	before := readPauses()
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		collect(work)
	}()
	var err error
	for range 3 {
		if _, err = Together(ctx, r); err != nil {
			break
		}
	}
	cancel()
	<-collected
	if err != nil {
		return Pauses{}, err
	}
	return pausesSince(before)
}

var errNoPauses = errors.New("bench: this Go runtime does not say how long it stops the world")

const pauseMetric = "/sched/pauses/total/gc:seconds"

// readPauses returns the histogram of all pauses of this process, nil where there is none.
func readPauses() *metrics.Float64Histogram {
	s := []metrics.Sample{{Name: pauseMetric}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindFloat64Histogram {
		return nil
	}
	return s[0].Value.Float64Histogram()
}

// pausesSince sums up the pauses after before was read.
func pausesSince(before *metrics.Float64Histogram) (Pauses, error) {
	now := readPauses()
	if before == nil || now == nil {
		return Pauses{}, errNoPauses
	}
	counts := make([]uint64, len(now.Counts))
	for i, n := range now.Counts {
		counts[i] = n - before.Counts[i]
	}
	return pausesOf(counts, now.Buckets), nil
}

// pausesOf reads a histogram: class i lies between bounds[i] and bounds[i+1], in seconds.
func pausesOf(counts []uint64, bounds []float64) Pauses {
	var all uint64
	for _, n := range counts {
		all += n
	}
	p := Pauses{Count: int(all)}
	quantile := func(q float64) float64 {
		rank, seen := uint64(math.Ceil(q*float64(all))), uint64(0)
		for i, n := range counts {
			if seen += n; n > 0 && seen >= rank {
				if high := bounds[i+1]; !math.IsInf(high, 1) {
					return 1e3 * high
				}
				return 1e3 * bounds[i]
			}
		}
		return 0
	}
	p.Median, p.P99, p.Most = quantile(0.5), quantile(0.99), quantile(1)
	return p
}

// collect runs the collector again and again, with a little to collect, until ctx ends.
func collect(ctx context.Context) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		runtime.GC()
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
