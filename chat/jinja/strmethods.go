package jinja

// The methods of text. On Markup they give Markup and escape what they put in, as markupsafe does.

import (
	"slices"
	"strings"
	"unicode"
)

// textMethod gives a method of str, nil if there is none of that name.
func textMethod(name string) method {
	switch name {
	case "upper", "lower", "title", "capitalize", "swapcase", "casefold":
		return func(r *renderer, self value, a args) value {
			a.positional(name, 0, 0)
			s, _ := text(self)
			r.allocate(len(s))
			return like(self, r.changed(s, func(s string) string { return cased(name, s) }))
		}
	case "strip", "lstrip", "rstrip":
		return func(r *renderer, self value, a args) value {
			return r.strip(name, self, a.positional(name, 0, 1)[0])
		}
	case "split", "rsplit":
		return func(r *renderer, self value, a args) value {
			p := a.bind(name, "sep", "maxsplit")
			s, _ := text(self)
			most := int64(-1)
			if p[1] != nil {
				most = needInteger(name, p[1])
			}
			return r.texts(self, r.split(s, p[0], most, name == "rsplit"))
		}
	case "splitlines":
		return func(r *renderer, self value, a args) value {
			p := a.bind(name, "keepends")
			s, _ := text(self)
			return r.texts(self, r.splitLines(s, truth(p[0])))
		}
	case "partition", "rpartition":
		return func(r *renderer, self value, a args) value {
			s, _ := text(self)
			sep := needText(name, a.positional(name, 1, 1)[0])
			if sep == "" {
				fail(0, "%s: the separator is empty", name)
			}
			t, by := r.read(s), r.plain(sep)
			lo := strings.Index(t.plain, by)
			if name == "rpartition" {
				lo = strings.LastIndex(t.plain, by)
			}
			hi := lo + len(by)
			switch {
			case lo < 0 && name == "partition":
				lo, hi = len(t.plain), len(t.plain)
			case lo < 0:
				lo, hi = 0, 0
			}
			return &tuple{[]value{like(self, t.cut(0, lo)), like(self, t.cut(lo, hi)), like(self, t.cut(hi, len(t.plain)))}}
		}
	case "startswith", "endswith":
		has := strings.HasPrefix
		if name == "endswith" {
			has = strings.HasSuffix
		}
		return func(r *renderer, self value, a args) value {
			p := a.positional(name, 1, 3)
			s, _ := text(self)
			s, ok := r.part(s, p[1], p[2])
			s = r.plain(s)
			affixes := []value{p[0]}
			if t, ok := p[0].(*tuple); ok {
				affixes = t.items
			}
			for _, affix := range affixes {
				r.step(1)
				if x := r.plain(needText(name, affix)); ok && has(s, x) {
					return true
				}
			}
			return false
		}
	case "removeprefix", "removesuffix":
		return func(r *renderer, self value, a args) value {
			s, _ := text(self)
			t, x := r.read(s), r.plain(needText(name, a.positional(name, 1, 1)[0]))
			lo, hi := 0, len(t.plain)
			switch {
			case name == "removeprefix" && strings.HasPrefix(t.plain, x):
				lo = len(x)
			case name == "removesuffix" && strings.HasSuffix(t.plain, x):
				hi -= len(x)
			}
			return like(self, t.cut(lo, hi))
		}
	case "replace":
		return func(r *renderer, self value, a args) value {
			p := a.positional(name, 2, 3)
			s, _ := text(self)
			most := int64(-1)
			if p[2] != nil {
				most = needInteger(name, p[2])
			}
			old, by := needText(name, p[0]), needText(name, p[1])
			if _, ok := self.(markup); ok {
				by = string(r.escape(p[1]))
			}
			return like(self, r.replace(s, old, by, most))
		}
	case "find", "rfind", "index", "rindex", "count":
		return func(r *renderer, self value, a args) value {
			s, _ := text(self)
			p := a.positional(name, 1, 3)
			return r.find(name, s, needText(name, p[0]), p[1], p[2])
		}
	case "join":
		return func(r *renderer, self value, a args) value {
			p := a.positional(name, 1, 1)
			sep, _ := text(self)
			_, isMarkup := self.(markup)
			var b strings.Builder
			it := r.mustIterate(p[0])
			for i := 0; ; i++ {
				v, ok := it.next()
				if !ok {
					return like(self, b.String())
				}
				s := ""
				if isMarkup {
					s = string(r.escape(v))
				} else {
					s = needText("join", v)
				}
				if i > 0 {
					s = sep + s
				}
				r.allocate(len(s))
				b.WriteString(s)
			}
		}
	case "format":
		return func(r *renderer, self value, a args) value { return r.format(self, a) }
	case "format_map":
		return func(r *renderer, self value, a args) value {
			d, ok := a.positional(name, 1, 1)[0].(*dict)
			if !ok {
				fail(0, "format_map needs a dict")
			}
			var with args
			for i, k := range d.keys {
				with.named = append(with.named, named{needText(name, k), d.vals[i]})
			}
			return r.format(self, with)
		}
	case "center", "ljust", "rjust":
		return func(r *renderer, self value, a args) value {
			p := a.positional(name, 1, 2)
			fill := " "
			if p[1] != nil {
				if fill = needText(name, p[1]); runeCount(fill) != 1 {
					fail(0, "%s: the fill must be one character", name)
				}
			}
			s, _ := text(self)
			return like(self, r.justify(name, s, fill, needInteger(name, p[0])))
		}
	case "zfill":
		return func(r *renderer, self value, a args) value {
			s, _ := text(self)
			n := needInteger(name, a.positional(name, 1, 1)[0])
			sign := ""
			r.step(len(s) / bytesPerStep)
			if s != "" && strings.ContainsAny(r.plain(s[:runeLen(s)]), "-+") {
				sign = s[:runeLen(s)]
			}
			return like(self, sign+r.repeat("0", n-int64(runeCount(s)))+s[len(sign):])
		}
	case "expandtabs":
		return func(r *renderer, self value, a args) value {
			p := a.bind(name, "tabsize")
			size := int64(8)
			if p[0] != nil {
				size = needInteger(name, p[0])
			}
			s, _ := text(self)
			return like(self, r.expandTabs(s, size))
		}
	}
	if is := textTest(name); is != nil {
		return func(r *renderer, self value, a args) value {
			a.positional(name, 0, 0)
			s, _ := text(self)
			r.step(len(s) / bytesPerStep)
			return is(r.plain(s))
		}
	}
	return nil
}

