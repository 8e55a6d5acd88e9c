package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
)

const hostile = `</p><script>alert("x")</script><img src=http://example.com/x>"'` + "`|\u202e\x07"

// log writes a run of some steps as the trainer does.
func log(steps int) string {
	var b strings.Builder
	line := func(event string, v map[string]any) {
		v["event"] = event
		text, _ := json.Marshal(v)
		b.Write(append(text, '\n'))
	}
	line("plan", map[string]any{"preset": "nano", "params": 2412032, "active": 1187328, "tokens": 4096 * steps, "steps": steps, "batch": 16, "seq": 256, "seconds": 300, "mixture": "ko 2", "waste": 0.0123,
		"options": json.RawMessage(`{"seed":1,"optimizer":"muon","lr":0.002,"betas":[0.9,0.95],"pace":{"eval":60},"none":null}`)})
	for s := 1; s <= steps; s++ {
		line("step", map[string]any{"step": s, "tokens": 4096 * s, "loss": 3 + 5/float64(s), "lr": 0.002, "grad_norm": 1.0, "tok_s": 64000, "load_max_over_mean": 1.5})
		if s%10 == 0 {
			line("eval", map[string]any{"step": s, "val_bpb": 2 + 1/float64(s), "by_lang": map[string]float64{"ko": 1.5, "id": 2.5}, "expert_load": [][]float64{{1, 0.5, 1.5}, {0, 3, 0}}})
			line("sample", map[string]any{"step": s, "prompt": "한국어는 " + hostile, "text": "좋다 " + hostile, "lang": "ko"})
			line("checkpoint", map[string]any{"step": s, "path": "x"})
		}
	}
	line("done", map[string]any{"step": steps, "tokens": 4096 * steps, "loss": 3.1, "val_bpb": 2.1, "seconds": 75})
	return b.String()
}

func read(t *testing.T, text string) *Run {
	t.Helper()
	r, skipped, err := ReadLog(strings.NewReader(text))
	if err != nil || skipped != 0 {
		t.Fatalf("%d lines skipped, %v", skipped, err)
	}
	return r
}

func TestReadLog(t *testing.T) {
	r := read(t, log(100))
	if len(r.Steps) != 100 || len(r.Evals) != 10 || len(r.Samples) != 10 || r.Done == nil || r.Done.Seconds != 75 {
		t.Errorf("%d steps, %d evaluations, %d samples, done %v", len(r.Steps), len(r.Evals), len(r.Samples), r.Done)
	}
	if r.Plan.Params != 2412032 || r.Steps[99].Tokens != 409600 || r.Evals[9].ByLang["id"] != 2.5 || r.Evals[0].Load[1][1] != 3 {
		t.Errorf("plan %+v, last step %+v", r.Plan, r.Steps[99])
	}
	if got := fmt.Sprint(r.Plan.Options); got != "[{seed 1} {optimizer muon} {lr 0.002} {betas 0.9, 0.95} {pace.eval 60} {none none}]" {
		t.Errorf("options %s", got)
	}
}

func TestReadLogOfOddRuns(t *testing.T) {
	for _, tc := range []struct {
		name, text                    string
		steps, evals, skipped, atStep int
	}{
		{"empty", "", 0, 0, 0, 0},
		{"cut off", log(20) + `{"event":"step","st`, 20, 2, 1, 20},
		{"not events", "hello\n[1]\n{\"event\":\"other\"}\n\n{\"event\":\"step\",\"step\":-1}\n" + log(10), 10, 1, 4, 10},
		{"went back", log(30) + `{"event":"step","step":15,"loss":1}` + "\n", 15, 1, 0, 15},
		{"no newline", strings.TrimSuffix(log(10), "\n"), 10, 1, 0, 10},
		{"windows", strings.ReplaceAll(log(10), "\n", "\r\n"), 10, 1, 0, 10},
		{"long line", log(10) + `{"event":"` + strings.Repeat("x", maxLine) + "\"}\n" + `{"event":"step","step":11}`, 11, 1, 1, 11},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, skipped, err := ReadLog(strings.NewReader(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Steps) != tc.steps || len(r.Evals) != tc.evals || skipped != tc.skipped {
				t.Errorf("%d steps, %d evaluations, %d skipped", len(r.Steps), len(r.Evals), skipped)
			}
			if tc.steps > 0 && r.Steps[tc.steps-1].Step != tc.atStep {
				t.Errorf("last step %d", r.Steps[tc.steps-1].Step)
			}
		})
	}
	broken := errors.New("broken disk")
	if _, _, err := ReadLog(io.MultiReader(strings.NewReader(log(3)), errReader{broken})); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// full is a run with everything in it, all of it hostile.
