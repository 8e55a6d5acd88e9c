package grammar

// JSON with the order of its keys, and with the place of every value.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

type valueKind string

const (
	objectValue valueKind = "an object"
	arrayValue  valueKind = "a list"
	stringValue valueKind = "a string"
	numberValue valueKind = "a number"
	trueValue   valueKind = "true"
	falseValue  valueKind = "false"
	nullValue   valueKind = "null"
)

type jsonValue struct {
	kind    valueKind
	text    string // of strings and numbers
	keys    []string
	values  []*jsonValue // of keys, or items
	pointer string
}

func (v *jsonValue) get(key string) *jsonValue {
	for i, k := range v.keys {
		if k == key {
			return v.values[i]
		}
	}
	return nil
}

// child is a member or an item, nil if there is none.
func (v *jsonValue) child(name string) *jsonValue {
	if v.kind == arrayValue {
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || i >= len(v.values) {
			return nil
		}
		return v.values[i]
	}
	return v.get(name)
}

func join(pointer, key string) string {
	pointer, _, _ = strings.Cut(pointer, "\x00")
	return pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}

func unescapePointer(part string) string {
	if p, err := url.PathUnescape(part); err == nil {
		part = p
	}
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
}

// parseJSON reads a whole text.
func parseJSON(text []byte) (*jsonValue, error) {
	if len(text) > maxSchema {
		return nil, fmt.Errorf("it has %d bytes: at most %d", len(text), maxSchema)
	}
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := readValue(d, "", 0)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = fmt.Errorf("something follows its end")
		}
	}
	return v, err
}

func readValue(d *json.Decoder, pointer string, depth int) (*jsonValue, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("it is nested more than %d deep", maxDepth)
	}
	t, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("it is no JSON: %w", err)
	}
	v := &jsonValue{pointer: pointer}
	switch t := t.(type) {
	case bool:
		if v.kind = falseValue; t {
			v.kind = trueValue
		}
	case nil:
		v.kind = nullValue
	case string:
		v.kind, v.text = stringValue, t
	case json.Number:
		v.kind, v.text = numberValue, t.String()
	case json.Delim:
		if v.kind = arrayValue; t == '{' {
			v.kind = objectValue
		}
		return v, v.readMembers(d, depth)
	}
	return v, nil
}

func (v *jsonValue) readMembers(d *json.Decoder, depth int) error {
	known := map[string]bool{}
	for d.More() {
		key := strconv.Itoa(len(v.values))
		if v.kind == objectValue {
			t, err := d.Token()
			if err != nil {
				return fmt.Errorf("it is no JSON: %w", err)
			}
			key = t.(string) // the decoder lets nothing else stand there
			if known[key] {
				return fmt.Errorf("the key %q stands twice in one object", quoted(key))
			}
			known[key] = true
			v.keys = append(v.keys, key)
		}
		m, err := readValue(d, join(v.pointer, key), depth+1)
		if err != nil {
			return err
		}
		v.values = append(v.values, m)
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("it is no JSON: %w", err)
	}
	return nil
}

// appendCompact writes a value as short as it can be, strings as quote does.
func (v *jsonValue) appendCompact(out []byte) []byte {
	switch v.kind {
	case stringValue:
		return append(out, quote(v.text)...)
	case numberValue:
		return append(out, v.text...)
	case objectValue, arrayValue:
		open, closing := byte('['), byte(']')
		if v.kind == objectValue {
			open, closing = '{', '}'
		}
		out = append(out, open)
		for i, m := range v.values {
			if i > 0 {
				out = append(out, ',')
			}
			if v.kind == objectValue {
				out = append(append(out, quote(v.keys[i])...), ':')
			}
			out = m.appendCompact(out)
		}
		return append(out, closing)
	}
	return append(out, v.kind...)
}

// equal says whether two values are the same for JSON Schema.
func equal(a, b *jsonValue) bool {
	if a.kind != b.kind || len(a.values) != len(b.values) {
		return false
	}
	switch a.kind {
	case numberValue:
		x, errX := parseDecimal(a.text)
		y, errY := parseDecimal(b.text)
		return errX == nil && errY == nil && x.compare(y) == 0
	case objectValue:
		for i, k := range a.keys {
			if m := b.get(k); m == nil || !equal(a.values[i], m) {
				return false
			}
		}
		return true
	}
	for i := range a.values {
		if !equal(a.values[i], b.values[i]) {
			return false
		}
	}
	return a.text == b.text
}
