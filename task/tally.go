package task

// Counts over many verdicts, and when a verifier has failed too often to go on.

import "fmt"

// Tally counts verdicts. The zero value is ready.
type Tally struct {
	Samples, Correct, Lenient, Format int
	Failed                            int     // verdicts with Err
	Reward                            float64 // sum
	LastErr                           error
}

// Add counts one verdict.
func (t *Tally) Add(v Verdict) {
	t.Samples++
	t.Reward += v.Reward
	for _, c := range []struct {
		is bool
		n  *int
	}{{v.Correct, &t.Correct}, {v.Lenient, &t.Lenient}, {v.Format, &t.Format}, {v.Err != nil, &t.Failed}} {
		if c.is {
			*c.n++
		}
	}
	if v.Err != nil {
		t.LastErr = v.Err
	}
}

// failuresFrom is the number of samples from which on Err judges.
const failuresFrom = 64

// Err is set when the verifier itself failed for more than half of at least 64 samples: rewards mean nothing then.
func (t *Tally) Err() error {
	if t.Samples < failuresFrom || t.Failed*2 <= t.Samples {
		return nil
	}
	return fmt.Errorf("task: the verifier failed for %d of %d samples: mend it and resume; last: %w", t.Failed, t.Samples, t.LastErr)
}

// String says it in one line, for people.
func (t *Tally) String() string {
	n := float64(max(t.Samples, 1))
	s := fmt.Sprintf("%d samples, correct %.1f %% (lenient %.1f %%), format %.1f %%", t.Samples, 100*float64(t.Correct)/n, 100*float64(t.Lenient)/n, 100*float64(t.Format)/n)
	if t.Failed > 0 {
		s += fmt.Sprintf(", verifier failed %d times", t.Failed)
	}
	return s
}
