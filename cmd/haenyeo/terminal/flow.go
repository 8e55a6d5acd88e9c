package terminal

// Text of several styles in rows of the terminal's width.

import (
	"io"
	"strings"
	"unicode/utf8"
)

// Style is how text looks; styles add up.
type Style uint8

// The styles. All but Code and Bright are attributes, which a terminal without colours has too.
const (
	Bold Style = 1 << iota
	Dim
	Italic
	Code
	Bright

	Plain Style = 0
)

// codes lists the styles' control sequences.
func (s Style) codes(colour bool) string {
	if s == Plain {
		return "\x1b[0m"
	}
	b := "\x1b[0"
	for _, c := range []struct {
		style  Style
		code   string
		colour bool
	}{{Bold, ";1", false}, {Dim, ";2", false}, {Italic, ";3", false}, {Code, ";36", true}, {Bright, ";33", true}} {
		if s&c.style != 0 && (colour || !c.colour) {
			b += c.code
		}
	}
	return b + "m"
}

// Flow breaks text into rows between words, and anywhere in scripts that write without spaces. A word that is not
// finished waits for its end.
type Flow struct {
	w       io.Writer
	columns func() int // 0: rows are not broken
	colour  bool
	prefix  string // of every row
	hang    string // after it, of the rows that go on a line

	column int   // cells used in the row, 0 before its prefix
	style  Style // at the end of word
	shown  Style // before word
	out    strings.Builder
	spaces int // held before word
	word   strings.Builder
	cells  int // of word
	clean  Cleaner
	closed bool // word is of a script without spaces: the next character may begin a row
}

func newFlow(w io.Writer, columns func() int, colour bool, prefix string) *Flow {
	return &Flow{w: w, columns: columns, colour: colour, prefix: prefix}
}

// text adds text in a style.
func (f *Flow) text(s string, style Style) {
	for len(s) > 0 {
		n, cells := cluster(s)
		part := s[:n]
		s = s[n:]
		switch {
		case part == "\n":
			f.newLine()
		case part == "\t":
			f.space(4)
		case part == " ":
			f.space(1)
		default:
			r, _ := utf8.DecodeRuneInString(part)
			free := unspaced(r)
			if cells > 0 && (f.closed || free) && !clinging(r) {
				f.finishWord()
			}
			f.setStyle(style)
			f.word.WriteString(part)
			f.cells += cells
			f.closed = free
			if width := f.width(); width > 0 && f.cells >= width {
				f.finishWord() // longer than a row
			}
		}
	}
	f.flush()
}

// verbatim adds text that is not broken between words: the terminal does it where it must.
func (f *Flow) verbatim(s string, style Style) {
	f.finishWord()
	for i, line := range strings.SplitAfter(s, "\n") {
		if line == "" {
			continue
		}
		if i > 0 || f.column == 0 {
			f.startRow()
		}
		f.setStyle(style)
		if text, ended := strings.CutSuffix(line, "\n"); ended {
			f.word.WriteString(text)
			f.newLine()
		} else {
			f.word.WriteString(text)
			f.cells = Width(text)
		}
	}
	f.put()
	f.flush()
}

// width is what a row holds behind its prefix.
func (f *Flow) width() int {
	if c := f.columns(); c > 0 {
		return max(8, c-1) - Width(f.prefix) - Width(f.hang)
	}
	return 0
}

func (f *Flow) setStyle(s Style) {
	if s != f.style {
		f.word.WriteString(s.codes(f.colour))
		f.style = s
	}
}

func (f *Flow) space(n int) {
	f.finishWord()
	f.spaces += n
}

// startRow writes what every row begins with.
func (f *Flow) startRow() {
	if f.column == 0 && f.prefix != "" {
		f.out.WriteString(Dim.codes(f.colour) + f.prefix + f.shown.codes(f.colour))
		f.column = Width(f.prefix)
	}
}

// finishWord places the word, in the next row if this one has no room.
func (f *Flow) finishWord() {
	if f.word.Len() == 0 {
		return
	}
	if columns := f.columns(); columns > 0 && f.column+f.spaces+f.cells >= columns && f.column > Width(f.prefix)+Width(f.hang) {
		f.out.WriteString("\n")
		f.column, f.spaces = 0, 0
		f.startRow()
		f.out.WriteString(f.hang)
		f.column += Width(f.hang)
	}
	f.put()
}

// put writes the word where it stands.
func (f *Flow) put() {
	if f.word.Len() == 0 {
		return
	}
	f.startRow()
	f.out.WriteString(strings.Repeat(" ", f.spaces))
	f.out.WriteString(f.word.String())
	f.column += f.spaces + f.cells
	f.word.Reset()
	f.shown, f.spaces, f.cells, f.closed = f.style, 0, 0, false
}

// newLine ends a line.
func (f *Flow) newLine() {
	f.finishWord()
	f.startRow()
	f.out.WriteString("\n")
	f.column, f.spaces, f.hang = 0, 0, ""
}

// flush hands on what is decided.
func (f *Flow) flush() {
	if f.out.Len() > 0 {
		io.WriteString(f.w, f.out.String()) // a terminal that went away is noticed where keys are read
		f.out.Reset()
	}
}

// Text adds text in a style, whatever stands in it.
func (f *Flow) Text(s string, style Style) { f.text(f.clean.Push(s), style) }

// Close ends the last row and the style.
func (f *Flow) Close() {
	f.setStyle(Plain)
	f.finishWord()
	if f.column > 0 {
		f.newLine()
	}
	f.flush()
}

// unspaced says whether a script sets no spaces between words. Korean does.
func unspaced(r rune) bool {
	switch {
	case r >= 0x1100 && r <= 0x11ff, r >= 0xac00 && r <= 0xd7ff:
		return false
	case r >= 0x0e00 && r <= 0x0fff, r >= 0x1000 && r <= 0x109f, r >= 0x1780 && r <= 0x17ff: // Thai, Lao, Tibetan, Myanmar, Khmer
		return true
	}
	return r >= 0x1100 && wide(r)
}

// clinging says whether a row must not begin with a character.
func clinging(r rune) bool {
	return strings.ContainsRune("、。，．：；！？）］｝」』】〉》〕’”ーっゃゅょッャュョ々ๆฯ", r)
}
