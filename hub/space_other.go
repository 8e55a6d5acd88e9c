//go:build !linux && !darwin && !freebsd && !windows

package hub

// freeSpace is unknown here.
func freeSpace(string) (int64, bool) { return 0, false }
