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
	for _, dt := range []kernel.DType{kernel.F32, kernel.BF16} {
		if got := Products(e, dt, time.Millisecond); got < 1e7 || got > 1e16 {
			t.Errorf("%v products: %g FLOP/s", dt, got)
		}
	}
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
