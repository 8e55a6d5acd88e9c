package infer

// The loop over tokens: prefill, choose, stream, step.

import (
	"context"
	"fmt"
	"unicode/utf8"
)

// Stepper is a model with its context.
type Stepper interface {
	// Step appends tokens to the context and returns the logits [V] that follow the last of them, valid until the
	// next call. With an error the context holds what it held before and perhaps some of tokens.
	Step(ctx context.Context, tokens []int32) ([]float32, error)
	// Rewind cuts the context back to what it has in common with tokens, less their last one at least, and returns
	// how many tokens it then holds: Step is to be given the others.
	Rewind(tokens []int32) int
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
	Window    int     // at most this many ids of prompt and answer together; 0: no limit
	Sampling
	Stop []string // texts that end generation; they are not part of the text
	End  []int32  // ids that end generation; they are not part of the ids
	Text Decoder  // nil: no text is made

	Salt string // a Scheduler shares the beginning of the prompt with those of the same salt alone

	Speculation Speculation // needs a Session as Stepper, or a Scheduler

	TokenBytes func(id int32) []byte // the bytes of a token; only Sampling.DRY.BreakerTexts need it

	Logprobs    bool // fill Result.Logprobs
	TopLogprobs int  // with so many alternatives each

	// Token, if not nil, is called for every token that is kept, before its text is emitted. Its log-probability is set
	// where Logprobs are asked for.
	Token func(TokenLogprob)

	// Progress, if not nil, is called after every part of the prompt that was read, with the number of its tokens
	// that are in the context and of all. Its first call comes before the first part.
	Progress func(done, total int)

	pool *pool // of an embedding; nil: none is made
}

// Decoder gives the text of ids one by one, in whole characters. A character that an answer ends within is never given.
// *tokenizer.Stream is one.
type Decoder interface {
	Push(id int32) string
}

// Result is a finished completion. With an error from Generate it holds what was made until then.
type Result struct {
	Tokens       []int32 // generated ids without the end token
	Text         string  // their text, up to a stop text
	FinishReason FinishReason
	Stopped      string         // the stop text that ended it, "" for an end token
	Logprobs     []TokenLogprob // of Tokens, where asked for
	Reused       int            // tokens of the prompt that the context held already
	Guessed      int            // tokens that were guessed ahead
	Right        int            // of these, those that the model made too: so many steps were spared
}

// Generate completes req.Tokens. emit, if not nil, receives the text piece by piece; its error ends generation.
// Cancelling ctx ends it with the context's error: within a part of the prompt, or between two tokens. What step
// holds of the same beginning is not computed again; afterwards it holds the prompt and the answer, but for the
// answer's last token.
func Generate(ctx context.Context, step Stepper, req Request, emit func(text string) error) (Result, error) {
	if err := req.validate(); err != nil {
		return Result{Tokens: []int32{}}, err
	}
	a, err := newReply(&req, emit)
	if err != nil || a.done {
		return a.result(), err
	}
	a.r.Reused = step.Rewind(req.Tokens)
	var guess *guesser
	wide, ok := step.(verifier)
	if ok {
		if guess, err = wide.speculate(&req, a.sample); err != nil {
			return a.result(), err
		}
		defer wide.speculate(&Request{}, nil)
	} else if req.Speculation.on() {
		return a.result(), fmt.Errorf("infer: guessing ahead needs a Session, this model is stepped by a %T", step)
	}
	logits, err := prefill(ctx, step, &req, a.r.Reused)
	switch {
	case err != nil:
	case guess != nil:
		err = decodeAhead(ctx, wide, a, guess, logits)
	default:
		err = decode(ctx, step, a, logits)
	}
	return a.result(), err
}

// decode makes an answer, from the logits that follow its prompt.
func decode(ctx context.Context, step Stepper, a *reply, logits []float32) error {
	for one := make([]int32, 1); ; {
		id, err := a.take(logits)
		if err != nil || a.done {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		one[0] = id
		if logits, err = step.Step(ctx, one); err != nil {
			return err
		}
	}
}

// prefillChunk bounds the activations of a long prompt and the time between two calls of Progress.
const prefillChunk = 512

// prefill reads the prompt from position from on and returns the logits after its last token.
func prefill(ctx context.Context, step Stepper, req *Request, from int) (logits []float32, err error) {
	total := len(req.Tokens)
	for at := from; ; {
		if req.Progress != nil {
			req.Progress(at, total)
		}
		if at == total {
			return logits, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(total-at, prefillChunk)
		if logits, err = step.Step(ctx, req.Tokens[at:at+n]); err != nil {
			return nil, err
		}
		at += n
	}
}

// maxSalt bounds what every beginning in memory may hold of it.
const maxSalt = 256

func (q *Request) validate() error {
	switch {
	case len(q.Tokens) == 0:
		return fmt.Errorf("infer: empty prompt: give at least one token (a begin token will do)")
	case q.MaxTokens < 0:
		return fmt.Errorf("infer: max tokens %d: must be 0 or more", q.MaxTokens)
	case q.Window < 0:
		return fmt.Errorf("infer: context window %d: must be 0 (no limit) or more", q.Window)
	case q.Window > 0 && len(q.Tokens) > q.Window:
		return fmt.Errorf("infer: the prompt has %d tokens, but the context window holds %d: shorten the prompt or ask for a longer context", len(q.Tokens), q.Window)
	case len(q.Salt) > maxSalt:
		return fmt.Errorf("infer: a salt of %d bytes: at most %d", len(q.Salt), maxSalt)
	case q.Speculation.Most < 0:
		return fmt.Errorf("infer: at most %d guesses: must be 0 (as many as pay) or more", q.Speculation.Most)
	case q.TopLogprobs < 0 || q.TopLogprobs > 0 && !q.Logprobs:
		return fmt.Errorf("infer: top logprobs %d: must be 0 or more, and go with logprobs", q.TopLogprobs)
	case q.DRY.Multiplier > 0 && len(q.DRY.BreakerTexts) > 0 && q.TokenBytes == nil:
		return fmt.Errorf("infer: DRY breaker texts need the bytes of tokens, but the model has no tokenizer: give breakers as ids")
	}
	for _, s := range q.Stop {
		if s == "" || !utf8.ValidString(s) {
			return fmt.Errorf("infer: stop text %q: must be at least one character of valid UTF-8", s)
		}
	}
	return q.Sampling.Validate()
}
