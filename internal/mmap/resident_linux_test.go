package mmap_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/haenyeo/haenyeo/internal/mmap"
)

// resident counts the pages of the mapped file b that are mapped into this process: reading 8 bytes a page from
// /proc/self/pagemap, whose bit 63 says so.
func resident(t *testing.T, b []byte) (n int) {
	t.Helper()
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		t.Skip("no /proc/self/pagemap:", err)
	}
	defer f.Close()
	page := os.Getpagesize()
	entries := make([]byte, 8*(len(b)/page))
	if _, err := f.ReadAt(entries, int64(uintptr(unsafe.Pointer(&b[0])))/int64(page)*8); err != nil {
		t.Skip("reading /proc/self/pagemap:", err)
	}
	for i := 7; i < len(entries); i += 8 {
		n += int(entries[i] >> 7)
	}
	return n
}

func TestWindow(t *testing.T) {
	const size, page = 1 << 20, 4096
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := mmap.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	b := m.Bytes()
	regions, err := mmap.MappedRegions()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := regions.Window(make([]byte, 100)); ok {
		t.Error("memory of this process was taken for a mapped file")
	}
	if _, ok := regions.Window(nil); ok {
		t.Error("nothing was taken for a part of a mapped file")
	}
	w, ok := regions.Window(b[300<<10+5 : 500<<10+7])
	if !ok {
		t.Fatal("the mapped file was not found")
	}
	if os.Getpagesize() != page {
		t.Skip("the counts below are of pages of 4 KiB")
	}
	if got := w.Size(); got < 200<<10 || got > 328<<10 {
		t.Errorf("the window takes %d bytes", got)
	}
	parts := w.Parts(64 << 10)
	sum := int64(0)
	for _, p := range parts {
		sum += p.Size()
	}
	if len(parts) != 4 || sum != 204<<10 {
		t.Errorf("%d parts of %d bytes", len(parts), sum)
	}
	for _, forget := range []bool{false, true} {
		for _, p := range parts {
			p.Sparse()
			if err := p.Fetch(); err != nil {
				t.Fatal(err)
			}
		}
		if got := resident(t, b); got < 51 || got > 51+32 {
			t.Errorf("%d pages are mapped, want 51 and at most 15 on either side", got)
		}
		if err := w.Release(forget); err != nil {
			t.Fatal(err)
		}
		if got := resident(t, b); got != 0 {
			t.Errorf("%d pages are mapped after Release", got)
		}
	}
	// A file that was cut: an error, and no fault.
	if err := os.Truncate(path, page); err != nil {
		t.Fatal(err)
	}
	if unix.Madvise(b[:page], unix.MADV_POPULATE_READ) != nil {
		t.Skip("this kernel fetches pages when they are touched only")
	}
	if err := parts[0].Fetch(); err == nil {
		t.Error("pages behind the end of a file were fetched")
	}
}

// Read gives what stands in the file, at its end too, past the page cache.
func TestRead(t *testing.T) {
	page := os.Getpagesize()
	path := filepath.Join(t.TempDir(), "f")
	text := make([]byte, 10*page+100)
	for i := range text {
		text[i] = byte(i * i >> 8)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := mmap.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	regions, err := mmap.MappedRegions()
	if err != nil {
		t.Fatal(err)
	}
	b := m.Bytes()
	for _, at := range [][2]int{{page + 5, 3*page - 7}, {0, len(text)}, {10*page + 1, len(text)}} {
		w, ok := regions.Window(b[at[0]:at[1]])
		if !ok || !w.CanRead() {
			t.Skip("this file system has no direct reads")
		}
		to, err := mmap.NewPages(w.Pages())
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Read(to); err != nil {
			t.Fatal(err)
		}
		from := at[0] / page * page
		if got := to[:min(len(to), len(text)-from)]; !bytes.Equal(got, text[from:][:len(got)]) {
			t.Errorf("bytes %d to %d differ", at[0], at[1])
		}
		mmap.FreePages(to)
	}
	w, _ := regions.Window(b[4*page:])
	if err := os.Truncate(path, int64(page)); err != nil {
		t.Fatal(err)
	}
	to, err := mmap.NewPages(w.Pages())
	if err != nil {
		t.Fatal(err)
	}
	defer mmap.FreePages(to)
	if err := w.Read(to); !errors.Is(err, io.EOF) {
		t.Error("pages behind the end of a file were read:", err)
	}
}
