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
