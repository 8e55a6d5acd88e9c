package jinja_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/haenyeo/haenyeo/chat/jinja"
)

// clock is where testdata/peer.py stops time.
var clock = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)

// render parses and renders with variables in JSON.
func render(t *testing.T, template string, vars json.RawMessage) (string, error) {
	t.Helper()
	tmpl, err := jinja.Parse(template)
	if err != nil {
		return "", err
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(vars, &raw); err != nil {
		t.Fatal(err)
	}
	given := map[string]any{}
	for name, r := range raw {
		v, err := jinja.FromJSON(r)
		if err != nil {
			t.Fatal(err)
		}
		given[name] = v
	}
	return tmpl.Render(context.Background(), given, jinja.Options{Now: clock})
}

// TestPeerTemplates renders every *.jinja file below HAENYEO_TEMPLATES with every conversation of
// testdata/conversations.py, here and by Python's Jinja2 (HAENYEO_PYTHON with transformers), and compares: texts must be
// equal and errors must be errors.
func TestPeerTemplates(t *testing.T) {
	dir, python := os.Getenv("HAENYEO_TEMPLATES"), os.Getenv("HAENYEO_PYTHON")
	if dir == "" || python == "" {
		t.Skip("set HAENYEO_TEMPLATES to a folder of chat templates and HAENYEO_PYTHON to a Python with transformers and jinja2")
	}
	var files []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".jinja") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	type rendering struct {
		File     string          `json:"file"`
		Name     string          `json:"name"`
		Template string          `json:"template"`
		Vars     json.RawMessage `json:"vars"`
		Text     *string         `json:"text"`
		Error    string          `json:"error"`
	}
	cmd := exec.Command(python, append([]string{"testdata/render_all.py"}, files...)...)
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s testdata/render_all.py: %v", python, err)
	}
	var all []rendering
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	same, accepted, refused := 0, 0, 0
	for _, c := range all {
		got, err := render(t, c.Template, c.Vars)
		where := filepath.Base(c.File) + ", " + c.Name
		switch {
		case c.Text == nil && err != nil:
			refused++
		case c.Text == nil:
			t.Errorf("%s: Python fails with %s, here it renders %.200q", where, c.Error, got)
		case err != nil:
			accepted++
			t.Errorf("%s: %v; Python renders %.200q", where, err, *c.Text)
		default:
			accepted++
			if got != *c.Text {
				t.Errorf("%s: %s", where, difference(got, *c.Text))
				continue
			}
			same++
		}
	}
	t.Logf("%d templates, %d renderings: %d identical of %d that Python accepts; %d that Python refuses are refused",
		len(files), len(all), same, accepted, refused)
	if accepted == 0 {
		t.Error("Python accepted nothing: the test proves nothing")
	}
}

// difference shows where two texts part.
func difference(got, want string) string {
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	cut := func(s string) string { return s[max(0, min(len(s), i)-30):min(len(s), i+60)] }
	q := func(s string) string { b, _ := json.Marshal(cut(s)); return string(b) }
	return "at byte " + itoa(i) + ": got " + q(got) + ", want " + q(want)
}

func itoa(i int) string { b, _ := json.Marshal(i); return string(b) }
