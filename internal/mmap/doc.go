// Package mmap maps whole files into memory for reading, so that weights are
// paged in by the operating system and never copied to the Go heap.
//
// A path flows in, a read-only byte slice flows out.
//
// # Caveats
//
// The slice belongs to the Map: using it (or anything cut from it) after
// Close is a fault that Go cannot recover. Writing to it is a fault as well.
// A file that another process truncates while it is mapped faults when a lost
// page is touched; writers in this project replace files by renaming
// (internal/atomicfile), which leaves existing mappings intact. On Windows a
// mapped file cannot be replaced: close the Map first.
package mmap
