package jinja_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// golden is testdata/golden.json, written by testdata/generate.py with Python's Jinja2.
type golden struct {
	Vars  json.RawMessage
	Cases []struct {
		Group, Template, Error string
		Text                   *string
	}
	Conversations map[string]json.RawMessage
	Templates     []struct {
		File, Conversation, Error string
		Text                      *string
	}
}

func loadGolden(t testing.TB) golden {
	t.Helper()
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestGoldenCases compares one construct at a time: the same text, or an error where Jinja2 has one.
func TestGoldenCases(t *testing.T) {
	g := loadGolden(t)
	for _, c := range g.Cases {
		got, err := render(t, c.Template, g.Vars)
		switch {
		case c.Text == nil && err == nil:
			t.Errorf("%s %q: got %q, but Jinja2 fails with %s", c.Group, c.Template, got, c.Error)
		case c.Text != nil && err != nil:
			t.Errorf("%s %q: %v; want %q", c.Group, c.Template, err, *c.Text)
		case c.Text != nil && got != *c.Text:
			t.Errorf("%s %q:\n got %q\nwant %q", c.Group, c.Template, got, *c.Text)
		}
	}
}

// TestGoldenTemplates compares whole chat templates over the conversations of testdata/conversations.py.
func TestGoldenTemplates(t *testing.T) {
	g := loadGolden(t)
	if len(g.Templates) == 0 {
		t.Fatal("no renderings")
	}
	for _, c := range g.Templates {
		template, err := os.ReadFile(filepath.Join("testdata/templates", c.File))
		if err != nil {
			t.Fatal(err)
		}
		got, err := render(t, string(template), g.Conversations[c.Conversation])
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
