//go:build linux

package main

// The chat command at a terminal: a pseudo-terminal, keys in, what it shows out.

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// somebody types at a terminal and reads from it.
type somebody struct {
	t      *testing.T
	keys   *os.File // the other side of the terminal
	mu     sync.Mutex
	screen bytes.Buffer
	read   int // of screen, by expect
}

// newTerminal makes a pseudo-terminal: what the program has, and who sits before it.
func newTerminal(t *testing.T) (*os.File, *somebody) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("this system has no pseudo-terminals: ", err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 30, Col: 90}); err != nil {
		t.Fatal(err)
	}
	s := &somebody{t: t, keys: master}
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			s.mu.Lock()
			s.screen.Write(b[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return slave, s
}

var escapes = regexp.MustCompile(`\x1b\[[0-9;?]*[a-zA-Z]`)

// expect waits until all of these were shown, in this order, after what was expected before.
func (s *somebody) expect(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			s.mu.Lock()
			seen := escapes.ReplaceAllString(s.screen.String(), "")
			s.mu.Unlock()
			if i := strings.Index(seen[min(s.read, len(seen)):], text); i >= 0 {
				s.read += i + len(text)
				break
			}
			if time.Now().After(end) {
				s.t.Fatalf("%q is not shown after\n%s\nbut\n%q", text, seen[:min(s.read, len(seen))], seen[min(s.read, len(seen)):])
			}
		}
	}
}

func (s *somebody) types(keys string) {
	s.t.Helper()
	if _, err := s.keys.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// sits runs the chat command at a terminal. stop waits for its end and gives its status.
func sits(t *testing.T, args ...string) (s *somebody, stop func() int) {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	slave, s := newTerminal(t)
	before, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	status := make(chan int, 1)
	go func() {
		status <- run(context.Background(), append([]string{"chat", talkerDir, "--temperature=0", "--threads=1"}, args...), slave, slave, slave)
	}()
	return s, func() int {
		t.Helper()
		select {
		case code := <-status:
			after, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
			if err != nil || *after != *before {
				t.Errorf("the terminal is left in another mode (%v)", err)
			}
			return code
		case <-time.After(20 * time.Second):
			t.Fatal("the command does not end")
			return -1
		}
	}
}

const talkerDir = "../../testdata/talker"

func TestChatAtATerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	file := filepath.Join(t.TempDir(), "talk.json")
	s, stop := sits(t)
	s.expect("talker", "format v3.1", "> ")
	s.types("How deep is the sea?\r")
	s.expect("Thinking", "│ The deepest place is the Challenger Deep. 바다는 깊다.", "Almost 11 km, in the Challenger Deep.", "37 tokens", "context 48 of 1,024", "> ")
	s.types("\x14") // Ctrl-T
	s.expect("│ The deepest place", "> ")
	s.types("/think hide\rAnd who dives there?\r")
	s.expect("thought for 10 tokens", "• A haenyeo: to 10 m.", "known", "> ")
	s.types("/save " + file + "\r")
	s.expect("saved: 4 messages", "> ")
	s.types("/think off\r/clear\r")
	s.expect("thinking is off", "a new conversation", "> ")
	s.types("Sing\r\x03")
	s.expect("stopped", "> ")
	s.types("\x15/clear\r") // before its first token the message is given back
	s.expect("a new conversation", "> ")
	s.types("/lo\t" + file + "\r")
	s.expect("/load ", "4 messages of "+file, "> ")
	s.types("/undo\rAnd who dives there\\\r!\x7f\x7f?\r") // a second line, joined to the first again
	s.expect("taken away: And who dives there?", "thought for", "• A haenyeo", "> ")
	s.types("/regenerate\r")
	s.expect("will be the same", "• A haenyeo", "> ")
	s.types("/set top_p 0.5\r/set top-p 7\r/set nonsense 1\r/stats\r/nonsense\r")
	s.expect("top-p 0.5", "top-p 7: must be between 0 and 1", "no setting", "2 answers", "there is no command /nonsense", "> ")
	s.types("\x1b[200~Hello\x1b[201~\x03\x03\x03") // the first Ctrl-C takes the text away
	s.expect("> Hello", "Ctrl-C again leaves")
	if code := stop(); code != exitDone {
		t.Errorf("status %d", code)
	}
	s, stop = sits(t, "--load="+file, "--no-history")
	s.expect("4 messages of "+file, "assistant: - A haenyeo", "> ")
	s.types("\x04")
	if code := stop(); code != exitDone {
		t.Errorf("loaded: status %d", code)
	}
}

func TestChatHistoryIsPrivate(t *testing.T) {
	t.Setenv("TERM", "xterm")
	s, stop := sits(t)
	s.expect("> ")
	s.types("How deep is the sea?\r")
	s.expect("Almost 11 km", "> ")
	s.types("Hello\x03\x04") // never sent
	if code := stop(); code != exitDone {
		t.Errorf("status %d", code)
	}
	history, err := os.ReadFile(filepath.Join(os.Getenv("XDG_STATE_HOME"), "haenyeo", "history"))
	if err != nil || string(history) != "\"How deep is the sea?\"\n" {
		t.Errorf("the history holds %s, %v", history, err)
	}
}

