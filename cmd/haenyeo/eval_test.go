package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEval(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	seen := "which of these animals is known to bark at night when the moon is full"
	write("pets.test.jsonl", `{"query":"Question: `+seen+`","choices":["a dog","a stone"],"gold":0}
{"query":"Question: what is it","choices":["a dog","a stone"],"gold":1}
{"query":"Question: of the many things that people keep at home and care for, what lives and what does not","choices":["a dog","a stone"],"gold":0}`)
	write("pets.val.jsonl", `{"query":"Question: no","choices":["a","b"],"gold":0}`)
	text := write("text.txt", "I wonder: "+strings.ToUpper(seen)+"? A dog!\n")
	talker, out := filepath.Join("..", "..", "testdata", "talker"), filepath.Join(dir, "out")

	var stdout, stderr bytes.Buffer
	args := []string{"eval", talker, "--data", dir, "--task", "pets", "--against", talker + "/", "--contamination", text, "--bpb", text, "--shots", "1", "--out", out, "--json"}
	if status := run(context.Background(), args, strings.NewReader(""), &stdout, &stderr); status != exitDone {
		t.Fatalf("status %d: %s", status, &stderr)
	}
	var events []string
	for line := range strings.Lines(stdout.String()) {
		var e struct {
			Event string
			Items int
			Short int
			Found int
			P     float64
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		events = append(events, e.Event)
		switch e.Event {
		case "result":
			if e.Items != 3 {
				t.Errorf("%s: 3 questions are in the test split", line)
			}
		case "comparison":
			if e.P != 1 {
				t.Errorf("%s: a model differs from itself", line)
			}
		case "contamination":
			if e.Items != 2 || e.Short != 1 || e.Found != 1 {
				t.Errorf("%s: 1 question of 2 stands in the text, 1 is short", line)
			}
		}
	}
	if got, want := strings.Join(events, " "), "result result comparison comparison comparison contamination bpb bpb"; got != want {
		t.Errorf("events %s, not %s", got, want)
	}
	results, err := os.ReadFile(filepath.Join(out, "results.jsonl"))
	if err != nil || strings.Count(string(results), "\n") != len(events) {
		t.Errorf("results.jsonl: %v, %q", err, results)
	}
	items, err := os.ReadFile(filepath.Join(out, "items.jsonl"))
	if err != nil || strings.Count(string(items), "\n") != 6 {
		t.Errorf("items.jsonl: %v, %q", err, items)
	}
	if _, err := os.Stat(filepath.Join(out, "report.html")); err != nil {
		t.Error(err)
	}
}

func TestEvalErrors(t *testing.T) {
	talker := filepath.Join("..", "..", "testdata", "talker")
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"--task", "arc-easy"}, exitFailed, "--data"},
		{[]string{"--task", "ladder/nothing"}, exitFailed, "nothing"},
		{[]string{"--task", "none.star"}, exitFailed, "none.star"},
		{[]string{"--task", "ladder/add", "--limit", "-1"}, exitUsage, "0 or more"},
		{[]string{}, exitUsage, "--task"},
	} {
		var stdout, stderr bytes.Buffer
		status := run(context.Background(), append([]string{"eval", talker}, c.args...), strings.NewReader(""), &stdout, &stderr)
		if status != c.status || !strings.Contains(stderr.String(), c.want) || stdout.Len() > 0 {
			t.Errorf("%v: status %d, %s", c.args, status, &stderr)
		}
	}
}

// A task of one's own is measured like a rung of the ladder.
func TestEvalTaskFile(t *testing.T) {
	talker := filepath.Join("..", "..", "testdata", "talker")
	prices := filepath.Join("..", "..", "task", "sandbox", "testdata", "prices.star")
	out := works(t, "", "eval", talker, "--task", prices, "--limit", "3", "--json")
	if !strings.Contains(out, `"prices"`) || !strings.Contains(out, `"correct"`) {
		t.Errorf("%s", out)
	}
}
