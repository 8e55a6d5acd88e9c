package main

// file is one generated assembly file.
type file struct {
	name string // the suffix _amd64.s or _arm64.s chooses the architecture
	gen  func(*asm)
}

// files lists what is generated: matrix products and the packers of their operands, then the
// elementwise kernels.
var files = []file{}
