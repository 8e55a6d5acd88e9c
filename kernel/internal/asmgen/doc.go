// Command asmgen prints the assembly of package kernel: run it with go generate in that package.
// Its test regenerates every file in memory and fails when a committed one is stale.
//
// Each source file here describes one family of kernels for one instruction set; asm.go is the
// printer, amd64.go knows the registers and instructions of x86-64, and neon.go those of arm64 that
// Go's assembler lacks.
package main
