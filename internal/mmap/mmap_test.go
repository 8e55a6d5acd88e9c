package mmap_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/internal/mmap"
)

func TestOpen(t *testing.T) {
	for _, tc := range []struct {
		name string
		data []byte
	}{
		{"empty", nil},
		{"one byte", []byte{7}},
		{"a page and a bit", bytes.Repeat([]byte("haenyeo"), 1000)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(path, tc.data, 0o600); err != nil {
				t.Fatal(err)
			}
			m, err := mmap.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(m.Bytes(), tc.data) {
				t.Errorf("mapped %d bytes that differ from the %d written", len(m.Bytes()), len(tc.data))
			}
			for range 2 {
				if err := m.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
			if m.Bytes() != nil {
				t.Error("Bytes after Close still points at the unmapped file")
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := mmap.Open(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "absent") {
		t.Errorf("absent file: %v", err)
	}
	if _, err := mmap.Open(dir); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("directory: %v", err)
	}
}

// A file replaced by renaming keeps its old bytes in a mapping made before.
func TestReplacedFileKeepsMapping(t *testing.T) {
	if os.PathSeparator == '\\' {
		t.Skip("windows refuses to replace a mapped file")
	}
	dir := t.TempDir()
	path, next := filepath.Join(dir, "f"), filepath.Join(dir, "g")
	for p, s := range map[string]string{path: "old", next: "new!"} {
		if err := os.WriteFile(p, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := mmap.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
	if got := string(m.Bytes()); got != "old" {
		t.Errorf("mapping now reads %q", got)
	}
}
