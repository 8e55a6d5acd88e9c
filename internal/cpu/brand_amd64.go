package cpu

import (
	"encoding/binary"
	"strings"
)

// cpuid runs the instruction of that name for leaf, subleaf 0.
//
//go:noescape
func cpuid(leaf uint32, out *[4]uint32)

// brand reads the 48 characters of leaves 0x80000002 to 0x80000004.
func brand() string {
	var r [4]uint32
	if cpuid(0x80000000, &r); r[0] < 0x80000004 {
		return ""
	}
	var b []byte
	for leaf := uint32(0x80000002); leaf <= 0x80000004; leaf++ {
		cpuid(leaf, &r)
		for _, v := range r {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
	}
	s, _, _ := strings.Cut(string(b), "\x00")
	return strings.Join(strings.Fields(s), " ")
}
