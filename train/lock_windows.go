package train

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lockFile keeps other processes from locking f until it is closed. It reports false if another
// process holds it. A file system without locks protects nothing, and is no error. The byte that is
// locked lies far behind the end of the file: Windows would refuse reading a locked part.
func lockFile(f *os.File) bool {
	at := windows.Overlapped{OffsetHigh: 1 << 30}
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	return !errors.Is(err, windows.ERROR_LOCK_VIOLATION)
}
