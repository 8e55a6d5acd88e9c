package main

// What begins with "/" in a conversation.

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/haenyeo/haenyeo"
	"github.com/haenyeo/haenyeo/chat"
)

// command is one of them. The first name is shown.
type command struct {
	names []string
	args  string
	help  string
	run   func(t *talk, arg string) error
}

func commands() []command {
	return []command{
		{[]string{"help", "?"}, "", "this list", (*talk).help},
		{[]string{"system"}, "[TEXT]", "what the model is told first; - takes it away", (*talk).system},
		{[]string{"think"}, "[on|off|show|hide]", "whether the model thinks, and that is shown", (*talk).think},
		{[]string{"show"}, "", "the last thought (Ctrl-T, also while it comes)", func(t *talk, _ string) error { t.unfold(); return nil }},
		{[]string{"regenerate", "retry"}, "", "another answer to the last message", (*talk).regenerate},
		{[]string{"continue"}, "", "go on with an answer that was stopped", (*talk).goOn},
		{[]string{"undo"}, "", "take the last message and its answer away", (*talk).undo},
		{[]string{"clear", "new"}, "", "begin anew; the system message stays", (*talk).clear},
		{[]string{"save"}, "[FILE]", "keep the conversation and what was read of it", (*talk).save},
		{[]string{"load"}, "FILE", "go on with one that was kept", (*talk).load},
		{[]string{"set"}, "[NAME VALUE]", "how to answer: temperature, seed, max-tokens, ...", (*talk).set},
		{[]string{"stats"}, "", "tokens, speed and context so far", (*talk).stats},
		{[]string{"exit", "quit", "bye"}, "", "leave", func(t *talk, _ string) error { t.over = true; return nil }},
	}
}

// command runs the command in text, which stands behind its "/".
func (t *talk) command(text string) error {
	name, arg, _ := strings.Cut(strings.TrimSpace(text), " ")
	if before, more, found := strings.Cut(name, "\n"); found {
		name, arg = before, more+" "+arg
	}
	for _, c := range commands() {
		if slices.Contains(c.names, strings.ToLower(name)) {
			return c.run(t, strings.TrimSpace(arg))
		}
	}
	return fmt.Errorf("there is no command /%s; /help lists them, and // begins a message with a slash", oneLine(name, 40))
}

// completeCommand is what Tab makes of the beginning of a command.
func completeCommand(text string) string {
	begun, ok := strings.CutPrefix(text, "/")
	if !ok || strings.ContainsAny(begun, " \n") {
		return text
	}
	var fits []string
	for _, c := range commands() {
		if strings.HasPrefix(c.names[0], begun) {
			fits = append(fits, c.names[0])
		}
	}
	if len(fits) == 0 {
		return text
	}
	common := fits[0]
	for _, f := range fits[1:] {
		for !strings.HasPrefix(f, common) {
			common = common[:len(common)-1]
		}
	}
	if len(fits) == 1 {
		common += " "
	}
	return "/" + common
}

func (t *talk) help(string) error {
	var b strings.Builder
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-26s %s\n", "/"+c.names[0]+" "+c.args, c.help)
	}
	b.WriteString("Enter sends. Alt+Enter, Ctrl+J or a \\ before Enter begin a new line; so does Enter between \"\"\" and \"\"\".\n" +
		"Up and Down bring earlier messages back. Ctrl-C stops an answer; at an empty prompt, twice, it leaves, as Ctrl-D does.")
	t.con.Note("%s", b.String())
	return nil
}

func (t *talk) system(text string) error {
	switch text {
	case "":
		if m := t.chat.Messages; len(m) > 0 && m[0].Role == chat.System {
			t.con.Note("%s", m[0].Content)
		} else {
			t.con.Note("there is no system message; /system TEXT sets one")
		}
		return nil
	case "-":
		text = ""
	}
	setSystem(t.chat, text)
	t.used = t.chat.Used()
	t.con.Note("%s", map[bool]string{true: "the system message is taken away", false: "the system message is set"}[text == ""])
	return nil
}

func (t *talk) think(arg string) error {
	switch arg {
	case "on", "off":
		if err := think(t.chat, arg == "on"); err != nil {
			return err
		}
		t.con.Note("thinking is %s", arg)
		return nil
	case "show", "hide":
		t.hide = arg == "hide"
	case "":
		t.hide = !t.hide
	default:
		return errors.New("/think takes on, off, show or hide")
	}
	if t.hide {
		t.con.Note("thinking is not shown; Ctrl-T or /show shows the last thought")
	} else {
		t.con.Note("thinking is shown")
	}
	return nil
}

