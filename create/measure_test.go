package create

import (
	"math"
	"testing"
)

func TestBatchTimeSplitsFixedCostFromRows(t *testing.T) {
	const fixed, row = 0.3, 0.02
	at := func(rows int) float64 { return fixed + row*float64(rows) }
	for _, rows := range []int{2, 5, 16} {
		if got := batchTime(at(1), at(rows), rows, 16); math.Abs(got-at(16)) > 1e-12 {
			t.Errorf("from %d rows: %v seconds, want %v", rows, got, at(16))
		}
	}
	if got := batchTime(at(1), at(1), 1, 1); got != at(1) {
		t.Errorf("a batch of one row: %v seconds, want %v", got, at(1))
	}
	if got := batchTime(0.5, 0.4, 4, 16); got != 0.4 {
		t.Errorf("noise that makes more rows faster: %v seconds, want 0.4", got)
	}
}
