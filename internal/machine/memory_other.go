//go:build !linux && !darwin

package machine

// Memory is unknown here.
func Memory() (total, available int64) { return 0, 0 }
