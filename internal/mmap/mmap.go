// This file holds Map and its checks. The two system calls behind it are in
// mmap_unix.go and mmap_windows.go; mmap_other.go reads the file instead.

package mmap

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"unsafe"

	"github.com/haenyeo/haenyeo/internal/regular"
)

// Map is one file mapped read-only. It has one owner, who calls Close.
type Map struct {
	data  []byte
	once  sync.Once
	close error
}

// Open maps the regular file at path. An empty file gives an empty Map.
func Open(path string) (*Map, error) {
	f, info, err := regular.Open(path)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	defer f.Close() // the mapping keeps its own reference
	size := info.Size()
	if size > math.MaxInt {
		return nil, fmt.Errorf("mmap: %q has %d bytes, more than this processor can address", path, size)
	}
	if size == 0 {
		return &Map{}, nil // mapping nothing is an error everywhere
	}
	data, err := mapFile(f, int(size))
	if err != nil {
		return nil, fmt.Errorf("mmap: mapping the %d bytes of %q: %w", size, path, err)
	}
	return &Map{data: data}, nil
}

// Bytes returns the file's bytes. They are valid until Close and must not be
// written.
func (m *Map) Bytes() []byte { return m.data }

// Offset returns which byte of the file stands at the address addr; ok is false if it is not in m.
func (m *Map) Offset(addr uintptr) (offset int64, ok bool) {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(m.data)))
	if addr < start || addr-start >= uintptr(len(m.data)) {
		return 0, false
	}
	return int64(addr - start), true
}

// Close unmaps the file. Closing twice is allowed and returns the same error.
func (m *Map) Close() error {
	m.once.Do(func() {
		data := m.data
		m.data = nil
		if len(data) == 0 {
			return
		}
		if err := unmapFile(data); err != nil {
			m.close = errors.Join(errors.New("mmap: unmapping failed"), err)
		}
	})
	return m.close
}
