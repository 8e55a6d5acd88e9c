//go:build !(linux && amd64)

package cpu

// EnableAMX reports false: tiles are used on linux/amd64 only.
func EnableAMX() bool { return false }
