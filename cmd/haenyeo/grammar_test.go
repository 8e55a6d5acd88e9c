package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What generate writes is in the grammar that a flag gives, and a wrong grammar is one line that says where.
func TestGenerateInGrammar(t *testing.T) {
	dir := testModel(t)
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	schema := file("schema.json", `{"type":"object","properties":{"sea":{"enum":["blue","grey"]},"depth":{"type":"integer","minimum":1,"maximum":20}},"required":["sea","depth"],"additionalProperties":false}`)
	gbnf := file("g.gbnf", "root ::= (\"sea\" | \"shore\") \" \" [0-9]{2}\n")
	generate := func(flags ...string) string {
		args := append([]string{"generate", dir, "--prompt", "the sea", "--max-tokens", "120", "--temperature", "1", "--json"}, flags...)
		o := jsonLines(t, works(t, "", args...))[0]
		if o["finish_reason"] != "stop" {
			t.Errorf("%v ended by %v: %q", flags, o["finish_reason"], o["text"])
		}
		return o["text"].(string)
	}
	var v struct {
		Sea   string
		Depth int
	}
	if text := generate("--json-schema", schema); json.Unmarshal([]byte(text), &v) != nil || v.Sea != "blue" && v.Sea != "grey" || v.Depth < 1 || v.Depth > 20 {
		t.Errorf("the schema gave %q", text)
	}
	if text := generate("--grammar", gbnf); !regexp.MustCompile(`^(sea|shore) [0-9]{2}$`).MatchString(text) {
		t.Errorf("the grammar gave %q", text)
	}
	if text := generate("--regexp", "[a-c]{3}"); !regexp.MustCompile(`^[a-c]{3}$`).MatchString(text) {
		t.Errorf("the regular expression gave %q", text)
	}
	if text := generate("--choice", "yes", "--choice", "no, never"); text != "yes" && text != "no, never" {
		t.Errorf("the choices gave %q", text)
	}
	for _, c := range []struct {
		flags  []string
		status int
		want   string
	}{
		{[]string{"--json-schema", schema, "--choice", "x"}, 2, "give one of them"}, {[]string{"--regexp", "("}, 2, "missing closing"},
		{[]string{"--json-schema", gbnf}, 1, "no JSON"}, {[]string{"--grammar", schema}, 1, "line 1"}, {[]string{"--grammar", dir + "/none"}, 1, "none"},
		{[]string{"--json-schema", file("s.json", `{"items":{"not":{}}}`)}, 1, "/items/not"},
	} {
		code, _, stderr := execute(t, "", append([]string{"generate", dir, "--prompt", "x"}, c.flags...)...)
		if code != c.status || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: status %d, %q", c.flags, code, stderr)
		}
	}
}
