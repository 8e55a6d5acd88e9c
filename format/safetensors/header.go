// This file holds the header: parseHeader, which trusts nothing it reads, and
// under it a small JSON scanner. encoding/json is not enough here: it keeps
// the last of two equal names and silently repairs broken UTF-8, and either
// would let two programs see different tensors in one file.
//
// Memory is bounded by the header's own bytes: an entry costs a few times its
// length in the file, and no number in the header sizes an allocation.

package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/haenyeo/haenyeo/internal/regular"
)

// maxHeader is the format's own limit on the header's bytes.
const maxHeader = 100_000_000

// maxName bounds tensor names, so that an error that quotes one stays readable.
const maxName = 4096

const metadataKey = "__metadata__"

// parseHeader checks a whole file and returns its tensors in the order of
// their bytes, as views of file, and its metadata (nil if it has none).
func parseHeader(file []byte) ([]Tensor, map[string]string, error) {
	if len(file) < 8 {
		return nil, nil, fmt.Errorf("the file has %d bytes, too few for a header length: it is truncated or no safetensors file", len(file))
	}
	n := binary.LittleEndian.Uint64(file)
	instead := ""
	if n > maxHeader {
		instead = regular.Instead(file)
	}
	switch {
	case instead != "":
		return nil, nil, errors.New(instead)
	case n > maxHeader:
		return nil, nil, fmt.Errorf("header length %d is over the limit of %d: the file is damaged or no safetensors file", n, maxHeader)
	case n > uint64(len(file)-8):
		return nil, nil, fmt.Errorf("header length %d goes past the end of the file (%d bytes): the file is truncated, fetch it again", n, len(file))
	case n < 2:
		return nil, nil, fmt.Errorf("header length %d is too small for any header: the file is damaged", n)
	}
	s := scanner{text: file[8 : 8+n], data: file[8+n:]}
	if !utf8.Valid(s.text) {
		return nil, nil, errors.New("the header is not valid UTF-8: the file is damaged")
	}
	if err := s.header(); err != nil {
		return nil, nil, fmt.Errorf("header byte %d: %w", s.pos, err)
	}
	return s.layout()
}

// scanner reads the header's JSON. Its methods leave pos at the byte that
// they could not accept.
type scanner struct {
	text     []byte
	pos      int
	data     []byte // what follows the header
	tensors  []entry
	metadata map[string]string
}

// entry is a tensor with the byte range that the header claims for it.
type entry struct {
	Tensor
	begin, end int
}

func (s *scanner) header() error {
	if s.text[0] != '{' {
		return fmt.Errorf("found %q where '{' must stand: this is no safetensors file", s.text[0])
	}
	seen := map[string]struct{}{}
	err := s.object(func(name string) error {
		if len(name) > maxName {
			return fmt.Errorf("a tensor name has %d bytes, over the limit of %d", len(name), maxName)
		}
		if _, dup := seen[name]; dup {
			return fmt.Errorf("name %q stands there twice", name)
		}
		seen[name] = struct{}{}
		if name == metadataKey {
			return s.readMetadata()
		}
		return s.readEntry(name)
	})
	if err != nil {
		return err
	}
	if s.space(); s.pos < len(s.text) {
		return fmt.Errorf("found %q after the closing brace", s.text[s.pos])
	}
	return nil
}

func (s *scanner) readMetadata() error {
	s.metadata = map[string]string{}
	return s.object(func(key string) error {
		if _, dup := s.metadata[key]; dup {
			return fmt.Errorf("%s key %.100q stands there twice", metadataKey, key)
		}
		v, err := s.str()
		if err != nil {
			return fmt.Errorf("%s value of %.100q: %w", metadataKey, key, err)
		}
		s.metadata[key] = v
		return nil
	})
}

func (s *scanner) readEntry(name string) error {
	e := entry{Tensor: Tensor{Name: name}}
	var haveType, haveShape, haveRange bool
	err := s.object(func(key string) (err error) {
		var have *bool
		switch key {
		case "dtype":
			have = &haveType
			var d string
			if d, err = s.str(); err == nil {
				if e.DType = parseDType(d); e.DType == 0 {
					err = fmt.Errorf("dtype %.100q is not known here", d)
				}
			}
		case "shape":
			have = &haveShape
			e.Shape, err = s.ints()
		case "data_offsets":
			have = &haveRange
			var r []int
			if r, err = s.ints(); err == nil {
				if len(r) != 2 {
					return fmt.Errorf("data_offsets has %d numbers, not 2", len(r))
				}
				e.begin, e.end = r[0], r[1]
			}
		default:
			return fmt.Errorf("unknown key %.100q", key)
		}
		if *have && err == nil {
			err = fmt.Errorf("%s stands there twice", key)
		}
		*have = true
		return err
	})
	switch {
	case err != nil:
	case !haveType:
		err = errors.New("dtype is missing")
	case !haveShape:
		err = errors.New("shape is missing")
	case !haveRange:
		err = errors.New("data_offsets is missing")
	default:
		err = s.check(&e)
	}
	if err != nil {
		return fmt.Errorf("tensor %q: %w", name, err)
	}
	s.tensors = append(s.tensors, e)
	return nil
}

