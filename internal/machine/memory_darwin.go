package machine

import "golang.org/x/sys/unix"

// Memory returns the bytes of memory that this machine has; what is available is unknown (0).
func Memory() (total, available int64) {
	n, _ := unix.SysctlUint64("hw.memsize")
	return int64(n), 0
}
