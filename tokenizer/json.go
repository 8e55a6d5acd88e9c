package tokenizer

// A strict JSON reader for the two large parts of tokenizer.json, the vocabulary and the merges.
//
// It differs from encoding/json in what this format needs: it walks 130,000 keys without building a map, a key that
// appears twice can be refused, and an error carries the byte offset. The small parts go to encoding/json.

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

const maxJSONDepth = 64

type jsonReader struct {
	b []byte
	i int
}

func (r *jsonReader) fail(format string, args ...any) error {
	return fmt.Errorf("byte %d: %s", r.i, fmt.Sprintf(format, args...))
}

// next skips white space and gives the byte that follows, 0 at the end.
func (r *jsonReader) next() byte {
	for r.i < len(r.b) {
		switch c := r.b[r.i]; c {
		case ' ', '\t', '\n', '\r':
			r.i++
		default:
			return c
		}
	}
	return 0
}

func (r *jsonReader) expect(c byte) error {
	if got := r.next(); got != c {
		if got == 0 {
			return r.fail("file ends where %q should stand: it is truncated, fetch it again", c)
		}
		return r.fail("%q where %q should stand", got, c)
	}
	r.i++
	return nil
}

// object calls field after each key, with the reader at the value, which field must consume.
func (r *jsonReader) object(field func(key []byte) error) error {
	var key []byte
	return r.list('{', '}', func(int) (err error) {
		if key, err = r.str(key[:0]); err != nil {
			return err
		}
		if err = r.expect(':'); err != nil {
			return err
		}
		return field(key)
	})
}

// array calls item with the reader at each value, which item must consume.
func (r *jsonReader) array(item func(i int) error) error { return r.list('[', ']', item) }

func (r *jsonReader) list(open, end byte, item func(i int) error) error {
	if err := r.expect(open); err != nil {
		return err
	}
	if r.next() == end {
		r.i++
		return nil
	}
	for i := 0; ; i++ {
		if err := item(i); err != nil {
			return err
		}
		if r.next() == end {
			r.i++
			return nil
		}
		if err := r.expect(','); err != nil {
			return err
		}
	}
}

// str appends the decoded string to dst.
func (r *jsonReader) str(dst []byte) ([]byte, error) {
	if err := r.expect('"'); err != nil {
		return dst, err
	}
	for {
		from := r.i
		for r.i < len(r.b) && r.b[r.i] != '"' && r.b[r.i] != '\\' && r.b[r.i] >= 0x20 {
			r.i++
		}
		dst = append(dst, r.b[from:r.i]...)
		switch {
		case r.i == len(r.b):
			return dst, r.fail("file ends inside a string: it is truncated, fetch it again")
		case r.b[r.i] == '"':
			r.i++
			return dst, nil
		case r.b[r.i] != '\\':
			return dst, r.fail("control character inside a string")
		}
		var err error
		if dst, err = r.escape(dst); err != nil {
			return dst, err
		}
	}
}

func (r *jsonReader) escape(dst []byte) ([]byte, error) {
	if r.i+1 >= len(r.b) {
		return dst, r.fail("file ends inside a string: it is truncated, fetch it again")
	}
	c := r.b[r.i+1]
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		x, ok := r.hex4(r.i)
		if !ok {
			return dst, r.fail("broken \\u escape")
		}
		r.i += 6
		if utf16.IsSurrogate(x) {
			low, ok := r.hex4(r.i)
			if x = utf16.DecodeRune(x, low); !ok || x == utf8.RuneError {
				return dst, r.fail("half of a surrogate pair")
			}
			r.i += 6
		}
		return utf8.AppendRune(dst, x), nil
	default:
		return dst, r.fail("unknown escape \\%c", c)
	}
	r.i += 2
	return append(dst, c), nil
}

// hex4 reads \uXXXX at i.
func (r *jsonReader) hex4(i int) (x rune, ok bool) {
	if i+6 > len(r.b) || r.b[i] != '\\' || r.b[i+1] != 'u' {
		return 0, false
	}
	for _, c := range r.b[i+2 : i+6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		x = x<<4 | rune(c)
	}
	return x, true
}

// integer reads a whole number from 0 to limit.
func (r *jsonReader) integer(limit int) (int, error) {
	r.next()
	from, x := r.i, 0
	for r.i < len(r.b) && r.b[r.i] >= '0' && r.b[r.i] <= '9' {
		if x = x*10 + int(r.b[r.i]-'0'); x > limit {
			return 0, r.fail("number above %d", limit)
		}
		r.i++
	}
	if r.i == from {
		return 0, r.fail("a whole number from 0 to %d should stand here", limit)
	}
	if r.i < len(r.b) && (r.b[r.i] == '.' || r.b[r.i]|0x20 == 'e') {
		return 0, r.fail("a fraction where a whole number should stand")
	}
	return x, nil
}

// raw gives the bytes of the next value unread, checking only that it nests properly; encoding/json checks the rest.
func (r *jsonReader) raw() ([]byte, error) {
	r.next()
	from := r.i
	if err := r.skip(0); err != nil {
		return nil, err
	}
	return r.b[from:r.i], nil
}

func (r *jsonReader) skip(depth int) error {
	if depth > maxJSONDepth {
		return r.fail("nested more than %d deep", maxJSONDepth)
	}
	switch c := r.next(); c {
	case '{':
		return r.object(func([]byte) error { return r.skip(depth + 1) })
	case '[':
		return r.array(func(int) error { return r.skip(depth + 1) })
	case '"':
		_, err := r.str(nil)
		return err
	}
	from := r.i
	for r.i < len(r.b) {
		c := r.b[r.i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' {
			r.i++
			continue
		}
		break
	}
	if r.i == from {
		return r.fail("no value here")
	}
	return nil
}
