// Command asmgen prints the assembly of package kernel: run it with go generate in that package.
// Its test regenerates every file in memory and fails when a committed one is stale.
//
// Each source file here describes one family of kernels for one instruction set; asm.go is the
// printer, amd64.go and arm64.go know the registers and the instructions that Go's assembler lacks.
package main

import (
	"log"
	"os"
	"path/filepath"
)

func main() {
	log.SetFlags(0)
	for _, f := range files {
		// go generate runs in the package directory, where the files belong.
		if err := os.WriteFile(filepath.Base(f.name), generate(f), 0o644); err != nil {
			log.Fatal("asmgen: ", err)
		}
	}
}
