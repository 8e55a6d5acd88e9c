package jinja

// The filters, after jinja2/filters.py: those on text, numbers and single values. filters_seq.go has those on
// sequences.

import (
	"fmt"
	"html"
	"math"
	"math/big"
	"net/url"
	"strings"
	"unicode"
)

type filterFunc func(r *renderer, x value, a args) value

// unsupportedFilters are filters of Jinja that no chat template has use for.
var unsupportedFilters = set("pprint random urlize wordwrap xmlattr")

// filterOf gives a filter, nil if there is none of that name.
func filterOf(name string) filterFunc {
	switch name {
	case "tojson":
		return toJSON
	case "length", "count":
		return func(r *renderer, x value, a args) value {
			a.positional(name, 0, 0)
			s, _ := text(x)
			r.step(len(s) / bytesPerStep)
			n, ok := length(x)
			if !ok {
				fail(0, "a %s has no length", typeName(x))
			}
			return int64(n)
		}
	case "default", "d":
		return func(r *renderer, x value, a args) value {
			p := a.bind(name, "default_value", "boolean")
			_, missing := x.(*undefined)
			if !missing && (p[1] == nil || !truth(p[1]) || truth(x)) {
				return x
			}
			if p[0] == nil {
				return ""
			}
			return p[0]
		}
	case "trim":
		return func(r *renderer, x value, a args) value {
			return r.strip("strip", r.soft(x), a.bind(name, "chars")[0])
		}
	case "upper", "lower", "capitalize":
		return func(r *renderer, x value, a args) value {
			a.bind(name)
			x = r.soft(x)
			s, _ := text(x)
			r.allocate(len(s))
			return like(x, r.changed(s, func(s string) string { return cased(name, s) }))
		}
	case "title":
		return func(r *renderer, x value, a args) value {
			a.bind(name)
			return r.title(x)
		}
	case "string":
		return func(r *renderer, x value, a args) value {
			a.bind(name)
			return r.soft(x)
		}
	case "safe":
		return func(r *renderer, x value, a args) value {
			a.bind(name)
			return markup(r.str(x))
		}
	case "escape", "e":
		return func(r *renderer, x value, a args) value {
			a.positional(name, 0, 0)
			return r.escape(x)
		}
	case "forceescape":
		return func(r *renderer, x value, a args) value {
			a.bind(name)
			return r.escape(r.str(x))
		}
	case "replace":
		return func(r *renderer, x value, a args) value {
			p := a.need(name, 2, "old", "new", "count")
			most := int64(-1)
			if p[2] != nil && p[2] != (none{}) {
				most = needInteger(name, p[2])
			}
			return r.replace(r.str(x), r.str(p[0]), r.str(p[1]), most)
		}
	case "indent":
		return indent
	case "center":
		return func(r *renderer, x value, a args) value {
			p := a.bind(name, "width")
			width := int64(80)
			if p[0] != nil {
				width = needInteger(name, p[0])
			}
			x = r.soft(x)
			s, _ := text(x)
			return like(x, r.justify("center", s, " ", width))
		}
	case "truncate":
		return truncated
	case "wordcount":
		return func(r *renderer, x value, a args) value {
			a.bind(name)
			s := r.plain(r.str(x))
			r.step(len(s) / bytesPerStep)
			return int64(len(strings.FieldsFunc(s, func(c rune) bool {
				return c != '_' && !unicode.IsLetter(c) && !unicode.IsNumber(c)
			})))
		}
	case "striptags":
		return func(r *renderer, x value, a args) value {
			a.bind(name)
			return r.changed(r.str(x), r.stripTags)
		}
	case "urlencode":
		return func(r *renderer, x value, a args) value {
			a.bind(name)
			return r.urlEncode(x)
		}
	case "filesizeformat":
		return fileSize
	case "format":
		return func(r *renderer, x value, a args) value {
			if len(a.pos) > 0 && len(a.named) > 0 {
				fail(0, "format takes either positional or named arguments")
			}
			x = r.soft(x)
			s, _ := text(x)
			if len(a.named) == 0 {
				return r.percent(x, s, &tuple{a.pos})
			}
			d := newDict(len(a.named))
			for _, n := range a.named {
				d.set(r, n.name, n.v)
			}
			return r.percent(x, s, d)
		}
	case "int":
		return toInt
	case "float":
		return func(r *renderer, x value, a args) value {
			p := a.bind(name, "default")
			if f, ok := r.parseFloat(x); ok {
				return f
			}
			if p[0] != nil {
				return p[0]
			}
			return 0.0
		}
	case "abs":
		return func(r *renderer, x value, a args) value {
			a.positional(name, 0, 0)
			switch x := x.(type) {
			case float64:
				return math.Abs(x)
			case bool, int64, *big.Int:
				return normal(new(big.Int).Abs(bigOf(x)))
			}
			fail(0, "abs needs a number, not %s", typeName(x))
			return nil
		}
	case "round":
		return round
	case "attr":
		return func(r *renderer, x value, a args) value {
			attr := needText(name, a.need(name, 1, "name")[0])
			checkDefined(x)
			v, unsafe := r.attribute(x, attr)
			if v != nil || unsafe {
				return r.getAttr(x, attr)
			}
			return missing(x, attr)
		}
	}
	return sequenceFilter(name)
}

// need is bind where the first arguments must be given.
func (a args) need(function string, need int, names ...string) []value {
	p := a.bind(function, names...)
	for i := range need {
		if p[i] == nil {
			fail(0, "%s needs the argument %q", function, names[i])
		}
	}
	return p
}

