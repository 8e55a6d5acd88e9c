package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func conversations(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "talk.jsonl")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// The command leaves a model that others take, and its adapters; --json is one object a line.
func TestSFT(t *testing.T) {
	data := conversations(t, `{"messages":[{"role":"user","content":"Hello"},{"role":"assistant","content":"Good day"}]}`,
		`{"instruction":"Who dives?","output":"A haenyeo"}`)
	out := filepath.Join(t.TempDir(), "out")
	args := []string{"sft", "../../testdata/talker", "--data", data, "--out", out, "--lora", "4", "--steps", "3", "--batch", "2", "--seq", "64"}
	status, stdout, stderr := execute(t, "", append(args, "--json")...)
	if status != exitDone {
		t.Fatalf("status %d, %s", status, stderr)
	}
	var names []string
	for line := range strings.Lines(stdout) {
		var e struct{ Event string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		names = append(names, e.Event)
	}
	if got := strings.Join(names, " "); !strings.HasPrefix(got, "plan step") || !strings.HasSuffix(got, "done") || strings.Count(got, "step") != 3 {
		t.Errorf("events: %s", got)
	}
	if _, err := os.Stat(filepath.Join(out, "adapter", "adapter_config.json")); err != nil {
		t.Error(err)
	}
	if status, answer, stderr := execute(t, "Hello", "chat", out, "--max-tokens", "8"); status != exitDone || answer == "" {
		t.Errorf("the model does not talk: status %d, %q, %s", status, answer, stderr)
	}
	if status, _, stderr := execute(t, "", args...); status != exitFailed || !strings.Contains(stderr, "is not empty") {
		t.Errorf("again into the same directory: status %d, %s", status, stderr)
	}
}

func TestSFTRefuses(t *testing.T) {
	good := conversations(t, `{"instruction":"a","output":"b"}`)
	bad := conversations(t, `{"instruction":"a","output":"b"}`, `{"messages":[{"role":"user","content":"x"}]}`)
	for _, c := range []struct {
		says   string
		status int
		args   []string
	}{
		{"line 2: messages: no answer", exitFailed, []string{"--data", bad}},
		{"--data", exitUsage, nil},
		{"one of them", exitUsage, []string{"--data", good, "--epochs", "1", "--steps", "1"}},
		{"--lora", exitUsage, []string{"--data", good, "--alpha", "2"}},
		{"--out", exitUsage, []string{"--data", good, "--resume"}},
		{"positive", exitUsage, []string{"--data", good, "--epochs", "0"}},
		{"rank", exitFailed, []string{"--data", good, "--lora", "0"}},
		{"share", exitUsage, []string{"--data", good, "--experts", "2"}},
		{"bf16", exitUsage, []string{"--data", good, "--dtype", "f8"}},
	} {
		status, stdout, stderr := execute(t, "", append([]string{"sft", "../../testdata/talker"}, c.args...)...)
		if status != c.status || stdout != "" || !strings.Contains(stderr, c.says) {
			t.Errorf("%q: status %d, %q, %s", c.args, status, stdout, stderr)
		}
	}
}

func TestDPO(t *testing.T) {
	data := conversations(t, `{"prompt":"Hello","chosen":"Good day","rejected":"What"}`, `{"prompt":"Who dives?","chosen":"A haenyeo","rejected":"A cat"}`)
	out := filepath.Join(t.TempDir(), "out")
	status, stdout, stderr := execute(t, "", "dpo", "../../testdata/talker", "--data", data, "--out", out, "--steps", "2", "--batch", "2", "--json")
	if status != exitDone || !strings.Contains(stdout, `"stats":{"accuracy":0,"margin":0}`) || !strings.Contains(stdout, `"event":"done"`) {
		t.Errorf("status %d, %s%s", status, stdout, stderr)
	}
	for says, args := range map[string][]string{"beta": {"--data", data, "--beta", "0"}, "rejected: missing": {"--data", conversations(t, `{"prompt":"a","chosen":"b"}`)}} {
		if status, stdout, stderr := execute(t, "", append([]string{"dpo", "../../testdata/talker"}, args...)...); status == exitDone || stdout != "" || !strings.Contains(stderr, says) {
			t.Errorf("%q: status %d, %q, %s", args, status, stdout, stderr)
		}
	}
}
