package main

// How what a model wrote is shown: in a few lines, whatever it wrote.

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"github.com/haenyeo/haenyeo/train"
)

const (
	sampleLines   = 3
	sampleColumns = 100
)

// showSamples prints samples, each on a few lines behind its language.
func (a *app) showSamples(samples []train.Sample) {
	columns := sampleColumns
	if terminal := a.bar.width(); terminal > 0 {
		columns = min(columns, terminal-1)
	}
	for _, s := range samples {
		lang := s.Lang
		if lang == "und" {
			lang = ""
		}
		for i, line := range excerpt(s.Prompt, s.Text, columns-6, sampleLines) {
			if i > 0 {
				lang = ""
			}
			a.print("%-5s %s", lang, line)
		}
	}
}

// excerpt cuts a sample into at most n lines of at most columns columns, its prompt in brackets. A text
// that is longer ends in an ellipsis.
func excerpt(prompt, text string, columns, n int) []string {
	rest := []rune("[" + plain(prompt) + "]" + plain(text))
	var lines []string
	for len(rest) > 0 {
		end, space, used := 0, 0, 0 // of the line, of its last whole word, in columns
		for ; end < len(rest); end++ {
			if rest[end] == ' ' {
				space = end
			}
			if used += cells(rest[end]); used > columns && end > 0 {
				break
			}
		}
		last := len(lines) == n-1
		if end < len(rest) && space > end/2 && !last {
			end = space // between words, where the script has them
		}
		line := strings.TrimSpace(string(rest[:end]))
		if last && end < len(rest) {
			return append(lines, strings.TrimSpace(cutTo(line, end-1))+"…")
		}
		lines = append(lines, line)
		if rest = rest[end:]; len(rest) > 0 && rest[0] == ' ' {
			rest = rest[1:]
		}
	}
	return lines
}

// cells is the width of r on a terminal.
func cells(r rune) int {
	switch kind := width.LookupRune(r).Kind(); {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case kind == width.EastAsianWide || kind == width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// plain is text with every run of white space as one space, and nothing in it that a terminal obeys.
func plain(text string) string {
	var b strings.Builder
	space := false
	for _, r := range text {
		if unicode.IsSpace(r) {
			space = true
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		if !unicode.IsGraphic(r) && !(unicode.Is(unicode.Cf, r) && !bidi(r)) {
			r = unicode.ReplacementChar
		}
		b.WriteRune(r)
	}
	return b.String()
}

// bidi says whether r turns the direction of what follows it, also beyond the text.
func bidi(r rune) bool { return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 }

// oneLine shows text in at most n characters of one line.
func oneLine(text string, n int) string {
	text = strings.TrimSpace(plain(text))
	if short := cutTo(text, n); short != text {
		return short + "…"
	}
	return text
}

// quoted writes s as one word of a shell's command line.
func quoted(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_./:=+,@%", r)
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
