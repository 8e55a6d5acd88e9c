package terminal

import (
	"strings"
	"testing"
	"unicode"
)

// shown is what a screen of columns shows of a text that comes in parts.
func shown(columns int, parts ...string) *screen {
	s := newScreen(columns, 1000)
	m := newMarkdown(newFlow(rows{s}, func() int { return columns }, true, ""))
	for _, p := range parts {
		m.Push(p)
	}
	m.Close()
	return s
}

// rows ends lines as a console does.
type rows struct{ s *screen }

func (r rows) Write(b []byte) (int, error) {
	r.s.Write([]byte(strings.ReplaceAll(string(b), "\n", "\r\n")))
	return len(b), nil
}

var markdownCases = map[string]string{
	"plain text":              "plain text",
	"# Title\n\ntext":         "Title\n\ntext",
	"#hashtag":                "#hashtag",
	"a **bold** b":            "a bold b",
	"**not closed":            "**not closed",
	"2 * 3 * 4 and a*b*c":     "2 * 3 * 4 and a*b*c",
	"*it* and ***both***":     "it and both",
	"`code` and ``a`b``":      "code and a`b",
	"a ` lone tick":           "a ` lone tick",
	"__init__ and snake_case": "__init__ and snake_case",
	"**bold with `code`**":    "bold with code",
	"- one\n* two\n+ three":   "• one\n• two\n• three",
	"  - deeper\n":            "  • deeper",
	"1. one\n12) two":         "1. one\n12) two",
	"1999 was a year":         "1999 was a year",
	"-5 degrees":              "-5 degrees",
	"> said\nnot":             "│ said\nnot",
	"```go\nx := `a` * **b**\n```\nafter **b**": "```go\nx := `a` * **b**\n```\nafter b",
	"```\nnever closed **x**":                   "```\nnever closed **x**",
	"~~~\n```\n~~~\nx":                          "~~~\n```\n~~~\nx",
	"---\n":                                     strings.Repeat("─", 29),
	`\*literal\* and \( math \)`:                `*literal* and \( math \)`,
	"one two three four five six seven":         "one two three four five six\nseven",
	"- one two three four five six seven":       "• one two three four five six\n  seven",
	"你好世界你好世界你好世界你好世，你好":                        "你好世界你好世界你好世界你好\n世，你好",
	"바다는 깊고 푸르고 아주 아주 넓습니다 정말로":                 "바다는 깊고 푸르고 아주 아주\n넓습니다 정말로",
	strings.Repeat("x", 40):                     strings.Repeat("x", 29) + "\n" + strings.Repeat("x", 11),
	"\x1b[31mred\x07":                           "\ufffd[31mred\ufffd",
	"|a|b|\n|-|-|\n|1|2|":                       "|a|b|\n|-|-|\n|1|2|",
	"a\n\n\nb":                                  "a\n\n\nb",
}

func TestMarkdown(t *testing.T) {
	for text, want := range markdownCases {
		if got := strings.TrimSuffix(shown(30, text).text(), "\n"); got != want {
			t.Errorf("%q shows\n%s\nwant\n%s", text, got, want)
		}
	}
}

// What is shown does not depend on how the text comes.
func TestMarkdownInParts(t *testing.T) {
	for text := range markdownCases {
		want := shown(30, text).text()
		var letters []string
		for _, r := range text {
			letters = append(letters, string(r))
		}
		if got := shown(30, letters...).text(); got != want {
			t.Errorf("%q letter by letter:\n%s\nat once:\n%s", text, got, want)
		}
		for i := range letters {
			if got := shown(30, strings.Join(letters[:i], ""), strings.Join(letters[i:], "")).text(); got != want {
				t.Errorf("%q cut at %d:\n%s\nat once:\n%s", text, i, got, want)
			}
		}
	}
}

func TestMarkdownStyles(t *testing.T) {
	for text, style := range map[string]string{
		"**b**": "0;1", "*i*": "0;3", "`c`": "0;36", "# h": "0;1", "***x***": "0;1;3", "**`x`**": "0;1;36", "```\nx\n```": "0;36",
	} {
		if s := shown(30, text); !s.styles[style] || !s.styles["0"] {
			t.Errorf("%q: styles %v, want %s and an end", text, s.styles, style)
		}
	}
	var b strings.Builder
	m := newMarkdown(newFlow(&b, func() int { return 0 }, false, ""))
	m.Push("`c` **b**")
	m.Close()
	if strings.Contains(b.String(), "36") || !strings.Contains(b.String(), "\x1b[0;1m") {
		t.Errorf("without colours: %q", b.String())
	}
}

// What is shown comes soon: an answer does not wait for its end.
func TestMarkdownComesAtOnce(t *testing.T) {
	s := newScreen(60, 100)
	m := newMarkdown(newFlow(rows{s}, func() int { return 60 }, true, ""))
	m.Push("The sea is deep and")
	if got := s.text(); got != "The sea is deep" {
		t.Errorf("after some words: %q", got)
	}
	m.Push(" **wide and")
	if got := s.text(); got != "The sea is deep and" {
		t.Errorf("while a marker waits for its partner: %q", got)
	}
	m.Push(strings.Repeat(" and wider", 30))
	if got := s.text(); !strings.Contains(got, "**wide and and wider") {
		t.Errorf("after long waiting: %q", got)
	}
}

func TestThoughtHasABar(t *testing.T) {
	s := newScreen(20, 100)
	w := thought{newFlow(rows{s}, func() int { return 20 }, true, "│ ")}
	w.Push("one two three four five\n\nsix")
	w.Close()
	if want := "│ one two three\n│ four five\n│\n│ six\n"; s.text() != want {
		t.Errorf("%q, want %q", s.text(), want)
	}
}

// No letter is lost, and rows fit, whatever comes.
func FuzzMarkdown(f *testing.F) {
	for text := range markdownCases {
		f.Add(text, 3, 30)
	}
	f.Fuzz(func(t *testing.T, text string, cut, columns int) {
		text = strings.ToValidUTF8(text, "?")
		if len(text) > 1<<12 {
			return
		}
		columns = 10 + int(uint(columns)%100)
		cut = int(uint(cut) % uint(len(text)+1))
		s := shown(columns, strings.ToValidUTF8(text[:cut], ""), strings.ToValidUTF8(text[cut:], ""))
		count := func(s string) (n int) {
			for _, r := range s {
				if unicode.IsLetter(r) {
					n++
				}
			}
			return n
		}
		whole := strings.ToValidUTF8(text[:cut], "") + strings.ToValidUTF8(text[cut:], "")
		if got, want := count(s.text()), count(whole); got != want {
			t.Errorf("%q, cut at %d, %d columns: %d letters of %d:\n%s", whole, cut, columns, got, want, s.text())
		}
	})
}