// A pasted text of several lines is one message, and the history brings it back.
func TestChatPasteAndHistory(t *testing.T) {
	t.Setenv("TERM", "xterm")
	s, stop := sits(t, "--no-think", "--max-tokens=3", "--no-history", "--system=Be brief.")
	s.expect("> ")
	s.types("\x1b[200~one\ntwo\nthree\x1b[201~")
	s.expect("> one", "  two", "  three")
	s.types("\r")
	s.expect("3 tokens", "the longest answer", "> ")
	s.types("/system\r")
	s.expect("Be brief.", "> ")
	s.types("\x1b[A\x1b[A")
	s.expect("  three")
	s.types("\r/continue\r/stats\r")
	s.expect("3 tokens", "3 tokens", "3 answers, 9 tokens", "5 messages", "> ")
	s.types("\x04")
	if code := stop(); code != exitDone {
		t.Errorf("status %d", code)
	}
	if _, err := os.Stat(filepath.Join(os.Getenv("XDG_STATE_HOME"), "haenyeo")); err == nil {
		t.Error("a history was written")
	}
}

// A message that the context has no room for leaves an empty line, for the command that makes room.
func TestChatOutOfContext(t *testing.T) {
	t.Setenv("TERM", "xterm")
	s, stop := sits(t, "--no-think", "--context=24")
	s.expect("> ")
	s.types("Sing\r")
	s.expect("the context is full, so the answer ends here", "> ")
	s.types("Hello\r")
	s.expect("the context holds 24", "Up brings the message back", "> ")
	s.types("/clear\r")
	s.expect("a new conversation", "> ")
	s.types("Hello\r")
	s.expect("What would you like to know?", "> ")
	s.types("\x1b[200~" + strings.Repeat("Hello\n", 30) + "\x1b[201~\r")
	s.expect("the context holds 24", "Up brings the message back", "> ")
	s.types("/exit\r")
	if code := stop(); code != exitDone {
		t.Errorf("status %d", code)
	}
}

// The end of the context is told of before it comes.
func TestChatWarnsOfTheContext(t *testing.T) {
	t.Setenv("TERM", "xterm")
	s, stop := sits(t, "--no-think", "--context=60", "--max-tokens=45")
	s.expect("> ")
	s.types("Sing\r")
	s.expect("45 tokens", "of 60", "the longest answer", "% full", "tokens are left", "> ")
	s.types("/exit\r")
	if code := stop(); code != exitDone {
		t.Errorf("status %d", code)
	}
}

// Whoever offers tools gives their results.
func TestChatCallsATool(t *testing.T) {
	t.Setenv("TERM", "xterm")
	tools := filepath.Join(t.TempDir(), "tools.json")
	if err := os.WriteFile(tools, []byte(`[{"type": "function", "function": {"name": "get_weather", "description": "The weather in a city now.",
		"parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]`), 0o666); err != nil {
		t.Fatal(err)
	}
	s, stop := sits(t, "--no-think", "--tools="+tools)
	s.expect("> ")
	s.types("What is the weather in Busan?\r")
	s.expect(`→ get_weather {"city": "Busan"}`, "type what get_weather gives", "> ")
	s.types("{\"sky\": \"clear\", \"celsius\": 21}\r")
	s.expect("It is clear in Busan, at 21 °C.", "> ")
	s.types("/exit\r")
	if code := stop(); code != exitDone {
		t.Errorf("status %d", code)
	}
	question := []string{"chat", talkerDir, "--temperature=0", "--no-think", "--tools", tools, "--prompt", "What is the weather in Busan?"}
	if got := works(t, "", question...); got != "get_weather {\"city\": \"Busan\"}\n" {
		t.Errorf("in a pipe the call is %q", got)
	}
	message := jsonLines(t, works(t, "", append(question, "--json")...))[0]["message"].(map[string]any)
	if calls, _ := message["tool_calls"].([]any); len(calls) != 1 || message["content"] != nil {
		t.Errorf("%v", message)
	}
}

// A dumb terminal gets text and no control sequences.
func TestChatAtADumbTerminal(t *testing.T) {
	t.Setenv("TERM", "dumb")
	s, stop := sits(t)
	s.expect("> ")
	s.types("\"\"\"\nHow deep is\\\n")
	s.expect(". ", ". ")
	s.types("\x04") // what was begun is sent as it stands
	s.expect("Thinking")
	s.expect("> ")
	if code := stop(); code != exitDone {
		t.Errorf("status %d", code)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.Contains(s.screen.String(), "\x1b") {
		t.Errorf("control sequences: %q", s.screen.String())
	}
}

// A terminal that goes away ends the command.
func TestChatLosesItsTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	slave, s := newTerminal(t)
	status := make(chan int, 1)
	go func() {
		status <- run(context.Background(), []string{"chat", talkerDir, "--no-history", "--no-think", "--temperature=0"}, slave, slave, slave)
	}()
	s.expect("> ")
	s.types("Sing\r")
	s.keys.Close()
	select {
	case <-status:
	case <-time.After(20 * time.Second):
		t.Fatal("the command goes on without a terminal")
	}
}
