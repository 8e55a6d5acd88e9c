package chat

// The promise that words stay words, for templates.
//
// A template gives one string in which the words of users and the template's own text can no longer be told apart. So the
// words are marked before: wherever a control token could begin in them or reach into them, its first character is
// replaced by one of a private use area that occurs nowhere else. In what the template gives, these characters are
// replaced back, and are the only ones that are not the template's: no token is matched across them.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// guard marks where control tokens could come from words.
type guard struct {
	tokens [256][]string // by first byte
	all    []string
	free   rune // the first of the characters that occur nowhere
	marks  map[rune]rune
	back   []rune // mark minus free to character
	keys   map[string]bool
}

// markers is how many characters a guard may need: one for every different character that tokens begin with, or that
// stands at the front of a text.
const markers = 1 << 12

func newGuard(tokens []string, data map[string]json.RawMessage) (*guard, error) {
	g := &guard{all: tokens, free: 0xF0000, marks: map[rune]rune{}}
	for _, t := range tokens {
		g.tokens[t[0]] = append(g.tokens[t[0]], t)
	}
	// Blocks of the private planes 15 and 16 that the words themselves use are left alone.
	used := map[rune]bool{}
	for _, raw := range data {
		for _, r := range string(raw) {
			if r >= 0xF0000 {
				used[r/markers] = true
			}
		}
	}
	for used[g.free/markers] {
		if g.free += markers; g.free+markers > utf8.MaxRune {
			return nil, errors.New("the conversation uses every part of the private use planes, and none is left to mark its words with")
		}
	}
	return g, nil
}

// end gives a character that marks a place: the last of the free ones.
func (g *guard) end() rune { return g.free + markers - 1 }

// mark replaces every character of a text at which a token begins that is all in it, and the ends of the text that could
// be the rest or the beginning of a token.
func (g *guard) mark(s string) string {
	at := map[int]bool{}
	for i := range len(s) {
		for _, t := range g.tokens[s[i]] {
			rest := s[i:]
			if strings.HasPrefix(rest, t) || strings.HasPrefix(t, rest) {
				at[i] = true
				break
			}
		}
	}
	if s != "" && slices.ContainsFunc(g.all, func(t string) bool { return reaches(t, s) }) {
		at[0] = true
	}
	if len(at) == 0 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		if !at[i] || r == utf8.RuneError {
			b.WriteRune(r)
			continue
		}
		m, ok := g.marks[r]
		if !ok && len(g.back) < markers-1 {
			m, ok = g.free+rune(len(g.back)), true
			g.marks[r] = m
			g.back = append(g.back, r)
		}
		if !ok {
			m = utf8.RuneError // thousands of texts that all look like parts of tokens
		}
		b.WriteRune(m)
	}
	return b.String()
}

// reaches tells whether token t could end in s, having begun before it, or go beyond both of its ends.
func reaches(t, s string) bool {
	if len(s) <= len(t) && strings.Contains(t, s) {
		return true
	}
	for n := min(len(t)-1, len(s)); n > 0; n-- {
		if strings.HasSuffix(t, s[:n]) {
			return true
		}
	}
	return false
}

// markJSON marks the strings in JSON. Keys, roles and types are the template's to compare with, so there only whole tokens
// are marked; the same goes for strings that are keys elsewhere in a schema, as those of "required" are.
func (g *guard) markJSON(raw json.RawMessage, schema bool) (json.RawMessage, error) {
	g.keys = map[string]bool{}
	if schema {
		g.collectKeys(json.NewDecoder(bytes.NewReader(raw)))
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var b bytes.Buffer
	if err := g.markValue(&b, d, ""); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// collectKeys notes the keys of all objects. It stops where the JSON is wrong, which is found again when it is marked.
func (g *guard) collectKeys(d *json.Decoder) (ok bool) {
	t, err := d.Token()
	if err != nil {
		return false
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return true
	}
	for d.More() {
		if delim == '{' {
			key, err := d.Token()
			if err != nil {
				return false
			}
			g.keys[key.(string)] = true // the decoder gives strings as keys
		}
		if !g.collectKeys(d) {
			return false
		}
	}
	_, err = d.Token()
	return err == nil
}

func (g *guard) markValue(b *bytes.Buffer, d *json.Decoder, key string) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	switch t := t.(type) {
	case json.Delim:
		b.WriteRune(rune(t))
		for i := 0; d.More(); i++ {
			if i > 0 {
				b.WriteByte(',')
			}
			inner := key
			if t == '{' {
				name, err := d.Token()
				if err != nil {
					return err
				}
				inner = name.(string) // the decoder gives strings as keys
				b.WriteString(quote(g.markWhole(inner)) + ":")
			}
			if err := g.markValue(b, d, inner); err != nil {
				return err
			}
		}
		end, err := d.Token()
		if err != nil {
			return err
		}
		b.WriteRune(rune(end.(json.Delim)))
	case string:
		if key == "role" || key == "type" || g.keys[t] {
			b.WriteString(quote(g.markWhole(t)))
		} else {
			b.WriteString(quote(g.mark(t)))
		}
	case json.Number:
		b.WriteString(t.String())
	case bool:
		fmt.Fprint(b, t)
	default:
		b.WriteString("null")
	}
	return nil
}

func (g *guard) markWhole(s string) string {
	if slices.ContainsFunc(g.all, func(t string) bool { return strings.Contains(s, t) }) {
		return g.mark(s)
	}
	return s
}

// unmark writes a prompt: what was marked as it was, and not control. A template may have escaped a mark, as JSON in ASCII
// does.
func (g *guard) unmark(w *writer, out string) {
	from := 0
	for i := 0; i < len(out); {
		r, width := utf8.DecodeRuneInString(out[i:])
		escaped := false
		if r == '\\' {
			var n int
			if r, n = unescape(out[i:]); n > 0 {
				width, escaped = n, out[i+1] == 'u'
			}
		}
		if r >= g.free && r < g.free+rune(len(g.back)) {
			w.control(out[from:i])
			if r = g.back[r-g.free]; escaped && r >= utf8.RuneSelf {
				w.text(escapeUTF16(r))
			} else {
				w.text(string(r))
			}
			from = i + width
		}
		i += width
	}
	w.control(out[from:])
}

// unescape reads a character beyond U+FFFF that JSON escapes as two halves (\ud83d\ude00), or Python as one (\U0001f600), and
// gives its length; 0 where there is none.
func unescape(s string) (r rune, width int) {
	hex := func(s string) rune {
		n, err := strconv.ParseUint(s, 16, 32)
		if err != nil || n > utf8.MaxRune {
			return 0
		}
		return rune(n)
	}
	if len(s) >= 12 && s[1] == 'u' && s[6:8] == `\u` {
		if r := utf16.DecodeRune(hex(s[2:6]), hex(s[8:12])); r != utf8.RuneError {
			return r, 12
		}
	}
	if len(s) >= 10 && s[1] == 'U' {
		if r := hex(s[2:10]); r > 0 {
			return r, 10
		}
	}
	return '\\', 0
}

func escapeUTF16(r rune) string {
	if r < 0x10000 {
		return fmt.Sprintf(`\u%04x`, r)
	}
	high, low := utf16.EncodeRune(r)
	return fmt.Sprintf(`\u%04x\u%04x`, high, low)
}
