// This file holds the arithmetic of axes: round ticks, and fewer points than the screen has pixels.

package report

import "math"

type point struct{ x, y float64 }

// ticks returns round numbers that divide [lo,hi] into about n parts.
func ticks(lo, hi float64, n int) []float64 {
	if !(hi > lo) || !finite(lo) || !finite(hi) || n < 1 {
		return []float64{lo}
	}
	raw := (hi - lo) / float64(n)
	base := math.Pow(10, math.Floor(math.Log10(raw)))
	step := base
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		if step = m * base; step >= raw*0.999 {
			break
		}
	}
	var out []float64
	for i := math.Ceil(lo/step - 1e-9); i*step <= hi+step*1e-9 && len(out) < 4*n+4; i++ {
		out = append(out, i*step+0) // +0: no −0
	}
	return out
}

// bucket is what several points became.
type bucket struct{ x, min, mean, max float64 }

// shrink joins points into at most n buckets of equal width in x. Points must be in order of x.
func shrink(ps []point, n int) []bucket {
	if len(ps) == 0 {
		return nil
	}
	lo, hi := ps[0].x, ps[len(ps)-1].x
	var out []bucket
	count, last := 0, -1
	for _, p := range ps {
		k := 0
		if hi > lo && len(ps) > n {
			k = min(int((p.x-lo)/(hi-lo)*float64(n)), n-1)
		} else {
			k = last + 1
		}
		if k != last || len(out) == 0 {
			out = append(out, bucket{p.x, p.y, p.y, p.y})
			count, last = 1, k
			continue
		}
		b := &out[len(out)-1]
		count++
		b.min, b.max = math.Min(b.min, p.y), math.Max(b.max, p.y)
		b.mean += (p.y - b.mean) / float64(count)
		b.x = p.x
	}
	return out
}

// smooth is the mean over window points around each, fewer at the ends.
func smooth(ps []point, window float64) []point {
	half := int(window / 2)
	sums := make([]float64, len(ps)+1)
	for i, p := range ps {
		sums[i+1] = sums[i] + p.y
	}
	out := make([]point, len(ps))
	for i, p := range ps {
		h := min(half, i, len(ps)-1-i) // as many on both sides, or a slope would bend the line
		out[i] = point{p.x, (sums[i+h+1] - sums[i-h]) / float64(2*h+1)}
	}
	return out
}
