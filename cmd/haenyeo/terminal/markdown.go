package terminal

// Markdown as a terminal can show it, while it comes: headings, lists, quotes, rules, fenced code; bold, italics and code
// within a line. What is none of these stays as it was written. Source: CommonMark 0.31, of which this is a small part.
//
// A marker is taken away only once its partner has come, so that nothing is lost that was no marker. Until then the text
// from it on is held back, at most to the end of the line and for longestSpan bytes.

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// longestSpan bounds what is held back.
const longestSpan = 240

// Markdown shows one text.
type Markdown struct {
	f       *Flow
	rest    string // not shown yet
	inside  bool   // a line: its beginning is decided
	style   Style  // of the line
	fence   string // that ends the code, "" outside
	last    rune   // before rest
	closing bool
	clean   Cleaner
}

func newMarkdown(f *Flow) *Markdown { return &Markdown{f: f, last: '\n'} }

// Push adds a piece of the text.
func (m *Markdown) Push(text string) {
	m.rest += m.clean.Push(text)
	for m.rest != "" && m.step() {
	}
}

// Close shows what was held back and ends the last row.
func (m *Markdown) Close() {
	m.closing = true
	m.Push("")
	m.f.Close()
}

// step shows something, or waits for more.
func (m *Markdown) step() bool {
	if !m.inside {
		return m.beginLine()
	}
	if m.fence != "" || m.style&Dim != 0 {
		return m.plain()
	}
	return m.span()
}

// plain shows the line as it is.
func (m *Markdown) plain() bool {
	line, _, ended := strings.Cut(m.rest, "\n")
	if ended {
		line += "\n"
	}
	m.f.verbatim(line, m.style)
	m.advance(len(line))
	return true
}

// advance takes n bytes that were shown.
func (m *Markdown) advance(n int) {
	if n == 0 {
		return
	}
	m.last, _ = utf8.DecodeLastRuneInString(m.rest[:n])
	m.rest = m.rest[n:]
	if m.last == '\n' {
		m.inside, m.style = false, Plain
	}
}

// beginLine decides what kind of line begins.
func (m *Markdown) beginLine() bool {
	line, _, ended := strings.Cut(m.rest, "\n")
	ended = ended || m.closing
	body := strings.TrimLeft(line, " ")
	indent := line[:len(line)-len(body)]
	if m.fence != "" {
		if !ended && (body == "" || strings.HasPrefix(m.fence, body) || strings.Trim(body, m.fence[:1]) == "") {
			return false
		}
		m.inside, m.style = true, Code
		if strings.HasPrefix(body, m.fence) && strings.TrimSpace(strings.TrimLeft(body, m.fence[:1])) == "" {
			m.fence, m.style = "", Dim
		}
		return true
	}
	if body == "" && !ended {
		return false
	}
	switch mark := leading(body); {
	case !ended && mark == body && len(body) < longestSpan, !ended && strings.HasPrefix(mark, "```"), !ended && strings.HasPrefix(mark, "~~~"):
		return false // more decides
	case strings.HasPrefix(mark, "```") || strings.HasPrefix(mark, "~~~"):
		if mark[0] == '~' || !strings.Contains(body[len(mark):], "`") {
			m.fence, m.style = mark, Dim
			m.inside = true
			m.f.verbatim(line, Dim)
			m.advance(len(line))
			return true
		}
	case len(body) >= 3 && strings.Trim(body, "-") == "" || len(body) >= 3 && strings.Trim(body, "*") == "":
		m.inside = true
		width := 40
		if c := m.f.width(); c > 0 {
			width = min(width, c)
		}
		m.f.text(strings.Repeat("─", width), Dim)
		m.advance(len(line))
		return true
	case mark != "" && len(mark) < len(body) && body[len(mark)] == ' ':
		return m.marked(indent, mark)
	}
	m.inside = true
	m.f.text(indent, m.style)
	m.advance(len(indent))
	return true
}

// leading is what a line begins with that could be a marker.
func leading(body string) string {
	for _, set := range []string{"#", "`", "~", "-", "*", "+", ">"} {
		if n := len(body) - len(strings.TrimLeft(body, set)); n > 0 {
			return body[:n]
		}
	}
	if n := len(body) - len(strings.TrimLeft(body, "0123456789")); n > 0 && n < 10 {
		if n < len(body) && (body[n] == '.' || body[n] == ')') {
			n++
		}
		return body[:n]
	}
	return ""
}

