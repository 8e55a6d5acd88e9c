//go:build !amd64

package kernel

func twinRoutes() []*route { return nil }
