package kernel

import (
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// twinRoutes are routes with their layouts, packers and blocking, but the portable micro-kernel: what
// can be tested of tiles on a machine that has none.
func twinRoutes() []*route {
	if !slices.Contains(Tiers(), "avx512bf16") {
		return nil
	}
	return []*route{amxRoute(func(t *tile) { tilePortable(t, 32, true) })}
}

// TestTilesSurviveTheRuntime multiplies on more goroutines than processors while the garbage
// collector runs: tiles must not be lost or mixed up when a goroutine moves to another thread.
func TestTilesSurviveTheRuntime(t *testing.T) {
	if !slices.Contains(Tiers(), "amx") {
		t.Skip("SKIPPED: this machine has no AMX")
	}
	var wg sync.WaitGroup
	end := time.Now().Add(2 * time.Second)
	for range 3 * runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			r, b := amxRoute(gemmBF16AMX), &block{}
			for n := 0; time.Now().Before(end); n++ {
				if err := r.exactness(b); err != nil {
					t.Error(err)
					return
				}
				if n%64 == 0 {
					runtime.GC()
				}
			}
		})
	}
	wg.Wait()
}
