package main

// The chat command: its flags, and conversations that nobody types. Those of people begin in chat_talk.go.

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/haenyeo/haenyeo"
	"github.com/haenyeo/haenyeo/chat"
	"github.com/haenyeo/haenyeo/cmd/haenyeo/terminal"
	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/internal/regular"
)

type chatCmd struct {
	Model     string  `arg:"" help:"Model directory, .gguf file, or the name of a model that was pulled."`
	Prompt    *string `placeholder:"TEXT" help:"Say this, print the answer and end. So it is with text on stdin."`
	Lines     bool    `help:"Every line on stdin is a message of its own."`
	System    *string `placeholder:"TEXT" help:"What the model is told before the conversation."`
	Think     *bool   `negatable:"" help:"Let the model think first, where it leaves the choice. Default: yes."`
	Effort    string  `placeholder:"LEVEL" help:"How long it thinks, where it has levels of that."`
	HideThink bool    `name:"hide-thinking" help:"Show only that the model thinks, and for how long."`
	Format    string  `placeholder:"NAME" help:"How the conversation is written for the model: ${formats}. Default: as it was trained; raw is for base models."`
	Context   int     `placeholder:"N" help:"Tokens that the conversation can hold. Default: the model's window, or what of it fits into memory."`
	MaxTokens int     `placeholder:"N" help:"Longest answer. Default: what the context has room for."`
	Tools     string  `placeholder:"FILE" help:"Offer the model the tools in a JSON file, a list as the OpenAI API has it. In the terminal you give the results."`
	Load      string  `placeholder:"FILE" help:"Go on with a conversation that /save wrote."`
	NoHistory bool    `help:"Keep no file of what is typed."`
	samplingFlags
	speculateFlags
	arithmetic
}

func (chatCmd) Help() string {
	return "A conversation in the terminal: Enter sends, Alt+Enter or Ctrl+J begins a new line, Ctrl-C stops an answer, Ctrl-D leaves; " +
		"/help lists the commands. Without a terminal, stdin is the message and the answer goes to stdout.\n\n" +
		"Example:\n\n\thaenyeo chat my-model --system \"You answer in one sentence.\""
}

func (c *chatCmd) Run(a *app) error {
	switch {
	case c.Context < 0:
		return misuse("--context %d: give 1 or more, or 0 for the model's window", c.Context)
	case c.MaxTokens < 0:
		return misuse("--max-tokens %d: give 1 or more, or 0 for what there is room for", c.MaxTokens)
	case c.Prompt != nil && c.Lines:
		return misuse("--prompt and --lines exclude each other: give one")
	case a.JSON && c.Prompt == nil && a.typed:
		return misuse("--json: a conversation in the terminal has no JSON; give --prompt, or the message on stdin")
	}
	guess, err := c.speculation()
	if err != nil {
		return err
	}
	m, err := a.openGuessing(c.Model, c.arithmetic, guess)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := a.ctx.Err(); err != nil {
		return err
	}
	talk, reread, err := c.begin(m)
	if err != nil {
		return err
	}
	talk.Speculation = guess
	if c.Prompt == nil && a.typed {
		return c.converse(a, m, talk, reread)
	}
	return c.answer(a, talk)
}

// begin makes the conversation that the flags ask for. reread says why the cache of a loaded one is not used.
func (c *chatCmd) begin(m *haenyeo.Model) (talk *haenyeo.Chat, reread, err error) {
	if c.Load != "" {
		talk, reread, err = m.LoadChat(home(c.Load), c.Format, c.Context)
	} else {
		talk, err = m.NewChat(c.Format, c.Context)
	}
	if err != nil {
		return nil, nil, err
	}
	return talk, reread, c.settle(m, talk)
}

// settle applies the flags to a conversation.
func (c *chatCmd) settle(m *haenyeo.Model, talk *haenyeo.Chat) error {
	if err := c.apply(&talk.Sampling, m.Tokenizer() != nil); err != nil {
		return err
	}
	talk.MaxTokens = c.MaxTokens
	if c.System != nil {
		setSystem(talk, *c.System)
	}
	return c.options(talk)
}

// options applies the flags that say more than a conversation that is loaded: how to think, and with which tools.
func (c *chatCmd) options(talk *haenyeo.Chat) error {
	if c.Effort != "" {
		if err := talk.Format().CheckEffort(c.Effort); err != nil {
			return usageError{fmt.Errorf("--effort: %s", reason(err))}
		}
		talk.Options.Effort = c.Effort
	}
	if c.Think != nil {
		if err := think(talk, *c.Think); err != nil {
			return usageError{fmt.Errorf("--think: %w", err)}
		}
	}
	if c.Tools == "" {
		return nil
	}
	tools, err := readTools(home(c.Tools))
	if err != nil {
		return fmt.Errorf("--tools: %w", err)
	}
	talk.Options.Tools = tools
	if f := talk.Format(); !f.CallsTools() {
		return fmt.Errorf("--tools: the way this model is spoken to (format %s) has no place for tools: it would never see them", f.Name())
	}
	return nil
}

