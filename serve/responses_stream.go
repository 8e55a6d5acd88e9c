package serve

// The events of the Responses API. Every item of the output begins (output_item.added), has its parts, deltas and their
// ends, and is done; the response is created first and completed last. Clients follow sequence_number.

import (
	"bytes"
	"strings"
)

// responseEvent is one of them, with the fields that its type has.
type responseEvent struct {
	Type     string        `json:"type"`
	Sequence int           `json:"sequence_number"`
	Response *responseJSON `json:"response,omitempty"`
	ItemID   string        `json:"item_id,omitempty"`
	Output   *int          `json:"output_index,omitempty"`
	Content  *int          `json:"content_index,omitempty"`
	Summary  *int          `json:"summary_index,omitempty"`
	Item     any           `json:"item,omitempty"`
	Part     any           `json:"part,omitempty"`
	Delta    *string       `json:"delta,omitempty"`
	Text     *string       `json:"text,omitempty"`
	Name     string        `json:"name,omitempty"`
	Args     *string       `json:"arguments,omitempty"`
	Input    *string       `json:"input,omitempty"`
	Logprobs *[]logged     `json:"logprobs,omitempty"`
}

// responseFrames writes them.
type responseFrames struct {
	*prepared
	answer   responseJSON
	custom   map[string]bool
	sequence int
	isOpen   bool
	open     eventKind // of the item that is open
	id       string    // of it
	call     call      // the call that is open
	text     strings.Builder
	tokens   []logged
	finish   finish
}

func (f *responseFrames) media() string { return "text/event-stream" }

func (f *responseFrames) send(out *bytes.Buffer, e responseEvent) {
	e.Sequence = f.sequence
	f.sequence++
	named(out, e.Type, e)
}

// of sends an event about the item that is open.
func (f *responseFrames) of(out *bytes.Buffer, e responseEvent) {
	index := len(f.answer.Output)
	e.Output = &index
	if e.Item == nil {
		e.ItemID = f.id
	}
	zero := 0
	switch {
	case strings.HasPrefix(e.Type, "response.output_text"), strings.HasPrefix(e.Type, "response.content_part"):
		e.Content = &zero
	case strings.HasPrefix(e.Type, "response.reasoning_summary"):
		e.Summary = &zero
	}
	f.send(out, e)
}

func (f *responseFrames) event(out *bytes.Buffer, e *event) {
	switch e.kind {
	case started:
		for _, name := range []string{"response.created", "response.in_progress"} {
			f.send(out, responseEvent{Type: name, Response: &f.answer})
		}
	case reasoning:
		f.enter(out, reasoning)
		f.text.WriteString(e.text)
		f.of(out, responseEvent{Type: "response.reasoning_summary_text.delta", Delta: &e.text})
	case content:
		f.enter(out, content)
		f.text.WriteString(e.text)
		tokens := append([]logged{}, logOf(f.model, e)...)
		f.tokens = append(f.tokens, tokens...)
		f.of(out, responseEvent{Type: "response.output_text.delta", Delta: &e.text, Logprobs: &tokens})
	case callStart:
		f.leave(out)
		f.call = call{id: e.id, name: e.text}
		f.enter(out, callStart)
	case callArgs:
		f.call.arguments += e.text
		if !f.custom[f.call.name] {
			f.of(out, responseEvent{Type: "response.function_call_arguments.delta", Delta: &e.text})
		}
	case callEnd:
		f.leave(out)
	case finished:
		f.finish = e.finish
	}
}

// enter begins an item, unless one of its kind is open.
func (f *responseFrames) enter(out *bytes.Buffer, kind eventKind) {
	if f.isOpen && f.open == kind {
		return
	}
	f.leave(out)
	f.isOpen, f.open = true, kind
	f.text.Reset()
	f.tokens = []logged{}
	id := random(12)
	switch kind {
	case reasoning:
		f.id = "rs_" + id
		f.of(out, responseEvent{Type: "response.output_item.added", Item: reasoningItem{f.id, "reasoning", []partJSON{}}})
		f.of(out, responseEvent{Type: "response.reasoning_summary_part.added", Part: partJSON{Type: "summary_text"}})
	case content:
		f.id = "msg_" + id
		f.of(out, responseEvent{Type: "response.output_item.added", Item: messageItem{f.id, "message", "in_progress", "assistant", []outputText{}}})
		f.of(out, responseEvent{Type: "response.content_part.added", Part: outputText{"output_text", "", []any{}, []logged{}}})
	case callStart:
		item := itemOf(f.call, f.custom)
		item.Status = "in_progress"
		f.id = item.ID
		f.of(out, responseEvent{Type: "response.output_item.added", Item: item})
	}
}

// leave ends the item that is open.
func (f *responseFrames) leave(out *bytes.Buffer) {
	if !f.isOpen {
		return
	}
	f.isOpen = false
	var item any
	text := f.text.String()
	switch f.open {
	case reasoning:
		part := partJSON{"summary_text", text}
		item = reasoningItem{f.id, "reasoning", []partJSON{part}}
		f.of(out, responseEvent{Type: "response.reasoning_summary_text.done", Text: &text})
		f.of(out, responseEvent{Type: "response.reasoning_summary_part.done", Part: part})
	case content:
		part := outputText{"output_text", text, []any{}, f.tokens}
		item = messageItem{f.id, "message", "completed", "assistant", []outputText{part}}
		f.of(out, responseEvent{Type: "response.output_text.done", Text: &text, Logprobs: &f.tokens})
		f.of(out, responseEvent{Type: "response.content_part.done", Part: part})
	case callStart:
		c := itemOf(f.call, f.custom)
		if item = c; c.Input != nil {
			f.of(out, responseEvent{Type: "response.custom_tool_call_input.delta", Delta: c.Input})
			f.of(out, responseEvent{Type: "response.custom_tool_call_input.done", Input: c.Input})
		} else {
			f.of(out, responseEvent{Type: "response.function_call_arguments.done", Name: c.Name, Args: c.Arguments})
		}
	}
	f.of(out, responseEvent{Type: "response.output_item.done", Item: item})
	f.answer.Output = append(f.answer.Output, item)
}

func (f *responseFrames) idle(out *bytes.Buffer) { out.WriteString(": keep-alive\n\n") }

func (f *responseFrames) end(out *bytes.Buffer, u usage) {
	if len(f.answer.Output) == 0 && !f.isOpen {
		f.enter(out, content) // nothing was said: an empty message says so
	}
	f.leave(out)
	f.answer.end(f.finish, u)
	f.send(out, responseEvent{Type: "response." + f.answer.Status, Response: &f.answer})
}

func (f *responseFrames) fail(out *bytes.Buffer, why *failure) {
	code := "server_error"
	if why.kind == busy {
		code = "rate_limit_exceeded"
	}
	f.answer.Status, f.answer.Error = "failed", &responseError{code, why.message}
	f.send(out, responseEvent{Type: "response.failed", Response: &f.answer})
}
