package main

// A conversation with somebody at a terminal. chat_turn.go shows an answer, chat_commands.go has what begins with "/".

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/haenyeo/haenyeo"
	"github.com/haenyeo/haenyeo/chat"
	"github.com/haenyeo/haenyeo/cmd/haenyeo/terminal"
	"github.com/haenyeo/haenyeo/infer"
)

// talk is a conversation at a terminal.
type talk struct {
	a    *app
	c    *chatCmd
	m    *haenyeo.Model
	chat *haenyeo.Chat
	con  *terminal.Console

	seed    uint64 // of the first answer; every further one adds 1
	answers uint64
	file    string // that it was saved to or loaded from
	hide    bool   // thinking is not shown
	gone    bool   // the terminal
	over    bool   // leave

	thought string // the last one
	used    int    // tokens of the context that the conversation takes
	spent   spent
	warned  int // percent of the context that was warned of
}

// spent sums up a conversation.
type spent struct {
	answers, tokens, read, reused int
	guessed, right                int // ahead
	reading, writing              time.Duration
}

const prompt = "> "

// converse talks until somebody leaves.
func (c *chatCmd) converse(a *app, m *haenyeo.Model, conversation *haenyeo.Chat, reread error) error {
	con, err := c.console(a)
	if err != nil {
		return err
	}
	defer con.Close()
	t := &talk{a: a, c: c, m: m, chat: conversation, con: con, seed: c.Seed, hide: c.HideThink}
	t.greet()
	if c.Load != "" {
		t.file = home(c.Load)
		t.recount(reread)
	}
	return t.run()
}

// greet says who is there.
func (t *talk) greet() {
	name := filepath.Base(t.c.Model)
	if name == "." || name == string(filepath.Separator) {
		name = t.c.Model
	}
	t.con.Title(name, terminal.Bold)
	about := fmt.Sprintf("format %s, context %s tokens", t.chat.Format().Name(), grouped(t.chat.Context()))
	if t.chat.Format().Name() == "raw" {
		about += "; the model goes on with the text as it stands"
	}
	t.con.Note("%s. /help lists the commands, Ctrl-D leaves.", about)
}

// run is the loop of a conversation: a message, an answer.
func (t *talk) run() error {
	text, pressed := "", false // pressed: Ctrl-C, at an empty prompt
	for {
		said, err := t.con.Read(t.a.ctx, prompt, text, t.unfold)
		text = ""
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, terminal.ErrInterrupted):
			if said == "" && pressed {
				return nil
			}
			pressed = said == "" && t.con.Draws()
			switch {
			case pressed:
				t.con.Note("Ctrl-C again leaves, and so does Ctrl-D.")
			case said == "": // a terminal that gives whole lines has dropped what was typed, and does not say whether anything was
				t.con.Note("Ctrl-D leaves.")
			}
			continue
		case err != nil:
			return err
		}
		pressed = false
		if strings.TrimSpace(said) == "" {
			continue
		}
		if err := t.con.Remember(said); err != nil {
			t.con.Note("%v", err)
		}
		name, isCommand := strings.CutPrefix(said, "/")
		switch {
		case isCommand && strings.HasPrefix(name, "/"):
			text, err = t.say(name)
		case isCommand:
			err = t.command(name)
		default:
			text, err = t.say(said)
		}
		if t.over || t.gone {
			return nil
		}
		if err != nil {
			if t.a.ctx.Err() != nil {
				return err
			}
			t.con.Note("%s", reason(err))
		}
	}
}

// say sends a message, or the result of a call that waits for one. Where it was stopped before its answer it is given
// back, to be changed. After an error it is not, so that the command which the error advises can be typed.
func (t *talk) say(text string) (back string, err error) {
	before := len(t.chat.Messages)
	m := chat.Message{Role: chat.User, Content: text}
	calls := t.waiting()
	if len(calls) > 0 {
		m = chat.Message{Role: chat.ToolRole, Content: text, ToolCallID: calls[0].ID, Name: calls[0].Name}
	}
	t.chat.Messages = append(t.chat.Messages, m)
	if len(calls) > 1 {
		t.askForResult()
		return "", nil
	}
	err = t.reply()
	if len(t.chat.Messages) == before+1 { // no answer
		t.chat.Messages = t.chat.Messages[:before]
		switch {
		case err != nil:
			err = fmt.Errorf("%w; Up brings the message back", err)
		case strings.Count(text, "\n") <= 5 && len(text) <= 500: // more would cover what is said about it
			back = text
		default:
			t.con.Note("Up brings the message back")
		}
	}
	return back, err
}

// waiting lists the calls of the last answer that have no result yet.
func (t *talk) waiting() []chat.ToolCall {
	results := 0
	for i := len(t.chat.Messages) - 1; i >= 0; i-- {
		switch m := t.chat.Messages[i]; m.Role {
		case chat.ToolRole:
			results++
		case chat.Assistant:
			return m.ToolCalls[min(results, len(m.ToolCalls)):]
		default:
			return nil
		}
	}
	return nil
}

// askForResult says what the next message is.
func (t *talk) askForResult() {
	if calls := t.waiting(); len(calls) > 0 {
		t.con.Note("type what %s gives: the model goes on with it (/undo takes the question away)", calls[0].Name)
	}
}