// readTools reads the file of --tools.
func readTools(path string) (tools []chat.Tool, err error) {
	text, err := regular.ReadFile(path, maxPrompt)
	if err != nil {
		return nil, err
	}
	const want = `a JSON list as the OpenAI API has it: [{"type":"function","function":{"name":...,"parameters":{...}}}]`
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		if json.Valid(text) {
			return nil, fmt.Errorf("%q holds no list of tools: give %s", path, want)
		}
		return nil, fmt.Errorf("%q is no JSON (%w): give %s", path, err, want)
	}
	for i, raw := range list {
		var t chat.Tool
		err := json.Unmarshal(raw, &t)
		if errors.As(err, new(*json.UnmarshalTypeError)) {
			err = errors.New("it is no tool")
		}
		if err != nil {
			return nil, fmt.Errorf("%q, tool %d: %s: give %s", path, i, reason(err), want)
		}
		tools = append(tools, t)
	}
	return tools, nil
}

// think turns thinking on or off.
func think(talk *haenyeo.Chat, on bool) error {
	switch how := talk.Format().Thinking(); {
	case how == chat.NeverThinks && on:
		return fmt.Errorf("the models of format %q do not think before they answer", talk.Format().Name())
	case how == chat.AlwaysThinks && !on:
		return fmt.Errorf("the models of format %q always think before they answer", talk.Format().Name())
	case how == chat.MayThink:
		talk.Options.Thinking = on
	}
	return nil
}

// setSystem sets the system message; "" takes it away.
func setSystem(talk *haenyeo.Chat, text string) {
	if len(talk.Messages) > 0 && talk.Messages[0].Role == chat.System {
		talk.Messages = talk.Messages[1:]
	}
	if text != "" {
		talk.Messages = append([]chat.Message{{Role: chat.System, Content: text}}, talk.Messages...)
	}
}

// answer has the conversation that nobody types: one message, or one a line.
func (c *chatCmd) answer(a *app, talk *haenyeo.Chat) error {
	if !c.Lines {
		text, err := a.prompt(c.Prompt)
		if err != nil {
			return err
		}
		return a.answerOne(talk, text)
	}
	lines := bufio.NewScanner(a.stdin)
	lines.Buffer(nil, maxPrompt)
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		if err := a.answerOne(talk, lines.Text()); err != nil {
			return err
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("a line on stdin is larger than %d MB: shorten it", maxPrompt>>20)
	} else if err != nil {
		return fmt.Errorf("reading from stdin: %w", err)
	}
	return nil
}

// answerOne prints the answer to one message: its words alone, or with --json all of it.
func (a *app) answerOne(talk *haenyeo.Chat, text string) error {
	if strings.TrimSpace(text) == "" {
		return errors.New("the message is empty: give some text")
	}
	talk.Messages = append(talk.Messages, chat.Message{Role: chat.User, Content: text})
	begun := false
	r, err := talk.Reply(a.ctx, func(e chat.Event) error {
		words := e.Text
		switch {
		case a.JSON:
			return nil
		case e.Kind == chat.CallStart:
			words = "\n" + words + " "
		case e.Kind == chat.ReasoningDelta:
			return nil
		}
		if !begun {
			words = strings.TrimLeft(words, "\n") // that a thought ends in
		}
		begun = begun || words != ""
		a.stdout.WriteString(words)
		return a.stdout.Flush()
	})
	if err != nil {
		return err
	}
	a.log.Info("answered", "tokens", r.Tokens, "prompt", r.Prompt, "reused", r.Reused, "first_token", r.Reading, "rest", r.Writing, "finish", r.FinishReason)
	if !a.JSON {
		if r.Message.Content == "" && r.FinishReason == infer.FinishLength {
			a.say("the answer ends within its thought: give more than %s, or --no-think", plural(r.Tokens, "token"))
		}
		return a.print("")
	}
	return a.emit(answered{r.Message, string(r.FinishReason), usage{r.Prompt, r.Tokens}})
}

// answered is what chat --json prints of an answer.
type answered struct {
	Message      chat.Message `json:"message"`
	FinishReason string       `json:"finish_reason"`
	Usage        usage        `json:"usage"`
}

type usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
}

// files gives the files of standard input and output, nil where they are none.
func (a *app) files() (in, out *os.File) {
	if p, ok := a.stdin.(*patience); ok {
		in, _ = p.from.(*os.File)
	}
	out, _ = a.output.(*os.File)
	return in, out
}

// console takes the terminal.
func (c *chatCmd) console(a *app) (*terminal.Console, error) {
	in, out := a.files()
	o := terminal.Options{
		Smart:    in != nil && out != nil && terminal.Smart(in, out),
		Colour:   os.Getenv("NO_COLOR") == "",
		Complete: completeCommand,
	}
	if !o.Smart && !isTerminal(out) {
		o.Asides = a.stderr // the answers are for another program
	}
	if o.Smart && !c.NoHistory {
		path, err := historyPath()
		if err == nil {
			o.History, err = terminal.OpenHistory(path)
		}
		if err != nil {
			a.log.Warn("what is typed is remembered until the end only", "why", err)
		}
	}
	return terminal.Open(a.stdin, in, a.output, out, o)
}
