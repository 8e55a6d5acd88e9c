package jinja

// What of the output is the caller's data, whatever the template did with it.
//
// A template cuts, joins and repeats text as it likes, and its output is one string. So that the words of people can be
// told from the template's own in it, every character of them that matters is replaced by a mark before: a character of
// the private use planes that occurs nowhere in the data. A mark goes wherever its character would have gone. The
// template does not see it: what it compares, searches and tests is read with the marks taken for their characters, and
// where it makes one text of another (upper case, escapes), what came of marks is marked.
//
// The characters that matter are those of the control tokens, in both cases. A token in the output that has no mark in
// it was therefore spelled by the template, all of it.

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Marks tell data from the template's own text. They do not change, so that renderings can share them.
type Marks struct {
	first rune          // marks are first, first+1, ...
	chars []rune        // what they stand for
	of    map[rune]rune // character to mark
}

// firstPrivate is where the private use planes begin. Nothing else in UTF-8 begins with the bytes F3 and F4.
const firstPrivate = 0xF0000

// NewMarks makes marks for the characters of the tokens, out of those that do not occur in the data.
func NewMarks(tokens []string, data ...Value) (*Marks, error) {
	m := &Marks{of: map[rune]rune{}}
	for _, t := range tokens {
		for _, c := range t {
			m.add(c)
			for other := unicode.SimpleFold(c); other != c; other = unicode.SimpleFold(other) {
				m.add(other)
			}
			if c == 'i' || c == 'I' {
				m.add('ı') // upper case makes I of it, folding does not
			}
		}
	}
	used := map[rune]bool{}
	for _, v := range data {
		eachText(v.v, func(s string) {
			for _, c := range s {
				if c >= firstPrivate {
					used[c] = true
				}
			}
		})
	}
	m.first = firstPrivate
	for c := rune(firstPrivate); c < m.first+rune(len(m.chars))+1; c++ { // one more: End
		if used[c] {
			m.first = c + 1
		}
		if c > utf8.MaxRune {
			return nil, errors.New("jinja: the data uses so much of the private use planes that nothing is left to mark it with")
		}
	}
	for i, c := range m.chars {
		m.of[c] = m.first + rune(i)
	}
	return m, nil
}

func (m *Marks) add(c rune) {
	if _, known := m.of[c]; !known {
		m.of[c] = 0
		m.chars = append(m.chars, c)
	}
}

// eachText calls f with every text in data, keys too.
func eachText(v value, f func(string)) {
	switch v := v.(type) {
	case string:
		f(v)
	case *list:
		for _, item := range v.items {
			eachText(item, f)
		}
	case *dict:
		for i, k := range v.keys {
			eachText(k, f)
			eachText(v.vals[i], f)
		}
	}
}

// End is a character that occurs nowhere in the data and is no mark: to see in the output where a text ends.
func (m *Marks) End() rune { return m.first + rune(len(m.chars)) }

// Mark gives data of FromJSON with all its text marked, but what own says is the template's own: it is asked for the
// values of objects, with the depth of the object (0: the data itself) and the key.
func (m *Marks) Mark(v Value, own func(depth int, key, text string) bool) Value {
	return Value{m.value(v.v, 0, own)}
}

func (m *Marks) value(v value, depth int, own func(int, string, string) bool) value {
	switch v := v.(type) {
	case string:
		return m.text(v)
	case *list:
		l := &list{items: make([]value, len(v.items))}
		for i, item := range v.items {
			l.items[i] = m.value(item, depth+1, own)
		}
		return l
	case *dict:
		d := &dict{keys: make([]value, len(v.keys)), vals: make([]value, len(v.vals)), index: v.index} // found without marks
		for i, k := range v.keys {
			key, _ := k.(string)
			d.keys[i] = m.text(key)
			if s, ok := v.vals[i].(string); ok && own(depth, key, s) {
				d.vals[i] = s
			} else {
				d.vals[i] = m.value(v.vals[i], depth+1, own)
			}
		}
		return d
	}
	return v
}

// text marks a text.
func (m *Marks) text(s string) string {
	return strings.Map(func(c rune) rune {
		if mark, ok := m.of[c]; ok {
			return mark
		}
		return c
	}, s)
}

// char gives what c stands for, and whether it is a mark.
func (m *Marks) char(c rune) (rune, bool) {
	if m == nil || c < m.first || c >= m.End() {
		return c, false
	}
	return m.chars[c-m.first], true
}

