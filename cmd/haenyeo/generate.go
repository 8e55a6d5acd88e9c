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
	speculateFlags
	Profile string `placeholder:"DIR" help:"Write cpu.pprof and timeline.html, a picture of the layers, to this new directory."`
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
	guess, err := c.speculation()
	if err != nil {
		return err
	}
	started := time.Now()
	profile, err := a.profile(c.Profile)
	if err != nil {
		return err
	}
	defer profile.abort()
	g, err := c.load()
	if err != nil {
		return err
	}
	m, err := a.openGuessing(c.Model, c.arithmetic, guess)
	if err != nil {
		return err
	}
	defer m.Close()
	r := haenyeo.Request{Tokens: c.Tokens, Sampling: m.Sampling(), Grammar: g, Stop: c.Stop, Speculation: guess}
	if r.Logprobs = c.Logprobs != nil; r.Logprobs {
		r.TopLogprobs = *c.Logprobs
	}
	if err := c.apply(&r.Sampling, m.Tokenizer() != nil); err != nil {
		return err
	}
	if flags := c.cutsNothing(&r.Sampling); flags != "" {
		a.log.Warn("the most probable token is taken, none is drawn: give --temperature too", "without effect", flags)
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

	if profile.ledger != nil {
		m.Net().SetTracer(profile.ledger)
		profile.ledger.Start()
	}
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
	if profile.ledger != nil {
		profile.ledger.Stop()
	}
	if err := profile.finish(benchTitle(c.Model), fmt.Sprintf("generate: %s after %s", plural(len(result.Tokens), "token"), plural(len(r.Tokens), "token"))); err != nil {
		return err
	}
	stats := []any{"tokens", len(result.Tokens), "first_token", first.Sub(started), "total", total}
	if result.Guessed > 0 {
		stats = append(stats, "guessed", result.Guessed, "right", result.Right)
	}
	defer a.log.Info("generated", stats...) // below the text
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
