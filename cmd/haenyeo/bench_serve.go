package main

import "github.com/haenyeo/haenyeo/internal/bench"

type benchServeCmd struct {
	URL       string `arg:"" help:"Of a server of the OpenAI API, this program's or another: http://127.0.0.1:8080."`
	Key       string `name:"api-key" env:"HAENYEO_API_KEY" placeholder:"KEY" help:"API key. Default: what the environment variable HAENYEO_API_KEY says, or none."`
	Name      string `name:"model" placeholder:"NAME" help:"Model to ask. Default: the server's first."`
	Clients   []int  `default:"1,4,16" placeholder:"N,..." help:"How many ask at a time, one measurement each. Default: ${default}."`
	Requests  int    `default:"8" placeholder:"N" help:"Requests of each. Default: ${default}."`
	Words     int    `default:"100" placeholder:"N" help:"Words of a prompt. Default: ${default}."`
	MaxTokens int    `default:"64" placeholder:"N" help:"Most tokens of an answer. Default: ${default}."`
	Seed      uint64 `default:"1" placeholder:"N" help:"Of the prompts; another gives others. Default: ${default}."`
}

func (benchServeCmd) Help() string {
	return "Asks a server, and tells how long clients wait for the first token and for each further one.\n\nExample:\n\n\thaenyeo bench serve http://127.0.0.1:8080 --clients 1,4,16"
}

func (c *benchServeCmd) Run(a *app) error {
	if c.Requests < 1 || c.Words < 1 || c.MaxTokens < 1 {
		return misuse("--requests, --words and --max-tokens: at least 1")
	}
	for i, n := range c.Clients {
		if n < 1 || n > 10000 {
			return misuse("--clients %d: give 1 to 10000", n)
		}
		r, err := bench.Load(a.ctx, bench.Loading{
			URL: c.URL, Key: c.Key, Model: c.Name, Clients: n, Requests: c.Requests, Words: c.Words, MaxTokens: c.MaxTokens, Seed: c.Seed + uint64(i)<<32,
		})
		if err != nil {
			return err
		}
		if err := a.loaded(r); err != nil {
			return err
		}
	}
	return nil
}

// loaded prints one measurement.
func (a *app) loaded(r bench.LoadResult) error {
	if a.JSON {
		return a.emit(r)
	}
	if r.Errors > 0 {
		a.say("%d of %d requests failed, the first with: %s", r.Errors, r.Requests, r.Error)
	}
	return a.print("%3d clients: %7.1f tok/s; first token %.0f ms, p99 %.0f ms; next %.1f ms, p99 %.1f ms; %d requests, %d + %d tokens",
		r.Clients, r.TokS, r.FirstP50, r.FirstP99, r.NextP50, r.NextP99, r.Requests, r.PromptTokens, r.Tokens)
}
