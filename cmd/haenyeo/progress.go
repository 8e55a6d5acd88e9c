package main

// The progress line: one line that rewrites itself on a terminal, a plain line now and then
// elsewhere.

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

const (
	barRefresh = 100 * time.Millisecond // on a terminal
	logRefresh = 5 * time.Second        // elsewhere
)

// progress shows the state of long work on stderr. It may be used by several goroutines.
type progress struct {
	mu     sync.Mutex
	w      io.Writer
	width  func() int // columns of the terminal, 0 when w is not one
	now    func() time.Time
	last   time.Time // of the last update shown
	shown  bool      // the bar is on the current line
	staged bool      // stage was called: there is a story to tell
}

func newProgress(w io.Writer) *progress {
	return &progress{w: w, now: time.Now, width: func() int {
		f, ok := w.(*os.File)
		if !ok || os.Getenv("TERM") == "dumb" || !term.IsTerminal(int(f.Fd())) {
			return 0
		}
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			return columns
		}
		return 80
	}}
}

// update shows that part (0 to 1) of the work is done, with text behind it. Too frequent calls are
// dropped; a terminal sees the bar, other readers a plain line.
func (p *progress) update(part float64, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	columns, now := p.width(), p.now()
	every := logRefresh
	if columns > 0 {
		every = barRefresh
	}
	if p.last.IsZero() && columns == 0 && !p.staged {
		p.last = now // short work needs no lines
	}
	if !p.last.IsZero() && now.Sub(p.last) < every {
		return
	}
	p.last = now
	line := fmt.Sprintf("%s %3.0f%%  %s", drawBar(part, 20), 100*part, text)
	if columns == 0 {
		fmt.Fprintf(p.w, "%3.0f%%  %s\n", 100*part, text)
		return
	}
	fmt.Fprint(p.w, "\r\x1b[K"+cutTo(line, columns-1))
	p.shown = true
}

// stage shows work of which perhaps only the name is known; part is negative then.
func (p *progress) stage(name string, part float64) {
	if part >= 0 {
		p.update(part, name)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.staged = time.Time{}, true // what follows is shown at once
	if columns := p.width(); columns > 0 {
		fmt.Fprint(p.w, "\r\x1b[K"+cutTo(name+" …", columns-1))
		p.shown = true
		return
	}
	fmt.Fprintln(p.w, name)
}

// say prints a line that stays, above the bar.
func (p *progress) say(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	fmt.Fprintln(p.w, line)
}

// clear removes the bar.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
}

func (p *progress) erase() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}

// writer returns a writer for whole lines of log that keeps clear of the bar.
func (p *progress) writer() io.Writer { return logWriter{p} }

type logWriter struct{ p *progress }

func (l logWriter) Write(b []byte) (int, error) {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	l.p.erase()
	return l.p.w.Write(b)
}

// drawBar draws part (0 to 1) as a bar of n cells.
func drawBar(part float64, n int) string {
	full := max(0, min(n, int(part*float64(n))))
	return "[" + strings.Repeat("=", full) + strings.Repeat("-", n-full) + "]"
}

// cutTo shortens a line to at most n characters.
func cutTo(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:max(0, n)])
}

// duration writes d as people say it: 42s, 3m10s, 2h05m.
func duration(d time.Duration) string {
	switch s := int(d.Round(time.Second).Seconds()); {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	default:
		return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
	}
}

// count writes a large number shortly: 950, 12.3k, 4.5M, 1.2G.
func count(n float64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%.0f", n)
	case n < 1e6:
		return fmt.Sprintf("%.1fk", n/1e3)
	case n < 1e9:
		return fmt.Sprintf("%.1fM", n/1e6)
	default:
		return fmt.Sprintf("%.1fG", n/1e9)
	}
}

// size writes a number of bytes shortly: 950 B, 12.3 kB, 4.5 MB, 1.2 GB.
func size(n int64) string {
	switch x := float64(n); {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1e6:
		return fmt.Sprintf("%.1f kB", x/1e3)
	case n < 1e9:
		return fmt.Sprintf("%.1f MB", x/1e6)
	default:
		return fmt.Sprintf("%.1f GB", x/1e9)
	}
}