func needText(function string, v value) string {
	s, ok := text(v)
	if !ok {
		fail(0, "%s needs a string, not %s", function, typeName(v))
	}
	return s
}

func needInteger(function string, v value) int64 {
	checkDefined(v)
	n, ok := integer(v)
	if !ok {
		fail(0, "%s needs an integer, not %s", function, typeName(v))
	}
	return n
}

// texts makes a list of parts, each of the type of self.
func (r *renderer) texts(self value, parts []string) value {
	r.allocate(valueSize * len(parts))
	l := &list{make([]value, len(parts))}
	for i, s := range parts {
		l.items[i] = like(self, s)
	}
	return l
}

// strip takes characters off the ends: those of chars, white space if chars is none.
func (r *renderer) strip(name string, self, chars value) value {
	s, _ := text(self)
	drop := isSpace
	if chars != nil && chars != (none{}) {
		set := map[rune]bool{}
		for _, c := range r.plain(needText(name, chars)) {
			r.step(1)
			set[c] = true
		}
		drop = func(c rune) bool { return set[c] }
	}
	drop = r.seen(drop)
	before := len(s)
	if name != "rstrip" {
		s = strings.TrimLeftFunc(s, drop)
	}
	if name != "lstrip" {
		s = strings.TrimRightFunc(s, drop)
	}
	r.step(before - len(s))
	return like(self, s)
}

