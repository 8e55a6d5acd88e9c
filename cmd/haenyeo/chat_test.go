package main

// The chat command without a terminal, and what it is made of.

import (
	"strings"
	"testing"
	"time"
)

func TestChatWithoutATerminal(t *testing.T) {
	const talker = "../../testdata/talker"
	if got := works(t, "How deep is the sea?\n", "chat", talker, "--temperature=0"); got != "**Almost 11 km**, in the Challenger Deep.\n" {
		t.Errorf("the answer to a pipe is %q", got)
	}
	if got := works(t, "", "chat", talker, "--temperature=0", "--no-think", "--prompt", "Hello"); got != "Hello! What would you like to know?\n" {
		t.Errorf("the answer to --prompt is %q", got)
	}
	lines := jsonLines(t, works(t, "How deep is the sea?\n\nAnd who dives there?\n", "chat", talker, "--temperature=0", "--lines", "--json"))
	if len(lines) != 2 {
		t.Fatalf("%d answers", len(lines))
	}
	message := lines[1]["message"].(map[string]any)
	if message["content"] != "- A haenyeo: to *10 m*.\n- A vessel: all the way." || message["reasoning_content"] != "A haenyeo dives to 10 m." ||
		lines[1]["finish_reason"] != "stop" || lines[1]["usage"].(map[string]any)["completion_tokens"] != 30.0 {
		t.Errorf("%v", lines[1])
	}
	if _, out, says := execute(t, "How deep is the sea?", "chat", talker, "--temperature=0", "--max-tokens=3"); out != "\n" || !strings.Contains(says, "--no-think") {
		t.Errorf("cut within the thought: %q, %s", out, says)
	}
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"--prompt x --lines", exitUsage, "exclude"},
		{"--prompt x --context=-1", exitUsage, "context"},
		{"--prompt x --max-tokens=-1", exitUsage, "max-tokens"},
		{"--prompt x --temperature=-1", exitUsage, "temperature"},
		{"--prompt x --format v9", exitFailed, "v3.2"},
		{"--prompt x --format llm --think", exitUsage, "do not think"},
		{"--prompt x --format r1 --no-think", exitUsage, "always think"},
		{"--prompt x --load nowhere.json", exitFailed, "nowhere.json"},
		{"--prompt x --tools nowhere.json", exitFailed, "nowhere.json"},
		{"--prompt Hello --context 3", exitFailed, "context holds 3"},
		{"", exitFailed, "empty"}, // nothing on stdin
	} {
		status, _, says := execute(t, "", append([]string{"chat", talker}, strings.Fields(c.args)...)...)
		if status != c.status || !strings.Contains(says, c.says) {
			t.Errorf("chat %s: status %d, %s", c.args, status, says)
		}
	}
}

// Nothing but white space is no message.
func TestBlankMessages(t *testing.T) {
	for _, blank := range []string{" ", "\n\n", " \t\r\n"} {
		if status, out, says := execute(t, blank, "chat", "../../testdata/talker"); status != exitFailed || out != "" || !strings.Contains(says, "empty") {
			t.Errorf("%q: status %d, %q, %s", blank, status, out, says)
		}
	}
}

func TestCommandCompletion(t *testing.T) {
	for text, want := range map[string]string{"/lo": "/load ", "/s": "/s", "/sy": "/system ", "/reg": "/regenerate ", "/x": "/x", "hello": "hello", "/load f": "/load f"} {
		if got := completeCommand(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestShortNumbers(t *testing.T) {
	for got, want := range map[string]string{
		grouped(7): "7", grouped(1234): "1,234", grouped(1234567): "1,234,567",
		seconds(30 * time.Millisecond): "30 ms", seconds(1240 * time.Millisecond): "1.2 s", seconds(42 * time.Second): "42 s", seconds(95 * time.Second): "1m35s",
		speed(30, 4*time.Second): "7.5", speed(300, 4*time.Second): "75", speed(1, 0): "–",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
