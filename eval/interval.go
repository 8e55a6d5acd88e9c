package eval

// 95 % intervals.

import "math"

// z is the 97.5 % point of the normal distribution.
const z = 1.959963984540054

// Interval is a value with its 95 % interval.
type Interval struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Wilson is the share of right answers with the interval of Wilson (1927), which holds for few items and for shares
// near 0 and 1 too. Without items everything is possible.
func Wilson(right, n int) Interval {
	if n == 0 {
		return Interval{math.NaN(), 0, 1}
	}
	p, m := float64(right)/float64(n), float64(n)
	centre := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return Interval{p, max(0, centre-half), min(1, centre+half)}
}

// perplexity is exp of the mean of -logs, with the interval of the mean's standard error.
func perplexity(logs []float64) Interval {
	n := float64(len(logs))
	var mean, square float64
	for i, l := range logs {
		d := -l - mean
		mean += d / float64(i+1)
		square += d * (-l - mean)
	}
	half := math.Inf(1) // one value says nothing about their spread
	if n > 1 {
		half = z * math.Sqrt(square/n/(n-1))
	}
	return Interval{math.Exp(mean), math.Exp(mean - half), math.Exp(mean + half)}
}
