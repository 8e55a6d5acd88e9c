package report

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"time"
)

func TestTimeline(t *testing.T) {
	ms := time.Millisecond
	tl := &Timeline{
		Title: `a <model> & "friends"`, Notes: []string{"4 tokens"}, Kinds: []string{"norm", "attention <1>", "sampling"},
		Layers: [][]time.Duration{{ms, 0, 7 * ms}, {2 * ms, 3 * ms, 0}, {0, 5 * ms, 0}},
		Steps:  []time.Duration{9 * ms, 3 * ms, 4 * ms, 2 * ms},
		Runs: []TimelineRun{
			{Number: 0, Spans: []Span{{-1, 0, 0, ms}, {0, 1, ms, 4 * ms}, {1, 1, 4 * ms, 9 * ms}}, Cut: true},
			{Number: 3, Spans: []Span{{0, 0, 0, ms}, {1, 1, ms, 2 * ms}, {1, 9, 2 * ms, 2 * ms}}},
		},
	}
	page, err := tl.HTML()
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, want := range []string{
		"a &lt;model&gt; &amp;", "Run 1 of 4", "9 ms, its beginning", "Run 4 of 4", "attention &lt;1&gt;: 5 ms", "layer 1, attention", "44.4 %", "outside",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, foreign := range []string{"<model>", "<script", "http:", "https:", "src=", "NaN", "Inf"} {
		if strings.Contains(text, foreign) {
			t.Errorf("the page holds %q", foreign)
		}
	}
	if n := strings.Count(text, "<svg"); n != 4 {
		t.Errorf("%d drawings, want two runs, the layers and the steps", n)
	}
	for rest := text; ; {
		lo := strings.Index(rest, "<svg")
		if lo < 0 {
			break
		}
		hi := strings.Index(rest, "</svg>") + len("</svg>")
		d := xml.NewDecoder(bytes.NewReader([]byte(rest[lo:hi])))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("a drawing is no XML: %v", err)
			}
		}
		rest = rest[hi:]
	}
	// The second run has a rectangle for each span that has a width and a kind.
	second := text[strings.Index(text, "Run 4 of 4"):]
	if n := strings.Count(second[:strings.Index(second, "</svg>")], "<rect"); n != 2 {
		t.Errorf("%d rectangles, want 2", n)
	}
}

// Nothing measured, or very much: a page all the same.
func TestTimelineExtremes(t *testing.T) {
	many := &Timeline{Title: "many", Kinds: []string{"a"}, Layers: make([][]time.Duration, 400)}
	for i := range many.Layers {
		many.Layers[i] = []time.Duration{time.Duration(i)}
	}
	for _, tl := range []*Timeline{{Title: "empty"}, {Title: "no runs", Kinds: []string{"a"}, Layers: [][]time.Duration{{0}}}, many,
		{Title: "no time", Kinds: []string{"a"}, Runs: []TimelineRun{{Spans: []Span{{0, 0, 0, 0}}}}}} {
		page, err := tl.HTML()
		if err != nil || !strings.Contains(string(page), tl.Title) || strings.Contains(string(page), "NaN") {
			t.Errorf("%s: %v", tl.Title, err)
		}
	}
}

func TestBrief(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ns", 812: "812 ns", 3412: "3.41 µs", 12345678: "12.3 ms", 999600: "1 ms", 2500 * time.Millisecond: "2.5 s", 4 * time.Millisecond: "4 ms",
	} {
		if got := brief(d); got != want {
			t.Errorf("%d: %q, want %q", d, got, want)
		}
	}
}
