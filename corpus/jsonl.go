// This file reads JSONL: one object a line, `text` required; `lang`, `id`, `source` and `licence`
// (or `license`) are used when they are strings. Names are matched exactly, other fields ignored.

package corpus

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// MaxLine is the longest JSONL line in bytes: a line is held in memory whole.
	MaxLine = 16 << 20
	// MaxDocument is the largest document made of a JSONL record, in bytes of text. Longer texts
	// become several documents.
	MaxDocument = 128 << 10
)

// record is one parsed line.
type record struct {
	text                      string
	lang, id, source, licence string
	altered                   bool // the text as decoded is not the text as written
}

// jsonlReader yields the records of one file.
type jsonlReader struct {
	r    *bufio.Reader
	path string
	line int // of the record last returned, from 1
	long []byte
}

func newJSONLReader(r io.Reader, path string) *jsonlReader {
	return &jsonlReader{r: bufio.NewReaderSize(r, streamBuffer), path: path}
}

// next returns the next record, skipping empty lines. io.EOF ends.
func (j *jsonlReader) next() (record, error) {
	for {
		line, err := j.readLine()
		if err != nil {
			return record{}, err
		}
		if j.line == 1 {
			line = bytes.TrimPrefix(line, utf8BOM)
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		rec, err := parseRecord(line)
		if err != nil {
			return record{}, fmt.Errorf("corpus: %q line %d: %w", j.path, j.line, err)
		}
		return rec, nil
	}
}

func (j *jsonlReader) readLine() ([]byte, error) {
	j.long = j.long[:0]
	j.line++
	for {
		part, err := j.r.ReadSlice('\n')
		switch {
		case err == nil && len(j.long) == 0:
			return part, nil
		case err != nil && err != bufio.ErrBufferFull && err != io.EOF:
			return nil, err
		case err == io.EOF && len(part) == 0 && len(j.long) == 0:
			return nil, io.EOF
		}
		if len(j.long)+len(part) > MaxLine {
			return nil, fmt.Errorf("corpus: %q line %d: longer than %d MiB: put one document on a line, or name the file .txt if it is not JSONL", j.path, j.line, MaxLine>>20)
		}
		j.long = append(j.long, part...)
		if err != bufio.ErrBufferFull {
			return j.long, nil
		}
	}
}

func parseRecord(line []byte) (record, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		var syntax *json.SyntaxError
		var kind *json.UnmarshalTypeError
		switch {
		case errors.As(err, &kind):
			return record{}, fmt.Errorf("is a JSON %s, not an object with a \"text\" field: %s", kind.Value, excerpt(line))
		case errors.As(err, &syntax):
			return record{}, fmt.Errorf("broken JSON at byte %d: %w: %s", syntax.Offset, err, excerpt(line))
		}
		return record{}, fmt.Errorf("broken JSON: %w", err)
	}
	raw, ok := fields["text"]
	if !ok {
		return record{}, fmt.Errorf("no \"text\" field: %s", excerpt(line))
	}
	var r record
	if !decode(raw, &r.text) {
		return record{}, fmt.Errorf("\"text\" is not a string: %s", excerpt(line))
	}
	r.altered = strings.ContainsRune(r.text, utf8.RuneError) && loneSurrogate(raw)
	decode(fields["lang"], &r.lang)
	if raw := fields["id"]; !decode(raw, &r.id) && len(raw) > 0 && raw[0] >= '0' && raw[0] <= '9' {
		r.id = string(raw)
	}
	decode(fields["source"], &r.source)
	if !decode(fields["licence"], &r.licence) {
		decode(fields["license"], &r.licence)
	}
	return r, nil
}

// decode unquotes a JSON string; false if raw is not one.
func decode(raw json.RawMessage, s *string) bool {
	return len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, s) == nil
}

// loneSurrogate says that a quoted string escapes half a surrogate pair. encoding/json puts U+FFFD
// in its place, so the text is not what was written.
func loneSurrogate(raw []byte) bool {
	var pending rune // a high half just seen
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' || i+1 >= len(raw) {
			if pending != 0 {
				return true
			}
			continue
		}
		i++
		var r rune
		if raw[i] == 'u' && i+4 < len(raw) {
			v, err := strconv.ParseUint(string(raw[i+1:i+5]), 16, 16)
			if err != nil {
				return true
			}
			r, i = rune(v), i+4
		}
		low := r >= 0xDC00 && r <= 0xDFFF
		if low != (pending != 0) {
			return true
		}
		pending = 0
		if r >= 0xD800 && r <= 0xDBFF {
			pending = r
		}
	}
	return pending != 0
}

// excerpt shows the start of a line, quoted.
func excerpt(line []byte) string {
	const n = 60
	if len(line) <= n {
		return fmt.Sprintf("%q", line)
	}
	cut := n
	for cut > 0 && !utf8.RuneStart(line[cut]) {
		cut--
	}
	return fmt.Sprintf("%q…", line[:cut])
}
