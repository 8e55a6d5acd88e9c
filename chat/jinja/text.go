package jinja

// How values look as text: Python's str() and repr().

import (
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// str is Python's str(v): what {{ v }} prints.
func (r *renderer) str(v value) string {
	switch v := v.(type) {
	case string:
		return v
	case markup:
		return string(v)
	case *undefined:
		return ""
	}
	return r.repr(v)
}

// soft is v itself if it is text, else str(v): what most text filters begin with.
func (r *renderer) soft(v value) value {
	if _, ok := text(v); ok {
		return v
	}
	return r.str(v)
}

// repr is Python's repr(v): how v looks inside a printed list.
func (r *renderer) repr(v value) string {
	var b strings.Builder
	r.writeRepr(&b, v, 0)
	return b.String()
}

func (r *renderer) writeRepr(b *strings.Builder, v value, depth int) {
	if depth > maxNesting {
		fail(0, "%w: printing data nested deeper than %d", ErrLimit, maxNesting)
	}
	before := b.Len()
	switch v := v.(type) {
	case nil:
		b.WriteString("missing")
	case none:
		b.WriteString("None")
	case bool:
		if v {
			b.WriteString("True")
		} else {
			b.WriteString("False")
		}
	case int64, *big.Int:
		b.WriteString(formatInteger(v))
	case float64:
		b.WriteString(formatFloat(v))
	case string:
		r.allocate(len(v))
		r.writeQuoted(b, v)
	case markup:
		r.allocate(len(v))
		b.WriteString("Markup(")
		r.writeQuoted(b, string(v))
		b.WriteByte(')')
	case *list:
		b.WriteByte('[')
		r.writeReprs(b, v.items, depth)
		b.WriteByte(']')
	case *tuple:
		b.WriteByte('(')
		r.writeReprs(b, v.items, depth)
		if len(v.items) == 1 {
			b.WriteByte(',')
		}
		b.WriteByte(')')
	case *dict:
		b.WriteByte('{')
		for i, k := range v.keys {
			if i > 0 {
				b.WriteString(", ")
			}
			r.writeRepr(b, k, depth+1)
			b.WriteString(": ")
			r.writeRepr(b, v.vals[i], depth+1)
		}
		b.WriteByte('}')
	case *view:
		b.WriteString("dict_" + v.kind + "([")
		for i := range v.d.keys {
			if i > 0 {
				b.WriteString(", ")
			}
			r.writeRepr(b, v.at(i), depth+1)
		}
		b.WriteString("])")
	case *span:
		fmt.Fprintf(b, "range(%d, %d", v.start, v.stop)
		if v.step != 1 {
			fmt.Fprintf(b, ", %d", v.step)
		}
		b.WriteByte(')')
	case *undefined:
		b.WriteString("Undefined")
	case *namespace:
		b.WriteString("<Namespace ")
		r.writeRepr(b, v.attrs, depth+1)
		b.WriteByte('>')
	case *macro:
		if v.def.name == "" {
			b.WriteString("<Macro anonymous>")
		} else {
			b.WriteString("<Macro ")
			r.writeQuoted(b, v.def.name)
			b.WriteByte('>')
		}
	case *loop:
		fmt.Fprintf(b, "<LoopContext %d/%d>", v.index0+1, v.length())
	default:
		fmt.Fprintf(b, "<%s>", typeName(v)) // Python prints an address here, so no two runs agree
	}
	r.allocate(b.Len() - before)
}

func (r *renderer) writeReprs(b *strings.Builder, items []value, depth int) {
	for i, item := range items {
		if i > 0 {
			b.WriteString(", ")
		}
		r.writeRepr(b, item, depth+1)
	}
}

// writeQuoted writes s as Python quotes a string: single quotes unless s has one and no double quote, and escapes for
// what cannot be printed.
func (r *renderer) writeQuoted(b *strings.Builder, s string) {
	quote := byte('\'')
	if seen := r.plain(s); strings.Contains(seen, "'") && !strings.Contains(seen, `"`) {
		quote = '"'
	}
	b.WriteByte(quote)
	for _, c := range s {
		b.WriteString(r.made(c, func(c rune) string { return escaped(c, quote) }))
	}
	b.WriteByte(quote)
}

// escaped is a character inside a string that Python quotes.
func escaped(c rune, quote byte) string {
	switch {
	case c == rune(quote) || c == '\\':
		return `\` + string(c)
	case c == '\n':
		return `\n`
	case c == '\r':
		return `\r`
	case c == '\t':
		return `\t`
	case unicode.IsPrint(c):
		return string(c)
	case c < 0x100:
		return `\x` + hex(uint64(c), 2)
	case c < 0x10000:
		return `\u` + hex(uint64(c), 4)
	}
	return `\U` + hex(uint64(c), 8)
}

// Longest integer in digits that can be read, printed or computed. Python's own limit for reading and printing is 4300.
const maxIntegerDigits = 4300

// maxIntegerBits is the size of the largest integer of maxIntegerDigits.
const maxIntegerBits = 14284

func formatInteger(v value) string {
	if n, ok := v.(int64); ok {
		return strconv.FormatInt(n, 10)
	}
	return v.(*big.Int).String()
}

// formatFloat is Python's repr of a float: the shortest digits that read back, with an exponent from 1e16 on and
// below 1e-4.
func formatFloat(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// writeHash writes the hash of one element of a tuple so that different hashes never look alike.
func writeHash(b *strings.Builder, h any) {
	s := fmt.Sprintf("%T %v", h, h)
	if reflect.ValueOf(h).Kind() == reflect.Pointer {
		s = fmt.Sprintf("%p", h)
	}
	fmt.Fprintf(b, "%d:%s", len(s), s)
}

func runeCount(s string) int { return utf8.RuneCountInString(s) }

// runeLen gives the length in bytes of the first character of s, which is not empty.
func runeLen(s string) int {
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// byteOffset gives the byte position of character i in s; i may be the count of characters.
func byteOffset(s string, i int) int {
	at := 0
	for ; i > 0 && at < len(s); i-- {
		at += runeLen(s[at:])
	}
	return at
}

// htmlEscapes are those of markupsafe.escape.
var htmlEscapes = strings.NewReplacer("&", "&amp;", ">", "&gt;", "<", "&lt;", "'", "&#39;", `"`, "&#34;")

// escape gives v as Markup, escaped unless it is Markup already.
func (r *renderer) escape(v value) markup {
	if m, ok := v.(markup); ok {
		return m
	}
	s := r.str(v)
	var b strings.Builder
	if r.marks.marked(s) {
		for _, c := range s {
			b.WriteString(r.made(c, func(c rune) string { return htmlEscapes.Replace(string(c)) }))
		}
	} else {
		htmlEscapes.WriteString(&b, s)
	}
	e := b.String()
	r.allocate(len(e))
	return markup(e)
}

// like gives s the type of v: Markup if v is, else str.
func like(v value, s string) value {
	if _, ok := v.(markup); ok {
		return markup(s)
	}
	return s
}
