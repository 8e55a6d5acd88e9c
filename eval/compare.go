package eval

// Two models on the same items.

import (
	"fmt"
	"math"
	"slices"
)

// Comparison says by how much a model is better than another on the items of a set.
type Comparison struct {
	Metric     string   `json:"metric"`
	Items      int      `json:"items"`
	OnlyFirst  int      `json:"only_first"`  // right in the first model alone
	OnlySecond int      `json:"only_second"` // right in the second model alone
	Difference Interval `json:"difference"`  // share of the first minus that of the second, with the interval of Agresti and Min
	P          float64  `json:"p"`           // exact two-sided test of McNemar: how probable so uneven a split would be between equal models
}

// Compare pairs the items of two results of one set.
func Compare(a, b *Result) ([]Comparison, error) {
	if a.SHA256 != b.SHA256 || len(a.Items) != len(b.Items) || a.Shots != b.Shots {
		return nil, fmt.Errorf("eval: set %q: the results to compare are of different items", a.Task)
	}
	var all []Comparison
	for _, metric := range a.order {
		if len(a.Items) == 0 || a.Items[0].Right == nil {
			break
		}
		if _, counted := a.Items[0].Right[metric]; !counted {
			continue
		}
		c := Comparison{Metric: metric, Items: len(a.Items)}
		for i := range a.Items {
			if a.Items[i].ID != b.Items[i].ID {
				return nil, fmt.Errorf("eval: set %q: item %q was compared with %q", a.Task, a.Items[i].ID, b.Items[i].ID)
			}
			switch x, y := a.Items[i].Right[metric], b.Items[i].Right[metric]; {
			case x && !y:
				c.OnlyFirst++
			case y && !x:
				c.OnlySecond++
			}
		}
		c.Difference, c.P = paired(c.OnlyFirst, c.OnlySecond, c.Items), mcnemar(c.OnlyFirst, c.OnlySecond)
		all = append(all, c)
	}
	return slices.Clip(all), nil
}

// paired is the difference of two shares of the same n items, of which b and c are right on one side alone. Source:
// Agresti and Min, "Simple improved confidence intervals for comparing matched proportions" (2005): Wald's interval
// after half an item was added to each of the four cells.
func paired(b, c, n int) Interval {
	x, y, m := float64(b)+0.5, float64(c)+0.5, float64(n)+2
	centre := (x - y) / m
	half := z * math.Sqrt(x+y-(x-y)*(x-y)/m) / m
	return Interval{float64(b-c) / float64(n), max(-1, centre-half), min(1, centre+half)}
}

// mcnemar is the probability that b+c throws of a fair coin fall apart at least as unevenly as b to c.
func mcnemar(b, c int) float64 {
	n, k := b+c, min(b, c)
	var p float64
	for i := 0; i <= k; i++ {
		p += math.Exp(logBinomial(n, i) - float64(n)*math.Ln2)
	}
	return min(1, 2*p)
}

func logBinomial(n, k int) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}