// marked shows the marker of a heading, a list or a quote. A space follows it.
func (m *Markdown) marked(indent, mark string) bool {
	m.inside = true
	taken := len(indent) + len(mark) + 1
	switch c := mark[0]; {
	case c == '#' && len(mark) <= 6:
		m.style = Bold
	case (c == '-' || c == '*' || c == '+') && len(mark) == 1:
		m.f.text(indent+"• ", Plain)
		m.f.hang = indent + "  "
	case c == '>' && len(mark) == 1:
		m.f.text(indent+"│ ", Dim)
		m.f.hang = indent + "│ "
	case strings.HasSuffix(mark, ".") || strings.HasSuffix(mark, ")"):
		m.f.text(indent+mark+" ", Plain)
		m.f.hang = indent + strings.Repeat(" ", len(mark)+1)
	default:
		taken = len(indent)
		m.f.text(indent, Plain)
	}
	m.advance(taken)
	return true
}

// span shows text up to the next marker within a line, or what a pair of markers holds.
func (m *Markdown) span() bool {
	at := strings.IndexAny(m.rest, "\n*`\\")
	if at < 0 {
		at = len(m.rest)
	}
	if at > 0 {
		m.f.text(m.rest[:at], m.style)
		m.advance(at)
		return true
	}
	switch m.rest[0] {
	case '\n':
		m.f.text("\n", m.style)
		m.advance(1)
		return true
	case '\\':
		if len(m.rest) == 1 && !m.closing {
			return false
		}
		if len(m.rest) > 1 && strings.ContainsRune("*`_#", rune(m.rest[1])) {
			m.f.text(m.rest[1:2], m.style)
			m.advance(2)
			return true
		}
		m.f.text(`\`, m.style)
		m.advance(1)
		return true
	}
	marker := m.rest[:len(m.rest)-len(strings.TrimLeft(m.rest, m.rest[:1]))]
	if len(marker) == len(m.rest) && !m.closing && len(marker) < longestSpan {
		return false
	}
	end, wait := m.partner(marker)
	if wait {
		return false
	}
	if end < 0 {
		m.f.text(marker, m.style)
		m.advance(len(marker))
		return true
	}
	inner := m.rest[len(marker):end]
	if marker[0] == '`' {
		m.f.text(inner, m.style|Code)
	} else {
		m.emphasis(inner, []Style{Italic, Bold, Bold | Italic}[len(marker)-1])
	}
	m.advance(end + len(marker))
	return true
}

// emphasis shows what stands between stars, which may hold code and emphasis in its turn.
func (m *Markdown) emphasis(text string, style Style) {
	inner := Markdown{f: m.f, rest: text, inside: true, style: m.style | style, last: '*', closing: true}
	inner.Push("")
}

// partner finds the marker that ends what one begins, -1 where it begins nothing. wait says that it may still come.
func (m *Markdown) partner(marker string) (end int, wait bool) {
	line, _, ended := strings.Cut(m.rest, "\n")
	ended = ended || m.closing || len(line) > longestSpan
	after, _ := utf8.DecodeRuneInString(line[len(marker):])
	star := marker[0] == '*'
	if star && (len(marker) > 3 || len(line) > len(marker) && unicode.IsSpace(after) || len(marker) == 1 && wordRune(m.last)) {
		return -1, false
	}
	for at := len(marker); at < len(line); {
		i := strings.IndexByte(line[at:], marker[0])
		if i < 0 {
			break
		}
		at += i
		run := len(line[at:]) - len(strings.TrimLeft(line[at:], marker[:1]))
		before, _ := utf8.DecodeLastRuneInString(line[:at])
		next, _ := utf8.DecodeRuneInString(line[at+run:])
		if at+run == len(line) && !ended {
			return -1, true // the run may go on
		}
		if run == len(marker) && (!star || !unicode.IsSpace(before) && (run > 1 || !wordRune(next))) {
			return at, false
		}
		at += run
	}
	return -1, !ended
}
