//go:build !linux

package machine

// Resident is unknown here.
func Resident() (anon, file int64) { return 0, 0 }