// Split gives the output in parts: the template's own text, and what is of the data. Characters that no mark is for are
// of the data where they stand behind some that are.
func (m *Marks) Split(out string, part func(s string, data bool)) {
	var b strings.Builder
	data := false
	for _, c := range out {
		is, marked := m.char(c)
		if _, matters := m.of[c]; marked != data && (marked || matters) {
			if b.Len() > 0 {
				part(b.String(), data)
				b.Reset()
			}
			data = marked
		}
		b.WriteRune(is)
	}
	if b.Len() > 0 {
		part(b.String(), data)
	}
}

// marked tells whether marks may be in s.
func (m *Marks) marked(s string) bool {
	return m != nil && private(s) && strings.ContainsFunc(s, func(c rune) bool { _, is := m.char(c); return is })
}

// private tells whether characters of the private use planes may be in s.
func private(s string) bool {
	return strings.IndexByte(s, 0xf3) >= 0 || strings.IndexByte(s, 0xf4) >= 0
}

// plain gives s as the template sees it.
func (r *renderer) plain(s string) string {
	if r == nil || !r.marks.marked(s) {
		return s
	}
	r.step(len(s) / bytesPerStep)
	return r.marks.plain(s)
}

func (m *Marks) plain(s string) string {
	return strings.Map(func(c rune) rune { c, _ = m.char(c); return c }, s)
}

// char gives a character as the template sees it.
func (r *renderer) char(c rune) rune {
	c, _ = r.marks.char(c)
	return c
}

// seen is f over characters as the template sees them.
func (r *renderer) seen(f func(rune) bool) func(rune) bool {
	return func(c rune) bool { return f(r.char(c)) }
}

// changed applies f, which makes one text of another, to s as the template sees it. Where it gives as many characters,
// those that stand for marks are marked, else all.
func (r *renderer) changed(s string, f func(string) string) string {
	out := f(r.plain(s))
	if r.marks == nil || out == s {
		return out
	}
	r.step(len(s) / bytesPerStep)
	before := []rune(s)
	if runeCount(out) != len(before) {
		return r.marks.text(out)
	}
	var b strings.Builder
	i := 0
	for _, c := range out {
		if _, was := r.marks.char(before[i]); was {
			if mark, ok := r.marks.of[c]; ok {
				c = mark
			}
		}
		b.WriteRune(c)
		i++
	}
	return b.String()
}

// made gives what f makes of one character, marked if that is a mark.
func (r *renderer) made(c rune, f func(rune) string) string {
	is, marked := r.marks.char(c)
	if s := f(is); marked {
		return r.marks.text(s)
	} else {
		return s
	}
}

// reading is a text as the template sees it, and the text itself. A character of the one is a character of the other.
type reading struct {
	plain, text string
	same        bool
	p, t        int // the same place in both
}

func (r *renderer) read(s string) *reading {
	if r == nil || !r.marks.marked(s) {
		return &reading{plain: s, text: s, same: true}
	}
	return &reading{plain: r.plain(s), text: s}
}

// at gives the place in text for one in plain. It costs the way from the place before.
func (t *reading) at(i int) int {
	if t.same {
		return i
	}
	for t.p < i {
		t.p += runeLen(t.plain[t.p:])
		t.t += runeLen(t.text[t.t:])
	}
	for t.p > i {
		_, n := utf8.DecodeLastRuneInString(t.plain[:t.p])
		t.p -= n
		_, n = utf8.DecodeLastRuneInString(t.text[:t.t])
		t.t -= n
	}
	return t.t
}

// cut gives the part of text that is plain[lo:hi].
func (t *reading) cut(lo, hi int) string {
	from := t.at(lo)
	return t.text[from:t.at(hi)]
}

// part is a part of a text.
type part struct{ lo, hi int }

// cuts gives parts of text in their order.
func (t *reading) cuts(parts []part) []string {
	texts := make([]string, len(parts))
	for i, p := range parts {
		texts[i] = t.cut(p.lo, p.hi)
	}
	return texts
}

// sameText compares texts as the template sees them.
func (r *renderer) sameText(a, b string) bool {
	if r == nil || r.marks == nil || !private(a) && !private(b) {
		return a == b
	}
	for a != "" && b != "" {
		r.step(1)
		x, n := utf8.DecodeRuneInString(a)
		y, k := utf8.DecodeRuneInString(b)
		if r.char(x) != r.char(y) {
			return false
		}
		a, b = a[n:], b[k:]
	}
	return a == b
}
