//go:build !linux

package mmap

import "errors"

// CanRelease says whether this system can take pages of a mapped file back from a process.
const CanRelease = false

// Window is a stretch of addresses of a mapped file; there are none here.
type Window struct{}

// Regions are the stretches of addresses at which this process has files mapped.
type Regions struct{}

// MappedRegions fails here.
func MappedRegions() (Regions, error) {
	return Regions{}, errors.New("mmap: which pages of a file are in memory can be decided on Linux only")
}

// Window finds nothing here.
func (Regions) Window([]byte) (Window, bool) { return Window{}, false }

// Join joins nothing here.
func (w Window) Join(Window) (Window, bool) { return w, false }

// Size is 0 here.
func (Window) Size() int64 { return 0 }

// Addr is 0 here.
func (Window) Addr() uintptr { return 0 }

// Parts is empty here.
func (Window) Parts(int) []Window { return nil }

// Sparse does nothing here.
func (Window) Sparse() {}

// Fetch does nothing here.
func (Window) Fetch() error { return nil }

// CanRead is false here.
func (Window) CanRead() bool { return false }

// Read fails here.
func (Window) Read([]byte) error { return errors.ErrUnsupported }

// Pages is 0 here.
func (Window) Pages() int { return 0 }

// NewPages fails here.
func NewPages(int) ([]byte, error) { return nil, errors.ErrUnsupported }

// FreePages does nothing here.
func FreePages([]byte) {}

// Release does nothing here.
func (Window) Release(bool) error { return nil }
