//go:build !linux && !darwin && !freebsd && !windows

package diskspace

// Free is unknown here.
func Free(string) (int64, bool) { return 0, false }
