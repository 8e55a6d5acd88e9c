package regular

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []int{0, 1, 511, 512, 513, 1000} {
		path, want := filepath.Join(dir, "f"), bytes.Repeat([]byte("x"), n)
		if err := os.WriteFile(path, want, 0o666); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadFile(path, 1000); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %d, %v", n, len(got), err)
		}
		if got, err := ReadFile(path, int64(n)-1); err == nil || !strings.Contains(err.Error(), "larger than") || got != nil {
			t.Errorf("%d bytes with one less allowed: %d, %v", n, len(got), err)
		}
	}
}

func TestRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadFile(filepath.Join(dir, "absent"), 10); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "absent") {
		t.Errorf("absent file: %v", err)
	}
	if _, err := ReadFile(dir, 10); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("directory: %v", err)
	}
}
