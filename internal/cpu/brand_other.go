//go:build !amd64 && !linux && !(darwin && arm64)

package cpu

func brand() string { return "" }
