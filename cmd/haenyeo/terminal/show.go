package terminal

// What a console shows: text, lines that stay and lines that go, and the parts of an answer as they come.

import (
	"fmt"
	"io"
	"strings"
)

// Write shows text as it is, below what is shown for a moment.
func (c *Console) Write(b []byte) (int, error) {
	c.Clear()
	text := string(b)
	if c.o.Smart {
		text = strings.ReplaceAll(text, "\n", "\r\n") // the terminal gives keys, and does nothing by itself
	}
	if _, err := io.WriteString(c.out, text); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Note shows a line apart from the conversation.
func (c *Console) Note(format string, args ...any) {
	f := newFlow(c, c.columns, c.o.Colour, "")
	if c.o.Smart {
		f.Text(fmt.Sprintf(format, args...), Dim)
		f.Close()
		return
	}
	fmt.Fprintln(c.o.Asides, Clean(fmt.Sprintf(format, args...)))
}

// Gap leaves a row free. A console that is not smart has none.
func (c *Console) Gap() {
	if c.o.Smart {
		c.Write([]byte("\n"))
	}
}

// Live shows a line that the next output takes away. A console that is not smart leaves it out.
func (c *Console) Live(format string, args ...any) {
	if !c.o.Smart {
		return
	}
	c.Clear()
	columns, _ := c.size()
	line := cut(Clean(fmt.Sprintf(format, args...)), columns-1)
	io.WriteString(c.out, Dim.codes(false)+line+Plain.codes(false))
	c.live = max(1, Width(line))
}

// Clear takes the live line away.
func (c *Console) Clear() {
	if c.live == 0 {
		return
	}
	up := ""
	if columns, _ := c.size(); columns > 0 && c.live > columns { // the terminal was made narrower, and broke the line
		up = fmt.Sprintf("\x1b[%dA", (c.live-1)/columns)
	}
	c.live = 0
	io.WriteString(c.out, "\r"+up+"\x1b[J")
}

// Title shows a line that says what follows.
func (c *Console) Title(text string, style Style) {
	f := newFlow(c, c.columns, c.o.Colour, "")
	if !c.o.Smart {
		fmt.Fprintln(c.o.Asides, Clean(text))
		return
	}
	f.Text(text, style)
	f.Close()
}

// Writer is where a text goes as it comes.
type Writer interface {
	Push(text string)
	Close()
}

// Thought shows text set apart: dimmed, behind a bar.
func (c *Console) Thought() Writer {
	if !c.o.Smart {
		return &plainWriter{w: c.o.Asides}
	}
	return thought{newFlow(c, c.columns, c.o.Colour, "│ ")}
}

type thought struct{ f *Flow }

func (t thought) Push(text string) { t.f.Text(text, Dim) }
func (t thought) Close()           { t.f.Close() }

// Answer shows Markdown.
func (c *Console) Answer() Writer {
	if !c.o.Smart {
		return &plainWriter{w: c}
	}
	return newMarkdown(newFlow(c, c.columns, c.o.Colour, ""))
}

// Call shows the call of a tool.
func (c *Console) Call() Writer {
	if !c.o.Smart {
		return &plainWriter{w: c}
	}
	return call{newFlow(c, c.columns, c.o.Colour, "")}
}

type call struct{ f *Flow }

func (t call) Push(text string) { t.f.Text(text, Bright) }
func (t call) Close()           { t.f.Close() }

// plainWriter shows text as it is, and ends its last line.
type plainWriter struct {
	w     io.Writer
	clean Cleaner
	mid   bool // within a line
}

func (p *plainWriter) Push(text string) {
	if text = p.clean.Push(text); text != "" {
		io.WriteString(p.w, text)
		p.mid = !strings.HasSuffix(text, "\n")
	}
}

func (p *plainWriter) Close() {
	if p.mid {
		io.WriteString(p.w, "\n")
	}
}

func (c *Console) columns() int {
	columns, _ := c.size()
	return columns
}

// cut shortens a line to at most n cells.
func cut(s string, n int) string {
	for at, cells := 0, 0; at < len(s); {
		size, w := cluster(s[at:])
		if cells += w; cells > n {
			return s[:at]
		}
		at += size
	}
	return s
}
