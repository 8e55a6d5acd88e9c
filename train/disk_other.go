//go:build !linux && !darwin && !freebsd && !windows

package train

import "errors"

// freeBytes is unknown here: a full disk shows when a checkpoint fails.
func freeBytes(string) (uint64, error) { return 0, errors.ErrUnsupported }
