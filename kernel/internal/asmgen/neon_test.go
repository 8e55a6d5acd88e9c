package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestWords holds the instructions of arm64 that are written as words against a disassembler: it must read each one
// as the comment beside it says.
func TestWords(t *testing.T) {
	mc, err := exec.LookPath("llvm-mc")
	if err != nil {
		t.Skip("SKIPPED: llvm-mc not installed, word-coded instructions not checked")
	}
	var want []string
	var code strings.Builder
	seen := map[string]bool{}
	for _, f := range files {
		if !strings.HasSuffix(f.name, "_neon_arm64.s") {
			continue
		}
		for _, m := range regexp.MustCompile(`WORD \$0x(\w{8}) // (.*)`).FindAllStringSubmatch(string(generate(f)), -1) {
			if seen[m[0]] {
				continue
			}
			seen[m[0]] = true
			want = append(want, m[2])
			for i := 6; i >= 0; i -= 2 {
				fmt.Fprintf(&code, "0x%s ", m[1][i:i+2])
			}
			code.WriteByte('\n')
		}
	}
	if len(want) < 100 {
		t.Fatalf("only %d words", len(want))
	}
	cmd := exec.Command(mc, "--disassemble", "--triple=aarch64", "--mattr=+v8.6a,+bf16,+i8mm")
	cmd.Stdin = strings.NewReader(code.String())
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 0 && !strings.HasPrefix(f[0], ".") {
			got = append(got, strings.Join(f, " "))
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d instructions of %d words", len(got), len(want))
	}
	for i, w := range want {
		if got[i] != w {
			t.Errorf("the word of %q is %q", w, got[i])
		}
	}
}
