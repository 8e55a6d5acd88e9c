//go:build !amd64 && !arm64

package kernel

// archRoutes is empty: there is no assembly for this processor.
func archRoutes() []*route { return nil }
