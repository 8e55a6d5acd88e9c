package hub

// The lock on a file that is being fetched: the same file, locked the same way, as huggingface_hub's, so
// that no two programs fetch one thing twice.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// errBusy says that another process holds a lock.
var errBusy = errors.New("locked by another process")

// lockFile waits for the lock at path and returns what gives it back. waiting is called once if that takes long.
func (s *session) lockFile(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o664)
		if err != nil {
			return nil, err
		}
		err = tryLock(f)
		if err == nil && !stillThere(f, path) {
			err = errBusy // it was exchanged while we waited: lock the new one
		}
		if err == nil {
			// The file stays: whoever waits for it has it open already.
			return func() { f.Close() }, nil
		}
		f.Close()
		if !errors.Is(err, errBusy) {
			return nil, fmt.Errorf("locking %q: %w", path, err)
		}
		if n == 5 {
			waiting()
		}
		t := time.NewTimer(min(100*time.Millisecond, 10*time.Millisecond<<min(n, 4)))
		select {
		case <-ctx.Done():
			t.Stop()
			return nil, context.Cause(ctx)
		case <-t.C:
		}
	}
}

// stillThere says whether the open file is the one at path.
func stillThere(f *os.File, path string) bool {
	a, err1 := f.Stat()
	b, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}
