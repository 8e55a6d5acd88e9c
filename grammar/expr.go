package grammar

// What the front ends build: expressions over bytes, with rules that may call each other. compile.go makes an
// automaton of them.

import (
	"slices"
	"strings"
)

type op uint8

const (
	literal op = iota // text, byte by byte; "" is the empty string
	needed            // the control token text
	span              // one byte, set[0] to set[1]
	runes             // one character of set, as UTF-8
	unit              // one character in several bytes, written as alternatives of which none begins another
	sequence
	either // one of subs; of none: nothing at all
	repeat // the only sub, min to max times; max -1: without end
	call   // of a rule
)

// expr is an expression. It does not change once it is part of another one, and may be part of several.
type expr struct {
	op       op
	text     string
	set      []rune // pairs of first and last, in order, apart
	subs     []*expr
	min, max int
	rule     int
}

// maxCount bounds how often something is repeated.
const maxCount = 1 << 30

// rules are named expressions. The first is where a grammar begins.
type rules struct {
	names []string
	exprs []*expr // nil until defined
}

// add makes a rule that is defined later.
func (r *rules) add(name string) int {
	r.names = append(r.names, name)
	r.exprs = append(r.exprs, nil)
	return len(r.names) - 1
}

// define makes a rule and a call of it.
func (r *rules) define(name string, e *expr) *expr {
	i := r.add(name)
	r.exprs[i] = e
	return callOf(i)
}

func callOf(rule int) *expr { return &expr{op: call, rule: rule} }
func lit(text string) *expr { return &expr{op: literal, text: text} }
func set(s []rune) *expr    { return &expr{op: runes, set: s} }
func byteSpan(lo, hi byte) *expr {
	return &expr{op: span, set: []rune{rune(lo), rune(hi)}}
}
func chars(c ...rune) *expr { return set(c) }
func seq(subs ...*expr) *expr {
	if len(subs) == 1 {
		return subs[0]
	}
	return &expr{op: sequence, subs: subs}
}

func oneOf(subs ...*expr) *expr {
	if len(subs) == 1 {
		return subs[0]
	}
	return &expr{op: either, subs: subs}
}

// never matches nothing, not even the empty string.
func never() *expr { return &expr{op: either} }

func times(e *expr, min, max int) *expr {
	switch {
	case max == 0:
		return lit("")
	case min == 1 && max == 1:
		return e
	}
	return &expr{op: repeat, subs: []*expr{e}, min: min, max: max}
}

func optional(e *expr) *expr { return times(e, 0, 1) }
func star(e *expr) *expr     { return times(e, 0, -1) }

// words is one of texts, as a tree of their common beginnings: however many there are, one byte leaves few of them.
func words(texts []string) *expr {
	texts = slices.Clone(texts)
	slices.Sort(texts)
	return wordTree(slices.Compact(texts), 0)
}

// wordTree is words of sorted distinct texts, without their first from bytes, which all have in common.
func wordTree(texts []string, from int) *expr {
	if len(texts) == 0 {
		return never()
	}
	first, last := texts[0], texts[len(texts)-1]
	n := from
	for n < len(first) && n < len(last) && first[n] == last[n] {
		n++
	}
	var subs []*expr
	rest := texts
	if len(first) == n {
		subs, rest = append(subs, lit("")), rest[1:]
	}
	for len(rest) > 0 {
		k := 1
		for k < len(rest) && rest[k][n] == rest[0][n] {
			k++
		}
		if k == 1 {
			subs = append(subs, lit(rest[0][n:]))
		} else {
			subs = append(subs, wordTree(rest[:k], n))
		}
		rest = rest[k:]
	}
	return seq(lit(first[from:n]), oneOf(subs...))
}

// Control tokens are spelled apart from all text: between two bytes that never occur in UTF-8.
const controlMark = "\xff"

func spellControl(name string) string { return controlMark + name + controlMark }

// control is the control token of this text, which the vocabulary must have.
func control(name string) *expr { return &expr{op: needed, text: name} }

// normalSet sorts pairs of characters and joins those that touch. Surrogates, which are no characters, are left out.
func normalSet(pairs []rune) []rune {
	type span struct{ lo, hi rune }
	var spans []span
	for i := 0; i+1 < len(pairs); i += 2 {
		lo, hi := max(pairs[i], 0), min(pairs[i+1], 0x10ffff)
		if lo < 0xd800 && lo <= hi {
			spans = append(spans, span{lo, min(hi, 0xd7ff)})
		}
		if hi > 0xdfff && lo <= hi {
			spans = append(spans, span{max(lo, 0xe000), hi})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return int(a.lo - b.lo) })
	var out []rune
	for _, s := range spans {
		if n := len(out); n > 0 && (s.lo <= out[n-1]+1) {
			out[n-1] = max(out[n-1], s.hi)
		} else {
			out = append(out, s.lo, s.hi)
		}
	}
	return out
}

// without is set a less set b, both normal.
func without(a, b []rune) []rune {
	var out []rune
	for i := 0; i < len(a); i += 2 {
		lo, hi := a[i], a[i+1]
		for j := 0; j < len(b) && lo <= hi; j += 2 {
			if b[j+1] < lo || b[j] > hi {
				continue
			}
			if b[j] > lo {
				out = append(out, lo, b[j]-1)
			}
			lo = b[j+1] + 1
		}
		if lo <= hi {
			out = append(out, lo, hi)
		}
	}
	return normalSet(out)
}

var anyRune = normalSet([]rune{0, 0x10ffff})

// common is what both normal sets hold.
func common(a, b []rune) []rune { return without(a, without(anyRune, b)) }

// quoted shows a text in an error, shortened.
func quoted(s string) string {
	if len(s) > 60 {
		s = s[:57] + "..."
	}
	return strings.ToValidUTF8(s, "?")
}
