package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFresh compares the committed assembly with what the generator prints now.
func TestFresh(t *testing.T) {
	for _, f := range files {
		got, err := os.ReadFile(filepath.Join("../..", f.name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, generate(f)) {
			t.Errorf("%s is stale: run go generate in package kernel", f.name)
		}
	}
}

// TestEncodings holds the instructions written as bytes against a disassembler.
func TestEncodings(t *testing.T) {
	objdump, err := exec.LookPath("objdump")
	if err != nil {
		t.Skip("SKIPPED: binutils not installed, byte-coded instructions not checked")
	}
	a := &asm{}
	var want []string
	add := func(op evexOp, rm any, src, dst zmm, text string) {
		a.evex(op, rm, src, dst)
		want = append(want, text)
	}
	add(vdpbf16ps, zmm(3), zmm(2), zmm(1), "vdpbf16ps zmm1,zmm2,zmm3")
	add(vdpbf16ps, zmm(30), zmm(29), zmm(28), "vdpbf16ps zmm28,zmm29,zmm30")
	add(vdpbf16ps, zmm(13), zmm(17), zmm(9), "vdpbf16ps zmm9,zmm17,zmm13")
	add(vdpbf16ps, mem{base: di}, zmm(31), zmm(0), "vdpbf16ps zmm0,zmm31,zmmword ptr [rdi]")
	add(vdpbf16ps, mem{base: r13, off: 64}, zmm(1), zmm(17), "vdpbf16ps zmm17,zmm1,zmmword ptr [r13+0x40]")
	add(vdpbf16ps, mem{base: r12, index: r9, scale: 4, off: 128}, zmm(1), zmm(8), "vdpbf16ps zmm8,zmm1,zmmword ptr [r12+r9*4+0x80]")
	add(vdpbf16ps, mem{base: ax, off: 4}, zmm(1), zmm(8), "vdpbf16ps zmm8,zmm1,zmmword ptr [rax+0x4]")
	add(vcvtne2ps2bf16, zmm(3), zmm(20), zmm(1), "vcvtne2ps2bf16 zmm1,zmm20,zmm3")
	add(vcvtne2ps2bf16, mem{base: si, off: -64}, zmm(2), zmm(1), "vcvtne2ps2bf16 zmm1,zmm2,zmmword ptr [rsi-0x40]")
	add(vcvtneps2bf16, zmm(18), 0, zmm(25), "vcvtneps2bf16 ymm25,zmm18")
	add(vcvtneps2bf16, mem{base: bx, index: cx, scale: 1}, 0, zmm(5), "vcvtneps2bf16 ymm5,zmmword ptr [rbx+rcx*1]")
	tile := func(text, name string, operands ...any) {
		a.tileOp(name, operands...)
		want = append(want, text)
	}
	tile("ldtilecfg [rdi]", "LDTILECFG", mem{base: di})
	tile("tilerelease", "TILERELEASE")
	tile("tilezero tmm5", "TILEZERO", 5)
	tile("tileloadd tmm6,[rdi+r9*1+0x40]", "TILELOADD", mem{base: di, index: r9, scale: 1, off: 64}, 6)
	tile("tileloadd tmm3,[r14+rcx*1+0x0]", "TILELOADD", mem{base: r14, index: cx, scale: 1}, 3)
	tile("tileloadd tmm1,[rbx+r10*1+0x0]", "TILELOADD", mem{base: bx, index: r10, scale: 1}, 1)
	tile("tilestored [rdx+r10*1+0x40],tmm1", "TILESTORED", 1, mem{base: dx, index: r10, scale: 1, off: 64})
	tile("tdpbf16ps tmm1,tmm4,tmm7", "TDPBF16PS", 7, 4, 1)
	tile("tdpbf16ps tmm2,tmm5,tmm6", "TDPBF16PS", 6, 5, 2)
	var code []byte
	for _, f := range strings.Fields(a.buf.String()) {
		if hex, ok := strings.CutPrefix(strings.TrimSuffix(f, ";"), "$0x"); ok && len(hex) == 2 {
			code = append(code, unhex(hex[0])<<4|unhex(hex[1]))
		}
	}
	bin := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(bin, code, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(objdump, "-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel", bin).Output()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Split(line, "\t"); len(f) >= 3 {
			got = append(got, strings.ToLower(strings.Join(strings.Fields(f[2]), " ")))
		}
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("disassembly:\n%s\nwant:\n%s", g, w)
	}
}

func unhex(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}
