package grammar

// Regular expressions, in the syntax of Go's package regexp.

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"slices"
	"unicode"
)

// maxPattern bounds the bytes of a regular expression.
const maxPattern = 64 << 10

// FromRegexp is the texts that match a regular expression as a whole, in the syntax of Go's package regexp (RE2's).
// ^ and $ may stand at its ends; word boundaries cannot be expressed.
func FromRegexp(re string) (*Grammar, error) {
	parsed, err := parsePattern(re)
	var e *expr
	if err == nil {
		e, err = regexpExpr(anchored(parsed, ends{true, true}, ends{}), plainRunes, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("grammar: regular expression %q: %w", quoted(re), err)
	}
	r := begin()
	r.exprs[0] = e
	return finish(fmt.Sprintf("regular expression %q", quoted(re)), r)
}

func parsePattern(re string) (*syntax.Regexp, error) {
	if len(re) > maxPattern {
		return nil, fmt.Errorf("it has %d bytes: at most %d", len(re), maxPattern)
	}
	return syntax.Parse(re, syntax.Perl)
}

// A runeWriter says how the characters of a set are written in the text.
type runeWriter func(set []rune) *expr

func plainRunes(s []rune) *expr { return set(s) }

var errAnchor = errors.New(`^, $, \b and \B are understood at the ends of the whole expression only, the last two nowhere`)

// maxDepth bounds how deep things may be nested.
const maxDepth = 200

// regexpExpr translates a regular expression without anchors.
func regexpExpr(re *syntax.Regexp, write runeWriter, depth int) (*expr, error) {
	if depth > 2*maxDepth {
		return nil, fmt.Errorf("it is nested more than %d deep", 2*maxDepth)
	}
	subs := make([]*expr, len(re.Sub))
	for i, s := range re.Sub {
		var err error
		if subs[i], err = regexpExpr(s, write, depth+1); err != nil {
			return nil, err
		}
	}
	fold := re.Flags&syntax.FoldCase != 0
	switch re.Op {
	case syntax.OpNoMatch:
		return never(), nil
	case syntax.OpEmptyMatch:
		return lit(""), nil
	case syntax.OpLiteral:
		var parts []*expr
		for _, r := range re.Rune {
			if fold {
				parts = append(parts, write(foldOf(r)))
			} else {
				parts = append(parts, write(normalSet([]rune{r, r})))
			}
		}
		return seq(parts...), nil
	case syntax.OpCharClass:
		return write(normalSet(re.Rune)), nil
	case syntax.OpAnyCharNotNL:
		return write(without(anyRune, []rune{'\n', '\n'})), nil
	case syntax.OpAnyChar:
		return write(anyRune), nil
	case syntax.OpCapture:
		return subs[0], nil
	case syntax.OpStar:
		return star(subs[0]), nil
	case syntax.OpPlus:
		return times(subs[0], 1, -1), nil
	case syntax.OpQuest:
		return optional(subs[0]), nil
	case syntax.OpRepeat:
		return times(subs[0], re.Min, re.Max), nil
	case syntax.OpConcat:
		return seq(subs...), nil
	case syntax.OpAlternate:
		return oneOf(subs...), nil
	}
	return nil, errAnchor
}

// foldOf is a character in all its cases.
func foldOf(r rune) []rune {
	pairs := []rune{r, r}
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		pairs = append(pairs, f, f)
	}
	return normalSet(pairs)
}

// ends are the two ends of an expression.
type ends struct{ left, right bool }

// anchored takes the anchors off re, which stands at the ends of the text at. Of pad, an end that no anchor holds is
// followed by any text: so a search becomes a match of the whole.
func anchored(re *syntax.Regexp, at, pad ends) *syntax.Regexp {
	switch re.Op {
	case syntax.OpCapture:
		return anchored(re.Sub[0], at, pad)
	case syntax.OpAlternate:
		subs := slices.Clone(re.Sub)
		for i, s := range subs {
			subs[i] = anchored(s, at, pad)
		}
		return &syntax.Regexp{Op: re.Op, Flags: re.Flags, Sub: subs}
	}
	list := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		list = slices.Clone(re.Sub)
	}
	for at.left && len(list) > 0 && list[0].Op == syntax.OpBeginText {
		list, pad.left = list[1:], false
	}
	for n := len(list) - 1; at.right && n >= 0 && list[n].Op == syntax.OpEndText; n-- {
		list, pad.right = list[:n], false
	}
	if n := len(list) - 1; n == 0 && grouped(list[0]) {
		return anchored(list[0], at, pad) // anchors may stand inside too, as in ^(a|b$)
	} else if n > 0 {
		if at.left && grouped(list[0]) {
			list[0] = anchored(list[0], ends{left: true}, ends{left: pad.left})
			pad.left = false
		}
		if at.right && grouped(list[n]) {
			list[n] = anchored(list[n], ends{right: true}, ends{right: pad.right})
			pad.right = false
		}
	}
	anything := &syntax.Regexp{Op: syntax.OpStar, Sub: []*syntax.Regexp{{Op: syntax.OpAnyChar}}}
	if pad.left {
		list = append([]*syntax.Regexp{anything}, list...)
	}
	if pad.right {
		list = append(list, anything)
	}
	return &syntax.Regexp{Op: syntax.OpConcat, Sub: list}
}

// grouped says whether anchors may stand inside.
func grouped(re *syntax.Regexp) bool {
	return re.Op == syntax.OpCapture || re.Op == syntax.OpAlternate || re.Op == syntax.OpConcat
}
