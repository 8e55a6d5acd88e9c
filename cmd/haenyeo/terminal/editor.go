package terminal

// A message while it is written.

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// editor holds the text and the cursor. It knows no screen but the width of rows, for the keys up and down.
type editor struct {
	text     string
	at       int    // byte offset of the cursor, between characters
	quoted   bool   // the quotes it begins with were typed: those of a paste are its own
	killed   string // what Yank brings back
	past     []string
	place    int    // in past; len(past) is the message that is being written
	draft    string // that message, while an older one is shown
	meant    bool   // quoted, of the draft
	complete func(text string) string
}

// outcome is what a key leads to.
type outcome int

const (
	goesOn outcome = iota
	isSent
	isInterrupted
	isLeft
)

// begin starts a message with text.
func (e *editor) begin(text string, past []string) {
	*e = editor{text: text, at: len(text), killed: e.killed, past: past, place: len(past), complete: e.complete}
}

// key changes the text as a key says.
func (e *editor) key(k Key) outcome {
	begun := beginsQuoted(e.text)
	o := e.change(k)
	e.quoted = beginsQuoted(e.text) && (e.quoted || !begun && k.Kind == Text)
	return o
}

func (e *editor) change(k Key) outcome {
	switch k.Kind {
	case Text, Paste:
		e.insert(k.Text)
	case NewLine:
		e.insert("\n")
	case Enter:
		if text, whole := joinLines(e.text, e.quoted); !whole {
			e.text, e.at = text, len(text)
		} else {
			return isSent
		}
	case Interrupt:
		return isInterrupted
	case Leave:
		if e.text == "" {
			return isLeft
		}
		e.remove(e.at, e.after(e.at))
	case Backspace:
		e.remove(e.before(e.at), e.at)
	case Delete:
		e.remove(e.at, e.after(e.at))
	case Left:
		e.at = e.before(e.at)
	case Right:
		e.at = e.after(e.at)
	case Home:
		e.at = e.lineStart()
	case End:
		e.at = e.lineEnd()
	case WordLeft:
		e.at = e.wordBefore()
	case WordRight:
		e.at = e.wordAfter()
	case KillToEnd:
		if end := e.lineEnd(); end > e.at {
			e.kill(e.at, end)
		} else {
			e.kill(e.at, e.after(e.at)) // joins the next line
		}
	case KillToStart:
		e.kill(e.lineStart(), e.at)
	case KillWord:
		e.kill(e.wordBefore(), e.at)
	case KillNextWord:
		e.kill(e.at, e.wordAfter())
	case Yank:
		e.insert(e.killed)
	case Complete:
		if e.complete != nil && e.at == len(e.text) {
			e.text = e.complete(e.text)
			e.at = len(e.text)
		}
	case Up:
		if !e.vertical(-1) {
			e.recall(e.place - 1)
		}
	case Down:
		if !e.vertical(+1) {
			e.recall(e.place + 1)
		}
	}
	return goesOn
}

func (e *editor) insert(s string) {
	e.text = e.text[:e.at] + s + e.text[e.at:]
	e.at += len(s)
}

func (e *editor) remove(lo, hi int) {
	e.text = e.text[:lo] + e.text[hi:]
	e.at = lo
}

func (e *editor) kill(lo, hi int) {
	if lo < hi {
		e.killed = e.text[lo:hi]
		e.remove(lo, hi)
	}
}

func (e *editor) before(at int) int { return at - lastCluster(e.text[:at]) }

func (e *editor) after(at int) int {
	if at == len(e.text) {
		return at
	}
	n, _ := cluster(e.text[at:])
	return at + n
}

func (e *editor) lineStart() int { return strings.LastIndexByte(e.text[:e.at], '\n') + 1 }

func (e *editor) lineEnd() int {
	if i := strings.IndexByte(e.text[e.at:], '\n'); i >= 0 {
		return e.at + i
	}
	return len(e.text)
}

func wordRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || r == '_'
}

func (e *editor) wordBefore() int {
	at, inside := e.at, false
	for at > 0 {
		r, n := utf8.DecodeLastRuneInString(e.text[:at])
		if inside && !wordRune(r) {
			break
		}
		inside = inside || wordRune(r)
		at -= n
	}
	return at
}

func (e *editor) wordAfter() int {
	at, inside := e.at, false
	for at < len(e.text) {
		r, n := utf8.DecodeRuneInString(e.text[at:])
		if inside && !wordRune(r) {
			break
		}
		inside = inside || wordRune(r)
		at += n
	}
	return at
}

// vertical moves the cursor a line up or down, as near to its column as it can; not ok at the first and the last line.
func (e *editor) vertical(by int) (ok bool) {
	start, end := e.lineStart(), e.lineEnd()
	column := Width(e.text[start:e.at])
	switch {
	case by < 0 && start == 0, by > 0 && end == len(e.text):
		return false
	case by < 0:
		e.at = start - 1
		e.at = e.lineStart()
	default:
		e.at = end + 1
	}
	for stop := e.lineEnd(); e.at < stop; {
		n, w := cluster(e.text[e.at:])
		if column -= w; column < 0 {
			break
		}
		e.at += n
	}
	return true
}

// recall shows a message of the past, or the one that is being written.
func (e *editor) recall(place int) {
	if place < 0 || place > len(e.past) {
		return
	}
	if e.place == len(e.past) {
		e.draft, e.meant = e.text, e.quoted
	}
	if e.place = place; place == len(e.past) {
		e.text, e.quoted = e.draft, e.meant
	} else {
		e.text, e.quoted = e.past[place], false // what was sent is as it was meant
	}
	e.at = len(e.text)
}

func beginsQuoted(text string) bool { return strings.HasPrefix(strings.TrimSpace(text), quotes) }

// said is the message as it is meant.
func (e *editor) said() string {
	return said(e.text, e.quoted)
}

func said(text string, quoted bool) string {
	if quoted {
		return unquote(text)
	}
	return text
}

// quotes begin and end a message of several lines.
const quotes = `"""`

// joinLines says whether a message is whole where Enter was pressed, and gives it with a new line where it is not: after
// a last \, which goes, and within quotes, if it is quoted.
func joinLines(text string, quoted bool) (more string, whole bool) {
	if trimmed := strings.TrimSpace(text); quoted {
		if len(trimmed) < 2*len(quotes) || !strings.HasSuffix(trimmed, quotes) {
			return text + "\n", false
		}
		return text, true
	}
	if slashes := len(text) - len(strings.TrimRight(text, `\`)); slashes%2 == 1 {
		return text[:len(text)-1] + "\n", false
	}
	return text, true
}

// unquote takes the quotes off a message, and the line ends beside them. A slash at its beginning is doubled: what is quoted is
// no command.
func unquote(text string) string {
	trimmed := strings.TrimSpace(text)
	if len(trimmed) >= 2*len(quotes) && strings.HasPrefix(trimmed, quotes) && strings.HasSuffix(trimmed, quotes) {
		inside := trimmed[len(quotes) : len(trimmed)-len(quotes)]
		text = strings.TrimSuffix(strings.TrimPrefix(inside, "\n"), "\n")
	}
	if strings.HasPrefix(text, "/") {
		text = "/" + text
	}
	return text
}