// check holds a tensor's claims against each other and the file's size.
func (s *scanner) check(e *entry) error {
	size, ok := byteSize(e.DType, e.Shape)
	switch {
	case !ok:
		return fmt.Errorf("shape %v of %v has more bytes than can be addressed", e.Shape, e.DType)
	case e.begin > e.end:
		return fmt.Errorf("byte range [%d, %d] ends before it begins", e.begin, e.end)
	case e.end > len(s.data):
		return fmt.Errorf("byte range [%d, %d] goes past the %d bytes of data: the file is truncated, fetch it again", e.begin, e.end, len(s.data))
	case size != e.end-e.begin:
		return fmt.Errorf("shape %v of %v takes %d bytes, but the byte range [%d, %d] has %d", e.Shape, e.DType, size, e.begin, e.end, e.end-e.begin)
	}
	e.Data = s.data[e.begin:e.end:e.end]
	return nil
}

// layout sorts the tensors by their bytes and checks that they cover the data
// exactly: no byte twice, none left out.
func (s *scanner) layout() ([]Tensor, map[string]string, error) {
	slices.SortFunc(s.tensors, func(a, b entry) int {
		if a.begin != b.begin {
			return a.begin - b.begin
		}
		if a.end != b.end { // an empty tensor comes first
			return a.end - b.end
		}
		return strings.Compare(a.Name, b.Name)
	})
	at, prev := 0, ""
	out := make([]Tensor, len(s.tensors))
	for i, e := range s.tensors {
		if e.begin < at {
			return nil, nil, fmt.Errorf("tensor %q: byte range [%d, %d] overlaps that of %q: the file is damaged", e.Name, e.begin, e.end, prev)
		}
		if e.begin > at {
			return nil, nil, fmt.Errorf("tensor %q: bytes %d to %d before it belong to no tensor: the file is damaged", e.Name, at, e.begin)
		}
		at, prev = e.end, e.Name
		out[i] = e.Tensor
	}
	if at < len(s.data) {
		return nil, nil, fmt.Errorf("%d bytes after the last tensor belong to none: the file is damaged", len(s.data)-at)
	}
	return out, s.metadata, nil
}

// byteSize returns the bytes of a tensor; ok is false if they overflow an int
// or the type is invalid.
func byteSize(d DType, shape []int) (size int, ok bool) {
	if d.Size() == 0 {
		return 0, false
	}
	// A zero dimension makes the product zero, wherever it stands.
	if slices.Contains(shape, 0) {
		return 0, true
	}
	n := uint64(d.Size())
	for _, dim := range shape {
		if dim < 0 {
			return 0, false
		}
		hi, lo := bits.Mul64(n, uint64(dim))
		if hi != 0 || lo > 1<<(bits.UintSize-2) {
			return 0, false
		}
		n = lo
	}
	return int(n), true
}

// --- JSON ---

func (s *scanner) space() {
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// next skips white space and the byte c, which must follow it.
func (s *scanner) next(c byte) error {
	s.space()
	if s.pos == len(s.text) {
		return fmt.Errorf("the header ends where %q must stand", c)
	}
	if s.text[s.pos] != c {
		return fmt.Errorf("found %q where %q must stand", s.text[s.pos], c)
	}
	s.pos++
	return nil
}

// peek reports whether c follows after white space.
func (s *scanner) peek(c byte) bool {
	s.space()
	return s.pos < len(s.text) && s.text[s.pos] == c
}

// object reads {"key": value, ...}, calling value to read each value.
func (s *scanner) object(value func(key string) error) error {
	if err := s.next('{'); err != nil {
		return err
	}
	if s.peek('}') {
		s.pos++
		return nil
	}
	for {
		key, err := s.str()
		if err != nil {
			return err
		}
		if err := s.next(':'); err != nil {
			return err
		}
		if err := value(key); err != nil {
			return err
		}
		if !s.peek(',') {
			return s.next('}')
		}
		s.pos++
	}
}

func (s *scanner) str() (string, error) {
	if err := s.next('"'); err != nil {
		return "", err
	}
	start, escaped := s.pos, false
	for ; s.pos < len(s.text); s.pos++ {
		switch c := s.text[s.pos]; {
		case c == '"':
			raw := s.text[start:s.pos]
			s.pos++
			if !escaped {
				return string(raw), nil
			}
			var out string
			if err := json.Unmarshal(s.text[start-1:s.pos], &out); err != nil {
				return "", errors.New("a string has a broken escape")
			}
			return out, nil
		case c == '\\':
			escaped = true
			s.pos++
		case c < ' ':
			return "", fmt.Errorf("a string holds the control character %q", c)
		}
	}
	return "", errors.New("a string does not end")
}

// ints reads an array of whole numbers that are not negative.
func (s *scanner) ints() ([]int, error) {
	if err := s.next('['); err != nil {
		return nil, err
	}
	out := []int{}
	if s.peek(']') {
		s.pos++
		return out, nil
	}
	for {
		s.space()
		rest := s.text[s.pos:]
		n := bytes.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if n < 0 {
			n = len(rest)
		}
		if n == 0 || n > 1 && rest[0] == '0' {
			return nil, errors.New("a number must be whole, not negative and without leading zeros")
		}
		v, err := strconv.Atoi(string(rest[:min(n, 32)]))
		if err != nil {
			return nil, fmt.Errorf("number %.32s is too large", rest[:n])
		}
		out = append(out, v)
		s.pos += n
		if !s.peek(',') {
			return out, s.next(']')
		}
		s.pos++
	}
}
