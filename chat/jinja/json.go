package jinja

// JSON in, with the order of keys kept, and JSON out, byte for byte as Python's json.dumps.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// FromJSON reads one JSON text. Objects keep the order of their keys; of equal keys the last value counts. Numbers
// with a point or an exponent are floats, all others integers of any size. Lone surrogates and bytes that are not
// UTF-8 become U+FFFD.
func FromJSON(raw []byte) (Value, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	v, err := decode(d, 0)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = fmt.Errorf("something follows the value at offset %d", d.InputOffset())
		}
	}
	if err != nil {
		return Value{}, fmt.Errorf("jinja: reading JSON: %w", err)
	}
	return Value{v}, nil
}

func decode(d *json.Decoder, depth int) (value, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("nested deeper than %d at offset %d", maxNesting, d.InputOffset())
	}
	t, err := d.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case bool:
		return t, nil
	case string:
		return t, nil
	case json.Number:
		return decodeNumber(t.String())
	case json.Delim:
		if t == '[' {
			l := &list{}
			for d.More() {
				v, err := decode(d, depth+1)
				if err != nil {
					return nil, err
				}
				l.items = append(l.items, v)
			}
			_, err := d.Token()
			return l, err
		}
		o := newDict(0)
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := decode(d, depth+1)
			if err != nil {
				return nil, err
			}
			o.set(nil, k, v) // the decoder gives strings as keys
		}
		_, err := d.Token()
		return o, err
	}
	return none{}, nil
}

func decodeNumber(s string) (value, error) {
	if strings.ContainsAny(s, ".eE") {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return nil, err
		}
		return f, nil
	}
	if len(s) > maxIntegerDigits {
		return nil, fmt.Errorf("an integer of %d digits is too long", len(s))
	}
	b, _ := new(big.Int).SetString(s, 10)
	return normal(b), nil
}

// dump is json.dumps(v, ensure_ascii, indent, separators, sort_keys).
type dump struct {
	r               *renderer
	b               strings.Builder
	ascii, sortKeys bool
	pretty          bool
	indent          string
	itemSep, keySep string
	charged         int
}

// toJSON is the filter tojson of chat templates: tojson(ensure_ascii=False, indent=None, separators=None,
// sort_keys=False), without the escaping for HTML that stock Jinja adds.
func toJSON(r *renderer, v value, a args) value {
	p := a.bind("tojson", "ensure_ascii", "indent", "separators", "sort_keys")
	d := &dump{r: r, itemSep: ", ", keySep: ": "}
	d.ascii = truth(p[0])
	d.sortKeys = truth(p[3])
	switch indent := p[1].(type) {
	case nil, none:
	case string, markup:
		d.pretty = true
		d.indent, _ = text(indent)
	default:
		n, ok := integer(indent)
		if !ok {
			fail(0, "tojson: indent must be an integer or a string, not %s", typeName(indent))
		}
		d.pretty = true
		d.indent = r.repeat(" ", n)
	}
	if d.pretty {
		d.itemSep = ","
	}
	if p[2] != nil && p[2] != (none{}) {
		seps := r.collect(p[2])
		if len(seps) != 2 {
			fail(0, "tojson: separators must be two strings")
		}
		var ok1, ok2 bool
		d.itemSep, ok1 = text(seps[0])
		d.keySep, ok2 = text(seps[1])
		if !ok1 || !ok2 {
			fail(0, "tojson: separators must be two strings")
		}
	}
	d.write(v, 0)
	d.charge()
	return d.b.String()
}

// charge accounts for what was written since the last call.
func (d *dump) charge() {
	d.r.allocate(d.b.Len() - d.charged)
	d.charged = d.b.Len()
}

func (d *dump) write(v value, depth int) {
	if depth > maxNesting {
		fail(0, "%w: encoding data nested deeper than %d as JSON", ErrLimit, maxNesting)
	}
	d.charge()
	switch v := v.(type) {
	case none:
		d.b.WriteString("null")
	case bool:
		d.b.WriteString(strconv.FormatBool(v))
	case int64, *big.Int:
		d.b.WriteString(formatInteger(v))
	case float64:
		d.b.WriteString(jsonFloat(v))
	case string:
		d.quote(v)
	case markup:
		d.quote(string(v))
	case *list:
		d.array(v.items, depth)
	case *tuple:
		d.array(v.items, depth)
	case *dict:
		d.object(v, depth)
	default:
		fail(0, "tojson: a value of type %s cannot be written as JSON", typeName(v))
	}
}

func (d *dump) newline(depth int) {
	if !d.pretty {
		return
	}
	d.b.WriteByte('\n')
	for range depth {
		d.b.WriteString(d.indent)
	}
}

func (d *dump) array(items []value, depth int) {
	if len(items) == 0 {
		d.b.WriteString("[]")
		return
	}
	d.b.WriteByte('[')
	for i, item := range items {
		if i > 0 {
			d.b.WriteString(d.itemSep)
		}
		d.newline(depth + 1)
		d.write(item, depth+1)
	}
	d.newline(depth)
	d.b.WriteByte(']')
}

func (d *dump) object(o *dict, depth int) {
	if len(o.keys) == 0 {
		d.b.WriteString("{}")
		return
	}
	at := make([]int, len(o.keys))
	for i := range at {
		at[i] = i
	}
	if d.sortKeys {
		slices.SortStableFunc(at, func(i, j int) int {
			d.r.step(1)
			switch {
			case d.r.less(o.keys[i], o.keys[j]):
				return -1
			case d.r.less(o.keys[j], o.keys[i]):
				return 1
			}
			return 0
		})
	}
	d.b.WriteByte('{')
	for n, i := range at {
		if n > 0 {
			d.b.WriteString(d.itemSep)
		}
		d.newline(depth + 1)
		switch k := o.keys[i].(type) {
		case string:
			d.quote(k)
		case markup:
			d.quote(string(k))
		case bool:
			d.quote(strconv.FormatBool(k))
		case none:
			d.quote("null")
		case int64, *big.Int:
			d.quote(formatInteger(k))
		case float64:
			d.quote(jsonFloat(k))
		default:
			fail(0, "tojson: keys must be strings, numbers, booleans or none, not %s", typeName(k))
		}
		d.b.WriteString(d.keySep)
		d.write(o.vals[i], depth+1)
	}
	d.newline(depth)
	d.b.WriteByte('}')
}

func jsonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return formatFloat(f)
}

func (d *dump) quote(s string) {
	d.b.WriteByte('"')
	from := 0
	for i, c := range s {
		var e string
		r, marked := d.r.marks.char(c)
		switch {
		case r == '"':
			e = `\"`
		case r == '\\':
			e = `\\`
		case r == '\n':
			e = `\n`
		case r == '\r':
			e = `\r`
		case r == '\t':
			e = `\t`
		case r == '\f':
			e = `\f`
		case r == '\b':
			e = `\b`
		case r < 0x20:
			e = `\u` + hex(uint64(r), 4)
		case d.ascii && r >= 0x10000:
			e = `\u` + hex(uint64(0xd800+(r-0x10000)>>10), 4) + `\u` + hex(uint64(0xdc00+(r-0x10000)&0x3ff), 4)
		case d.ascii && r >= 0x7f:
			e = `\u` + hex(uint64(r), 4)
		default:
			continue
		}
		d.b.WriteString(s[from:i])
		if marked {
			e = d.r.marks.text(e)
		}
		d.b.WriteString(e)
		from = i + utf8.RuneLen(c)
	}
	d.b.WriteString(s[from:])
	d.b.WriteByte('"')
}
