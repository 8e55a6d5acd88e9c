//go:build !amd64

package kernel

func routes(tier string) (f32, bf16 *route) { return portableRoute(F32), portableRoute(BF16) }
