package terminal

// How text stands on a screen: characters as people see them, and the cells that each takes.

import (
	"io"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

const (
	joiner       = '\u200d' // between the parts of one emoji
	emojiVariant = '\ufe0f'
)

// cluster measures the first character of s as people see it, with its accents, vowel signs and joined parts: its bytes
// and the cells it takes. It follows Unicode's UAX 29 where cursors go in practice: marks, joiners, flags, skin tones
// and Hangul jamo.
func cluster(s string) (size, cells int) {
	first, size := utf8.DecodeRuneInString(s)
	cells = runeCells(first)
	flags := 0
	if regional(first) {
		flags = 1
	}
	joined := false
	for last := first; size < len(s); {
		r, n := utf8.DecodeRuneInString(s[size:])
		switch {
		case first == '\n' || r == '\n':
			return size, cells
		case unicode.In(r, unicode.Mn, unicode.Me) || r == joiner || r >= 0x1f3fb && r <= 0x1f3ff:
			if r == emojiVariant && cells == 1 && last > 0xa0 {
				cells = 2
			}
		case r == 0x0e33 || r == 0x0eb3: // the vowel am of Thai and Lao stands partly above
			cells++
		case joined && wide(r):
		case flags == 1 && regional(r):
			flags, cells = 2, 2
		case unicode.Is(unicode.Mc, r):
			cells += runeCells(r)
		case medialJamo(r) && (initialJamo(last) || medialJamo(last)), finalJamo(r) && (medialJamo(last) || finalJamo(last)):
		default:
			return size, cells
		}
		joined, last = r == joiner, r
		size += n
	}
	return size, cells
}

func regional(r rune) bool    { return r >= 0x1f1e6 && r <= 0x1f1ff }
func initialJamo(r rune) bool { return r >= 0x1100 && r <= 0x115f }
func medialJamo(r rune) bool  { return r >= 0x1160 && r <= 0x11a7 }
func finalJamo(r rune) bool   { return r >= 0x11a8 && r <= 0x11ff }

// runeCells is the width of a rune by itself.
func runeCells(r rune) int {
	switch {
	case r < 0x20 || r == 0x7f:
		return 0
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf), medialJamo(r), finalJamo(r):
		return 0
	case wide(r):
		return 2
	}
	return 1
}

// wide says whether a rune takes two cells.
func wide(r rune) bool {
	k := width.LookupRune(r).Kind()
	return k == width.EastAsianWide || k == width.EastAsianFullwidth
}

// Width is the cells that s takes on one line.
func Width(s string) (cells int) {
	for len(s) > 0 {
		n, w := cluster(s)
		cells += w
		s = s[n:]
	}
	return cells
}

// lastCluster is the size of the last character of s.
func lastCluster(s string) (size int) {
	// A character begins after a line end at the latest; long ones are rare.
	start := len(s)
	for back := 0; start > 0 && back < 32; back++ {
		_, n := utf8.DecodeLastRuneInString(s[:start])
		start -= n
		if s[start] == '\n' && start+1 < len(s) {
			start++
			break
		}
	}
	for rest := s[start:]; len(rest) > 0; {
		size, _ = cluster(rest)
		rest = rest[size:]
	}
	return size
}

// Cleaner is Clean for a text that comes in pieces, whole characters each: a carriage return waits for what follows it.
type Cleaner struct{ returned bool }

// Push gives what of the text can be shown.
func (c *Cleaner) Push(text string) string {
	if text == "" {
		return ""
	}
	if c.returned {
		text = "\r" + text
	}
	if c.returned = text[len(text)-1] == '\r'; c.returned {
		text = text[:len(text)-1]
	}
	return Clean(text)
}

// Filter gives a writer that writes to w what Clean leaves of a text.
func Filter(w io.Writer) io.Writer { return &filter{w: w} }

type filter struct {
	w     io.Writer
	clean Cleaner
	cut   []byte // the beginning of a character
}

func (f *filter) Write(b []byte) (int, error) {
	text := append(f.cut, b...)
	whole := len(text)
	for i := max(0, whole-utf8.UTFMax+1); i < whole; i++ {
		if utf8.RuneStart(text[i]) && !utf8.FullRune(text[i:]) {
			whole = i
		}
	}
	f.cut = append([]byte(nil), text[whole:]...)
	if _, err := io.WriteString(f.w, f.clean.Push(string(text[:whole]))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Clean is text of others without what a terminal would obey: control characters but line ends and tabs become the
// replacement character, carriage returns before line ends go.
func Clean(s string) string {
	ok := true
	for i := 0; ok && i < len(s); i++ {
		ok = s[i] >= 0x20 && s[i] < 0x7f || s[i] == '\n'
	}
	if ok {
		return s
	}
	b := make([]byte, 0, len(s))
	for i, r := range s {
		switch {
		case r == '\r':
			if i+1 == len(s) || s[i+1] != '\n' {
				b = append(b, '\n')
			}
		case r == '\n', r == '\t':
			b = append(b, byte(r))
		case r < 0x20, r >= 0x7f && r < 0xa0, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			b = utf8.AppendRune(b, utf8.RuneError)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return string(b)
}
