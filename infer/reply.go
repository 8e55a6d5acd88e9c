package infer

// The state of one answer, whoever steps the model for it: sampler, text, stop rules, limits.

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// reply is an answer in the making. Logits go in, ids and text come out.
type reply struct {
	req    *Request
	sample *sampler
	out    Stopper
	text   strings.Builder
	emit   func(text string) error // nil: nobody listens
	limit  int                     // of ids
	r      Result
	done   bool
}

// newReply begins an answer to a valid request. It may be done at once, when nothing may be generated.
func newReply(req *Request, emit func(text string) error) (*reply, error) {
	a := &reply{req: req, out: Stopper{Texts: req.Stop}, emit: emit, limit: req.limit(), r: Result{Tokens: []int32{}}}
	if a.limit == 0 {
		return a, a.finish(FinishLength)
	}
	a.sample = newSampler(req.Sampling, req.Tokens, req.TokenBytes)
	return a, nil
}

// limit is how many ids may be generated.
func (q *Request) limit() int {
	if q.Window > 0 {
		return max(0, min(q.MaxTokens, q.Window-len(q.Tokens)))
	}
	return q.MaxTokens
}

// take chooses the next id from logits [V]. It is part of the context unless the answer is done, or was done by it.
func (a *reply) take(logits []float32) (id int32, err error) {
	if id, err = a.sample.next(logits); errors.Is(err, errComplete) {
		return id, a.finish(FinishStop)
	} else if err != nil {
		return id, fmt.Errorf("%w (after %d tokens)", err, len(a.req.Tokens)+len(a.r.Tokens))
	}
	if slices.Contains(a.req.End, id) {
		return id, a.finish(FinishStop)
	}
	a.r.Tokens = append(a.r.Tokens, id)
	p := TokenLogprob{Logprob: Logprob{ID: id}}
	if a.req.Logprobs {
		if p, err = a.sample.logprob(logits, id, a.req.TopLogprobs); err != nil {
			return id, err
		}
		a.r.Logprobs = append(a.r.Logprobs, p)
	}
	if a.req.Token != nil {
		a.req.Token(p)
	}
	if a.req.Text != nil {
		if err := a.show(a.out.Add(a.req.Text.Push(id))); err != nil {
			return id, err
		}
		if a.out.By != "" {
			return id, a.finish(FinishStop)
		}
	}
	if len(a.r.Tokens) == a.limit {
		return id, a.finish(FinishLength)
	}
	return id, nil
}

// finish ends the answer and shows what was held back.
func (a *reply) finish(why FinishReason) (err error) {
	a.done = true
	if a.req.Text != nil {
		err = a.show(a.out.End())
	}
	if a.r.FinishReason = why; a.out.By != "" {
		a.r.FinishReason, a.r.Stopped = FinishStop, a.out.By
	}
	return err
}

func (a *reply) show(s string) error {
	a.text.WriteString(s)
	if s == "" || a.emit == nil {
		return nil
	}
	return a.emit(s)
}

// result is what was made so far.
func (a *reply) result() Result {
	a.r.Text = a.text.String()
	return a.r
}
