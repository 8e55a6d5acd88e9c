//go:build !linux && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly && !windows

package train

import "os"

// lockFile protects nothing here.
func lockFile(*os.File) bool { return true }
