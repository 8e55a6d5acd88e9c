package serve

// Requests of the OpenAI Responses API. Nothing is stored: a request brings the whole conversation, as clients do that
// say store: false.
//
// Source: the OpenAI API reference, Responses; the fields that Codex sends.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/haenyeo/haenyeo/chat"
)

// responsesJSON is the body of responses.
type responsesJSON struct {
	Model             string            `json:"model"`
	Input             json.RawMessage   `json:"input"`
	Instructions      *string           `json:"instructions"`
	Stream            bool              `json:"stream"`
	MaxOutputTokens   *int              `json:"max_output_tokens"`
	Temperature       *float64          `json:"temperature"`
	TopP              *float64          `json:"top_p"`
	TopLogprobs       int               `json:"top_logprobs"`
	Include           []string          `json:"include"`
	Tools             []json.RawMessage `json:"tools"`
	ToolChoice        json.RawMessage   `json:"tool_choice"`
	ParallelToolCalls *bool             `json:"parallel_tool_calls"`
	Reasoning         struct {
		Effort  *string `json:"effort"`
		Summary *string `json:"summary"`
	} `json:"reasoning"`
	Text struct {
		Format formatJSON `json:"format"`
	} `json:"text"`
	Metadata json.RawMessage `json:"metadata"`
	User     *string         `json:"user"`

	// What would change the answer and is not here.
	Previous     string          `json:"previous_response_id"`
	Conversation json.RawMessage `json:"conversation"`
	Prompt       json.RawMessage `json:"prompt"`
	Background   bool            `json:"background"`

	custom map[string]bool // tools whose input is any text
}

// itemJSON is an item of the input.
type itemJSON struct {
	Type      string          `json:"type"`
	Role      string          `json:"role"`
	Content   json.RawMessage `json:"content"`
	Summary   []partJSON      `json:"summary"`
	CallID    string          `json:"call_id"`
	Name      string          `json:"name"`
	Arguments string          `json:"arguments"`
	Input     string          `json:"input"`
	Output    json.RawMessage `json:"output"`
	Action    json.RawMessage `json:"action"`
}

type partJSON struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// responseToolJSON is a tool.
type responseToolJSON struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
	Strict      *bool           `json:"strict"`
}

// customParameters describes the input of a custom tool to the model, which calls functions.
const customParameters = `{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}`

// request translates the body.
func (j *responsesJSON) request() (*request, error) {
	q := &request{model: j.Model, sampling: sampling{temperature: j.Temperature, topP: j.TopP}}
	if t := j.Temperature; t != nil && !(*t >= 0 && *t <= 2) {
		return nil, fail(outOfRange, "temperature", "temperature %v: must be between 0 and 2", *t)
	}
	for _, include := range j.Include {
		if include == "message.output_text.logprobs" {
			q.logprobs = true
		}
	}
	if j.TopLogprobs != 0 {
		q.logprobs, q.top = true, j.TopLogprobs
	}
	for _, err := range []error{
		limit(q, "max_output_tokens", j.MaxOutputTokens), j.refuse(), j.choose(q), j.Text.Format.shape(q, "text"),
	} {
		if err != nil {
			return nil, err
		}
	}
	if j.Reasoning.Effort != nil {
		if err := q.think(*j.Reasoning.Effort, "reasoning"); err != nil {
			return nil, err
		}
	}
	if j.Instructions != nil && *j.Instructions != "" {
		q.messages = append(q.messages, chat.Message{Role: chat.System, Content: *j.Instructions})
	}
	return q, j.read(q)
}

// refuse finds what would change the answer and is not here.
func (j *responsesJSON) refuse() error {
	switch {
	case j.Previous != "":
		return fail(notImplemented, "previous_response_id", "previous_response_id is not supported: answers are not stored; send the whole conversation as input")
	case given(j.Conversation):
		return fail(notImplemented, "conversation", "conversation is not supported: nothing is stored; send the whole conversation as input")
	case given(j.Prompt):
		return fail(notImplemented, "prompt", "prompt is not supported: no templates are stored; send instructions and input")
	case j.Background:
		return fail(notImplemented, "background", "background is not supported: answers are not stored")
	}
	return nil
}

