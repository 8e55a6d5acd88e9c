package infer

// From token bytes to text that may be shown: whole characters only, and nothing that is, or may
// still become, a stop text.

import (
	"strings"
	"unicode/utf8"
)

// stream collects the bytes of tokens and releases text.
type stream struct {
	stop    []string
	bytes   []byte // an unfinished UTF-8 sequence
	held    string // whole characters that may be the beginning of a stop text
	stopped bool
}

// add takes the bytes of one token and returns the text that is now certain. Bytes that can never
// become a character turn into U+FFFD.
func (s *stream) add(b []byte) string {
	s.bytes = append(s.bytes, b...)
	n := wholeCharacters(s.bytes)
	text := valid(s.bytes[:n])
	s.bytes = append(s.bytes[:0], s.bytes[n:]...)
	return s.release(text)
}

// end returns what was still held back: generation is over, so nothing can complete it.
func (s *stream) end() string {
	if s.stopped {
		return ""
	}
	text := s.release(valid(s.bytes))
	s.bytes = s.bytes[:0]
	if s.stopped {
		return text
	}
	text += s.held
	s.held = ""
	return text
}

// release adds text to what is held and returns the part before which no stop text can begin.
func (s *stream) release(text string) string {
	if s.stopped {
		return ""
	}
	if len(s.stop) == 0 {
		return text
	}
	s.held += text
	first := -1
	for _, stop := range s.stop {
		if i := strings.Index(s.held, stop); i >= 0 && (first < 0 || i < first) {
			first = i
		}
	}
	if first >= 0 {
		text, s.held, s.stopped = s.held[:first], "", true
		return text
	}
	keep := 0
	for _, stop := range s.stop {
		keep = max(keep, overlap(s.held, stop))
	}
	text, s.held = s.held[:len(s.held)-keep], s.held[len(s.held)-keep:]
	return text
}

// overlap returns the length of the longest proper prefix of stop that text ends with.
func overlap(text, stop string) int {
	for n := min(len(text), len(stop)-1); n > 0; n-- {
		if strings.HasSuffix(text, stop[:n]) {
			return n
		}
	}
	return 0
}

// wholeCharacters returns how many leading bytes of b do not belong to a character that more bytes
// could still complete.
func wholeCharacters(b []byte) int {
	for i := len(b) - 1; i >= 0 && i >= len(b)-utf8.UTFMax+1; i-- {
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				return i
			}
			break
		}
	}
	return len(b)
}

// valid returns b as text, each maximal invalid sequence replaced by U+FFFD.
func valid(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			n = invalidRun(b)
		}
		out.WriteRune(r)
		b = b[n:]
	}
	return out.String()
}

// invalidRun returns the length of the longest beginning of b that is the beginning of some valid
// character (at least 1): one U+FFFD stands for all of it, as the Unicode standard recommends
// (section 3.9, "maximal subpart") and as tokenizers decode.
func invalidRun(b []byte) int {
	n := 1
	for n < len(b) && n < utf8.UTFMax && !utf8.FullRune(b[:n]) {
		n++
	}
	if n > 1 && utf8.FullRune(b[:n]) {
		n-- // the last byte made it invalid and may begin another character
	}
	return n
}
