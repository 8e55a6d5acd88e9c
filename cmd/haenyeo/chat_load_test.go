//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const weatherTools = `[{"type": "function", "function": {"name": "get_weather", "description": "The weather in a city now.",
	"parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]`

// write makes a file of this text.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// A conversation that ends in a call says so, and what the flags ask for holds for every one that is loaded.
func TestChatLoadsAnOpenCall(t *testing.T) {
	t.Setenv("TERM", "xterm")
	file := write(t, "talk.json", `{"format":"v3.1","thinking":true,"messages":[{"role":"user","content":"What is the weather in Busan?"},
		{"role":"assistant","content":null,"tool_calls":[{"id":"call_0","type":"function","function":{"name":"get_weather","arguments":"{\"city\": \"Busan\"}"}}]}]}`)
	s, stop := sits(t, "--no-think", "--tools="+write(t, "tools.json", weatherTools))
	s.expect("> ")
	s.types("/load " + file + "\r")
	s.expect("2 messages", "user: What is the weather", `→ get_weather {"city": "Busan"}`, "type what get_weather gives", "> ")
	s.types("/stats\r")
	s.expect("context ")
	s.mu.Lock()
	if strings.Contains(s.screen.String(), "context 0 of") {
		t.Error("what is loaded takes nothing")
	}
	s.mu.Unlock()
	s.types("{\"sky\": \"clear\", \"celsius\": 21}\r")
	s.expect("It is clear in Busan, at 21 °C.", "> ") // with thinking off, and the tool known
	s.types("/undo\r/stats\r")
	s.expect("taken away", "context 0 of", "> ")
	s.types("/save " + filepath.Join(t.TempDir(), "no", "x") + "\r")
	s.expect("make it first", "> ")
	s.types("/set effort silly\r")
	s.expect("no levels of effort", "> ")
	s.types("\x04")
	if code := stop(); code != exitDone {
		t.Errorf("status %d", code)
	}
	// Without the flags, the file's own settings hold, and are told of.
	s, stop = sits(t, "--no-think")
	s.expect("> ")
	s.types("/think off\r/load " + write(t, "prefix.json", `{"format":"v3.1","thinking":true,"messages":[{"role":"user","content":"Hello"},
		{"role":"assistant","content":"What","prefix":true}]}`) + "\r")
	s.expect("assistant: What", "> ")
	s.types("Hello\r")
	s.expect("read in", "> ")
	s.types("\x04")
	if code := stop(); code != exitDone {
		t.Errorf("status %d", code)
	}
}

// A long message that the context has no room for comes back; what is quoted is no command.
func TestChatLongAndQuotedMessages(t *testing.T) {
	t.Setenv("TERM", "xterm")
	s, stop := sits(t, "--no-think", "--max-tokens=3")
	s.expect("> ")
	s.types("\x1b[200~" + strings.Repeat("all work and no play\n", 2500) + "the end of it\x1b[201~\r")
	s.expect("Up brings the message back", "> ")
	s.types("\x1b[A")
	s.expect("the end of it")
	s.types("\x03")
	s.types("\"\"\"\r/usr/bin/env\r\"\"\"\r")
	s.expect("3 tokens", "> ")
	s.types("\x1b[200~\"\"\"Says hello.\x1b[201~\r")
	s.expect("3 tokens", "> ")
	s.types("\x04")
	if code := stop(); code != exitDone {
		t.Errorf("status %d", code)
	}
}

// A dumb terminal drops what is typed where Ctrl-C is pressed, so that nobody can tell an empty line.
func TestChatDumbTerminalIsNotLeft(t *testing.T) {
	t.Setenv("TERM", "dumb")
	s, stop := sits(t, "--no-think", "--max-tokens=3")
	interrupt := func() { // this terminal is nobody's, and sends no signals
		t.Helper()
		if err := unix.Kill(os.Getpid(), unix.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
	s.expect("> ")
	interrupt()
	s.expect("Ctrl-D leaves.", "> ")
	interrupt()
	s.expect("Ctrl-D leaves.", "> ")
	s.types("Hello\n")
	s.expect("3 tokens", "> ")
	s.types("\x04")
	if code := stop(); code != exitDone {
		t.Errorf("status %d", code)
	}
}

// What the flags of a conversation get wrong is told in their words.
func TestChatFlags(t *testing.T) {
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"--tools", write(t, "t.json", `{"name":"f"}`)}, exitFailed, "no list of tools"},
		{[]string{"--tools", write(t, "t.json", `[3]`)}, exitFailed, "tool 0: it is no tool"},
		{[]string{"--tools", write(t, "t.json", `[{}]`)}, exitFailed, "tool 0: a tool has no name"},
		{[]string{"--tools", write(t, "t.json", `[`)}, exitFailed, "no JSON"},
		{[]string{"--effort", "silly"}, exitUsage, "no levels of effort"},
		{[]string{"--context", "100000", "--max-tokens", "1"}, exitDone, "longer than the model's window"},
	} {
		status, _, says := execute(t, "", append([]string{"chat", talkerDir, "--prompt", "Hello"}, c.args...)...)
		if status != c.status || !strings.Contains(says, c.want) || strings.Contains(says, "json: ") || strings.Contains(says, "Go value") {
			t.Errorf("%v: status %d, %s", c.args, status, says)
		}
	}
}
