package atomicfile

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCommitReplacesInOneStep(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "model.bin")
	if err := WriteFile(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	big := bytes.Repeat([]byte("x"), 3*bufferBytes/2)
	for _, p := range [][]byte{[]byte("new"), big} {
		if n, err := f.Write(p); n != len(p) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	if want := int64(3 + len(big)); f.Size() != want {
		t.Errorf("Size = %d, want %d", f.Size(), want)
	}
	if got := read(t, path); got != "old" {
		t.Errorf("before Commit the final name holds %d bytes", len(got))
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	f.Abort() // must not undo
	if got := read(t, path); got != "new"+string(big) {
		t.Errorf("after Commit the file holds %d bytes", len(got))
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("directory holds %q", got)
	}
	if _, err := f.Write(big); !errors.Is(err, ErrClosed) {
		t.Errorf("Write after Commit: %v", err)
	}
	if err := f.Commit(); !errors.Is(err, ErrClosed) {
		t.Errorf("second Commit: %v", err)
	}
}

func TestAbortLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(filepath.Join(dir, "model.bin"))
	if err != nil {
		t.Fatal(err)
	}
	f.Write([]byte("half"))
	f.Abort()
	f.Abort()
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("directory holds %q", got)
	}
}

// fullDisk accepts room bytes and then fails as a full disk does.
type fullDisk struct{ room int }

func (d *fullDisk) Write(p []byte) (int, error) {
	n := min(len(p), d.room)
	d.room -= n
	if n < len(p) {
		return n, &fs.PathError{Op: "write", Path: "disk", Err: errors.New("no space left on device")}
	}
	return n, nil
}

func TestFullDisk(t *testing.T) {
	for _, tc := range []struct {
		name  string
		bytes int
	}{
		{"while writing", 2 * bufferBytes},
		{"while committing", 100},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "model.bin")
			if err := WriteFile(path, []byte("old")); err != nil {
				t.Fatal(err)
			}
			f, err := Create(path)
			if err != nil {
				t.Fatal(err)
			}
			f.buf = bufio.NewWriterSize(&fullDisk{room: 10}, bufferBytes)
			_, werr := f.Write(make([]byte, tc.bytes))
			cerr := f.Commit()
			if cerr == nil || !strings.Contains(cerr.Error(), "no space left") || !strings.Contains(cerr.Error(), path) {
				t.Errorf("Commit: %v", cerr)
			}
			if werr != nil && werr != cerr {
				t.Errorf("Write said %v, Commit %v", werr, cerr)
			}
			if got := read(t, path); got != "old" {
				t.Errorf("final name holds %q", got)
			}
			if got := names(t, dir); len(got) != 1 {
				t.Errorf("directory holds %q", got)
			}
		})
	}
}

func TestCreateRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, dir + "/", filepath.Join(dir, "absent", "x"), filepath.Join(dir, "file", "x")} {
		os.WriteFile(filepath.Join(dir, "file"), nil, 0o600)
		if _, err := Create(path); err == nil || !strings.Contains(err.Error(), "atomicfile: ") {
			t.Errorf("Create(%q): %v", path, err)
		}
	}
}

func TestModeFollowsUmask(t *testing.T) {
	dir := t.TempDir()
	plain, err := os.Create(filepath.Join(dir, "plain"))
	if err != nil {
		t.Fatal(err)
	}
	plain.Close()
	if err := WriteFile(filepath.Join(dir, "atomic"), nil); err != nil {
		t.Fatal(err)
	}
	a, _ := os.Stat(filepath.Join(dir, "plain"))
	b, _ := os.Stat(filepath.Join(dir, "atomic"))
	if a.Mode() != b.Mode() {
		t.Errorf("mode %v, os.Create gives %v", b.Mode(), a.Mode())
	}
}

func TestRemovePartial(t *testing.T) {
	dir := t.TempDir()
	keep := []string{".hidden", "a.partial", ".x.partial", ".x.0123456g.partial", "log.jsonl"}
	for _, n := range append([]string{".model.safetensors.0123abcd.partial"}, keep...) {
		if err := os.WriteFile(filepath.Join(dir, n), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Create(filepath.Join(dir, "killed"))
	if err != nil {
		t.Fatal(err)
	}
	f.file.Close()
	if err := RemovePartial(dir); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); len(got) != len(keep) {
		t.Errorf("left %q, want %q", got, keep)
	}
}
