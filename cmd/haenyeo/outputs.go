package main

// Where results go: checked before work is spent on them, and never over what is there.

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/haenyeo/haenyeo/internal/atomicfile"
)

// vacant refuses a path where something stands already.
func vacant(path string) error {
	switch _, err := os.Lstat(path); {
	case err == nil:
		return fmt.Errorf("%q exists already: remove it or choose another --out", path)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("--out %q: %w: choose another --out", path, err)
	}
	return nil
}

// writableDir makes dir where there is none and tries to write there. undo removes what was made, as long
// as it is empty.
func writableDir(dir string) (undo func(), err error) {
	undo = func() {}
	if err := vacant(dir); err == nil {
		undo = func() { os.Remove(dir) } // fails, as it should, when it is not empty
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return undo, fmt.Errorf("--out: %w: choose a directory that can be written", err)
	}
	f, err := atomicfile.Create(filepath.Join(dir, "writable"))
	if err != nil {
		undo()
		return func() {}, fmt.Errorf("--out: %w", err)
	}
	f.Abort()
	return undo, nil
}
