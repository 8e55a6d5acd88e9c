package kernel

import "testing"

// allocations is how often f allocates when it is warm. A worker makes its scratch when it takes its first part, and on
// a busy machine that may be long after the others; so this is the least of some measurements.
func allocations(f func()) float64 {
	const runs, attempts = 5, 10
	least := testing.AllocsPerRun(runs, f)
	for i := 1; i < attempts && least > 0; i++ {
		least = min(least, testing.AllocsPerRun(runs, f))
	}
	return least
}