// split cuts s at sep, or at white space if sep is none, at most so many times; from the right if right is set.
func (r *renderer) split(s string, sep value, most int64, right bool) []string {
	r.step(len(s) / bytesPerStep)
	if most < 0 {
		most = int64(len(s)) + 1
	}
	t := r.read(s)
	if sep == nil || sep == (none{}) {
		return t.cuts(r.splitSpace(t.plain, most, right))
	}
	by := r.plain(needText("split", sep))
	if by == "" {
		fail(0, "split: the separator is empty")
	}
	var parts []part
	lo, hi := 0, len(t.plain)
	for int64(len(parts)) < most {
		r.allocate(valueSize)
		if right {
			i := strings.LastIndex(t.plain[:hi], by)
			if i < 0 {
				break
			}
			parts = append(parts, part{i + len(by), hi})
			hi = i
			continue
		}
		i := strings.Index(t.plain[lo:], by)
		if i < 0 {
			break
		}
		parts = append(parts, part{lo, lo + i})
		lo += i + len(by)
	}
	parts = append(parts, part{lo, hi})
	if right {
		slices.Reverse(parts)
	}
	return t.cuts(parts)
}

// splitSpace gives the words of s; what is left after so many cuts is one.
func (r *renderer) splitSpace(s string, most int64, right bool) (parts []part) {
	lo, hi := 0, len(s)
	for {
		r.allocate(valueSize)
		if right {
			hi = len(strings.TrimRightFunc(s[:hi], isSpace))
		} else {
			lo = len(s) - len(strings.TrimLeftFunc(s[lo:], isSpace))
		}
		if lo >= hi {
			break
		}
		word := part{lo, hi}
		if int64(len(parts)) < most {
			if right {
				if i := strings.LastIndexFunc(s[:hi], isSpace); i >= 0 {
					word.lo = i + runeLen(s[i:])
				}
			} else if i := strings.IndexFunc(s[lo:], isSpace); i >= 0 {
				word.hi = lo + i
			}
		}
		parts = append(parts, word)
		if right {
			hi = word.lo
		} else {
			lo = word.hi
		}
	}
	if right {
		slices.Reverse(parts)
	}
	return parts
}

// splitLines cuts s at the line ends that Python knows.
func (r *renderer) splitLines(s string, keep bool) []string {
	t := r.read(s)
	var lines []part
	for at := 0; at < len(t.plain); {
		i := strings.IndexFunc(t.plain[at:], isLineEnd)
		r.allocate(valueSize)
		if i < 0 {
			lines = append(lines, part{at, len(t.plain)})
			break
		}
		end := at + i
		next := end + runeLen(t.plain[end:])
		if strings.HasPrefix(t.plain[end:], "\r\n") {
			next = end + 2
		}
		if keep {
			end = next
		}
		lines = append(lines, part{at, end})
		at = next
	}
	return t.cuts(lines)
}

func isLineEnd(c rune) bool {
	return c >= '\n' && c <= '\r' || c >= 0x1c && c <= 0x1e || c == 0x85 || c == 0x2028 || c == 0x2029
}

// replace is s.replace(old, by, most); most below 0 is no bound.
func (r *renderer) replace(s, old, by string, most int64) string {
	t, find := r.read(s), r.plain(old)
	n := int64(strings.Count(t.plain, find))
	if most >= 0 {
		n = min(n, most)
	}
	r.step(len(s) / bytesPerStep)
	if grow := int64(len(by)) - int64(len(old)); grow > 0 && n > int64(r.o.Memory)/grow {
		r.allocate(r.o.Memory + 1)
	}
	if n > 0 {
		r.allocate(int(int64(len(s)) + n*(int64(len(by))-int64(len(old)))))
	}
	if t.same || old == "" {
		return strings.Replace(s, find, by, int(n))
	}
	var b strings.Builder
	at := 0
	for ; n > 0; n-- {
		i := at + strings.Index(t.plain[at:], find)
		b.WriteString(t.cut(at, i) + by)
		at = i + len(find)
	}
	b.WriteString(t.cut(at, len(t.plain)))
	return b.String()
}

// part gives s[start:stop], and whether start is inside s.
func (r *renderer) part(s string, start, stop value) (string, bool) {
	if start == nil && stop == nil {
		return s, true
	}
	n := runeCount(s)
	r.step(len(s) / bytesPerStep)
	lo, hi := bounds(start, stop, n)
	if lo > hi {
		return "", false
	}
	from := byteOffset(s, lo)
	return s[from : from+byteOffset(s[from:], hi-lo)], true
}

