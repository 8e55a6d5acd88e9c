package serve

// Answers that come as they are made.

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"time"
)

// frames is how a dialect writes a stream. It adds to out what is to be sent.
type frames interface {
	media() string                      // content type
	event(out *bytes.Buffer, e *event)  // one step
	idle(out *bytes.Buffer)             // nothing has happened for a while
	end(out *bytes.Buffer, u usage)     // the answer is complete
	fail(out *bytes.Buffer, f *failure) // it will never be
}

// writeStream answers with a stream. Nothing is sent before the first event or the first pause, so that a request that
// fails at once has the status of its failure.
func (x *exchange) writeStream(p *prepared, to frames) error {
	ctx := x.request.Context()
	if err := x.spend(); err != nil {
		return err
	}
	j := x.start(p)
	defer j.end()
	x.access.Stream = true
	var out bytes.Buffer
	var total usage
	begun := false
	send := func() error {
		if out.Len() == 0 {
			return nil
		}
		if !begun {
			begun = true
			h := x.Header()
			h.Set("Content-Type", to.media())
			h.Set("Cache-Control", "no-cache")
			h.Set("X-Accel-Buffering", "no") // nginx would collect the answer
			x.WriteHeader(http.StatusOK)
		}
		_, err := x.Write(out.Bytes())
		out.Reset()
		if err == nil {
			err = x.control.Flush()
		}
		if err != nil {
			return errGone
		}
		return nil
	}
	for {
		events, more, err := j.box.take(ctx, x.server.options.KeepAlive)
		for i := range events {
			if events[i].kind == finished {
				total.add(events[i].usage)
				x.count(p.model.Name, total)
			}
			to.event(&out, &events[i])
		}
		switch {
		case err != nil && (!begun || ctx.Err() != nil && !errors.As(err, new(*failure))):
			return err
		case err != nil:
			f := failureOf(err)
			x.access.Error = f.message
			to.fail(&out, f)
		case !more:
			to.end(&out, total)
		case len(events) == 0:
			to.idle(&out)
		}
		if err := send(); err != nil {
			return err
		}
		if !more {
			return nil
		}
	}
}

// collected is a whole answer.
type collected struct {
	choices []choice
	usage   usage
	reading time.Duration // until the prompt was read
	writing time.Duration
}

// choice is one of the answers to a request.
type choice struct {
	reasoning, content string
	calls              []call
	thoughts, tokens   []logged // where log-probabilities were asked for
	finish             finish
	stopped            string
}

// call is a call that the model made.
type call struct {
	id, name, arguments string
	unusable            bool // its arguments are no JSON object
}

// patience is how many times Options.KeepAlive a whole answer may stay silent. From then on its status is 200, whatever
// becomes of it, so it is long; but less than the minute after which proxies give up.
const patience = 4

// collect waits for the whole answer.
func (x *exchange) collect(p *prepared) (*collected, error) {
	ctx := x.request.Context()
	if err := x.spend(); err != nil {
		return nil, err
	}
	j := x.start(p)
	defer j.end()
	c := &collected{choices: make([]choice, max(1, p.n))}
	began := time.Now()
	reading, silent := false, 0
	for {
		events, more, err := j.box.take(ctx, x.server.options.KeepAlive)
		if err != nil {
			return nil, err
		}
		if silent++; len(events) > 0 {
			reading, silent = true, 0
		}
		if reading && silent >= patience {
			if err := x.stillHere(); err != nil {
				return nil, err
			}
		}
		for _, e := range events {
			if e.kind == finished {
				c.usage.add(e.usage)
				x.count(p.model.Name, c.usage)
			}
			if c.reading == 0 && e.kind != started {
				c.reading = time.Since(began)
			}
			c.choices[e.choice].add(p, &e)
		}
		if !more {
			c.writing = time.Since(began) - c.reading
			return c, nil
		}
	}
}

func (c *choice) add(p *prepared, e *event) {
	switch e.kind {
	case reasoning:
		c.reasoning += e.text
		c.thoughts = append(c.thoughts, logOf(p.model, e)...)
	case content:
		c.content += e.text
		c.tokens = append(c.tokens, logOf(p.model, e)...)
	case callStart:
		c.calls = append(c.calls, call{id: e.id, name: e.text})
	case callArgs:
		c.calls[e.call].arguments += e.text
	case callEnd:
		c.calls[e.call].unusable = e.unusable
	case finished:
		c.finish, c.stopped = e.finish, e.stopped
	}
}

// gone tells whether an error means that nobody is there to read about it.
func gone(ctx context.Context, err error) bool {
	return errors.Is(err, errGone) || ctx.Err() != nil && !errors.As(err, new(*failure))
}
