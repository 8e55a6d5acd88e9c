package jinja

// Formatting with %: "%s, %d" % (x, y).

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// percent is s % v, where self is s with its type.
func (r *renderer) percent(self value, s string, v value) value {
	_, isMarkup := self.(markup)
	items := []value{v}
	var byName *dict
	spare := false // values left over are no error
	switch v := v.(type) {
	case *tuple:
		items = v.items
	case *dict:
		byName, spare = v, true
	case *list, *undefined, *span, *view:
		spare = true // Python takes what has elements for a mapping
	}
	used := 0
	next := func() value {
		if used >= len(items) {
			fail(0, "not enough values for the format %s", r.repr(s))
		}
		used++
		return items[used-1]
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		k := strings.IndexByte(s[i:], '%')
		if k < 0 {
			k = len(s) - i
		}
		r.allocate(k)
		b.WriteString(s[i : i+k])
		if i += k + 1; i > len(s) {
			break
		}
		f := formatSpec{fill: " ", align: '>', precision: -1}
		byte1 := func() byte {
			if i >= len(s) {
				fail(0, "the format %s ends early", r.repr(s))
			}
			return s[i]
		}
		if byte1() == '%' {
			b.WriteByte('%')
			i++
			continue
		}
		var v value
		if byte1() == '(' {
			if byName == nil {
				fail(0, "the format needs a dict")
			}
			depth, from := 1, i+1
			for i++; depth > 0; i++ {
				switch byte1() {
				case '(':
					depth++
				case ')':
					depth--
				}
			}
			key := s[from : i-1]
			var ok bool
			if v, ok = byName.get(r, key); !ok {
				fail(0, "the format's dict has no key %s", r.repr(key))
			}
		}
		for ; strings.IndexByte("-+ #0", byte1()) >= 0; i++ {
			switch s[i] {
			case '-':
				f.align = '<'
			case '+':
				f.sign = '+'
			case ' ':
				if f.sign == 0 {
					f.sign = ' '
				}
			case '#':
				f.alternate = true
			case '0':
				f.fill = "0"
			}
		}
		number := func() int {
			if byte1() == '*' {
				i++
				n := needInteger("a format's *", next())
				if n > maxWidth || n < -maxWidth {
					fail(0, "%w: a format is wider than %d", ErrLimit, maxWidth)
				}
				return int(n)
			}
			n := 0
			for ; byte1() >= '0' && s[i] <= '9'; i++ {
				if n = n*10 + int(s[i]-'0'); n > maxWidth {
					fail(0, "%w: a format is wider than %d", ErrLimit, maxWidth)
				}
			}
			return n
		}
		if f.width = number(); f.width < 0 {
			f.width, f.align = -f.width, '<'
		}
		if byte1() == '.' {
			i++
			f.precision = max(0, number())
		}
		for strings.IndexByte("hlL", byte1()) >= 0 {
			i++
		}
		verb, n := utf8.DecodeRuneInString(s[i:])
		i += n
		if v == nil {
			v = next()
		}
		b.WriteString(r.percentOne(f, verb, v, isMarkup))
	}
	if used < len(items) && !spare {
		fail(0, "not all values were used by the format %s", r.repr(s))
	}
	return like(self, b.String())
}

// percentOne formats one value for the verb of a % format.
func (r *renderer) percentOne(f formatSpec, verb rune, v value, escaped bool) string {
	switch verb {
	case 's', 'r', 'a':
		text := ""
		switch {
		case verb == 's' && escaped:
			text = string(r.escape(v))
		case verb == 's':
			text = r.str(v)
		default:
			text = r.repr(v)
			if verb == 'a' {
				text = r.ascii(text)
			}
			if escaped {
				text = string(r.escape(text))
			}
		}
		f.fill = " "
		return r.formatText(f, text)
	case 'c':
		if s, ok := text(v); ok && runeCount(s) == 1 {
			f.fill = " "
			return r.formatText(f, s)
		}
		n := needInteger("%c", v)
		if n < 0 || n > unicode.MaxRune {
			fail(0, "%%c needs a character")
		}
		f.fill = " "
		return r.formatText(f, string(rune(n)))
	}
	if f.align == '<' {
		f.fill = " "
	} else if f.fill == "0" {
		f.align = '='
	}
	checkDefined(v)
	if !isNumber(v) {
		fail(0, "%%%c needs a number, not %s", verb, typeName(v))
	}
	switch verb {
	case 'd', 'i', 'u':
		if x, ok := v.(float64); ok {
			v = truncate(x)
		}
		f.verb = 'd'
		return r.formatInteger(f, v, true)
	case 'x', 'X', 'o':
		if _, ok := v.(float64); ok {
			fail(0, "%%%c needs an integer, not float", verb)
		}
		f.verb = byte(verb)
		return r.formatInteger(f, v, true)
	case 'e', 'E', 'f', 'F', 'g', 'G':
		f.verb = byte(verb)
		return r.formatFloat(f, float(v))
	}
	fail(0, "the format character %q is not supported", verb)
	return ""
}
