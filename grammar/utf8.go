package grammar

// Ranges of characters as ranges of bytes (RFC 3629, section 4).

import "unicode/utf8"

// byteRange is one byte of a sequence.
type byteRange struct{ lo, hi byte }

// utf8Ranges calls f with sequences of byte ranges that together spell the characters lo to hi, of which none is a
// surrogate.
func utf8Ranges(lo, hi rune, f func([]byteRange)) {
	for _, last := range [...]rune{0x7f, 0x7ff, 0xffff, 0x10ffff} { // the last characters of one to four bytes
		if lo > last {
			continue
		}
		end := min(hi, last)
		splitRange(lo, end, f)
		if lo = end + 1; lo > hi {
			return
		}
	}
}

// splitRange is utf8Ranges of characters of the same number of bytes: it cuts where continuation bytes do not run
// through all their values.
func splitRange(lo, hi rune, f func([]byteRange)) {
	var a, b [utf8.UTFMax]byte
	n := utf8.EncodeRune(a[:], lo)
	utf8.EncodeRune(b[:], hi)
	for i := 1; i < n; i++ {
		m := rune(1)<<(6*i) - 1 // of the last i bytes
		if lo&^m == hi&^m {
			continue // the bytes before them are the same
		}
		if lo&m != 0 {
			splitRange(lo, lo|m, f)
			splitRange((lo|m)+1, hi, f)
			return
		}
		if hi&m != m {
			splitRange(lo, hi&^m-1, f)
			splitRange(hi&^m, hi, f)
			return
		}
	}
	ranges := make([]byteRange, n)
	for i := range ranges {
		ranges[i] = byteRange{a[i], b[i]}
	}
	f(ranges)
}