// reply shows an answer, and what it took.
func (t *talk) reply() error {
	t.chat.Sampling.Seed = t.seed + t.answers
	t.answers++
	r, err := t.show()
	stopped := errors.Is(err, context.Canceled) && t.a.ctx.Err() == nil
	if err != nil && !stopped {
		if errors.Is(err, haenyeo.ErrContextFull) {
			return fmt.Errorf("%w (/undo takes the last turn away, /clear all of them, --context N makes it longer)", err)
		}
		return err
	}
	if r.Tokens == 0 && stopped { // some of the prompt may have been read: how much is not known
		t.con.Note("stopped before it began to answer")
		return nil
	}
	t.used = r.Prompt + r.Tokens
	t.spent.add(r)
	t.con.Note("%s", t.describe(r))
	defer t.con.Gap()
	switch {
	case stopped:
		t.con.Note("stopped; /continue goes on, /regenerate tries anew")
	case r.FinishReason == infer.FinishLength && t.used >= t.chat.Context():
		t.con.Note("the context is full, so the answer ends here: /undo takes the last turn away, /clear all of them, --context N makes it longer")
	case r.FinishReason == infer.FinishLength:
		t.con.Note("the longest answer that was asked for; /continue goes on")
	}
	t.mindContext()
	t.askForResult()
	return nil
}

// describe says what an answer took.
func (t *talk) describe(r haenyeo.Reply) string {
	parts := []string{plural(r.Tokens, "token")}
	if r.Tokens > 1 && r.Writing > 0 {
		parts[0] += fmt.Sprintf(", %s/s", speed(r.Tokens-1, r.Writing))
	}
	read := fmt.Sprintf("%s read in %s", grouped(r.Prompt-r.Reused), seconds(r.Reading))
	if r.Reused > 0 {
		read += fmt.Sprintf(", %s known", grouped(r.Reused))
	}
	if r.Guessed > 0 {
		parts = append(parts, guesses(r.Guessed, r.Right))
	}
	parts = append(parts, read, fmt.Sprintf("context %s of %s", grouped(r.Prompt+r.Tokens), grouped(t.chat.Context())))
	return strings.Join(parts, " · ")
}

// mindContext warns, at 80 and at 95 percent, that the context ends.
func (t *talk) mindContext() {
	percent := 100 * t.used / t.chat.Context()
	for _, mark := range []int{95, 80} {
		if percent >= mark && t.used < t.chat.Context() {
			if t.warned < mark {
				t.con.Note("the context is %d%% full: %s tokens are left", percent, grouped(t.chat.Context()-t.used))
				t.warned = mark
			}
			return
		}
	}
	t.warned = 0
}

// recount begins the sums of another conversation, and shows the end of one that was loaded. reread says why its cache is not used.
func (t *talk) recount(reread error) {
	t.used, t.spent, t.thought, t.warned = t.chat.Used(), spent{}, "", 0
	n := len(t.chat.Messages)
	if t.file != "" {
		t.con.Note("%s of %s", plural(n, "message"), t.file)
	}
	if reread != nil && n > 0 {
		t.con.Note("the model reads them again with the next message: %s", reason(reread))
	}
	if t.file != "" {
		t.recap()
		t.askForResult()
	}
}

// recap shows the end of a conversation that was loaded.
func (t *talk) recap() {
	for _, m := range t.chat.Messages[max(0, len(t.chat.Messages)-2):] {
		if m.Content != "" || len(m.ToolCalls) == 0 {
			t.con.Note("%s: %s", m.Role, oneLine(m.Content, 200))
		}
		for _, c := range m.ToolCalls {
			t.con.Note("%s: → %s %s", m.Role, c.Name, oneLine(c.Arguments, 200))
		}
	}
}

// reason is what an error says, without the packages that it comes from.
func reason(err error) string {
	text := err.Error()
	for {
		name, rest, found := strings.Cut(text, ": ")
		if !found || !packageNames[name] {
			return text
		}
		text = rest
	}
}

var packageNames = map[string]bool{"haenyeo": true, "infer": true, "forward": true, "chat": true, "weights": true, "atomicfile": true}

func (s *spent) add(r haenyeo.Reply) {
	s.answers++
	s.tokens += r.Tokens
	s.read += r.Prompt - r.Reused
	s.reused += r.Reused
	s.guessed += r.Guessed
	s.right += r.Right
	s.reading += r.Reading
	s.writing += r.Writing
}

// speed is tokens a second.
func speed(tokens int, took time.Duration) string {
	if took <= 0 {
		return "–"
	}
	per := float64(tokens) / took.Seconds()
	if per < 10 {
		return fmt.Sprintf("%.2g", per)
	}
	return fmt.Sprintf("%.0f", per)
}

// seconds writes a short time: 30 ms, 0.4 s, 12 s, 3m10s.
func seconds(d time.Duration) string {
	switch {
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return duration(d)
}

// grouped writes a whole number with its thousands apart.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// home replaces a leading ~/.
func home(path string) string {
	rest, ok := strings.CutPrefix(path, "~/")
	dir, err := os.UserHomeDir()
	if !ok || err != nil {
		return path
	}
	return filepath.Join(dir, rest)
}

// historyPath is where what is typed is kept: the state directory of XDG, or the user's configuration elsewhere.
func historyPath() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "haenyeo", "history"), nil
	}
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		dir, err := os.UserConfigDir()
		return filepath.Join(dir, "haenyeo", "history"), err
	}
	dir, err := os.UserHomeDir()
	return filepath.Join(dir, ".local", "state", "haenyeo", "history"), err
}
