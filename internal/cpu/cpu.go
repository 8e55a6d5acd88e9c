package cpu

import (
	"runtime"

	"golang.org/x/sys/cpu"
)

// Features lists the instruction sets that package kernel has kernels for. A flag is set when both
// the processor and the operating system support it.
type Features struct {
	AVX2       bool // with FMA and F16C
	AVX512     bool // F, CD, BW, DQ and VL
	AVX512BF16 bool // VDPBF16PS, VCVTNE2PS2BF16
	AVX512VNNI bool // VPDPBUSD
	AMX        bool // tiles with bf16; usable only after EnableAMX
	AMXInt8    bool
	NEON       bool
	DotProd    bool // SDOT, UDOT
	I8MM       bool // SMMLA
}

// Detect returns the features of this machine.
func Detect() Features {
	x, a := &cpu.X86, &cpu.ARM64
	f := Features{
		AVX2:   x.HasAVX2 && x.HasFMA && x.HasF16C,
		AVX512: x.HasAVX512F && x.HasAVX512CD && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL,
		NEON:   runtime.GOARCH == "arm64",
	}
	f.AVX512 = f.AVX512 && f.AVX2
	f.AVX512BF16 = f.AVX512 && x.HasAVX512BF16
	f.AVX512VNNI = f.AVX512 && x.HasAVX512VNNI
	f.AMX = f.AVX512BF16 && x.HasAMXTile && x.HasAMXBF16
	f.AMXInt8 = f.AMX && x.HasAMXInt8
	f.DotProd = f.NEON && a.HasASIMDDP
	f.I8MM = f.NEON && a.HasI8MM
	return f
}

// Name is the processor's own name for itself, or the architecture when it has none.
func Name() string {
	if s := brand(); s != "" {
		return s
	}
	return runtime.GOARCH
}
