package chat

// The other half of a turn, for training: what a model has to write after a prompt, to its end token. Parser reads it back.
//
// Source: as of the prompts, the files that llm.go to v4.go name; the empty lines around the reasoning of R1 are those of its
// published answers.

import (
	"errors"
	"fmt"
	"strings"
)

// Reply splits a conversation that ends in an answer of the assistant: prompt is what Render gives for all before it, reply
// what the model should then write, to the token that ends it. Options.Thinking is not looked at: the answer has reasoning or
// not. Reasoning that the format has no place for here (V3.1 after the results of calls) is left out, as in Render; that of an
// answer of a generation that does not reason is an error.
func (f *Format) Reply(conversation []Message, o Options) (prompt, reply []Segment, err error) {
	if len(conversation) < 2 || conversation[len(conversation)-1].Role != Assistant {
		return nil, nil, errors.New("chat: a reply needs a conversation whose last message is an answer of the assistant")
	}
	if err := f.check(conversation); err != nil {
		return nil, nil, fmt.Errorf("chat: %w", err)
	}
	before, m := conversation[:len(conversation)-1], conversation[len(conversation)-1]
	if m.Prefix {
		return nil, nil, errors.New("chat: an answer that is only a prefix has no end")
	}
	o.Thinking = m.Reasoning != ""
	if o.Thinking && f.kind.thinking == NeverThinks {
		return nil, nil, fmt.Errorf("chat: format %q has no place for reasoning: leave it out, or name a format that has", f.name)
	}
	if prompt, err = f.Render(before, o); err != nil {
		return nil, nil, err
	}
	if f.template != nil {
		reply, err = f.replyOfTemplate(conversation, prompt, o)
		return prompt, reply, err
	}
	var w writer
	w.control(f.kind.lead)
	f.writeReasoning(&w, m, f.Thinks(prompt))
	w.text(m.Content)
	switch f.calls() {
	case fencedCalls:
		writeFencedCalls(&w, m.ToolCalls)
	case bareCalls:
		writeBareCalls(&w, m.ToolCalls)
	case dsmlV32, dsmlV4, dsmlV41:
		if err := dsmlTags[f.calls()].writeCalls(&w, m.ToolCalls); err != nil {
			return nil, nil, fmt.Errorf("chat: format %q: %w", f.name, err)
		}
	}
	end := f.eos
	if stops := f.kind.stops; len(stops) > 0 {
		end = stops[0]
	}
	w.control(f.kind.tail, end)
	return prompt, w.prompt, nil
}

// writeReasoning writes the reasoning of an answer, open where the prompt has begun it. R1 has lines of their own for its marks.
func (f *Format) writeReasoning(w *writer, m Message, open bool) {
	switch {
	case f.kind.thinking == AlwaysThinks:
		if !open {
			w.control(thinkToken, "\n")
		}
		w.text(strings.Trim(m.Reasoning, "\n"))
		w.control("\n", endThinkToken, "\n\n")
	case open:
		w.text(m.Reasoning)
		w.control(endThinkToken)
	}
}

// replyOfTemplate is what a template writes of a whole conversation behind the prompt for its last answer, to the end token.
func (f *Format) replyOfTemplate(conversation []Message, prompt []Segment, o Options) ([]Segment, error) {
	var w writer
	o.complete = true
	if err := f.kind.write(&w, f, conversation, o); err != nil {
		return nil, fmt.Errorf("chat: format %q: %w", f.name, err)
	}
	begin := Text(prompt)
	if whole := Text(w.prompt); !strings.HasPrefix(whole, begin) {
		return nil, errors.New("chat: the model's chat template writes an answer otherwise than it asks for one, so it cannot be told which of its text the model has to write: name a format")
	}
	reply := behind(w.prompt, len(begin))
	if f.eos == "" {
		return reply, nil
	}
	for i, s := range reply {
		if at := strings.Index(s.Text, f.eos); s.Control && at >= 0 {
			reply = append(reply[:i:i], Segment{s.Text[:at+len(f.eos)], true})
			return reply, nil
		}
	}
	if n := len(reply); n == 0 || !reply[n-1].Control {
		reply = append(reply, Segment{f.eos, true})
	}
	return reply, nil
}

// behind is a prompt without its first n bytes.
func behind(prompt []Segment, n int) []Segment {
	for i, s := range prompt {
		if n < len(s.Text) {
			return append([]Segment{{s.Text[n:], s.Control}}, prompt[i+1:]...)
		}
		n -= len(s.Text)
	}
	return nil
}
