package terminal

// A screen that follows what this package writes, for the tests.

import (
	"strconv"
	"strings"
)

// screen is a terminal of columns cells. Rows above its lines are kept.
type screen struct {
	columns, lines int
	rows           [][]string // a cell holds a character; the second cell of a wide one is ""
	top            int        // first row of the screen
	x, y           int
	styles         map[string]bool
}

func newScreen(columns, lines int) *screen {
	return &screen{columns: columns, lines: lines, rows: make([][]string, 1), styles: map[string]bool{}}
}

func (s *screen) Write(b []byte) (int, error) {
	for text := string(b); text != ""; {
		if rest, ok := strings.CutPrefix(text, "\x1b["); ok {
			end := strings.IndexFunc(rest, func(r rune) bool { return r >= '@' && r <= '~' })
			s.control(rest[:end], rest[end])
			text = rest[end+1:]
			continue
		}
		n, w := cluster(text)
		s.put(text[:n], w)
		text = text[n:]
	}
	return len(b), nil
}

func (s *screen) control(arg string, c byte) {
	n, _ := strconv.Atoi(arg)
	switch c {
	case 'A':
		s.y = max(s.top, s.y-max(1, n))
	case 'J':
		s.rows = s.rows[:s.y+1]
		s.cut()
	case 'K':
		s.cut()
	case 'm':
		s.styles[arg] = true
	case 'h', 'l':
	default:
		panic("the screen does not know CSI " + arg + string(c))
	}
}

func (s *screen) cut() {
	if len(s.rows[s.y]) > s.x {
		s.rows[s.y] = s.rows[s.y][:s.x]
	}
}

func (s *screen) down() {
	if s.y++; s.y == len(s.rows) {
		s.rows = append(s.rows, nil)
	}
	s.top = max(s.top, s.y-s.lines+1)
}

func (s *screen) put(part string, w int) {
	switch part {
	case "\r":
		s.x = 0
		return
	case "\n":
		s.down()
		return
	}
	if w == 0 && s.x == 0 {
		w = 1 // there is nothing to stand on
	}
	if s.x+w > s.columns {
		s.x = 0
		s.down()
	}
	row := s.rows[s.y]
	for len(row) < s.x+w {
		row = append(row, " ")
	}
	if w == 0 && s.x > 0 {
		row[s.x-1] += part
	}
	for i := range w {
		row[s.x+i] = map[bool]string{true: part}[i == 0]
	}
	s.rows[s.y] = row
	s.x += w
}

// text is what can be read, all rows, without spaces at their ends.
func (s *screen) text() string {
	var lines []string
	for _, row := range s.rows {
		lines = append(lines, strings.TrimRight(strings.Join(row, ""), " "))
	}
	return strings.Join(lines, "\n")
}
