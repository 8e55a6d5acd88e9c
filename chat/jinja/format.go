package jinja

// Formatting with "{}".format(x), and Python's format specifications.

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
)

// maxWidth bounds the width and precision of a format.
const maxWidth = 1 << 20

// truncate is Python's int(f).
func truncate(f float64) value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		fail(0, "%s cannot be made an integer", formatFloat(f))
	}
	b, _ := big.NewFloat(f).Int(nil)
	return normal(b)
}

// ascii escapes what repr left outside ASCII.
func (r *renderer) ascii(s string) string {
	var b strings.Builder
	for _, c := range s {
		b.WriteString(r.made(c, func(c rune) string {
			switch {
			case c < 0x80:
				return string(c)
			case c < 0x100:
				return `\x` + hex(uint64(c), 2)
			case c < 0x10000:
				return `\u` + hex(uint64(c), 4)
			}
			return `\U` + hex(uint64(c), 8)
		}))
	}
	return b.String()
}

// formatSpec is [[fill]align][sign][#][0][width][grouping][.precision][type].
type formatSpec struct {
	fill      string
	align     byte // '<', '>', '^', '=' (between sign and digits), 0: by type
	sign      byte // '+', '-', ' ' or 0
	alternate bool
	width     int
	group     string // "," or "_"
	precision int    // -1: none
	verb      byte   // 0: none
}

// parseSpec reads the specification of "{:spec}".
func parseSpec(spec string) formatSpec {
	f := formatSpec{fill: " ", precision: -1}
	s := spec
	if s != "" {
		if n := runeLen(s); n < len(s) && strings.IndexByte("<>=^", s[n]) >= 0 {
			f.fill, f.align = s[:n], s[n]
			s = s[n+1:]
		} else if strings.IndexByte("<>=^", s[0]) >= 0 {
			f.align = s[0]
			s = s[1:]
		}
	}
	take := func(set string) byte {
		if s != "" && strings.IndexByte(set, s[0]) >= 0 {
			c := s[0]
			s = s[1:]
			return c
		}
		return 0
	}
	f.sign = take("+- ")
	f.alternate = take("#") != 0
	if take("0") != 0 && f.align == 0 {
		f.fill, f.align = "0", '='
	}
	number := func() int {
		n := digits(s, 10)
		v, err := strconv.Atoi(strings.ReplaceAll(s[:n], "_", ""))
		if err != nil || v > maxWidth {
			fail(0, "%w: a format is wider than %d", ErrLimit, maxWidth)
		}
		s = s[n:]
		return v
	}
	if s != "" && s[0] >= '0' && s[0] <= '9' {
		f.width = number()
	}
	if c := take(",_"); c != 0 {
		f.group = string(c)
	}
	if take(".") != 0 {
		if s == "" || s[0] < '0' || s[0] > '9' {
			fail(0, "the format %q has no precision after its point", spec)
		}
		f.precision = number()
	}
	if len(s) == 1 {
		f.verb = s[0]
		s = ""
	}
	if s != "" {
		fail(0, "the format %q is not valid", spec)
	}
	return f
}

// formatValue is Python's format(v, spec).
func (r *renderer) formatValue(v value, spec string) string {
	if spec == "" {
		return r.str(v)
	}
	f := parseSpec(spec)
	switch x := v.(type) {
	case string, markup:
		if f.verb != 0 && f.verb != 's' || f.sign != 0 || f.align == '=' && f.fill != "0" || f.group != "" || f.alternate {
			fail(0, "the format %q does not fit a string", spec)
		}
		if f.align == '=' {
			f.align = '<'
		}
		s, _ := text(x)
		return r.formatText(f, s)
	case float64:
		return r.formatFloat(f, x)
	case bool, int64, *big.Int:
		if strings.IndexByte("eEfFgG%", f.verb) >= 0 && f.verb != 0 {
			return r.formatFloat(f, float(x))
		}
		return r.formatInteger(f, x, false)
	}
	fail(0, "a %s takes no format, not %q", typeName(v), spec)
	return ""
}

// formatText cuts s to the precision and pads it to the width.
func (r *renderer) formatText(f formatSpec, s string) string {
	if f.precision >= 0 {
		s = s[:byteOffset(s, f.precision)]
	}
	if f.align == 0 {
		f.align = '<'
	}
	return r.pad(f, "", s)
}

// pad fills prefix+s up to the width.
func (r *renderer) pad(f formatSpec, prefix, s string) string {
	missing := int64(f.width - runeCount(prefix) - runeCount(s))
	r.allocate(len(s))
	switch f.align {
	case '<':
		return prefix + s + r.repeat(f.fill, missing)
	case '^':
		return r.repeat(f.fill, missing/2) + prefix + s + r.repeat(f.fill, missing-missing/2)
	case '=':
		return prefix + r.repeat(f.fill, missing) + s
	}
	return r.repeat(f.fill, missing) + prefix + s
}

