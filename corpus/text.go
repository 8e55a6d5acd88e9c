// This file cuts text and Markdown files into documents: textReader, then where to cut.

package corpus

import (
	"bytes"
	"io"
	"unicode"
	"unicode/utf8"
)

// TextPart is the largest document made of a text or Markdown file, in bytes. It is a few thousand
// tokens, several times a training row, so cutting costs no context; and a single book gives
// enough documents to hold some back for validation.
const TextPart = 16 << 10

// textReader yields the parts of one file, in order. The parts put together are the file, less a
// byte order mark and with LF for CR LF.
type textReader struct {
	r    io.Reader
	buf  []byte // text not yet given out
	in   []byte // read, not yet converted
	out  []byte // the part given out
	part int    // largest part
	cr   bool   // a CR at the end of what was read, held until what follows is known
	eof  bool
	any  bool // something was read: the byte order mark is behind us
}

func newTextReader(r io.Reader, part int) *textReader {
	return &textReader{r: r, part: part, in: make([]byte, streamBuffer), buf: make([]byte, 0, part+streamBuffer+1)}
}

// next returns the next part; more says that the text goes on in the part after it. The slice is
// valid until the next call. io.EOF ends.
func (t *textReader) next() (part []byte, more bool, err error) {
	for !t.eof && len(t.buf) <= t.part {
		if err := t.fill(); err != nil {
			return nil, false, err
		}
	}
	if len(t.buf) == 0 {
		return nil, false, io.EOF
	}
	n := len(t.buf)
	if n > t.part {
		n = cutAt(t.buf, t.part)
	}
	t.out = append(t.out[:0], t.buf[:n]...)
	t.buf = t.buf[:copy(t.buf, t.buf[n:])]
	return t.out, len(t.buf) > 0, nil
}

func (t *textReader) fill() error {
	n, err := io.ReadFull(t.r, t.in)
	if err != nil {
		if err != io.EOF && (err != io.ErrUnexpectedEOF || truncated(err)) {
			return err
		}
		t.eof = true
	}
	b := t.in[:n]
	if !t.any && n > 0 {
		t.any = true
		b = bytes.TrimPrefix(b, utf8BOM)
	}
	if t.cr && len(b) > 0 {
		t.cr = false
		if b[0] != '\n' {
			t.buf = append(t.buf, '\r')
		}
	}
	for {
		i := bytes.IndexByte(b, '\r')
		if i < 0 {
			t.buf = append(t.buf, b...)
			break
		}
		t.buf = append(t.buf, b[:i]...)
		b = b[i+1:]
		if len(b) == 0 {
			t.cr = true
		} else if b[0] != '\n' {
			t.buf = append(t.buf, '\r')
		}
	}
	if t.eof && t.cr {
		t.buf, t.cr = append(t.buf, '\r'), false
	}
	return nil
}

// cutAt returns where to cut b, at most limit bytes in: after the last empty line, else line, else
// space, in the second half; else before a letter whose marks stay with it; else between two runes.
func cutAt(b []byte, limit int) int {
	half := b[:limit]
	low := limit / 2
	if i := bytes.LastIndex(half[low:], []byte("\n\n")); i >= 0 {
		return low + i + 2
	}
	if i := bytes.LastIndexByte(half[low:], '\n'); i >= 0 {
		return low + i + 1
	}
	if i := bytes.LastIndexByte(half[low:], ' '); i >= 0 {
		return low + i + 1
	}
	n := limit
	for n > 0 && !utf8.RuneStart(b[n]) {
		n--
	}
	for i := n; i > low; i-- {
		if !utf8.RuneStart(b[i]) {
			continue
		}
		// A sign on its letter, a joined pair and a Thai leading vowel's consonant stay together.
		r, _ := utf8.DecodeRune(b[i:])
		before, _ := utf8.DecodeLastRune(b[:i])
		if !unicode.In(r, unicode.M, unicode.Cf) && !unicode.Is(unicode.Cf, before) && !(before >= 0x0E40 && before <= 0x0E44) {
			return i
		}
	}
	return n
}
