package main

import (
	"strings"
	"testing"
	"time"
)

// clock is a time that only moves when told.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func testProgress(columns int) (*progress, *strings.Builder, *clock) {
	var b strings.Builder
	c := &clock{time.Unix(1000, 0)}
	p := newProgress(&b)
	p.now, p.width = c.now, func() int { return columns }
	return p, &b, c
}

func TestProgressOnATerminal(t *testing.T) {
	p, b, c := testProgress(50)
	p.update(0, "first")
	p.update(0.1, "too soon")
	c.t = c.t.Add(barRefresh)
	p.update(0.5, strings.Repeat("x", 100))
	p.say("stays")
	p.clear() // nothing is left to clear
	want := "\r\x1b[K[--------------------]   0%  first" +
		"\r\x1b[K[==========----------]  50%  " + strings.Repeat("x", 20) +
		"\r\x1b[Kstays\n"
	if b.String() != want {
		t.Errorf("wrote\n%q, want\n%q", b.String(), want)
	}
}

func TestProgressElsewhere(t *testing.T) {
	p, b, c := testProgress(0)
	p.stage("reading", -1)
	p.update(0, "first")
	c.t = c.t.Add(logRefresh - 1)
	p.update(0.1, "too soon")
	c.t = c.t.Add(1)
	p.update(0.25, "due")
	p.say("stays")
	if want := "reading\n  0%  first\n 25%  due\nstays\n"; b.String() != want {
		t.Errorf("wrote %q, want %q", b.String(), want)
	}
}

// A peak that was measured on a busy machine is measured again when a step beats it.
func TestShareOfAPeakThatIsBeaten(t *testing.T) {
	measured := []float64{100, 400, 120}
	w := &watch{peak: func() float64 {
		p := measured[0]
		measured = measured[1:]
		return p
	}}
	for i, c := range []struct{ rate, share float64 }{{50, 0.5}, {131, 131. / 400}, {400, 1}, {500, 1}, {250, 0.5}} {
		if got := w.ofPeak(c.rate); got != c.share {
			t.Errorf("rate %d, %v: share %v, want %v", i, c.rate, got, c.share)
		}
	}
	if len(measured) != 0 {
		t.Errorf("%d measurements were not asked for", len(measured))
	}
}

func TestShortWorkIsSilentElsewhere(t *testing.T) {
	p, b, c := testProgress(0)
	p.update(0, "first")
	p.update(0.5, "half")
	if b.String() != "" {
		t.Errorf("wrote %q within no time", b.String())
	}
	c.t = c.t.Add(logRefresh)
	p.update(0.6, "due")
	if b.String() != " 60%  due\n" {
		t.Errorf("wrote %q", b.String())
	}
}

func TestNumbersForPeople(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{duration(42 * time.Second), "42s"}, {duration(190 * time.Second), "3m10s"}, {duration(7500 * time.Second), "2h05m"}, {duration(0), "0s"},
		{count(950), "950"}, {count(12345), "12.3k"}, {count(4.5e6), "4.5M"}, {count(1.25e9), "1.2G"},
		{size(950), "950 B"}, {size(12345), "12.3 kB"}, {size(4500000), "4.5 MB"}, {size(1250000000), "1.2 GB"},
		{oneLine("a\n b\t c", 9), "a b c"}, {oneLine("abcdef", 3), "abc…"}, {drawBar(2, 4), "[====]"}, {drawBar(-1, 4), "[----]"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
