package forward

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestRecent runs random sequences of reading, returning, saving and loading, and holds the rows that
// are needed against all that were ever read.
func TestRecent(t *testing.T) {
	needs := map[string]struct {
		most int
		need func(int) int
	}{
		"window of 1":        {0, func(int) int { return 0 }},
		"window of 8":        {7, func(n int) int { return min(n, 7) }},
		"ratio 128":          {128, func(n int) int { return n % 128 }},
		"ratio 4, overlap":   {8, func(n int) int { return min(n, n%4+4) }},
		"window of 32":       {31, func(n int) int { return min(n, 31) }},
		"window of 300 rows": {299, func(n int) int { return min(n, 299) }},
	}
	for name, c := range needs {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 1))
			const width = 2
			r := newRecent(width, c.most, c.need)
			var all []float32 // rows of the present sequence
			for op := range 3000 {
				switch k := rng.IntN(12); {
				case k < 8: // mostly single tokens and short stretches, sometimes long ones
					rows := 1 + rng.IntN([]int{1, 1, 1, 3, 10, 700}[rng.IntN(6)])
					x := make([]float32, rows*width)
					for i := range x {
						x[i] = rng.Float32()
					}
					if before := r.n; rng.IntN(2) == 0 {
						r.add(x, rows)
					} else {
						r.extend(x, rows)
						if r.first > before-c.need(before) {
							t.Fatalf("the first of %d new rows cannot look back", rows)
						}
					}
					all = append(all, x...)
				case k < 11:
					n := rng.IntN(r.n + 1)
					if rng.IntN(2) == 0 {
						n = max(0, r.n-rng.IntN(recentSlack+1))
					}
					got := r.reach(n)
					if got > n {
						t.Fatalf("reach(%d) = %d", n, got)
					}
					if r.n-n <= recentSlack && r.n-r.first >= c.most+recentSlack && got != n {
						t.Fatalf("reach(%d) = %d with %d tokens: the last ones could be taken back", n, got, r.n)
					}
					r.back(got)
					all = all[:got*width]
				default:
					var buf bytes.Buffer
					w := &stateWriter{w: &buf, buf: make([]byte, 0, stateBuffer)}
					r.save(w)
					w.flush()
					n, before := r.n, r.saved
					r = newRecent(width, c.most, c.need)
					s := &stateReader{r: &buf, buf: make([]byte, stateBuffer)}
					if err := r.load(s, n); err != nil || s.err != nil || buf.Len() > 0 {
						t.Fatalf("load: %v, %v, %d bytes left", err, s.err, buf.Len())
					}
					if len(r.saved) != len(before) {
						t.Fatalf("%d places to return to, %d were saved", len(r.saved), len(before))
					}
				}
				if r.n*width != len(all) {
					t.Fatalf("operation %d: %d tokens, want %d", op, r.n, len(all)/width)
				}
				for pos := r.n - c.need(r.n); pos < r.n; pos++ {
					if !slices.Equal(r.row(pos), all[pos*width:][:width]) {
						t.Fatalf("operation %d: wrong row of position %d of %d", op, pos, r.n)
					}
				}
				if len(r.saved) > snapshots {
					t.Fatalf("%d snapshots", len(r.saved))
				}
			}
		})
	}
}

// TestRecentReturns checks that a conversation can go back to where its prompt ended, and that reading
// token by token leaves places to return to.
func TestRecentReturns(t *testing.T) {
	r := newRecent(1, 127, func(n int) int { return min(n, 127) })
	x := make([]float32, 2000)
	r.add(x, 700)
	for range 2000 {
		r.add(x, 1)
	}
	if got := r.reach(700); got != 700 {
		t.Errorf("from %d tokens, reach(700) = %d", r.n, got)
	}
	if got := r.reach(2600); got < 2600-2*snapshotEvery {
		t.Errorf("from %d tokens, reach(2600) = %d", r.n, got)
	}
}
