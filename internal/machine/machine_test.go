package machine

import (
	"runtime"
	"testing"
	"time"

	"github.com/haenyeo/haenyeo/kernel"
)

func TestNumbersArePlausible(t *testing.T) {
	e, err := kernel.New(0, "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if !testing.Short() {
		if got := ReadBandwidth(e, time.Millisecond); got < 1e8 || got > 1e13 {
			t.Errorf("read bandwidth: %g bytes/s", got)
		}
	}
	if runtime.GOOS != "linux" {
		return
	}
	total, available := Memory()
	if rss := PeakRSS(); total < 1<<20 || available > total || rss < 1<<20 || rss > 1<<40 {
		t.Errorf("memory %d, available %d, peak RSS %d", total, available, rss)
	}
}