func full(t *testing.T) *Run {
	r := read(t, log(1000))
	r.Name, r.Machine, r.Software = "m "+hostile, hostile, hostile
	r.Architecture, r.Tags = "A "+hostile, []string{"kind", "t " + hostile}
	r.Config = []Setting{{"hidden size " + hostile, "128 " + hostile}}
	r.Commands = []Command{{"Continue " + hostile, "haenyeo generate ``` " + hostile}}
	r.Data = Data{
		Documents: 7, Bytes: 1234567, ValidationBytes: 12345, Duplicates: 1, NotNFC: 2, SkipCount: 30, Tokenizer: hostile,
		Sources:   []Source{{Name: "s\n" + hostile, Licence: "", Lang: "ko", Author: hostile, SHA256: "00", Translated: true, Documents: 7, Bytes: 1234567}},
		Files:     []File{{"f " + hostile, 10, 7, "ab"}},
		Languages: []Language{{"ko", 5, 100}, {"id", 2, 50}, {"und", 1, 1}},
	}
	for range 30 {
		r.Data.Skipped = append(r.Data.Skipped, Skip{hostile, hostile})
	}
	return r
}

func TestPageIsSelfContainedAndEscaped(t *testing.T) {
	page, err := full(t).HTML()
	if err != nil {
		t.Fatal(err)
	}
	s := string(page)
	for _, bad := range []string{"<script", "<img", "src=\"", "href=", "@import", "url(", "<link", "<iframe", "ZgotmplZ", "\x07", "NaN", "Inf"} {
		if strings.Contains(s, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	for _, want := range []string{"<!doctype html>", `dir="auto" lang="ko"`, "prefers-color-scheme: dark", "viewport", "&lt;script&gt;", "Training loss", "Validation",
		"Learning rate", "Throughput", "Expert load in time", "Expert load at the end", "not stated", "1 exact duplicate dropped", "1 min 15 s", "2.41M parameters"} {
		if !strings.Contains(s, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	drawings := 0
	for rest := s; ; drawings++ {
		i := strings.Index(rest, "<svg")
		if i < 0 {
			break
		}
		j := strings.Index(rest, "</svg>") + len("</svg>")
		if err := xml.Unmarshal([]byte(rest[i:j]), new(struct{})); err != nil {
			t.Errorf("drawing %d: %v", drawings, err)
		}
		rest = rest[j:]
	}
	if drawings != 8 {
		t.Errorf("%d drawings", drawings)
	}
	if len(page) > 400<<10 {
		t.Errorf("the page has %d bytes", len(page))
	}
}

func TestPageOfLittle(t *testing.T) {
	for name, r := range map[string]*Run{
		"nothing":  {},
		"one step": {Steps: []Step{{Step: 1, Loss: 9}}},
		"odd numbers": {
			Steps: []Step{{Step: 1, Loss: math.NaN(), LR: math.Inf(1), TokS: -1}, {Step: 2, Loss: 1e300}, {Step: 3, Loss: math.Copysign(0, -1)}},
			Evals: []Eval{{Step: 2, BPB: math.NaN(), ByLang: map[string]float64{"": math.Inf(-1)}, Load: [][]float64{{}, {math.NaN(), -3}}}},
			Done:  &Done{Seconds: math.NaN()},
		},
	} {
		page, err := r.HTML()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if bytes.Contains(page, []byte("NaN")) && name != "odd numbers" {
			t.Errorf("%s: NaN", name)
		}
		if card := r.Card(); !bytes.HasPrefix(card, []byte("---\n")) {
			t.Errorf("%s: card %q", name, card)
		}
	}
}

func TestCard(t *testing.T) {
	card := string(full(t).Card())
	header, body, ok := strings.Cut(strings.TrimPrefix(card, "---\n"), "\n---\n")
	if !ok {
		t.Fatalf("no header: %q", card)
	}
	for _, want := range []string{"license: other", "language:\n- \"ko\"\n- \"id\"\n", "library_name: transformers", "tags:\n- \"haenyeo\"\n- \"kind\"\n- \"t <", "data_sources:\n- name: \"s\\n", "license: \"not stated\"",
		"sha256: \"ab\"", "seed: \"1\"", "machine_translated: true", "type: bits_per_byte", "value: 2.0010"} {
		if !strings.Contains(header, want) {
			t.Errorf("the header lacks %q:\n%s", want, header)
		}
	}
	if strings.Contains(header, "\"und\"\nlibrary") {
		t.Error("the header lists the undetermined language")
	}
	for line := range strings.Lines(header) { // what is not a number or a name is quoted, on one line
		if rest := strings.TrimLeft(line, " -"); strings.Contains(rest, "alert") && !strings.Contains(rest, `"`) {
			t.Errorf("not quoted: %s", line)
		}
	}
	for _, want := range []string{"A small language model of the A ", "| step | tokens |", "| 1000 | 4.1M |", "| ko | 1.500 |", "| optimizer | muon |", "| mixture | ko 2 |", "| positions left empty by packing | 1.2 % |", "````\nhaenyeo generate ```", "(machine translation)", "1.23 MB of text, of which 12.3 kB"} {
		if !strings.Contains(body, want) {
			t.Errorf("the body lacks %q", want)
		}
	}
	if prose := strings.Replace(body, fenced(full(t).Commands[0].Line), "", 1); strings.Contains(prose, "<script") {
		t.Error("the body has unescaped HTML")
	}
	if strings.Count(body, "\n| 1") > 40 {
		t.Error("the curve is not thinned")
	}
}

func TestTicks(t *testing.T) {
	for _, tc := range []struct {
		lo, hi float64
		n      int
		want   string
	}{
		{0, 10, 5, "[0 2 4 6 8 10]"},
		{0.13, 0.87, 4, "[0.2 0.4 0.6000000000000001 0.8]"},
		{-1, 1, 4, "[-1 -0.5 0 0.5 1]"},
		{1, 1200, 6, "[200 400 600 800 1000 1200]"},
		{5, 5, 4, "[5]"},
		{math.Inf(-1), 0, 4, "[-Inf]"},
	} {
		if got := fmt.Sprint(ticks(tc.lo, tc.hi, tc.n)); got != tc.want {
			t.Errorf("ticks(%v, %v): %s, want %s", tc.lo, tc.hi, got, tc.want)
		}
	}
}

func TestShrinkKeepsExtremes(t *testing.T) {
	ps := make([]point, 10_000)
	for i := range ps {
		ps[i] = point{float64(i), math.Sin(float64(i))}
	}
	ps[7777].y = 99
	b := shrink(ps, 100)
	top := 0.0
	for _, k := range b {
		top = max(top, k.max)
	}
	if len(b) != 100 || top != 99 || b[99].x != 9999 {
		t.Errorf("%d buckets, top %v, last at %v", len(b), top, b[99].x)
	}
	if s := smooth([]point{{0, 0}, {1, 2}, {2, 4}, {3, 6}}, 3); s[0].y != 0 || s[1].y != 2 || s[3].y != 6 {
		t.Errorf("a straight line is smoothed to %v", s)
	}
}

func FuzzLog(f *testing.F) {
	f.Add([]byte(log(12)))
	f.Add([]byte(`{"event":"eval","step":1,"expert_load":[[1e308,-1],[]],"by_lang":{"":1e-320}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, _, err := ReadLog(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		page, err := r.HTML()
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(page, []byte("<script")) {
			t.Fatal("script")
		}
		r.Card()
	})
}
