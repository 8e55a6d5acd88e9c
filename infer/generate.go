package infer

// The loop over tokens: prefill, choose, stream, step.

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Stepper is a model with its cache: Step appends tokens to the context and returns the logits [V]
// that follow the last of them, valid until the next call.
type Stepper interface {
	Step(tokens []int32) ([]float32, error)
}

// FinishReason says why generation ended.
type FinishReason string

const (
	FinishStop   FinishReason = "stop"   // an end token or a stop text
	FinishLength FinishReason = "length" // MaxTokens or the end of the context window
)

// Request is one completion to make.
type Request struct {
	Tokens    []int32 // the prompt, at least one id
	MaxTokens int     // at most this many new ids
	Sampling
	Stop []string // texts that end generation; they are not part of the text
	End  []int32  // ids that end generation; they are not part of the ids
	Text Decoder  // nil: no text is made
}

// Decoder gives the text of ids one by one, in whole characters, and at the end what is left.
// *tokenizer.Stream is one.
type Decoder interface {
	Push(id int32) string
	Flush() string
}

// Result is a finished completion. With an error from Generate it holds what was made until then.
type Result struct {
	Tokens       []int32 // generated ids without the end token
	Text         string  // their text, up to a stop text
	FinishReason FinishReason
}

// Generate completes req.Tokens. emit, if not nil, receives the text piece by piece; its error
// ends generation. Cancelling ctx ends it between two tokens with the context's error.
func Generate(ctx context.Context, step Stepper, req Request, emit func(text string) error) (r Result, err error) {
	r.Tokens = []int32{}
	if err := req.validate(); err != nil {
		return r, err
	}
	var text strings.Builder
	defer func() { r.Text = text.String() }()
	out := stopper{stop: req.Stop}
	show := func(s string) error {
		text.WriteString(s)
		if s == "" || emit == nil {
			return nil
		}
		return emit(s)
	}
	finish := func(why FinishReason) (Result, error) {
		if req.Text != nil {
			err = show(out.add(req.Text.Flush()) + out.end())
		}
		if r.FinishReason = why; out.stopped {
			r.FinishReason = FinishStop
		}
		return r, err
	}

	sample := newSampler(req.Sampling)
	feed, one := req.Tokens, make([]int32, 1)
	for len(r.Tokens) < req.MaxTokens {
		logits, err := steps(ctx, step, feed)
		if err != nil {
			return r, err
		}
		id, err := sample.next(logits)
		if err != nil {
			return r, fmt.Errorf("%w (after %d tokens)", err, len(req.Tokens)+len(r.Tokens))
		}
		if slices.Contains(req.End, id) {
			return finish(FinishStop)
		}
		r.Tokens = append(r.Tokens, id)
		if req.Text != nil {
			if err := show(out.add(req.Text.Push(id))); err != nil {
				return r, err
			}
			if out.stopped {
				return finish(FinishStop)
			}
		}
		one[0] = id
		feed = one
	}
	return finish(FinishLength)
}

// prefillChunk bounds the activations of a long prompt and the time until a cancelled ctx is seen.
const prefillChunk = 2048

// steps feeds tokens in chunks and returns the logits after the last.
func steps(ctx context.Context, step Stepper, tokens []int32) ([]float32, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(len(tokens), prefillChunk)
		logits, err := step.Step(tokens[:n])
		if err != nil || n == len(tokens) {
			return logits, err
		}
		tokens = tokens[n:]
	}
}

func (q *Request) validate() error {
	if len(q.Tokens) == 0 {
		return fmt.Errorf("infer: empty prompt: give at least one token (a begin token will do)")
	}
	if q.MaxTokens < 0 {
		return fmt.Errorf("infer: max tokens %d: must be 0 or more", q.MaxTokens)
	}
	for _, s := range q.Stop {
		if s == "" || !utf8.ValidString(s) {
			return fmt.Errorf("infer: stop text %q: must be at least one character of valid UTF-8", s)
		}
	}
	return q.Sampling.Validate()
}
