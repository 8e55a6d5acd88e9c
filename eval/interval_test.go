package eval

import (
	"math"
	"testing"
)

// The numbers are from the formulas, worked out apart in Python.
func TestWilson(t *testing.T) {
	for _, c := range []struct {
		right, n  int
		low, high float64
	}{
		{8, 10, 0.4901625, 0.9433178}, {0, 10, 0, 0.2775328}, {10, 10, 0.7224672, 1}, {50, 100, 0.4038315, 0.5961685},
	} {
		if i := Wilson(c.right, c.n); math.Abs(i.Low-c.low) > 1e-6 || math.Abs(i.High-c.high) > 1e-6 || i.Value != float64(c.right)/float64(c.n) {
			t.Errorf("%d of %d: %v", c.right, c.n, i)
		}
	}
	if i := Wilson(0, 0); i.Low != 0 || i.High != 1 {
		t.Errorf("nothing asked: %v", i)
	}
}

func TestMcNemar(t *testing.T) {
	for _, c := range []struct {
		b, c int
		p    float64
	}{{0, 0, 1}, {5, 5, 1}, {1, 9, 0.021484375}, {9, 1, 0.021484375}, {0, 5, 0.0625}, {200, 300, 8.940066542e-6}} {
		if p := mcnemar(c.b, c.c); math.Abs(p-c.p) > 1e-3*c.p {
			t.Errorf("mcnemar(%d, %d) = %v, not %v", c.b, c.c, p, c.p)
		}
	}
	if d := paired(30, 10, 100); d.Value != 0.2 || d.Low < 0.07 || d.Low > 0.09 || d.High < 0.31 || d.High > 0.32 {
		t.Errorf("paired(30, 10, 100) = %+v", d)
	}
}

func TestPerplexityOfLogs(t *testing.T) {
	p := perplexity([]float64{-1, -2, -3})
	if half := z * math.Sqrt(1.0/3); math.Abs(p.Value-math.Exp(2)) > 1e-12 || math.Abs(p.Low-math.Exp(2-half)) > 1e-9 {
		t.Errorf("%+v", p)
	}
}