// title begins every word in upper case; words are cut at white space and -({[<.
func (r *renderer) title(x value) value {
	x = r.soft(x)
	s, _ := text(x)
	r.allocate(len(s))
	return r.changed(s, titled) // plain also if x is Markup
}

func titled(s string) string {
	var b strings.Builder
	cut := func(c rune) bool { return isSpace(c) || strings.ContainsRune("-({[<", c) }
	for s != "" {
		end := strings.IndexFunc(s, cut)
		if end == 0 {
			n := runeLen(s)
			b.WriteString(s[:n])
			s = s[n:]
			continue
		}
		if end < 0 {
			end = len(s)
		}
		n := runeLen(s)
		b.WriteString(upper(s[:n]) + lower(s[n:end]))
		s = s[end:]
	}
	return b.String()
}

func indent(r *renderer, x value, a args) value {
	p := a.bind("indent", "width", "first", "blank")
	s, ok := text(x)
	if !ok {
		checkDefined(x)
		fail(0, "indent needs a string, not %s", typeName(x))
	}
	by := "    "
	if p[0] != nil {
		if by, ok = text(p[0]); !ok {
			by = r.repeat(" ", needInteger("indent", p[0]))
		}
	}
	lines := r.splitLines(s+"\n", false)
	var b strings.Builder
	if p[1] != nil && truth(p[1]) {
		b.WriteString(by)
	}
	for i, line := range lines {
		if i > 0 {
			b.WriteByte('\n')
			if line != "" || p[2] != nil && truth(p[2]) {
				r.allocate(len(by))
				b.WriteString(by)
			}
		}
		r.allocate(len(line) + 1)
		b.WriteString(line)
	}
	return like(x, b.String())
}

func truncated(r *renderer, x value, a args) value {
	p := a.bind("truncate", "length", "killwords", "end", "leeway")
	size, end, leeway := int64(255), "...", int64(5)
	if p[0] != nil {
		size = needInteger("truncate", p[0])
	}
	if p[2] != nil {
		end = needText("truncate", p[2])
	}
	if p[3] != nil && p[3] != (none{}) {
		leeway = needInteger("truncate", p[3])
	}
	keep := size - int64(runeCount(end))
	if keep < 0 || leeway < 0 {
		fail(0, "truncate: the length must hold the end and the leeway cannot be negative")
	}
	n, ok := length(x)
	if !ok {
		fail(0, "truncate needs a string, not %s", typeName(x))
	}
	if int64(n) <= size+leeway {
		return x
	}
	s := needText("truncate", x)
	s = s[:byteOffset(s, int(keep))]
	if p[1] == nil || !truth(p[1]) {
		if i := strings.LastIndexFunc(s, r.seen(func(c rune) bool { return c == ' ' })); i >= 0 {
			s = s[:i]
		}
	}
	return r.join(like(x, s), end)
}

// stripTags removes tags and comments, joins white space and resolves the entities that escape makes.
func (r *renderer) stripTags(s string) string {
	var b strings.Builder
	rest := s
	for {
		i := strings.IndexByte(rest, '<')
		if i < 0 {
			break
		}
		var n int
		if strings.HasPrefix(rest[i:], "<!--") {
			if n = strings.Index(rest[i+4:], "-->"); n < 0 {
				break
			}
			n += 7
		} else {
			if n = strings.IndexByte(rest[i:], '>'); n < 0 {
				break
			}
			n++
		}
		b.WriteString(rest[:i])
		rest = rest[i+n:]
	}
	b.WriteString(rest)
	r.allocate(b.Len())
	return html.UnescapeString(strings.Join(strings.FieldsFunc(b.String(), isSpace), " "))
}

// urlEncode quotes text, or joins pairs into a query.
func (r *renderer) urlEncode(x value) value {
	quote := func(v value, query bool) string {
		s := r.changed(r.str(v), func(s string) string {
			s = strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
			s = strings.ReplaceAll(s, "%7E", "~")
			if query {
				return strings.ReplaceAll(s, "%20", "+")
			}
			return strings.ReplaceAll(s, "%2F", "/")
		})
		r.allocate(len(s))
		return s
	}
	it, ok := r.iterate(x)
	if _, isText := text(x); isText || !ok {
		return quote(x, false)
	}
	if d, ok := x.(*dict); ok {
		it, _ = r.iterate(&view{d, "items"})
	}
	var parts []string
	for pair, ok := it.next(); ok; pair, ok = it.next() {
		kv := r.collect(pair)
		if len(kv) != 2 {
			fail(0, "urlencode needs pairs")
		}
		parts = append(parts, quote(kv[0], true)+"="+quote(kv[1], true))
	}
	return strings.Join(parts, "&")
}

func fileSize(r *renderer, x value, a args) value {
	p := a.bind("filesizeformat", "binary")
	bytes, ok := r.parseFloat(x)
	if !ok {
		fail(0, "filesizeformat needs a number, not %s", typeName(x))
	}
	base, unit := 1000.0, "B"
	if p[0] != nil && truth(p[0]) {
		base, unit = 1024, "iB"
	}
	switch {
	case bytes == 1:
		return "1 Byte"
	case bytes < base:
		return fmt.Sprintf("%d Bytes", int64(bytes))
	}
	prefixes := "kMGTPEZY"
	if base == 1024 {
		prefixes = "KMGTPEZY"
	}
	next := base * base
	for i := range len(prefixes) {
		if bytes < next || i == len(prefixes)-1 {
			return fmt.Sprintf("%.1f %c%s", base*bytes/next, prefixes[i], unit)
		}
		next *= base
	}
	return nil
}