// lastAnswer is the index of the last message, if it is an answer.
func (t *talk) lastAnswer() (int, bool) {
	i := len(t.chat.Messages) - 1
	return i, i >= 0 && t.chat.Messages[i].Role == chat.Assistant
}

func (t *talk) regenerate(string) error {
	i, ok := t.lastAnswer()
	if !ok {
		return errors.New("there is no answer to make anew")
	}
	if t.chat.Sampling.Temperature == 0 {
		t.con.Note("at temperature 0 the answer will be the same: /set temperature 0.7 makes others")
	}
	old := t.chat.Messages[i]
	t.chat.Messages = slices.Clone(t.chat.Messages[:i])
	err := t.reply()
	if len(t.chat.Messages) == i { // none came
		t.chat.Messages = append(t.chat.Messages, old)
	}
	return err
}

func (t *talk) goOn(string) error {
	i, ok := t.lastAnswer()
	if !ok {
		return errors.New("there is no answer to go on with")
	}
	if len(t.chat.Messages[i].ToolCalls) > 0 {
		return errors.New("the answer ends in a call, which cannot be gone on with")
	}
	t.chat.Messages[i].Prefix = true
	err := t.reply()
	t.chat.Messages[i].Prefix = false
	return err
}

func (t *talk) undo(string) error {
	for i := len(t.chat.Messages) - 1; i >= 0; i-- {
		if m := t.chat.Messages[i]; m.Role == chat.User {
			t.chat.Messages = t.chat.Messages[:i]
			t.used, t.warned = t.chat.Used(), 0
			t.con.Note("taken away: %s", oneLine(m.Content, 60))
			return nil
		}
	}
	return errors.New("there is no message to take away")
}

func (t *talk) clear(string) error {
	keep := 0
	if m := t.chat.Messages; len(m) > 0 && m[0].Role == chat.System {
		keep = 1
	}
	t.chat.Messages = t.chat.Messages[:keep:keep]
	t.file = ""
	t.recount(nil)
	t.con.Note("a new conversation")
	return nil
}

func (t *talk) save(arg string) error {
	path := home(arg)
	if path == "" {
		path = t.file
	}
	if path == "" {
		return errors.New("/save FILE: say where")
	}
	if _, err := os.Lstat(path); err == nil && path != t.file {
		return fmt.Errorf("%q exists already: choose another name", path)
	}
	if err := t.chat.Save(path); err != nil {
		return err
	}
	t.file = path
	text := plural(len(t.chat.Messages), "message")
	if info, err := os.Stat(path + haenyeo.SessionSuffix); err == nil {
		text += fmt.Sprintf(", and %s that the model need not read again in %s", size(info.Size()), path+haenyeo.SessionSuffix)
	}
	t.con.Note("saved: %s", text)
	return nil
}

func (t *talk) load(arg string) error {
	if arg == "" {
		return errors.New("/load FILE: say which")
	}
	path := home(arg)
	loaded, reread, err := t.m.LoadChat(path, t.c.Format, t.c.Context)
	if err != nil {
		return err
	}
	loaded.Sampling, loaded.MaxTokens, loaded.Speculation = t.chat.Sampling, t.chat.MaxTokens, t.chat.Speculation
	if err := t.c.options(loaded); err != nil {
		return err
	}
	before := t.chat.Options
	t.chat, t.file = loaded, path
	t.recount(reread)
	if now := loaded.Options.Thinking; now != before.Thinking {
		t.con.Note("thinking is %s, as it was there", map[bool]string{true: "on", false: "off"}[now])
	}
	if now := loaded.Options.Effort; now != before.Effort {
		t.con.Note("effort is %s, as it was there", cmp.Or(now, "the default"))
	}
	if len(before.Tools) > 0 && t.c.Tools == "" {
		t.con.Note("%s, as it was there", plural(len(loaded.Options.Tools), "tool"))
	}
	return nil
}

// setting is what /set changes.
type setting struct {
	name string
	get  func(t *talk) string
	set  func(t *talk, value string) error
}

