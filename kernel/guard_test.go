//go:build unix

package kernel

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

// guarded is a slice whose memory ends (gap elements after the slice) at a page that may not be
// touched and begins after another one: a kernel that reads or writes beyond its slice faults, or
// changes the canaries in between.
type guarded[T any] struct {
	data []T
	page []byte // all that may be touched
	at   int    // offset of data
	free func()
}

const canary = 0xA5

// newGuarded makes a guarded slice of n zero elements. Free it with release.
func newGuarded[T any](n, gap int) guarded[T] {
	var zero T
	size, p := n*int(unsafe.Sizeof(zero)), os.Getpagesize()
	after := gap * int(unsafe.Sizeof(zero))
	inner := (size + after + p) / p * p
	m, err := syscall.Mmap(-1, 0, inner+2*p, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	for _, guard := range [][]byte{m[:p], m[p+inner:]} {
		if err := syscall.Mprotect(guard, syscall.PROT_NONE); err != nil {
			panic(err)
		}
	}
	g := guarded[T]{page: m[p : p+inner : p+inner], at: inner - after - size, free: func() { syscall.Munmap(m) }}
	for i := range g.page {
		if i < g.at || i >= g.at+size {
			g.page[i] = canary
		}
	}
	if n > 0 {
		g.data = unsafe.Slice((*T)(unsafe.Pointer(&g.page[g.at])), n)
	}
	return g
}

// check reports a canary that changed.
func (g guarded[T]) check() error {
	var zero T
	end := g.at + len(g.data)*int(unsafe.Sizeof(zero))
	for i, b := range g.page {
		if b != canary && (i < g.at || i >= end) {
			return fmt.Errorf("byte %d, outside of [0,%d), was written", i-g.at, end-g.at)
		}
	}
	return nil
}

func (g guarded[T]) release() { g.free() }
