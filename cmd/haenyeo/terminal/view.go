package terminal

// The editor on the screen. It stands where the cursor was when it began, on as many rows as it needs, and is drawn
// anew in one write after every key.

import (
	"fmt"
	"strings"
)

// row is a line of the screen.
type row struct {
	text  string // with its prompt
	cells int
}

// layout breaks a text into rows of less than columns cells, the first behind prompt, the others behind as many spaces.
// It gives the row and the bytes of it that stand before the cursor.
func layout(prompt, text string, at, columns int) (rows []row, cursor, before int) {
	indent := Width(prompt)
	blank := strings.Repeat(" ", indent)
	columns = max(columns, indent+3) // nothing can be shown in less
	var b strings.Builder
	b.WriteString(prompt)
	cells := indent
	end := func() {
		rows = append(rows, row{b.String(), cells})
		b.Reset()
		b.WriteString(blank)
		cells = indent
	}
	for i := 0; ; {
		if i == at {
			cursor, before = len(rows), b.Len()
		}
		if i == len(text) {
			break
		}
		n, w := cluster(text[i:])
		part := text[i : i+n]
		switch part {
		case "\n":
			end()
			i += n
			continue
		case "\t":
			w = 4 - (cells-indent)%4
			part = strings.Repeat(" ", w)
		}
		if cells+w >= columns {
			end()
			if i == at {
				cursor, before = len(rows), b.Len()
			}
		}
		b.WriteString(part)
		cells += w
		i += n
	}
	end()
	return rows, cursor, before
}

// view remembers what of the editor is on the screen.
type view struct {
	rows   []row // that were drawn
	cursor int   // which of them the cursor is on
	ahead  int   // cells of it before the cursor
}

// draw writes what replaces the last drawing by this one, at a size of columns and lines.
func (v *view) draw(prompt, text string, at, columns, lines int) string {
	rows, cursor, before := layout(prompt, text, at, columns)
	head := rows[cursor].text[:before]
	if most := max(1, lines-1); len(rows) > most { // only what is near the cursor
		from := min(max(0, cursor-most/2), len(rows)-most)
		rows, cursor = rows[from:from+most], cursor-from
	}
	var b strings.Builder
	b.WriteString(v.erase(columns))
	for i, r := range rows {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(r.text)
	}
	if up := len(rows) - 1 - cursor; up > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", up)
	}
	// What stands before the cursor once more: the terminal knows best how wide it is.
	b.WriteString("\r" + head)
	v.rows, v.cursor, v.ahead = rows, cursor, Width(head)
	return b.String()
}

// erase removes the drawing. At another width than it was drawn for, the terminal has broken its rows itself.
func (v *view) erase(columns int) string {
	if v.rows == nil {
		return ""
	}
	columns = max(1, columns)
	up := v.ahead / columns
	for _, r := range v.rows[:v.cursor] {
		up += max(1, (r.cells+columns-1)/columns)
	}
	v.rows = nil
	if up > 0 {
		return fmt.Sprintf("\r\x1b[%dA\x1b[J", up)
	}
	return "\r\x1b[J"
}
