package machine

import (
	"os"
	"strconv"
	"strings"
)

// Memory returns the bytes of memory that this machine has and that are available now, 0 when
// unknown. The limits of control groups, such as a container's, are limits of the machine.
func Memory() (total, available int64) {
	b, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		kb, _ := strconv.ParseInt(f[1], 10, 64)
		switch f[0] {
		case "MemTotal:":
			total = kb << 10
		case "MemAvailable:":
			available = kb << 10
		}
	}
	limit, left := groupMemory("/")
	if total > 0 {
		total = min(total, limit)
		available = max(1, min(available, left))
	}
	return total, available
}
