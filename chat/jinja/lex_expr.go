package jinja

// The lexer inside tags: numbers, names, strings and operators.

import (
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// operators of two bytes; every other operator is one byte of singleOperators.
var pairOperators = [...]string{"//", "**", "==", "!=", ">=", "<="}

const singleOperators = "+-/*%~[](){}><=.:|,;"

// expression reads tokens up to the end of a {{ }} or {% %} tag. The end only counts outside brackets.
func (l *lexer) expression(block bool) {
	var open []byte
	for l.pos < len(l.src) {
		if len(open) == 0 {
			if block {
				if end, ok := l.closing(l.pos, "%}"); ok {
					l.add(token{kind: tokBlockEnd})
					l.close(end)
					return
				}
			} else if s := l.src[l.pos:]; strings.HasPrefix(s, "}}") || strings.HasPrefix(s, "-}}") {
				l.add(token{kind: tokVariableEnd})
				end := l.pos + 2
				if s[0] == '-' {
					end++
					end += spaces(l.src[end:])
				}
				l.close(end)
				return
			}
		}
		if n := spaces(l.src[l.pos:]); n > 0 {
			l.advance(l.pos + n)
			continue
		}
		if l.number() || l.name() || l.string() {
			continue
		}
		open = l.operator(open)
	}
}

func (l *lexer) operator(open []byte) []byte {
	s := l.src[l.pos:]
	for _, op := range pairOperators {
		if strings.HasPrefix(s, op) {
			l.add(token{kind: tokOperator, text: op})
			l.advance(l.pos + 2)
			return open
		}
	}
	c := s[0]
	if strings.IndexByte(singleOperators, c) < 0 {
		r, _ := utf8.DecodeRuneInString(s)
		fail(l.line, "unexpected character %q", r)
	}
	switch c {
	case '(':
		open = append(open, ')')
	case '[':
		open = append(open, ']')
	case '{':
		open = append(open, '}')
	case ')', ']', '}':
		if len(open) == 0 {
			fail(l.line, "unexpected %q", c)
		}
		if want := open[len(open)-1]; want != c {
			fail(l.line, "unexpected %q, expected %q", c, want)
		}
		open = open[:len(open)-1]
	}
	l.add(token{kind: tokOperator, text: s[:1]})
	l.advance(l.pos + 1)
	return open
}

// number reads an integer or a float as Python writes them: underscores between digits, 0x, 0o, 0b.
func (l *lexer) number() bool {
	s := l.src[l.pos:]
	if s[0] < '0' || s[0] > '9' {
		return false
	}
	n := digits(s, 10)
	if l.pos == 0 || l.src[l.pos-1] != '.' {
		end := n
		if end < len(s) && s[end] == '.' {
			if k := digits(s[end+1:], 10); k > 0 {
				end += 1 + k
			}
		}
		if end < len(s) && (s[end] == 'e' || s[end] == 'E') {
			k := end + 1
			if k < len(s) && (s[k] == '+' || s[k] == '-') {
				k++
			}
			if d := digits(s[k:], 10); d > 0 {
				end = k + d
			}
		}
		if end > n {
			f, _ := strconv.ParseFloat(strings.ReplaceAll(s[:end], "_", ""), 64) // out of range is an infinity, as in Python
			l.add(token{kind: tokNumber, number: f})
			l.advance(l.pos + end)
			return true
		}
	}
	base := 10
	if s[0] == '0' {
		if n = integerPrefix(s, &base); n == 0 {
			for n = 1; n < len(s); n++ { // only zeros may follow a zero
				if s[n] == '0' || s[n] == '_' && n+1 < len(s) && s[n+1] == '0' {
					continue
				}
				break
			}
		}
	}
	text := strings.ReplaceAll(s[:n], "_", "")
	if base != 10 {
		text = text[2:]
	}
	if len(text) > maxIntegerDigits {
		fail(l.line, "an integer of %d digits is too long", len(text))
	}
	b, _ := new(big.Int).SetString(text, base)
	l.add(token{kind: tokNumber, number: normal(b)})
	l.advance(l.pos + n)
	return true
}

// integerPrefix gives the length of 0x1f, 0o17 or 0b11 at the start of s, 0 if there is none, and sets its base.
func integerPrefix(s string, base *int) int {
	if len(s) < 3 {
		return 0
	}
	b := 0
	switch s[1] {
	case 'b', 'B':
		b = 2
	case 'o', 'O':
		b = 8
	case 'x', 'X':
		b = 16
	default:
		return 0
	}
	k := 2
	if s[2] == '_' {
		k = 3
	}
	d := digits(s[k:], b)
	if d == 0 {
		return 0
	}
	*base = b
	return k + d
}

// digits counts the bytes of s that are digits of the base, single underscores between them included.
func digits(s string, base int) int {
	n := 0
	for n < len(s) {
		at := n
		if s[at] == '_' && n > 0 {
			at++
		}
		if at >= len(s) || digitValue(s[at]) >= base {
			break
		}
		n = at + 1
	}
	return n
}

// digitValue gives the value of a digit or letter, 99 for any other byte.
func digitValue(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'z':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'Z':
		return int(c-'A') + 10
	}
	return 99
}

