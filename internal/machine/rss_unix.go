//go:build unix

package machine

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// PeakRSS returns the most bytes of memory that this process has held at a time, 0 when unknown.
func PeakRSS() int64 {
	// Linux counts what stood in memory before this program was executed into Maxrss.
	status, _ := os.ReadFile("/proc/self/status")
	if _, line, ok := strings.Cut(string(status), "VmHWM:"); ok {
		var kb int64
		if _, err := fmt.Sscan(line, &kb); err == nil {
			return kb << 10
		}
	}
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	n := int64(u.Maxrss)
	if runtime.GOOS != "darwin" {
		n <<= 10 // elsewhere it counts kilobytes
	}
	return n
}
