package bench

import (
	"context"
	"slices"
	"time"

	"github.com/haenyeo/haenyeo/internal/machine"
)

// Result is one measurement.
type Result struct {
	Name    string   `json:"name"`
	Best    float64  `json:"best"`
	Median  float64  `json:"median"`
	Unit    string   `json:"unit"`
	OfPeak  *float64 `json:"of_peak"` // of Best; null where there is no peak to compare with
	Threads int      `json:"threads"`
	RSSMB   int64    `json:"rss_mb"` // the most that this process has held so far
}

// result makes a Result of the rates of repeated runs; peak 0 is none.
func result(name, unit string, rates []float64, peak float64, threads int) Result {
	s := slices.Sorted(slices.Values(rates))
	r := Result{Name: name, Best: s[len(s)-1], Median: s[len(s)/2], Unit: unit, Threads: threads, RSSMB: machine.PeakRSS() >> 20}
	if peak > 0 {
		r.of(peak)
	}
	return r
}

// of sets the share of peak.
func (r *Result) of(peak float64) {
	share := r.Best / peak
	r.OfPeak = &share
}

// repeat returns the rates, work per second, of n runs of f, after one that is not counted.
func repeat(ctx context.Context, n int, work float64, f func() error) ([]float64, error) {
	rates := make([]float64, 0, n)
	for i := range n + 1 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		began := time.Now()
		if err := f(); err != nil {
			return nil, err
		}
		if i > 0 {
			rates = append(rates, work/time.Since(began).Seconds())
		}
	}
	return rates, nil
}
