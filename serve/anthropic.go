package serve

// The answers of the Anthropic Messages API, whole and as a stream.

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// answerJSON is a message.
type answerJSON struct {
	ID           string          `json:"id"`
	Type         string          `json:"type"`
	Role         string          `json:"role"`
	Model        string          `json:"model"`
	Content      []any           `json:"content"`
	StopReason   *string         `json:"stop_reason"`
	StopSequence *string         `json:"stop_sequence"`
	Usage        answerUsageJSON `json:"usage"`
}

type answerUsageJSON struct {
	Input  int `json:"input_tokens"` // without those from the cache
	Made   int `json:"cache_creation_input_tokens"`
	Read   int `json:"cache_read_input_tokens"`
	Output int `json:"output_tokens"`
}

type textBlock struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type thinkingBlock struct {
	Type      string `json:"type"`
	Thinking  string `json:"thinking"`
	Signature string `json:"signature"`
}

type toolBlock struct {
	Type  string          `json:"type"`
	ID    string          `json:"id"`
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input"`
}

func answerUsage(u usage) answerUsageJSON {
	return answerUsageJSON{Input: u.prompt - u.reused, Read: u.reused, Output: u.answer}
}

// sign names a thought. Clients send it back with the thought; nothing depends on it here.
func sign(thought string) string {
	sum := sha256.Sum256([]byte(thought))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// stopReason gives the words for why an answer ended.
func stopReason(f finish, stopped string) (reason string, sequence *string) {
	switch {
	case stopped != "":
		return "stop_sequence", &stopped
	case f == finishLength:
		return "max_tokens", nil
	case f == finishCalls:
		return "tool_use", nil
	}
	return "end_turn", nil
}

// toolID is the id of a call as this API writes it.
func toolID(id string) string { return "toolu_" + strings.TrimPrefix(id, "call_") }

// messages answers POST messages.
func (s *Server) messages(x *exchange) error {
	var body messagesJSON
	if err := x.read(&body); err != nil {
		return err
	}
	q, err := body.request()
	if err != nil {
		return err
	}
	p, err := x.prepareAny(q)
	if err != nil {
		return err
	}
	a := answerJSON{ID: "msg_" + x.access.ID[4:], Type: "message", Role: "assistant", Model: p.model.Name, Content: []any{}}
	if body.Stream {
		return x.writeStream(p, &messageFrames{prepared: p, answer: a, id: x.access.ID})
	}
	c, err := x.collect(p)
	if err != nil {
		return err
	}
	said := &c.choices[0]
	if said.reasoning != "" {
		a.Content = append(a.Content, thinkingBlock{"thinking", said.reasoning, sign(said.reasoning)})
	}
	if said.content != "" {
		a.Content = append(a.Content, textBlock{"text", said.content})
	}
	for _, call := range said.calls {
		if call.unusable { // no object: words are all that it can be
			a.Content = append(a.Content, textBlock{"text", call.name + " " + call.arguments})
			continue
		}
		a.Content = append(a.Content, toolBlock{"tool_use", toolID(call.id), call.name, json.RawMessage(call.arguments)})
	}
	reason, sequence := stopReason(said.finish, said.stopped)
	a.StopReason, a.StopSequence, a.Usage = &reason, sequence, answerUsage(c.usage)
	return x.reply(http.StatusOK, a)
}

// prepareAny takes the first model for names that no model has: clients of this API know those of its makers only.
func (x *exchange) prepareAny(q *request) (*prepared, error) {
	if _, err := x.server.find(q.model); err != nil {
		q.model = ""
	}
	return x.prepare(q)
}

// countTokens answers POST messages/count_tokens.
func (s *Server) countTokens(x *exchange) error {
	var body turnsJSON
	if err := x.read(&body); err != nil {
		return err
	}
	q, err := body.turns()
	if err != nil {
		return err
	}
	p, err := x.prepareAny(q)
	if err != nil {
		return err
	}
	return x.reply(http.StatusOK, struct {
		InputTokens int `json:"input_tokens"`
	}{len(p.ask.Tokens)})
}

// anthropicModels answers GET models.
func (s *Server) anthropicModels(x *exchange) error {
	type entry struct {
		Type      string    `json:"type"`
		ID        string    `json:"id"`
		Name      string    `json:"display_name"`
		CreatedAt time.Time `json:"created_at"`
	}
	list := struct {
		Data    []entry `json:"data"`
		HasMore bool    `json:"has_more"`
		FirstID string  `json:"first_id"`
		LastID  string  `json:"last_id"`
	}{FirstID: s.models[0].Name, LastID: s.models[len(s.models)-1].Name}
	for _, m := range s.models {
		list.Data = append(list.Data, entry{"model", m.Name, m.Name, m.Published.UTC().Truncate(time.Second)})
	}
	return x.reply(http.StatusOK, list)
}

// messageFrames writes the events of a message: blocks that begin, go on and end.
type messageFrames struct {
	*prepared
	answer  answerJSON
	id      string // of the request
	blocks  int    // begun
	open    eventKind
	isOpen  bool
	thought strings.Builder // of the block that is open
	last    event           // finished
}

func (f *messageFrames) media() string { return "text/event-stream" }

// named writes an event with its name before it.
func named(out *bytes.Buffer, name string, v any) {
	out.WriteString("event: " + name + "\n")
	data(out, v)
}

type blockStart struct {
	Type  string `json:"type"`
	Index int    `json:"index"`
	Block any    `json:"content_block"`
}

type blockDelta struct {
	Type  string `json:"type"`
	Index int    `json:"index"`
	Delta any    `json:"delta"`
}

type blockStop struct {
	Type  string `json:"type"`
	Index int    `json:"index"`
}

func (f *messageFrames) begin(out *bytes.Buffer, kind eventKind, block any) {
	f.stop(out)
	f.open, f.isOpen = kind, true
	named(out, "content_block_start", blockStart{"content_block_start", f.blocks, block})
	f.blocks++
}

func (f *messageFrames) delta(out *bytes.Buffer, d any) {
	named(out, "content_block_delta", blockDelta{"content_block_delta", f.blocks - 1, d})
}

func (f *messageFrames) stop(out *bytes.Buffer) {
	if !f.isOpen {
		return
	}
	if f.open == reasoning {
		f.delta(out, struct {
			Type      string `json:"type"`
			Signature string `json:"signature"`
		}{"signature_delta", sign(f.thought.String())})
		f.thought.Reset()
	}
	f.isOpen = false
	named(out, "content_block_stop", blockStop{"content_block_stop", f.blocks - 1})
}

func (f *messageFrames) event(out *bytes.Buffer, e *event) {
	switch e.kind {
	case started:
		a := f.answer
		a.Usage = answerUsage(e.usage)
		named(out, "message_start", struct {
			Type    string     `json:"type"`
			Message answerJSON `json:"message"`
		}{"message_start", a})
	case reasoning:
		if !f.isOpen || f.open != reasoning {
			f.begin(out, reasoning, thinkingBlock{Type: "thinking"})
		}
		f.thought.WriteString(e.text)
		f.delta(out, struct {
			Type     string `json:"type"`
			Thinking string `json:"thinking"`
		}{"thinking_delta", e.text})
	case content:
		if !f.isOpen || f.open != content {
			f.begin(out, content, textBlock{Type: "text"})
		}
		f.delta(out, textBlock{"text_delta", e.text})
	case callStart:
		f.begin(out, callStart, toolBlock{"tool_use", toolID(e.id), e.text, json.RawMessage("{}")})
	case callArgs:
		f.delta(out, struct {
			Type    string `json:"type"`
			Partial string `json:"partial_json"`
		}{"input_json_delta", e.text})
	case callEnd:
		f.stop(out)
	case finished:
		f.last = *e
	}
}

func (f *messageFrames) idle(out *bytes.Buffer) {
	named(out, "ping", struct {
		Type string `json:"type"`
	}{"ping"})
}

func (f *messageFrames) end(out *bytes.Buffer, u usage) {
	f.stop(out)
	d := struct {
		Type  string `json:"type"`
		Delta struct {
			Reason   string  `json:"stop_reason"`
			Sequence *string `json:"stop_sequence"`
		} `json:"delta"`
		Usage answerUsageJSON `json:"usage"`
	}{Type: "message_delta", Usage: answerUsage(u)}
	d.Delta.Reason, d.Delta.Sequence = stopReason(f.last.finish, f.last.stopped)
	named(out, "message_delta", d)
	named(out, "message_stop", struct {
		Type string `json:"type"`
	}{"message_stop"})
}

func (f *messageFrames) fail(out *bytes.Buffer, why *failure) {
	_, body := anthropicError(why, f.id)
	named(out, "error", body)
}
