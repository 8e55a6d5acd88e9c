package tokenizer

// Ids back to text.

import "unicode/utf8"

// Decode gives the text of ids; bytes that are not UTF-8 become U+FFFD, one for each broken character, as in
// `tokenizers`. Ids that are out of range give nothing. With skipSpecial, special added tokens give nothing either.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	b := t.AppendDecode(nil, ids, skipSpecial)
	if utf8.Valid(b) {
		return string(b)
	}
	text := make([]byte, 0, len(b)+16)
	for len(b) > 0 {
		n, _ := validPrefix(b)
		text = append(text, b[:n]...)
		if b = b[n:]; len(b) > 0 {
			text = append(text, string(utf8.RuneError)...)
			b = b[brokenLength(b):]
		}
	}
	return string(text)
}

// AppendDecode appends the bytes of ids to dst as they are.
func (t *Tokenizer) AppendDecode(dst []byte, ids []int32, skipSpecial bool) []byte {
	for _, id := range ids {
		if id < 0 || int(id) >= t.VocabSize() || skipSpecial && t.vocab.kind[id] == specialKind {
			continue
		}
		dst = append(dst, t.vocab.of(id)...)
	}
	return dst
}

// Stream decodes token by token and gives out whole characters only. The zero value is not usable; see
// [Tokenizer.Stream].
type Stream struct {
	t           *Tokenizer
	skipSpecial bool
	rest        []byte // the beginning of a character
}

// Stream starts decoding a sequence of tokens.
func (t *Tokenizer) Stream(skipSpecial bool) *Stream { return &Stream{t: t, skipSpecial: skipSpecial} }

// Push gives the text that id completes, often empty in the middle of a character. What cannot become a character any
// more is given as U+FFFD.
func (s *Stream) Push(id int32) string {
	s.rest = s.t.AppendDecode(s.rest, []int32{id}, s.skipSpecial)
	var text []byte
	for len(s.rest) > 0 {
		n, open := validPrefix(s.rest)
		text = append(text, s.rest[:n]...)
		if s.rest = s.rest[n:]; len(s.rest) == 0 || open {
			break
		}
		text = append(text, string(utf8.RuneError)...)
		s.rest = s.rest[brokenLength(s.rest):]
	}
	return string(text)
}

// Flush ends the sequence: U+FFFD when it stopped within a character, else nothing.
func (s *Stream) Flush() string {
	if len(s.rest) == 0 {
		return ""
	}
	s.rest = s.rest[:0]
	return string(utf8.RuneError)
}

// validPrefix gives the length of the UTF-8 that b begins with, and whether what follows is the beginning of a character
// that more bytes could complete.
func validPrefix(b []byte) (n int, open bool) {
	for n < len(b) {
		r, w := utf8.DecodeRune(b[n:])
		if r == utf8.RuneError && w == 1 {
			return n, !utf8.FullRune(b[n:])
		}
		n += w
	}
	return n, false
}

// brokenLength gives the length of the broken character that b begins with: its lead byte and the bytes after it that
// could have followed (Unicode Standard, section 3.9, maximal subpart).
func brokenLength(b []byte) int {
	n := 1
	for n < len(b) && !utf8.FullRune(b[:n+1]) {
		n++
	}
	return n
}
