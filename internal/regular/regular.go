package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Open opens the regular file at path for reading. What else may stand there is refused before it is
// opened, because opening a pipe already waits. Errors name the path.
func Open(path string) (*os.File, fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, Quoted(err)
	}
	if err := check(path, info); err != nil {
		return nil, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, Quoted(err)
	}
	if info, err = f.Stat(); err == nil {
		err = check(path, info) // it may have been exchanged
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// Quoted puts the path of a file system's error in quotes: it may hold a newline. Other errors stay as they are.
func Quoted(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("%s %q: %w", p.Op, p.Path, p.Err)
	}
	return err
}

// ReadFile reads a whole regular file of at most limit bytes.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, info, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// The size is only a hint: files of /proc have none, and a file may grow.
	b := make([]byte, 0, min(info.Size(), limit)+1)
	for {
		if int64(len(b)) > limit {
			return nil, fmt.Errorf("%q is larger than %d bytes, the most that is read: is it the right file?", path, limit)
		}
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := f.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func check(path string, info fs.FileInfo) error {
	kind := "special file"
	switch m := info.Mode(); {
	case m.IsRegular():
		return nil
	case m.IsDir():
		kind = "directory"
	case m&fs.ModeNamedPipe != 0:
		kind = "pipe"
	case m&fs.ModeDevice != 0:
		kind = "device"
	case m&fs.ModeSocket != 0:
		kind = "socket"
	}
	return fmt.Errorf("%q is a %s, not a regular file", path, kind)
}
