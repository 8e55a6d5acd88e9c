//go:build linux && !amd64

package cpu

import (
	"os"
	"strings"
)

// brand reads the first name that /proc/cpuinfo or the device tree offers.
func brand() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for _, key := range []string{"model name", "Model", "Hardware"} {
		for line := range strings.Lines(string(b)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
				return strings.TrimSpace(v)
			}
		}
	}
	b, _ = os.ReadFile("/sys/firmware/devicetree/base/model")
	return strings.TrimRight(string(b), "\x00")
}