// signOf gives the sign to print.
func (f formatSpec) signOf(negative bool) string {
	switch {
	case negative:
		return "-"
	case f.sign == '+':
		return "+"
	case f.sign == ' ':
		return " "
	}
	return ""
}

// formatInteger writes an integer; percent formats may have a precision, the least number of digits.
func (r *renderer) formatInteger(f formatSpec, v value, percent bool) string {
	b := bigOf(v)
	prefix := f.signOf(b.Sign() < 0)
	abs := new(big.Int).Abs(b)
	if f.precision >= 0 && !percent {
		fail(0, "a precision does not fit an integer")
	}
	digits, every := "", 3
	switch f.verb {
	case 0, 'd', 'n':
		digits = abs.String()
	case 'b', 'o', 'x', 'X':
		digits = abs.Text(map[byte]int{'b': 2, 'o': 8, 'x': 16, 'X': 16}[f.verb])
		every = 4
		if f.alternate {
			prefix += "0" + string(f.verb)
		}
		if f.verb == 'X' {
			digits = strings.ToUpper(digits)
		}
		if f.group == "," {
			fail(0, "the format cannot group %q digits with ','", f.verb)
		}
	case 'c':
		n := needInteger("the format c", v)
		if n < 0 || n > unicode.MaxRune {
			fail(0, "the format c needs a character")
		}
		digits, prefix = string(rune(n)), ""
	default:
		fail(0, "the format %q does not fit an integer", f.verb)
	}
	if f.precision > len(digits) {
		digits = r.repeat("0", int64(f.precision-len(digits))) + digits
	}
	if f.align == 0 {
		f.align = '>'
	}
	return r.pad(f, prefix, r.grouped(f, digits, every, len(prefix)))
}

// grouped puts separators into digits; zeros that fill up the width are grouped too.
func (r *renderer) grouped(f formatSpec, digits string, every, prefix int) string {
	if f.group == "" {
		return digits
	}
	whole, rest := digits, ""
	if i := strings.IndexAny(digits, ".eE"); i >= 0 && every == 3 { // an e among hexadecimal digits is none
		whole, rest = digits[:i], digits[i:]
	}
	if f.align == '=' && f.fill == "0" {
		for len(whole)+(len(whole)-1)/every+len(rest)+prefix < f.width {
			r.step(1)
			whole = "0" + whole
		}
	}
	var b strings.Builder
	for i := range len(whole) {
		if i > 0 && (len(whole)-i)%every == 0 {
			b.WriteString(f.group)
		}
		b.WriteByte(whole[i])
	}
	return b.String() + rest
}

func (r *renderer) formatFloat(f formatSpec, x float64) string {
	prefix := f.signOf(math.Signbit(x) && !math.IsNaN(x))
	x = math.Abs(x)
	r.allocate(max(0, f.precision))
	if f.align == 0 {
		f.align = '>'
	}
	percent := f.verb == '%'
	if percent {
		x *= 100
		f.verb = 'f'
	}
	var s string
	switch {
	case math.IsInf(x, 0):
		s = "inf"
	case math.IsNaN(x):
		s = "nan"
	default:
		s = r.floatDigits(f, x)
		s = r.grouped(f, s, 3, len(prefix))
	}
	if f.verb == 'E' || f.verb == 'F' || f.verb == 'G' {
		s = strings.ToUpper(s)
	}
	if percent {
		s += "%"
	}
	return r.pad(f, prefix, s)
}

// floatDigits writes a finite x that is not negative.
func (r *renderer) floatDigits(f formatSpec, x float64) string {
	p := f.precision
	switch f.verb {
	case 0:
		if p < 0 {
			return formatFloat(x)
		}
		s := general(x, max(1, p), f.alternate, true)
		return s
	case 'e', 'E', 'f', 'F':
		if p < 0 {
			p = 6
		}
		s := strconv.FormatFloat(x, f.verb|0x20, p, 64)
		if p == 0 && f.alternate {
			if i := strings.IndexByte(s, 'e'); i >= 0 {
				return s[:i] + "." + s[i:]
			}
			return s + "."
		}
		return s
	case 'g', 'G', 'n':
		if p < 0 {
			p = 6
		}
		return general(x, max(1, p), f.alternate, false)
	}
	fail(0, "the format %q does not fit a float", f.verb)
	return ""
}

