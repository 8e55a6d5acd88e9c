package tokenizer

// The path of a text of any length to ids, in bounded memory.

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	readerBytes = 1 << 20
	// MaxUncut is the longest text without a place to cut that EncodeReader takes.
	MaxUncut = 16 << 20
)

// EncodeReader encodes the text of r and gives yield the ids part by part, good until it returns: together those of
// Encode. The text is cut where every pre-tokenizer would cut it, after the end of a line; one without lines must not be
// longer than MaxUncut.
func (t *Tokenizer) EncodeReader(r io.Reader, opt EncodeOptions, yield func(ids []int32) error) error {
	return t.encodeReader(r, opt, yield, readerBytes, MaxUncut)
}

func (t *Tokenizer) encodeReader(r io.Reader, opt EncodeOptions, yield func(ids []int32) error, size, limit int) error {
	special := opt.AddSpecial
	opt.AddSpecial = false
	ids, buf, have, taken := []int32(nil), make([]byte, size), 0, int64(0)
	if special {
		ids = append(ids, t.prefix...)
	}
	for {
		n, err := io.ReadFull(r, buf[have:])
		have += n
		end := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !end {
			return err
		}
		cut := have
		if !end {
			cut = t.lastCut(buf)
		}
		if cut == 0 && !end {
			if len(buf) >= limit {
				return fmt.Errorf("tokenizer: the text from byte %d on has no line that could be cut off in %d bytes: break it into lines", taken, len(buf))
			}
			buf = append(buf, make([]byte, min(len(buf), limit-len(buf)))...)
			continue
		}
		ids = t.Encode(ids, string(buf[:cut]), opt)
		if end && special {
			ids = append(ids, t.suffix...)
		}
		if err := yield(ids); err != nil || end {
			return err
		}
		have = copy(buf, buf[cut:have])
		taken += int64(cut)
		ids = ids[:0]
	}
}

// lastCut finds the last place in b where a text can be cut into two that are encoded as one; 0 if there is none. It is
// after a line feed that a letter, number or sign follows: no piece goes on from white space that ends a line. But
// gpt-2 and smollm look ahead from a run of white space, so there the run must be the line feed alone.
func (t *Tokenizer) lastCut(b []byte) int {
	for _, a := range t.added {
		if a.LStrip || strings.ContainsRune(a.Content, '\n') {
			return 0 // such a token may reach across the end of a line
		}
	}
	c := unicodeClasses()
	visible := func(r rune, width int) bool {
		return !(r == utf8.RuneError && width <= 1) && c[r]&(letter|mark|number|punct) != 0
	}
	for i := len(b) - 2; i >= 0; i-- {
		if b[i] != '\n' || !visible(utf8.DecodeRune(b[i+1:])) {
			continue
		}
		if t.scan != gpt2 && t.scan != smollm || i > 0 && visible(utf8.DecodeLastRune(b[:i])) {
			return i + 1
		}
	}
	return 0
}
