//go:build !amd64 && !arm64

package kernel

// newDirect returns nothing: weights are decoded in Go.
func newDirect(isa) []direct { return nil }
