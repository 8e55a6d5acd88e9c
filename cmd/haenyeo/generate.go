package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/haenyeo/haenyeo"
	"github.com/haenyeo/haenyeo/infer"
)

type generateCmd struct {
	Model     string   `arg:"" help:"Model directory or .gguf file."`
	Prompt    *string  `placeholder:"TEXT" help:"Text to continue; read from stdin when neither this nor --tokens is given."`
	Tokens    idList   `placeholder:"IDS" help:"Prompt as comma-separated token ids."`
	MaxTokens *int     `placeholder:"N" help:"Stop after N new tokens, also beyond the model's window. Default: 256, or where the window ends."`
	Stop      []string `sep:"none" placeholder:"TEXT" help:"Stop before this text; may be given several times."`
	Logprobs  *int     `placeholder:"K" help:"With --json: the log-probability of every new token, and of the K most probable ones at its place."`
	samplingFlags
	grammarFlags
	arithmetic
}

const (
	defaultMaxTokens = 256 // a screenful
	maxLogprobs      = 100
)

func (generateCmd) Help() string {
	return "Writes the continuation to stdout as it comes.\n\nExample:\n\n\thaenyeo generate my-model --prompt \"Once upon a time\" --temperature 0.8 --max-tokens 100"
}

func (c *generateCmd) Run(a *app) error {
	if c.Prompt != nil && len(c.Tokens) > 0 {
		return misuse("--prompt and --tokens exclude each other: give one")
	}
	if c.MaxTokens != nil && *c.MaxTokens < 0 {
		return misuse("--max-tokens %d: give 0 or more", *c.MaxTokens)
	}
	if c.Logprobs != nil && !a.JSON {
		return misuse("--logprobs: they are shown with --json only")
	}
	if c.Logprobs != nil && (*c.Logprobs < 0 || *c.Logprobs > maxLogprobs) {
		return misuse("--logprobs %d: give 0 to %d", *c.Logprobs, maxLogprobs)
	}
	for _, s := range c.Stop {
		if s == "" {
			return misuse("--stop: an empty text would stop at once, give at least one character")
		}
	}
	started := time.Now()
	g, err := c.load()
	if err != nil {
		return err
	}
	m, err := a.open(c.Model, c.arithmetic)
	if err != nil {
		return err
	}
	defer m.Close()
	r := haenyeo.Request{Tokens: c.Tokens, Sampling: m.Sampling(), Grammar: g, Stop: c.Stop}
	if r.Logprobs = c.Logprobs != nil; r.Logprobs {
		r.TopLogprobs = *c.Logprobs
	}
	if err := c.apply(&r.Sampling, m.Tokenizer() != nil); err != nil {
		return err
	}
	if len(c.Tokens) == 0 {
		text, err := a.prompt(c.Prompt)
		if err != nil {
			return err
		}
		if r.Tokens, err = m.Encode(text); err != nil {
			return err
		}
	}
	r.MaxTokens = min(defaultMaxTokens, m.Room(len(r.Tokens)))
	set(&r.MaxTokens, c.MaxTokens)

	var first time.Time
	result, err := m.Generate(a.ctx, r, func(text string) error {
		if first.IsZero() {
			first = time.Now()
		}
		if a.JSON {
			return nil
		}
		a.stdout.WriteString(text)
		return a.stdout.Flush()
	})
	if err != nil {
		return err
	}
	total := time.Since(started)
	defer a.log.Info("generated", "tokens", len(result.Tokens), "first_token", first.Sub(started), "total", total) // below the text
	if !a.JSON {
		if m.Tokenizer() == nil {
			return a.print("%s", joinIDs(result.Tokens))
		}
		return a.print("")
	}
	return a.emit(struct {
		Tokens       []int32        `json:"tokens"`
		Text         string         `json:"text"`
		FinishReason string         `json:"finish_reason"`
		Logprobs     []tokenLogprob `json:"logprobs,omitempty"`
	}{result.Tokens, result.Text, string(result.FinishReason), showLogprobs(result.Logprobs)})
}

// tokenLogprob is the log-probability of a token in what generate prints.
type tokenLogprob struct {
	Token   int32          `json:"token"`
	Logprob float64        `json:"logprob"`
	Top     []tokenLogprob `json:"top,omitempty"`
}

func showLogprobs(ps []infer.TokenLogprob) (shown []tokenLogprob) {
	for _, p := range ps {
		s := tokenLogprob{Token: p.ID, Logprob: p.Logprob.Logprob}
		for _, t := range p.Top {
			s.Top = append(s.Top, tokenLogprob{Token: t.ID, Logprob: t.Logprob})
		}
		shown = append(shown, s)
	}
	return shown
}

// set overrides dst by a flag that was given.
func set[T any](dst *T, flag *T) {
	if flag != nil {
		*dst = *flag
	}
}

// maxPrompt bounds the bytes of a prompt: more than any window holds.
const maxPrompt = 16 << 20

// prompt is the flag, or what stdin holds without the newline that ends it.
func (a *app) prompt(flag *string) (string, error) {
	if flag != nil {
		return *flag, nil
	}
	if a.typed {
		a.say("Type the prompt, then Ctrl-D on an empty line.")
	}
	text, err := io.ReadAll(io.LimitReader(a.stdin, maxPrompt+1))
	if err != nil {
		return "", fmt.Errorf("reading the prompt from stdin: %w", err)
	}
	if len(text) > maxPrompt {
		return "", fmt.Errorf("the prompt on stdin is larger than %d MB: shorten it", maxPrompt>>20)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), nil
}