func (r *renderer) find(name, s, sub string, start, stop value) value {
	r.step(len(s) / bytesPerStep)
	before := int64(0)
	if start != nil {
		lo, _ := bounds(start, nil, runeCount(s))
		before = int64(lo)
	}
	part, ok := r.part(r.plain(s), start, stop)
	sub = r.plain(sub)
	if name == "count" {
		if !ok {
			return int64(0)
		}
		return int64(strings.Count(part, sub))
	}
	i := -1
	if ok {
		if name[0] == 'r' {
			i = strings.LastIndex(part, sub)
		} else {
			i = strings.Index(part, sub)
		}
	}
	if i >= 0 {
		return before + int64(runeCount(part[:i]))
	}
	if name == "index" || name == "rindex" {
		fail(0, "%s: the substring is not found", name)
	}
	return int64(-1)
}

func (r *renderer) justify(name, s, fill string, width int64) string {
	r.step(len(s) / bytesPerStep)
	pad := width - int64(runeCount(s))
	if pad <= 0 {
		return s
	}
	left, right := int64(0), pad
	switch name {
	case "rjust":
		left, right = pad, 0
	case "center":
		left = pad/2 + pad&width&1 // as CPython rounds
		right = pad - left
	}
	return r.repeat(fill, left) + s + r.repeat(fill, right)
}

func (r *renderer) expandTabs(s string, size int64) string {
	var b strings.Builder
	column := int64(0)
	for _, c := range s {
		r.step(1)
		switch r.char(c) {
		case '\t':
			if size > 0 {
				n := size - column%size
				b.WriteString(r.repeat(" ", n))
				column += n
			}
			continue
		case '\n', '\r':
			column = 0
		default:
			column++
		}
		b.WriteRune(c)
	}
	return b.String()
}

// textTest gives the test of str.isalpha and its like, nil if there is none of that name.
func textTest(name string) func(s string) bool {
	all := func(is func(c rune) bool) func(string) bool {
		return func(s string) bool {
			return s != "" && strings.IndexFunc(s, func(c rune) bool { return !is(c) }) < 0
		}
	}
	switch name {
	case "isspace":
		return all(isSpace)
	case "isalpha":
		return all(unicode.IsLetter)
	case "isdecimal":
		return all(unicode.IsDigit)
	case "isdigit":
		return all(isDigit)
	case "isnumeric":
		return all(unicode.IsNumber)
	case "isalnum":
		return all(func(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) })
	case "isascii":
		return func(s string) bool { return strings.IndexFunc(s, func(c rune) bool { return c >= 0x80 }) < 0 }
	case "isprintable":
		return func(s string) bool { return strings.IndexFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) < 0 }
	case "isidentifier":
		return func(s string) bool {
			for i, c := range s {
				if c != '_' && !unicode.IsLetter(c) && (i == 0 || !unicode.IsDigit(c) && !unicode.IsMark(c)) {
					return false
				}
			}
			return s != ""
		}
	case "islower":
		return func(s string) bool { return oneCase(s, isLower, isUpper) }
	case "isupper":
		return func(s string) bool { return oneCase(s, isUpper, isLower) }
	case "istitle":
		return isTitle
	}
	return nil
}

// isDigit also takes the superscript and circled digits, which are no decimals.
func isDigit(c rune) bool {
	return unicode.IsDigit(c) || c == 0xb2 || c == 0xb3 || c == 0xb9 || c == 0x2070 || c >= 0x2074 && c <= 0x2079 ||
		c >= 0x2080 && c <= 0x2089 || c >= 0x2460 && c <= 0x2468 || c >= 0x2776 && c <= 0x277e
}

func isLower(c rune) bool { return unicode.IsLower(c) || unicode.Is(unicode.Other_Lowercase, c) }
func isUpper(c rune) bool { return unicode.IsUpper(c) || unicode.Is(unicode.Other_Uppercase, c) }

// oneCase reports that s has characters of one case and none of the other, nor a title case.
func oneCase(s string, want, other func(rune) bool) bool {
	found := false
	for _, c := range s {
		if other(c) || unicode.IsTitle(c) {
			return false
		}
		found = found || want(c)
	}
	return found
}

func isTitle(s string) bool {
	found, inWord := false, false
	for _, c := range s {
		switch {
		case isUpper(c) || unicode.IsTitle(c):
			if inWord {
				return false
			}
			inWord, found = true, true
		case isLower(c):
			if !inWord {
				return false
			}
			found = true
		default:
			inWord = false
		}
	}
	return found
}
