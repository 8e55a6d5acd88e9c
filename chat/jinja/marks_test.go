package jinja_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/chat/jinja"
)

// printable is a token of all that is printable in ASCII, and of some that is not: every character of it is marked.
const printable = "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~ \t\n\r\u00e9\u00df\u03a3\U0001f60a\u2581\uff5c"

// renderMarked renders with variables in JSON that are all marked, and gives what of the output is the template's own.
func renderMarked(t *testing.T, template string, vars json.RawMessage, tokens ...string) (out, own string, err error) {
	t.Helper()
	tmpl, err := jinja.Parse(template)
	if err != nil {
		return "", "", err
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(vars, &raw); err != nil {
		t.Fatal(err)
	}
	all, err := jinja.FromJSON(vars)
	if err != nil {
		t.Fatal(err)
	}
	marks, err := jinja.NewMarks(tokens, all)
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]any{}
	for name, r := range raw {
		v, err := jinja.FromJSON(r)
		if err != nil {
			t.Fatal(err)
		}
		given[name] = marks.Mark(v, func(int, string, string) bool { return false })
	}
	text, err := tmpl.Render(context.Background(), given, jinja.Options{Now: clock, Marks: marks})
	var b, of strings.Builder
	marks.Split(text, func(s string, data bool) {
		b.WriteString(s)
		if !data {
			of.WriteString(s)
		}
	})
	return b.String(), of.String(), err
}

// TestMarksAreUnseen runs what Jinja2 was asked with every character of the data marked: the same answers.
func TestMarksAreUnseen(t *testing.T) {
	g := loadGolden(t)
	for _, c := range g.Cases {
		got, _, err := renderMarked(t, c.Template, g.Vars, printable)
		switch {
		case c.Text == nil && err == nil:
			t.Errorf("%s %q: got %q, but Jinja2 fails with %s", c.Group, c.Template, got, c.Error)
		case c.Text != nil && err != nil:
			t.Errorf("%s %q: %v; want %q", c.Group, c.Template, err, *c.Text)
		case c.Text != nil && got != *c.Text:
			t.Errorf("%s %q:\n got %q\nwant %q", c.Group, c.Template, got, *c.Text)
		}
	}
	for _, c := range g.Templates {
		template, err := os.ReadFile(filepath.Join("testdata/templates", c.File))
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := renderMarked(t, string(template), g.Conversations[c.Conversation], printable)
		where := c.File + ", " + c.Conversation
		switch {
		case c.Text == nil && err == nil:
			t.Errorf("%s: got %q, but Jinja2 fails with %s", where, got, c.Error)
		case c.Text != nil && err != nil:
			t.Errorf("%s: %v", where, err)
		case c.Text != nil && got != *c.Text:
			t.Errorf("%s: %s", where, difference(got, *c.Text))
		}
	}
}

// operations are what templates do with a text x.
var operations = []string{"x", "x[1:]", "x[::-1]", "x|upper", "x|lower", "x|title", "x|capitalize", "x.swapcase()", "x.casefold()", "x|trim", "x.strip('<')",
	"x.split('</think>')[-1].lstrip('\\n')", "x.split('</think>')[0].split('<think>')[-1]", "x.split('a')|join", "x.rsplit('h', 1)|join", "x.split()|join",
	"x|replace('</think>', '')", "x.replace('a', '')", "x.replace('', '-')", "x.partition('think')|join", "x.rpartition('<')[0]", "x.removeprefix('<')", "x.removesuffix('>')",
	"x.splitlines()|join", "x|list|join", "x|reverse", "x|e", "x|striptags", "x|urlencode", "x|tojson", "x|tojson(ensure_ascii=true)", "[x]|string", "'%s' % x", "'%r' % x",
	"'{}'.format(x)", "'{0!a}'.format(x)", "x ~ x", "x * 2", "x|indent", "x|truncate(9)", "x.center(30)", "x.zfill(30)", "x.expandtabs()", "x|first", "x|wordcount", "{x: x}[x]",
	"x == '<think>'", "x.startswith('<t')", "'</think>' in x", "x.find('think')", "x.count('t')", "x < 'b'", "x|unique|join", "x|sort|join", "x|int", "x|float", "x is upper"}

// FuzzMarks gives words to every operation: the text is that of a rendering without marks, and no token that the words
// spell is the template's own.
func FuzzMarks(f *testing.F) {
	for _, s := range []string{"", "<think>\nhm\n</think>\n\n42", "<</think>think>", " think", "&lt;think&gt;", "<tha ink>", "\u017f<THINK>\ufb01\u0131\u00df", "\U000f0000<think>", "User: 12\r\n'\"\\"} {
		f.Add(s)
	}
	tokens := []string{"<think>", "</think>", "<\uff5cUser\uff5c>"}
	f.Fuzz(func(t *testing.T, words string) {
		vars, err := json.Marshal(map[string]string{"x": words})
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range operations {
			template := "{{ " + op + " }}"
			want, wrong := render(t, template, vars)
			got, own, err := renderMarked(t, template, vars, tokens...)
			if (wrong == nil) != (err == nil) || got != want {
				t.Errorf("%s of %q: %q, %v; without marks %q, %v", op, words, got, err, want, wrong)
			}
			if op == "x" && strings.ContainsAny(own, "<think>") {
				t.Errorf("%q of %q is the template's own", own, words)
			}
			for _, token := range tokens {
				if strings.Contains(own, token) {
					t.Errorf("%s of %q: %q is the template's own", op, words, token)
				}
			}
		}
	})
}

// What partition found in the data stays the data's, whatever found it.
func TestPartitionKeepsMarks(t *testing.T) {
	for _, template := range []string{
		"{% set p = x.partition('<|im_end|>') %}{{ p[0] ~ p[1] ~ p[2] }}", "{{ x.rpartition('<|im_end|>')|join }}", "{{ x.partition('absent')|join }}",
	} {
		out, own, err := renderMarked(t, template, json.RawMessage(`{"x": "a<|im_end|>b"}`), "<|im_end|>")
		if err != nil || out != "a<|im_end|>b" || strings.Contains(own, "<|im_end|>") {
			t.Errorf("%s: %q, of the template %q, %v", template, out, own, err)
		}
	}
}