func settings() []setting {
	number := func(name string, at func(c *haenyeo.Chat) *float64) setting {
		return setting{name, func(t *talk) string { return strconv.FormatFloat(*at(t.chat), 'g', -1, 64) }, func(t *talk, value string) error {
			x, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return fmt.Errorf("%s %q: give a number", name, oneLine(value, 40))
			}
			*at(t.chat) = x
			return nil
		}}
	}
	whole := func(name string, at func(c *haenyeo.Chat) *int) setting {
		return setting{name, func(t *talk) string { return strconv.Itoa(*at(t.chat)) }, func(t *talk, value string) error {
			x, err := strconv.Atoi(value)
			if err != nil || x < 0 {
				return fmt.Errorf("%s %q: give a whole number, 0 or more", name, oneLine(value, 40))
			}
			*at(t.chat) = x
			return nil
		}}
	}
	return []setting{
		number("temperature", func(c *haenyeo.Chat) *float64 { return &c.Sampling.Temperature }),
		number("top-p", func(c *haenyeo.Chat) *float64 { return &c.Sampling.TopP }),
		whole("top-k", func(c *haenyeo.Chat) *int { return &c.Sampling.TopK }),
		number("min-p", func(c *haenyeo.Chat) *float64 { return &c.Sampling.MinP }),
		number("typical-p", func(c *haenyeo.Chat) *float64 { return &c.Sampling.TypicalP }),
		number("repetition-penalty", func(c *haenyeo.Chat) *float64 { return &c.Sampling.RepetitionPenalty }),
		number("presence-penalty", func(c *haenyeo.Chat) *float64 { return &c.Sampling.PresencePenalty }),
		number("frequency-penalty", func(c *haenyeo.Chat) *float64 { return &c.Sampling.FrequencyPenalty }),
		whole("max-tokens", func(c *haenyeo.Chat) *int { return &c.MaxTokens }),
		{"seed", func(t *talk) string { return strconv.FormatUint(t.seed, 10) }, func(t *talk, value string) error {
			x, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return fmt.Errorf("seed %q: give a whole number, 0 or more", oneLine(value, 40))
			}
			t.seed, t.answers = x, 0
			return nil
		}},
		{"effort", func(t *talk) string { return t.chat.Options.Effort }, func(t *talk, value string) error {
			if err := t.chat.Format().CheckEffort(value); err != nil {
				return err
			}
			t.chat.Options.Effort = value
			return nil
		}},
	}
}

func (t *talk) set(arg string) error {
	if arg == "" {
		var b strings.Builder
		for _, s := range settings() {
			if value := s.get(t); value != "" {
				fmt.Fprintf(&b, "  %-20s %s\n", s.name, value)
			}
		}
		t.con.Note("%s", strings.TrimSuffix(b.String(), "\n"))
		return nil
	}
	name, value, ok := strings.Cut(strings.Replace(arg, "=", " ", 1), " ")
	name = strings.ReplaceAll(strings.TrimSpace(name), "_", "-")
	var names []string
	for _, s := range settings() {
		names = append(names, s.name)
		if s.name != name {
			continue
		}
		if value = strings.TrimSpace(value); !ok || value == "" {
			t.con.Note("%s %s", name, s.get(t))
			return nil
		}
		old := t.chat.Sampling
		if err := s.set(t, value); err != nil {
			return err
		}
		if err := t.chat.Sampling.Validate(); err != nil {
			t.chat.Sampling = old
			return err
		}
		t.con.Note("%s %s", name, s.get(t))
		return nil
	}
	return fmt.Errorf("there is no setting %q, only %s", oneLine(name, 40), strings.Join(names, ", "))
}

func (t *talk) stats(string) error {
	s := t.spent
	guessed := ""
	if s.guessed > 0 {
		guessed = ", " + guesses(s.guessed, s.right)
	}
	t.con.Note("%s, %s written at %s/s%s, %s read at %s/s, %s known from before\ncontext %s of %s tokens, %s in the conversation, format %s",
		plural(s.answers, "answer"), plural(s.tokens, "token"), speed(s.tokens-s.answers, s.writing), guessed, grouped(s.read), speed(s.read, s.reading),
		grouped(s.reused), grouped(t.used), grouped(t.chat.Context()), plural(len(t.chat.Messages), "message"), t.chat.Format().Name())
	return nil
}
