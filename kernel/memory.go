package kernel

import "unsafe"

// Scratch memory of the kernels. What a core works on fills much of its second-level cache, whose
// lines are chosen by physical address: in pages of 4 KiB, scattered over memory, some of them would
// push each other out. Large buffers therefore lie in huge pages where the system has them.

const (
	hugePage  = 2 << 20
	hugeWords = hugePage / 4
	hugeFrom  = 1 << 15 // words from which a buffer is worth huge pages
)

// aligned makes n words that start on a cache line.
func aligned(n int) []float32 {
	if n == 0 {
		return nil
	}
	s := make([]float32, n+15)
	return s[skipTo(s, 64):][:n:n]
}

// skipTo is the number of words of s before the next multiple of bytes.
func skipTo(s []float32, bytes int) int {
	return -int(uintptr(unsafe.Pointer(&s[0]))/4) & (bytes/4 - 1)
}

// scratch makes n words for buffers that are used again and again.
func scratch(n int) []float32 {
	if n < hugeFrom {
		return aligned(n)
	}
	n = (n + hugeWords - 1) / hugeWords * hugeWords
	s := make([]float32, n+hugeWords)
	s = s[skipTo(s, hugePage):][:n:n]
	adviseHuge(unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), 4*n))
	return s
}

// room makes *s at least n words long; its content is lost.
func room(s *[]float32, n int) []float32 {
	if len(*s) < n {
		*s = scratch(n + n/4)
	}
	return (*s)[:n]
}