// general writes p significant digits as %g does; repr keeps ".0" and turns to an exponent one digit earlier, as a
// format without a type does.
func general(x float64, p int, alternate, repr bool) string {
	e := strconv.FormatFloat(x, 'e', p-1, 64)
	i := strings.IndexByte(e, 'e')
	exponent, _ := strconv.Atoi(e[i+1:])
	limit := p
	if repr {
		limit = p - 1
		if p == 1 {
			limit = 1
		}
	}
	trim := func(s string) string {
		if alternate || !strings.Contains(s, ".") {
			return s
		}
		return strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	if exponent < -4 || exponent >= limit {
		return trim(e[:i]) + e[i:]
	}
	s := trim(strconv.FormatFloat(x, 'f', p-1-exponent, 64))
	if repr && !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// format is self.format(...).
func (r *renderer) format(self value, a args) value {
	s, _ := text(self)
	_, isMarkup := self.(markup)
	f := &formatter{r: r, a: a, escaped: isMarkup}
	return like(self, f.expand(s, 3))
}

type formatter struct {
	r       *renderer
	a       args
	auto    int // next of the fields without a number
	manual  bool
	escaped bool
}

// expand replaces the fields {name!conversion:spec} of s; a spec may have fields itself, levels deep.
func (f *formatter) expand(s string, levels int) string {
	if levels == 0 {
		fail(0, "the fields of a format are nested too deep")
	}
	var b strings.Builder
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			i = len(s)
		}
		f.r.allocate(i)
		b.WriteString(s[:i])
		if i == len(s) {
			break
		}
		c := s[i]
		s = s[i+1:]
		if s != "" && s[0] == c {
			b.WriteByte(c)
			s = s[1:]
			continue
		}
		if c == '}' {
			fail(0, "a single '}' stands in the format")
		}
		depth, end := 1, -1
		for k := range len(s) {
			if s[k] == '{' {
				depth++
			} else if s[k] == '}' {
				if depth--; depth == 0 {
					end = k
					break
				}
			}
		}
		if end < 0 {
			fail(0, "a '{' in the format is not closed")
		}
		b.WriteString(f.field(s[:end], levels))
		s = s[end+1:]
	}
	return b.String()
}

func (f *formatter) field(s string, levels int) string {
	// The name ends at the first ! or : outside brackets.
	end, inside := len(s), false
	for k := range len(s) {
		if s[k] == '[' {
			inside = true
		} else if s[k] == ']' {
			inside = false
		} else if !inside && (s[k] == '!' || s[k] == ':') {
			end = k
			break
		}
	}
	name, rest := s[:end], s[end:]
	v := f.lookup(name)
	if strings.HasPrefix(rest, "!") {
		if len(rest) < 2 || len(rest) > 2 && rest[2] != ':' {
			fail(0, "the conversion %q of a format is not valid", rest)
		}
		switch rest[1] {
		case 's':
			v = f.r.str(v)
		case 'r':
			v = f.r.repr(v)
		case 'a':
			v = f.r.ascii(f.r.repr(v))
		default:
			fail(0, "the conversion %q of a format is not known", rest[:2])
		}
		rest = rest[2:]
	}
	spec := ""
	if rest != "" {
		spec = f.expand(rest[1:], levels-1)
	}
	text := ""
	if m, ok := v.(markup); ok && f.escaped {
		if spec != "" {
			fail(0, "Markup takes no format, not %q", spec)
		}
		text = string(m)
	} else if text = f.r.formatValue(v, spec); f.escaped {
		text = string(f.r.escape(text))
	}
	f.r.allocate(len(text))
	return text
}

// lookup finds what a field name such as 0.a[b] means.
func (f *formatter) lookup(name string) value {
	end := strings.IndexAny(name, ".[")
	if end < 0 {
		end = len(name)
	}
	first, rest := name[:end], name[end:]
	var v value
	n, err := strconv.Atoi(first)
	switch {
	case first == "":
		if f.manual {
			fail(0, "a format mixes {} and {0}")
		}
		n = f.auto
		f.auto++
	case err == nil && n >= 0 && first[0] != '+':
		if f.auto > 0 {
			fail(0, "a format mixes {} and {0}")
		}
		f.manual = true
	default:
		f.r.step(len(f.a.named))
		for _, a := range f.a.named {
			if a.name == first {
				v = a.v
			}
		}
		if v == nil {
			fail(0, "the format needs the argument %q", first)
		}
	}
	if v == nil {
		if n >= len(f.a.pos) {
			fail(0, "the format needs more than %d arguments", len(f.a.pos))
		}
		v = f.a.pos[n]
	}
	for rest != "" {
		if rest[0] == '.' {
			end := strings.IndexAny(rest[1:], ".[") + 1
			if end == 0 {
				end = len(rest)
			}
			if end == 1 {
				fail(0, "a format has an empty attribute")
			}
			v = f.r.getAttr(v, rest[1:end])
			rest = rest[end:]
			continue
		}
		end := strings.IndexByte(rest, ']')
		if rest[0] != '[' || end < 2 {
			fail(0, "the field %q of a format is not valid", name)
		}
		var key value = rest[1:end]
		if n, err := strconv.ParseInt(rest[1:end], 10, 64); err == nil && rest[1] != '+' && rest[1] != '-' {
			key = n
		}
		v = f.r.getItem(v, key)
		rest = rest[end+1:]
	}
	return v
}
