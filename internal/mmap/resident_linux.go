// This file holds what decides which pages of a mapped file are in memory, Fetch and Release, and Read, which leaves
// that as it is.

package mmap

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// CanRelease says whether this system can take pages of a mapped file back from a process.
const CanRelease = true

// around is how far a page that is touched may bring its neighbours along: they belong to the process then,
// as long as they are in the page cache. Source: fault_around_bytes of the Linux kernel.
const around = 64 << 10

// Window is a stretch of addresses of a mapped file: its pages, and those that come along with them.
type Window struct {
	lo, hi, outerLo, outerHi uintptr
	in                       *region
}

// Regions are the stretches of addresses at which this process has files mapped.
type Regions []*region

// region is a mapping of file from its byte offset on. file is nil if it cannot be opened; direct, if it cannot be
// read past the page cache.
type region struct {
	lo, hi       uintptr
	file, direct *os.File
	offset       int64
}

// MappedRegions reads the regions from /proc.
func MappedRegions() (Regions, error) {
	b, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	var rs Regions
	for line := range strings.Lines(string(b)) {
		// range permissions offset device inode path
		f := strings.SplitN(strings.TrimSpace(line), " ", 6)
		if len(f) < 6 || f[1] != "r--s" { // mapFile's
			continue
		}
		from, to, _ := strings.Cut(f[0], "-")
		lo, err1 := strconv.ParseUint(from, 16, 64)
		hi, err2 := strconv.ParseUint(to, 16, 64)
		offset, err3 := strconv.ParseInt(f[2], 16, 64)
		inode, err4 := strconv.ParseUint(f[4], 10, 64)
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			return nil, fmt.Errorf("mmap: /proc/self/maps: %w", err)
		}
		path := strings.TrimLeft(f[5], " ")
		rs = append(rs, &region{uintptr(lo), uintptr(hi), openSame(path, 0, inode), openSame(path, unix.O_DIRECT, inode), offset})
	}
	return rs, nil
}

// openSame opens the file that is mapped from path, nil if that cannot be: another may stand there by now.
func openSame(path string, flag int, inode uint64) *os.File {
	f, err := os.OpenFile(path, os.O_RDONLY|flag, 0)
	if err != nil {
		return nil
	}
	var s unix.Stat_t
	if unix.Fstat(int(f.Fd()), &s) != nil || s.Ino != inode {
		f.Close()
		return nil
	}
	return f
}

// Window returns the window of b, which lies in a mapped file; false if it does not.
func (rs Regions) Window(b []byte) (w Window, ok bool) {
	if len(b) == 0 {
		return w, false
	}
	lo := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	hi := lo + uintptr(len(b))
	page := uintptr(os.Getpagesize())
	for _, r := range rs {
		if r.lo <= lo && hi <= r.hi {
			return Window{lo &^ (page - 1), min(r.hi, (hi+page-1)&^(page-1)),
				max(r.lo, lo&^(around-1)), min(r.hi, (hi+around-1)&^(around-1)), r}, true
		}
	}
	return w, false
}

// Join returns the window of both w and v, which must overlap or touch; false if they do not.
func (w Window) Join(v Window) (Window, bool) {
	if v.in != w.in || v.lo > w.hi || w.lo > v.hi {
		return w, false
	}
	return Window{min(w.lo, v.lo), max(w.hi, v.hi), min(w.outerLo, v.outerLo), max(w.outerHi, v.outerHi), w.in}, true
}

// Size is how many bytes of memory the window takes at most.
func (w Window) Size() int64 { return int64(w.outerHi - w.outerLo) }

// Addr is where the window begins.
func (w Window) Addr() uintptr { return w.lo }

// Parts cuts the window into windows of at most size bytes.
func (w Window) Parts(size int) (parts []Window) {
	for lo := w.lo; lo < w.hi; lo += uintptr(size) {
		hi := min(w.hi, lo+uintptr(size))
		parts = append(parts, Window{lo, hi, lo, hi, w.in})
	}
	return parts
}

// Sparse says that neighbours of pages of w are not to be read along with them: Fetch says what is wanted. It is a
// hint, and may be refused when a process has very many of them.
func (w Window) Sparse() {
	unix.Syscall(unix.SYS_MADVISE, w.lo, w.hi-w.lo, unix.MADV_RANDOM)
}

// Fetch reads the pages of w, from the disk where it must, and maps them: who touches them then does not wait.
func (w Window) Fetch() error {
	n := w.hi - w.lo
	// A hint that this much is read at once. What it refuses is read all the same.
	for lo := w.lo; lo < w.hi; lo += readAhead {
		unix.Syscall(unix.SYS_MADVISE, lo, min(readAhead, w.hi-lo), unix.MADV_WILLNEED)
	}
	for {
		_, _, e := unix.Syscall(unix.SYS_MADVISE, w.lo, n, unix.MADV_POPULATE_READ)
		switch e {
		case 0:
			return nil
		case unix.EINTR, unix.EAGAIN:
		case unix.EINVAL: // an older kernel: the pages come when they are touched
			return nil
		default:
			return fmt.Errorf("mmap: reading %d bytes of a mapped file: %w", n, e)
		}
	}
}

// CanRead says whether Read works for w.
func (w Window) CanRead() bool { return w.in.direct != nil }

// Read reads the pages of w past the page cache to b, which has as many bytes and begins at a page. What stands behind
// the end of the file is left as it is.
func (w Window) Read(b []byte) error {
	n, err := w.in.direct.ReadAt(b, w.in.offset+int64(w.lo-w.in.lo))
	if err == io.EOF && w.hi == w.in.hi && int64(n) > int64(len(b)-os.Getpagesize()) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("mmap: reading %d bytes past the page cache: %w", len(b), err)
	}
	return nil
}

// Pages is how many bytes the pages of w have, without those that come along.
func (w Window) Pages() int { return int(w.hi - w.lo) }

// NewPages returns memory of n bytes, whole pages that the garbage collector knows nothing of.
func NewPages(n int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("mmap: %d bytes of memory: %w", n, err)
	}
	return b, nil
}

// FreePages gives back what NewPages returned.
func FreePages(b []byte) { unix.Munmap(b) }

// readAhead is how much of a file one hint asks for. Linux cuts off, without a word, what is more than it reads ahead
// by itself, and that is 128 KiB nearly everywhere.
const readAhead = 128 << 10

// Release takes the pages of w from this process. They stay in the page cache while there is room, unless forget
// says that others need it more.
func (w Window) Release(forget bool) error {
	if _, _, e := unix.Syscall(unix.SYS_MADVISE, w.outerLo, w.outerHi-w.outerLo, unix.MADV_DONTNEED); e != 0 {
		return fmt.Errorf("mmap: giving back %d bytes of a mapped file: %w", w.Size(), e)
	}
	if forget && w.in.file != nil {
		// Advice: if it is not taken, the system finds out by itself what is old.
		unix.Fadvise(int(w.in.file.Fd()), w.in.offset+int64(w.lo-w.in.lo), int64(w.hi-w.lo), unix.FADV_DONTNEED)
	}
	return nil
}
