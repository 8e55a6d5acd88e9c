//go:build unix

package machine

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// PeakRSS returns the most bytes of memory that this process has held at a time, 0 when unknown.
func PeakRSS() int64 {
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