// given says whether a field was sent.
func given(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// choose reads the tools and which may be called. Tools that OpenAI's servers run, and that the model may or may not use,
// are not offered to it.
func (j *responsesJSON) choose(q *request) error {
	j.custom = map[string]bool{}
	for i, raw := range j.Tools {
		var t responseToolJSON
		if json.Unmarshal(raw, &t) != nil {
			return fail(malformed, "tools", "tools[%d] is not a tool", i)
		}
		switch t.Type {
		case "function":
		case "custom":
			j.custom[t.Name] = true
			t.Parameters = json.RawMessage(customParameters)
		case "web_search", "web_search_preview", "file_search", "image_generation", "code_interpreter":
			continue
		default:
			return fail(notImplemented, "tools", "tools[%d] is of type %q: only functions and custom tools can be called", i, t.Type)
		}
		if t.Name == "" {
			return fail(malformed, "tools", "tools[%d] has no name", i)
		}
		q.tools = append(q.tools, chat.Tool{Name: t.Name, Description: t.Description, Parameters: t.Parameters})
		if t.Strict != nil && *t.Strict {
			q.strict = append(q.strict, t.Name)
		}
	}
	q.oneCall = j.ParallelToolCalls != nil && !*j.ParallelToolCalls
	return q.chooseTool(j.ToolChoice)
}

// read translates the input: what the assistant thought, said and called becomes one message.
func (j *responsesJSON) read(q *request) error {
	var text string
	if json.Unmarshal(j.Input, &text) == nil && given(j.Input) {
		q.messages = append(q.messages, chat.Message{Role: chat.User, Content: text})
		return nil
	}
	var items []itemJSON
	if !given(j.Input) || json.Unmarshal(j.Input, &items) != nil {
		return fail(malformed, "input", "input is neither a text nor a list of items")
	}
	if len(items) == 0 {
		return fail(malformed, "input", "input is empty: send at least one item")
	}
	for i := range items {
		if err := items[i].add(q, i); err != nil {
			return err
		}
	}
	return nil
}

// add adds an item to the conversation.
func (t *itemJSON) add(q *request, i int) error {
	switch t.Type {
	case "", "message":
		return t.message(q, i)
	case "reasoning":
		q.turn(chat.Message{Reasoning: t.thought()})
	case "function_call":
		q.turn(chat.Message{ToolCalls: []chat.ToolCall{{ID: t.CallID, Name: t.Name, Arguments: t.Arguments}}})
	case "custom_tool_call":
		arguments := encode(struct {
			Input string `json:"input"`
		}{t.Input})
		q.turn(chat.Message{ToolCalls: []chat.ToolCall{{ID: t.CallID, Name: t.Name, Arguments: string(arguments)}}})
	case "local_shell_call":
		q.turn(chat.Message{ToolCalls: []chat.ToolCall{{ID: t.CallID, Name: "local_shell", Arguments: string(t.Action)}}})
	case "function_call_output", "custom_tool_call_output", "local_shell_call_output":
		if t.CallID == "" {
			return fail(malformed, "input", "input[%d] is the result of a call and has no call_id", i)
		}
		text, err := itemText(t.Output, i)
		if err != nil {
			return err
		}
		q.messages = append(q.messages, chat.Message{Role: chat.ToolRole, ToolCallID: t.CallID, Content: text})
	default:
		return fail(notImplemented, "input", "input[%d] is of type %q: only messages, reasoning, calls and their results can be read", i, t.Type)
	}
	return nil
}

func (t *itemJSON) message(q *request, i int) error {
	text, err := itemText(t.Content, i)
	if err != nil {
		return err
	}
	switch t.Role {
	case "system", "developer":
		q.messages = append(q.messages, chat.Message{Role: chat.System, Content: text})
	case "user":
		q.messages = append(q.messages, chat.Message{Role: chat.User, Content: text})
	case "assistant":
		q.turn(chat.Message{Content: text})
	default:
		return fail(malformed, "input", "input[%d]: role %q is none of system, developer, user and assistant", i, t.Role)
	}
	return nil
}

// itemText reads a text or parts of text.
func itemText(raw json.RawMessage, i int) (string, error) {
	if len(raw) > 0 && raw[0] == '{' { // the output of a shell
		return string(bytes.TrimSpace(raw)), nil
	}
	return partsText(raw, "input", fmt.Sprintf("input[%d]", i))
}

// thought gives what a reasoning item says: the thought itself, or a summary where that is all there is.
func (t *itemJSON) thought() string {
	var parts []partJSON
	if json.Unmarshal(t.Content, &parts) != nil || len(parts) == 0 {
		parts = t.Summary
	}
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.Text)
	}
	return b.String()
}

// turn adds to what the assistant said last.
func (q *request) turn(m chat.Message) {
	m.Role = chat.Assistant
	n := len(q.messages)
	if n == 0 || q.messages[n-1].Role != chat.Assistant {
		q.messages = append(q.messages, m)
		return
	}
	last := &q.messages[n-1]
	last.Reasoning += m.Reasoning
	if last.Content != "" && m.Content != "" {
		last.Content += "\n"
	}
	last.Content += m.Content
	last.ToolCalls = append(last.ToolCalls, m.ToolCalls...)
}
