package bench

// Load on a server of the OpenAI API: so many clients ask at a time, each its next question when it has the answer to the
// last, and read the answer as a stream. Every prompt begins otherwise, so that no cache of the server helps it.

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Loading says how to ask.
type Loading struct {
	URL       string // of the server, without /v1
	Key       string // "": none
	Model     string // "": whichever answers who names none
	Clients   int
	Requests  int // of each client
	Words     int // of a prompt, about as many tokens
	MaxTokens int // of an answer
	Seed      uint64
}

// LoadResult is what the clients saw. Times are milliseconds.
type LoadResult struct {
	Clients      int     `json:"clients"`
	Requests     int     `json:"requests"`
	Errors       int     `json:"errors"`
	Error        string  `json:"error,omitempty"` // the first of them
	PromptTokens int     `json:"prompt_tokens"`
	Tokens       int     `json:"tokens"`
	Seconds      float64 `json:"seconds"`
	TokS         float64 `json:"tok_s"` // of all clients together
	FirstP50     float64 `json:"ttft_p50_ms"`
	FirstP99     float64 `json:"ttft_p99_ms"`
	NextP50      float64 `json:"tbt_p50_ms"`
	NextP99      float64 `json:"tbt_p99_ms"`
}

// asked is one request as its client saw it.
type asked struct {
	prompt, answer int
	first          time.Duration
	between        []time.Duration
	err            error
}

// Load puts load on a server.
func Load(ctx context.Context, l Loading) (LoadResult, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: l.Clients, DisableCompression: true}}
	defer client.CloseIdleConnections()
	all := make([][]asked, l.Clients)
	began := time.Now()
	var group sync.WaitGroup
	for c := range l.Clients {
		rng := rand.New(rand.NewPCG(l.Seed, uint64(c)))
		group.Go(func() {
			for i := 0; i < l.Requests && ctx.Err() == nil; i++ {
				all[c] = append(all[c], l.ask(ctx, client, rng))
			}
		})
	}
	group.Wait()
	if err := ctx.Err(); err != nil {
		return LoadResult{}, err
	}
	return summary(l.Clients, slices.Concat(all...), time.Since(began)), nil
}

func summary(clients int, all []asked, took time.Duration) LoadResult {
	r := LoadResult{Clients: clients, Requests: len(all), Seconds: took.Seconds()}
	var first, next []time.Duration
	for _, a := range all {
		if a.err != nil {
			if r.Errors++; r.Error == "" {
				r.Error = a.err.Error()
			}
			continue
		}
		r.PromptTokens += a.prompt
		r.Tokens += a.answer
		first = append(first, a.first)
		next = append(next, a.between...)
	}
	r.TokS = float64(r.Tokens) / r.Seconds
	r.FirstP50, r.FirstP99 = quantile(first, 0.5), quantile(first, 0.99)
	r.NextP50, r.NextP99 = quantile(next, 0.5), quantile(next, 0.99)
	return r
}

// quantile gives the time that a share of the times does not exceed, in milliseconds.
func quantile(times []time.Duration, share float64) float64 {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	i := int(share*float64(len(times))+0.999999) - 1
	return float64(times[max(0, i)].Microseconds()) / 1000
}

// words are what prompts consist of.
var words = strings.Fields("the sea is deep and cold in winter but women of the island dive for shells as their mothers did long ago with one breath")

// prompt is a question that no other resembles.
func (l *Loading) prompt(rng *rand.Rand) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d", rng.Uint64())
	for range l.Words {
		b.WriteString(" " + words[rng.IntN(len(words))])
	}
	return b.String()
}

// loadChunk is what of a chunk matters here.
type loadChunk struct {
	Choices []struct {
		Delta struct {
			Content   string `json:"content"`
			Reasoning string `json:"reasoning_content"`
		} `json:"delta"`
	} `json:"choices"`
	Usage *struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
	} `json:"usage"`
	Error json.RawMessage `json:"error"`
}

// ask asks once.
func (l *Loading) ask(ctx context.Context, client *http.Client, rng *rand.Rand) (a asked) {
	body, err := json.Marshal(map[string]any{
		"model": l.Model, "messages": []map[string]string{{"role": "user", "content": l.prompt(rng)}}, "max_tokens": l.MaxTokens,
		"temperature": 0, "stream": true, "stream_options": map[string]bool{"include_usage": true},
	})
	if err != nil {
		return asked{err: err}
	}
	r, err := http.NewRequestWithContext(ctx, "POST", strings.TrimSuffix(l.URL, "/")+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return asked{err: err}
	}
	r.Header.Set("Content-Type", "application/json")
	if l.Key != "" {
		r.Header.Set("Authorization", "Bearer "+l.Key)
	}
	began := time.Now()
	answer, err := client.Do(r)
	if err != nil {
		return asked{err: err}
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
		return asked{err: fmt.Errorf("bench: the server answers %s: %s", answer.Status, text)}
	}
	a.err = a.read(answer.Body, began)
	return a
}

// maxLine bounds a line of a stream.
const maxLine = 1 << 20

// read reads a stream of events to its end.
func (a *asked) read(r io.Reader, began time.Time) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	var last time.Time
	for lines.Scan() {
		text, ok := strings.CutPrefix(lines.Text(), "data: ")
		switch {
		case !ok:
			continue
		case text == "[DONE]":
			return nil
		}
		var c loadChunk
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			return fmt.Errorf("bench: a chunk of the stream: %w", err)
		}
		if len(c.Error) > 0 {
			return fmt.Errorf("bench: the server gives up: %s", c.Error)
		}
		if c.Usage != nil {
			a.prompt, a.answer = c.Usage.Prompt, c.Usage.Completion
		}
		if len(c.Choices) == 0 || c.Choices[0].Delta.Content+c.Choices[0].Delta.Reasoning == "" {
			continue
		}
		now := time.Now()
		if last.IsZero() {
			a.first = now.Sub(began)
		} else {
			a.between = append(a.between, now.Sub(last))
		}
		last = now
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return errors.New("bench: the stream ends without [DONE]")
}
