package kernel

import (
	"fmt"
	"slices"
	"strings"

	"github.com/haenyeo/haenyeo/internal/cpu"
)

// isa is the vector instruction set of the elementwise kernels. Tiers for matrix products that
// add special instructions share the isa below them.
type isa uint8

const (
	isaPortable isa = iota
	isaAVX2
	isaAVX512
	isaNEON
)

// tier is a set of kernels for one kind of processor: the instruction set of the elementwise ones,
// and the routes of float32 and bfloat16 products.
type tier struct {
	name      string
	isa       isa
	has       func(cpu.Features) bool
	f32, bf16 string
}

// tierISA lists every tier, slowest first.
//
//	portable    Go only
//	avx2        AVX2 and FMA
//	avx512      AVX-512 F, CD, BW, DQ, VL
//	avx512bf16  avx512, bf16 products by VDPBF16PS
//	amx         avx512, bf16 products by tiles
//	neon        Arm Advanced SIMD
var tierISA = []tier{
	{"portable", isaPortable, func(cpu.Features) bool { return true }, "portable", "portable"},
	{"avx2", isaAVX2, func(f cpu.Features) bool { return f.AVX2 }, "avx2", "avx2"},
	{"avx512", isaAVX512, func(f cpu.Features) bool { return f.AVX512 }, "avx512", "avx512"},
	{"avx512bf16", isaAVX512, func(f cpu.Features) bool { return f.AVX512BF16 }, "avx512", "avx512bf16"},
	{"amx", isaAVX512, func(f cpu.Features) bool { return f.AMX && cpu.EnableAMX() }, "avx512", "amx"},
	{"neon", isaNEON, func(f cpu.Features) bool { return f.NEON }, "neon", "neon"},
}

// Tiers names the sets of kernels that this machine can run, slowest first.
func Tiers() []string {
	var names []string
	f := cpu.Detect()
	for _, t := range tierISA {
		if t.has(f) {
			names = append(names, t.name)
		}
	}
	return names
}

// parseTier returns the tier called name, or the last one that this machine has when name is "".
func parseTier(name string) (tier, error) {
	have := Tiers()
	if name == "" {
		name = have[len(have)-1]
	}
	for _, t := range tierISA {
		if t.name == name && slices.Contains(have, name) {
			return t, nil
		}
	}
	return tier{}, fmt.Errorf("kernel: tier %q: this machine has %s; unset HAENYEO_CPU or choose one of them",
		name, strings.Join(have, ", "))
}
