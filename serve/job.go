package serve

// The making of an answer: a goroutine that waits for its turn, lets the engine work and puts events into a mailbox.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/haenyeo/haenyeo/grammar"
	"github.com/haenyeo/haenyeo/infer"
)

// job makes the answers to one request.
type job struct {
	*prepared
	server *Server
	box    *mailbox
	cancel context.CancelCauseFunc
	done   chan struct{}
	began  time.Time
}

// errGone is why a job ends whose client is not there any more.
var errGone = errors.New("serve: the client went away")

// start begins a job. The caller must end it.
func (s *Server) start(ctx context.Context, p *prepared) *job {
	ctx, cancel := context.WithCancelCause(ctx)
	j := &job{prepared: p, server: s, box: newMailbox(), cancel: cancel, done: make(chan struct{}), began: time.Now()}
	go func() {
		defer close(j.done)
		j.box.close(j.run(ctx))
	}()
	return j
}

// start begins a job for the client of an exchange.
func (x *exchange) start(p *prepared) *job {
	p.client = x.client
	p.priority += x.priority
	p.key = x.key
	return x.server.start(x.request.Context(), p)
}

// end stops the job, if it is still at work, and waits until it has.
func (j *job) end() {
	j.cancel(errGone)
	<-j.done
}

func (j *job) run(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("serve: a request made the program panic: %v\n%s", r, debug.Stack())
		}
		if f := (*failure)(nil); err != nil && !errors.As(err, &f) && ctx.Err() == nil {
			j.server.log.Error("a request failed", "model", j.model.Name, "why", err)
		}
	}()
	inTime, leave, err := j.server.enter(ctx, j.model, j.client, j.priority)
	if err != nil {
		return err
	}
	defer leave()
	for choice := range max(1, j.n) {
		if err := j.answer(inTime, choice); err != nil {
			if inTime.Err() != nil {
				return context.Cause(inTime)
			}
			return err
		}
	}
	return nil
}

// enter waits for a place at a model. The context that it gives ends when the answer took too long; leave gives the place
// back.
func (s *Server) enter(ctx context.Context, m *Model, client string, priority int) (inTime context.Context, leave func(), err error) {
	inTime, cancel := ctx, func() {}
	if limit := s.options.Deadline; limit > 0 {
		inTime, cancel = context.WithTimeoutCause(ctx, limit, fail(late, "", "the answer took longer than the %v that this server allows", limit))
	}
	if err := m.gate.enter(inTime, client, priority); err != nil {
		cancel()
		return nil, nil, err
	}
	began := time.Now()
	return inTime, func() {
		m.gate.leave(client, time.Since(began))
		cancel()
	}, nil
}

// Reasons of this package to end an answer.
var (
	errStopText = errors.New("serve: a stop text was found")
	errOneCall  = errors.New("serve: the one call that may be made was made")
)

// answer makes one choice.
func (j *job) answer(ctx context.Context, choice int) error {
	r := &reader{job: j, choice: choice, stop: infer.Stopper{Texts: j.stop}, began: j.prompt == nil}
	r.usage.prompt = len(j.ask.Tokens)
	if j.prompt != nil {
		r.parser = j.model.Format.Parser(j.prompt)
	}
	q := j.ask
	q.Seed += uint64(choice)
	q.Text = j.model.Tokenizer.Stream(j.prompt == nil) // the parser needs to see markers, a text shows none
	q.Token = r.token
	q.Progress = r.progress
	defer r.bill()
	var matcher *grammar.Matcher
	matcher, q.Allowed = j.allowed()
	result, err := j.model.Engine.Generate(ctx, q, r.text)
	r.usage.reused = result.Reused
	switch {
	case errors.Is(err, errStopText):
		r.finish(finishStop)
	case errors.Is(err, errOneCall):
		r.finish(finishCalls)
	case err != nil && !ended(matcher, err):
		return j.notAllowed(matcher, err)
	default:
		if err := r.close(); err != nil && !errors.Is(err, errStopText) && !errors.Is(err, errOneCall) {
			return err
		}
		r.finish(cmp.Or(finish(result.FinishReason), finishStop))
	}
	return nil
}
