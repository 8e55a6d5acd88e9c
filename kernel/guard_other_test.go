//go:build !unix

package kernel

// guarded is a plain slice where memory cannot be protected: see guard_test.go.
type guarded[T any] struct{ data []T }

func newGuarded[T any](n, _ int) guarded[T] { return guarded[T]{make([]T, n)} }

func (g guarded[T]) check() error { return nil }

func (g guarded[T]) release() {}
