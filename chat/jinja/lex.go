package jinja

// The lexer: template text to tokens, by the rules of jinja2/lexer.py with trim_blocks and lstrip_blocks on.
// A newline after a block or comment tag is dropped, and spaces before one at the start of a line are dropped;
// "-" strips all white space on its side, "+" keeps it.

import (
	"strconv"
	"strings"
	"unicode"
)

type tokenKind uint8

const (
	tokEOF           tokenKind = iota
	tokData                    // text outside tags
	tokVariableBegin           // {{
	tokVariableEnd             // }}
	tokBlockBegin              // {%
	tokBlockEnd                // %}
	tokName
	tokString
	tokNumber // value in token.number
	tokOperator
)

type token struct {
	kind   tokenKind
	line   int
	text   string // data, name, string (unescaped) or operator
	number value  // int64, *big.Int or float64
}

// String describes the token in an error.
func (t token) String() string {
	switch t.kind {
	case tokEOF:
		return "end of template"
	case tokData:
		return "text"
	case tokVariableBegin:
		return "{{"
	case tokVariableEnd:
		return "}}"
	case tokBlockBegin:
		return "{%"
	case tokBlockEnd:
		return "%}"
	case tokNumber:
		return "a number"
	case tokString:
		return "a string"
	}
	return strconv.Quote(t.text)
}

type lexer struct {
	src          string
	pos          int
	line         int
	lineStarting bool // the last tag ended with a newline, or nothing was read yet
	tokens       []token
}

// lex cuts a whole template into tokens; the last is tokEOF. It fails with a *failure.
func lex(src string) []token {
	src = strings.ReplaceAll(src, "\r\n", "\n")
	src = strings.ReplaceAll(src, "\r", "\n")
	src = strings.TrimSuffix(src, "\n")
	l := &lexer{src: src, line: 1, lineStarting: true}
	for l.pos < len(l.src) {
		l.root()
	}
	l.add(token{kind: tokEOF})
	return l.tokens
}

func (l *lexer) add(t token) {
	t.line = l.line
	l.tokens = append(l.tokens, t)
}

// advance moves to byte position end and counts the lines passed.
func (l *lexer) advance(end int) {
	l.line += strings.Count(l.src[l.pos:end], "\n")
	l.pos = end
}

// root reads text up to the next tag, and the tag.
func (l *lexer) root() {
	rest := l.src[l.pos:]
	at := -1
	for from := 0; ; {
		i := strings.IndexByte(rest[from:], '{')
		if i < 0 || from+i+1 >= len(rest) {
			break
		}
		i += from
		if c := rest[i+1]; c == '{' || c == '%' || c == '#' {
			at = i
			break
		}
		from = i + 1
	}
	if at < 0 {
		l.add(token{kind: tokData, text: rest})
		l.advance(len(l.src))
		return
	}
	tag := l.pos + at
	sign, body := l.sign(tag + 2)
	l.text(rest[:at], sign, rest[at+1] == '{')
	l.advance(body)
	switch rest[at+1] {
	case '#':
		l.comment()
	case '{':
		l.add(token{kind: tokVariableBegin})
		l.expression(false)
	default:
		if end, ok := l.rawBegin(body); ok {
			l.lineStarting = end > 0 && l.src[end-1] == '\n'
			l.advance(end)
			l.raw()
			return
		}
		l.add(token{kind: tokBlockBegin})
		l.expression(true)
	}
}

// sign reads the "-" or "+" that may follow an opening bracket.
func (l *lexer) sign(pos int) (sign byte, after int) {
	if pos < len(l.src) && (l.src[pos] == '-' || l.src[pos] == '+') {
		return l.src[pos], pos + 1
	}
	return 0, pos
}

// text emits the data before a tag, stripped as the tag's sign and lstrip_blocks say.
func (l *lexer) text(s string, sign byte, variable bool) {
	kept := s
	if sign == '-' {
		kept = strings.TrimRightFunc(s, isSpace)
	} else if sign != '+' && !variable {
		line := strings.LastIndexByte(s, '\n') + 1
		if (line > 0 || l.lineStarting) && strings.TrimLeftFunc(s[line:], isSpace) == "" {
			kept = s[:line]
		}
	}
	if kept != "" {
		l.add(token{kind: tokData, text: kept})
	}
	l.advance(l.pos + len(s))
}

// closing matches the end of a block or comment at pos: "+%}", "-%}" and the space after, or "%}" and one newline.
func (l *lexer) closing(pos int, bracket string) (end int, ok bool) {
	s := l.src[pos:]
	switch {
	case strings.HasPrefix(s, "-"+bracket):
		end = pos + 1 + len(bracket)
		return end + spaces(l.src[end:]), true
	case strings.HasPrefix(s, "+"+bracket):
		return pos + 1 + len(bracket), true
	case strings.HasPrefix(s, bracket):
		end = pos + len(bracket)
		if end < len(l.src) && l.src[end] == '\n' {
			end++
		}
		return end, true
	}
	return 0, false
}

func (l *lexer) close(end int) {
	l.lineStarting = l.src[end-1] == '\n'
	l.advance(end)
}

func (l *lexer) comment() {
	if l.pos == len(l.src) { // as in Jinja, nothing is not an open comment
		return
	}
	i := strings.Index(l.src[l.pos:], "#}")
	if i < 0 {
		fail(l.line, "a comment is not closed with #}")
	}
	at := l.pos + i
	if i > 0 && (l.src[at-1] == '-' || l.src[at-1] == '+') {
		at--
	}
	end, _ := l.closing(at, "#}")
	l.close(end)
}

// rawBegin matches `raw %}` at pos, after "{%" and its sign.
func (l *lexer) rawBegin(pos int) (end int, ok bool) {
	pos += spaces(l.src[pos:])
	if !strings.HasPrefix(l.src[pos:], "raw") {
		return 0, false
	}
	pos += len("raw")
	pos += spaces(l.src[pos:])
	switch {
	case strings.HasPrefix(l.src[pos:], "-%}"):
		pos += 3
		return pos + spaces(l.src[pos:]), true
	case strings.HasPrefix(l.src[pos:], "%}"):
		return pos + 2, true
	}
	return 0, false
}

// raw reads up to {% endraw %}.
func (l *lexer) raw() {
	for from := l.pos; l.pos < len(l.src); {
		i := strings.Index(l.src[from:], "{%")
		if i < 0 {
			fail(l.line, "a raw block is not closed with {%% endraw %%}")
		}
		tag := from + i
		from = tag + 2
		sign, pos := l.sign(tag + 2)
		pos += spaces(l.src[pos:])
		if !strings.HasPrefix(l.src[pos:], "endraw") {
			continue
		}
		pos += len("endraw")
		pos += spaces(l.src[pos:])
		end, ok := l.closing(pos, "%}")
		if !ok {
			continue
		}
		l.text(l.src[l.pos:tag], sign, false)
		l.close(end)
		return
	}
}

// isSpace is Python's str.isspace for one character.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// spaces gives the length in bytes of the white space that s begins with.
func spaces(s string) int { return len(s) - len(strings.TrimLeftFunc(s, isSpace)) }
