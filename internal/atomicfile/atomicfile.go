// This file holds File (Create, Write, Commit, Abort), then WriteFile and
// RemovePartial. The order of system calls is that of every careful store:
// write, fsync the file, rename, fsync the directory.

package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

const (
	bufferBytes = 64 << 10
	suffix      = ".partial"
)

// ErrClosed is returned by operations on a File after Commit or Abort.
var ErrClosed = errors.New("atomicfile: file is already committed or aborted")

// File is a file being written under a temporary name. It is not safe for
// concurrent use. Its owner calls Commit or Abort.
type File struct {
	path string // final name
	temp string // temporary name in the same directory, "" once finished
	file *os.File
	buf  *bufio.Writer
	size int64
	err  error // first failure; the temporary file is gone then
}

// Create starts a file that Commit will put at path. The directory must exist.
// An existing path must be a regular file: it is left alone until Commit.
func Create(path string) (*File, error) {
	switch info, err := os.Stat(path); {
	case err == nil && !info.Mode().IsRegular():
		return nil, fmt.Errorf("atomicfile: %q exists and is not a regular file: choose another name", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("atomicfile: %w", err)
	}
	dir, base := filepath.Split(path)
	if base == "" {
		return nil, fmt.Errorf("atomicfile: %q names a directory, not a file", path)
	}
	for {
		temp := filepath.Join(dir, fmt.Sprintf(".%s.%08x%s", base, rand.Uint32(), suffix))
		// 0666 less the umask, as os.Create would give: os.CreateTemp's
		// 0600 would make every model private to its maker.
		file, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("atomicfile: creating %q: its directory does not exist: make it first (%w)", path, err)
		case err != nil:
			return nil, fmt.Errorf("atomicfile: creating %q: %w: choose a place that can be written", path, err)
		}
		return &File{path: path, temp: temp, file: file, buf: bufio.NewWriterSize(file, bufferBytes)}, nil
	}
}

// Write appends p. After the first failure (a full disk, say) the temporary
// file is removed and every later call returns the same error.
func (f *File) Write(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.buf.Write(p)
	f.size += int64(n)
	if err != nil {
		err = f.fail("writing", err)
	}
	return n, err
}

// Size returns the bytes written so far.
func (f *File) Size() int64 { return f.size }

// Commit makes the file durable and visible under its final name. On failure
// the final name is untouched and the temporary file removed, with one
// exception: an error from syncing the directory means the file is complete
// and in place, but might not survive a power cut.
func (f *File) Commit() error {
	if f.err != nil {
		return f.err
	}
	if err := f.buf.Flush(); err != nil {
		return f.fail("writing", err)
	}
	if err := f.file.Sync(); err != nil {
		return f.fail("syncing", err)
	}
	if err := f.file.Close(); err != nil {
		return f.fail("closing", err)
	}
	if err := os.Rename(f.temp, f.path); err != nil {
		return f.fail("renaming", err)
	}
	f.temp, f.buf, f.err = "", nil, ErrClosed
	if err := syncDir(filepath.Dir(f.path)); err != nil {
		return fmt.Errorf("atomicfile: %q is written, but syncing its directory failed: %w", f.path, err)
	}
	return nil
}

// Abort discards what was written. After Commit, a failure or another Abort
// it does nothing.
func (f *File) Abort() {
	if f.err != nil {
		return
	}
	f.discard()
	f.err = ErrClosed
}

func (f *File) fail(doing string, err error) error {
	f.discard()
	f.err = fmt.Errorf("atomicfile: %s %q: %w (nothing was left behind)", doing, f.path, err)
	return f.err
}

func (f *File) discard() {
	f.file.Close() // the file is thrown away, so are its errors
	os.Remove(f.temp)
	f.temp, f.buf = "", nil
}

// WriteFile writes data to path, whole or not at all.
func WriteFile(path string, data []byte) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Commit()
}

// RemovePartial deletes the temporary files that killed processes left in
// dir. Call it only where no other process is writing to dir: theirs would
// vanish too.
func RemovePartial(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("atomicfile: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if e.Type().IsRegular() && IsPartial(e.Name()) {
			errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// IsPartial recognises the name of a temporary file, .NAME.XXXXXXXX.partial.
func IsPartial(name string) bool {
	rest, ok := strings.CutSuffix(name, suffix)
	if !ok || !strings.HasPrefix(rest, ".") || len(rest) < len(".N.00000000") {
		return false
	}
	hex := rest[len(rest)-8:]
	return rest[len(rest)-9] == '.' && strings.Trim(hex, "0123456789abcdef") == ""
}

var _ io.Writer = (*File)(nil)
