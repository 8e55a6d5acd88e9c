package chat

// What a conversation is made of. Names are those of the OpenAI and DeepSeek APIs.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Role says who speaks.
type Role string

// The roles. Formats refuse those that they have no place for.
const (
	System    Role = "system"
	User      Role = "user"
	Assistant Role = "assistant"
	ToolRole  Role = "tool"            // the result of a call
	Developer Role = "developer"       // V3.2 on: a user message of the application, with tools of its own
	Reminder  Role = "latest_reminder" // V4 on
)

// Message is one turn, or a part of one.
type Message struct {
	Role      Role
	Content   string
	Reasoning string     // of the assistant, before its content
	ToolCalls []ToolCall // of the assistant, after its content

	ToolCallID string // of a result: the ID of the call it answers
	Name       string // of a result: the function, for templates that ask

	// Prefix marks a last message of the assistant that is to be continued: it has no end, and the reply begins there.
	Prefix bool

	// Task asks V4 for one of its short jobs after this message: action, query, authority, domain, title or read_url.
	Task string

	// Tools and ResponseFormat stand in a system or developer message of V3.2 and later; for others, and for most uses,
	// Options has them for the whole conversation.
	Tools          []Tool
	ResponseFormat json.RawMessage

	blocks []block // V4: what the user says and results of calls, put together by mergeResults
}

// ToolCall is one call of a function.
type ToolCall struct {
	ID        string
	Name      string
	Arguments string // a JSON object
}

// Tool describes a function to the model.
type Tool struct {
	Name        string
	Description string
	Parameters  json.RawMessage // JSON schema; its keys keep their order in the prompt

	// function is the whole object as a request gave it, which the formats that show it whole repeat key by key.
	function json.RawMessage
}

// UnmarshalJSON reads {"type": "function", "function": {...}}, or the inner object by itself, and keeps the order of keys
// and what it does not know of.
func (t *Tool) UnmarshalJSON(raw []byte) error {
	var outer struct {
		Type     string
		Function json.RawMessage
	}
	if err := json.Unmarshal(raw, &outer); err != nil {
		return err
	}
	function := raw
	if len(outer.Function) > 0 {
		if outer.Type != "" && outer.Type != "function" {
			return fmt.Errorf("chat: a tool of type %q is not supported, only \"function\"", outer.Type)
		}
		function = outer.Function
	}
	var f struct {
		Name, Description string
		Parameters        json.RawMessage
	}
	if err := json.Unmarshal(function, &f); err != nil {
		return err
	}
	if f.Name == "" {
		return errors.New("chat: a tool has no name")
	}
	*t = Tool{Name: f.Name, Description: f.Description, Parameters: f.Parameters, function: bytes.Clone(function)}
	return nil
}

// MarshalJSON writes the inner object: as it was read, or the three fields.
func (t Tool) MarshalJSON() ([]byte, error) {
	if len(t.function) > 0 {
		return t.function, nil
	}
	var f struct {
		Name        string          `json:"name"`
		Description string          `json:"description,omitempty"`
		Parameters  json.RawMessage `json:"parameters,omitempty"`
	}
	f.Name, f.Description, f.Parameters = t.Name, t.Description, t.Parameters
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(f)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// Options is what a prompt depends on beside the conversation.
type Options struct {
	// Thinking asks for reasoning before the answer, where a generation leaves the choice (see Format.Thinking).
	Thinking bool

	// Effort is how long to think, where a generation has levels of it: V4 and V4.1. Empty is the generation's default.
	Effort string

	// KeepThinking keeps the reasoning of earlier turns, where a generation leaves the choice: V4 and V4.1. In V3.2,
	// which always drops it, it keeps the developer messages of earlier turns.
	KeepThinking bool

	Tools          []Tool
	ResponseFormat json.RawMessage // a JSON schema that the answer must follow; V3.2 and later

	// Published repeats the defects of a published template byte by byte where the default is what it means: in V2.5, V3
	// and R1 a single call is never closed, and the second round of calls has no opening.
	Published bool

	// Variables are set for a Jinja template, beside those that every template gets; values are JSON.
	Variables map[string]json.RawMessage

	complete bool // a Jinja template is not asked to begin an answer: see Reply
}
