//go:build !amd64 && !arm64

package kernel

func newVector(isa) vector { return vectorPortable }
