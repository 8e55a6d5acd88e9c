package tokenizer

// Unicode classes of the published regular expressions, one byte per code point.

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// Class bits. A code point has at most one of letter, mark, number, punct; none of them means category C or Z.
const (
	letter  = 1 << iota // \p{L}
	mark                // \p{M}
	number              // \p{N}
	punct               // \p{P} or \p{S}: no expression needs them apart
	space               // \s, the property White_Space
	newline             // \r or \n, which are space too
	han                 // [一-龥぀-ゟ゠-ヿ], the second stage of deepseek-v3
)

// classes maps every code point to its bits.
type classes [unicode.MaxRune + 1]uint8

// unicodeClasses builds the table on first use (about a millisecond); it never changes after that.
var unicodeClasses = sync.OnceValue(func() *classes {
	c := new(classes)
	c.add(letter, unicode.L)
	c.add(mark, unicode.M)
	c.add(number, unicode.N)
	c.add(punct, unicode.P)
	c.add(punct, unicode.S)
	c.add(space, unicode.White_Space)
	for _, a := range unicode16 {
		for r := a.lo; r <= a.hi; r++ {
			c[r] |= a.bit
		}
	}
	c['\r'] |= newline
	c['\n'] |= newline
	for r := '一'; r <= '龥'; r++ {
		c[r] |= han
	}
	for r := rune(0x3040); r <= 0x30FF; r++ {
		c[r] |= han
	}
	return c
})

func (c *classes) add(bit uint8, table *unicode.RangeTable) {
	for _, r := range table.R16 {
		for x := uint32(r.Lo); x <= uint32(r.Hi); x += uint32(r.Stride) {
			c[x] |= bit
		}
	}
	for _, r := range table.R32 {
		for x := r.Lo; x <= r.Hi; x += r.Stride {
			c[x] |= bit
		}
	}
}

// at gives the bits and the width in bytes of the character at s[i]. A byte that is not UTF-8 counts as U+FFFD, a symbol.
func (c *classes) at(s string, i int) (bits uint8, width int) {
	if b := s[i]; b < utf8.RuneSelf {
		return c[b], 1
	}
	return c.wide(s, i)
}

func (c *classes) wide(s string, i int) (uint8, int) {
	r, w := utf8.DecodeRuneInString(s[i:])
	return c[r], w
}

// run gives the end of the longest run from i of characters that have a bit of any and whose bits under mask equal want.
func (c *classes) run(s string, i int, any, mask, want uint8) int {
	for i < len(s) {
		if b := s[i]; b < utf8.RuneSelf {
			if c[b]&any == 0 || c[b]&mask != want {
				return i
			}
			i++
			continue
		}
		k, w := c.wide(s, i)
		if k&any == 0 || k&mask != want {
			return i
		}
		i += w
	}
	return i
}

// spaces matches \s*[\r\n]+|\s+(?!\S)|\s+ at i, where a white space stands. Without newlines the first alternative
// is left out. A character with a bit of end closes the piece, as the end of the text does.
//
// A run with a newline goes up to its last newline; a run before the end of the piece is taken whole; any other leaves
// its last character to what follows, unless it is its only one.
func (c *classes) spaces(s string, i int, newlines bool, end uint8) int {
	j, last, afterNewline := i, i, 0
	for j < len(s) {
		k, w := c.at(s, j)
		if k&space == 0 {
			if afterNewline == 0 && k&end == 0 && last > i {
				return last
			}
			break
		}
		last = j
		j += w
		if newlines && k&newline != 0 {
			afterNewline = j
		}
	}
	if afterNewline > 0 {
		return afterNewline
	}
	return j
}