func (l *lexer) name() bool {
	n := 0
	for i, r := range l.src[l.pos:] {
		if r != '_' && !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsNumber(r) && r != '·' {
			break
		}
		if i == 0 && r != '_' && !unicode.IsLetter(r) && !unicode.Is(unicode.Nl, r) {
			fail(l.line, "a name cannot begin with %q", r)
		}
		n = i + utf8.RuneLen(r)
	}
	if n == 0 {
		return false
	}
	l.add(token{kind: tokName, text: l.src[l.pos : l.pos+n]})
	l.advance(l.pos + n)
	return true
}

func (l *lexer) string() bool {
	s := l.src[l.pos:]
	quote := s[0]
	if quote != '\'' && quote != '"' {
		return false
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case quote:
			l.add(token{kind: tokString, text: l.unescape(s[1:i])})
			l.advance(l.pos + i + 1)
			return true
		}
	}
	fail(l.line, "a string is not closed with %c", quote)
	return false
}

// unescape decodes the escapes of Python's unicode-escape codec. As there, a backslash before a character outside ASCII
// breaks that character into its own escape. Lone surrogates become U+FFFD.
func (l *lexer) unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i+1:])
		i += 1 + n
		switch r {
		case '\n':
		case '\\', '\'', '"':
			b.WriteRune(r)
		case 'a':
			b.WriteByte('\a')
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'v':
			b.WriteByte('\v')
		case 'x', 'u', 'U':
			width := map[rune]int{'x': 2, 'u': 4, 'U': 8}[r]
			end := min(i+width, len(s))
			c, err := strconv.ParseUint(s[i:end], 16, 32)
			if err != nil || end < i+width || c > unicode.MaxRune || strings.ContainsAny(s[i:end], "_+-") {
				fail(l.line, `a \%c escape needs %d hexadecimal digits of a character`, r, width)
			}
			b.WriteRune(rune(c))
			i = end
		case 'N':
			fail(l.line, `\N{...} escapes are not supported; write the character itself`)
		default:
			if '0' <= r && r <= '7' {
				c := r - '0'
				for k := 0; k < 2 && i < len(s) && '0' <= s[i] && s[i] <= '7'; k++ {
					c = c*8 + rune(s[i]-'0')
					i++
				}
				b.WriteRune(c)
				continue
			}
			b.WriteByte('\\')
			switch {
			case r < utf8.RuneSelf:
				b.WriteRune(r)
			case r < 0x100:
				b.WriteString("x" + hex(uint64(r), 2))
			case r < 0x10000:
				b.WriteString("u" + hex(uint64(r), 4))
			default:
				b.WriteString("U" + hex(uint64(r), 8))
			}
		}
	}
	return b.String()
}

func hex(v uint64, width int) string {
	s := strconv.FormatUint(v, 16)
	return strings.Repeat("0", max(0, width-len(s))) + s
}
