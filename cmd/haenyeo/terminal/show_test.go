package terminal

import (
	"strings"
	"testing"
)

// A live line goes as a whole, also where the terminal was made narrower meanwhile and shows it on several rows.
func TestLiveLineGoesAfterResize(t *testing.T) {
	for _, columns := range []int{40, 20, 7} {
		s := newScreen(columns, 10)
		wide := 40
		c := &Console{o: Options{Smart: true}, out: s, size: func() (int, int) { return wide, 10 }}
		c.Write([]byte("above\n"))
		s.x = 0
		c.Live("reading 1000 tokens: 12%%, 9 s left")
		wide = columns
		c.Live("done")
		var rows []string
		for _, r := range s.rows {
			rows = append(rows, strings.TrimRight(strings.Join(r, ""), " "))
		}
		if got := strings.TrimSpace(strings.Join(rows, "|")); got != "above|done" {
			t.Errorf("%d columns: %q", columns, got)
		}
		c.Clear()
		if c.live != 0 {
			t.Error("the line is still there")
		}
	}
}
