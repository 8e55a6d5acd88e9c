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

// Every byte is read.
func TestStreams(t *testing.T) {
	s := streams{data: make([]byte, 2*streamsBytes), sums: make([]uint64, 2)}
	for _, at := range []int{0, streamsBytes/4 - 1, streamsBytes / 2, streamsBytes - 1, streamsBytes, 2*streamsBytes - 1} {
		s.data[at] = 1
		s.Do(0, 0)
		s.Do(0, 1)
		if got := s.sums[at/streamsBytes]; got != 1<<(at%8*8) {
			t.Errorf("byte %d: sum %x", at, got)
		}
		s.data[at] = 0
	}
}
