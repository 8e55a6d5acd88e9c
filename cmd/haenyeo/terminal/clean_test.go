package terminal

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
)

// A text is cleaned in pieces as it is whole, wherever it is cut, in every writer.
func TestCleaningPieces(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"a\r\nb\rc\r\n", "a\nb\nc\n"}, {"\x1b]0;pwn\x07é\r\r\n한\u009b1m", "\ufffd]0;pwn\ufffdé\n\n한\ufffd1m"}, {"\r\n\r\n", "\n\n"},
	} {
		for at := range len(c.text) + 1 {
			var b bytes.Buffer
			w := Filter(&b)
			io.WriteString(w, c.text[:at])
			io.WriteString(w, c.text[at:])
			if b.String() != c.want {
				t.Errorf("%q cut at %d: %q, want %q", c.text, at, b.String(), c.want)
			}
		}
	}
	for name, writer := range map[string]func(w io.Writer) Writer{
		"plain":    func(w io.Writer) Writer { return &plainWriter{w: w} },
		"thought":  func(w io.Writer) Writer { return thought{newFlow(w, func() int { return 0 }, false, "")} },
		"markdown": func(w io.Writer) Writer { return newMarkdown(newFlow(w, func() int { return 0 }, false, "")) },
	} {
		var b bytes.Buffer
		w := writer(&b)
		w.Push("one\r")
		w.Push("\ntwo\r")
		w.Close()
		if got := strings.NewReplacer("\x1b[0m", "", "\x1b[0;2m", "").Replace(b.String()); got != "one\ntwo\n" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Without a drawing terminal, quotes stand alone on their line.
func TestQuotesInLines(t *testing.T) {
	var shown bytes.Buffer
	c, err := Open(strings.NewReader("\"\"\"Doc.\nnext\n\"\"\"\na\n/b \"\"\"x\n\"\"\"\nend\\\nof it\n"), nil, &shown, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, want := range []string{`"""Doc.`, "next", "a\n/b \"\"\"x", "end\nof it"} {
		if got, err := c.Read(context.Background(), "> ", "", nil); err != nil || got != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
}
