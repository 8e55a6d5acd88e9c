package chat

// Messages as the OpenAI and DeepSeek APIs write them.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

type messageJSON struct {
	Role             Role            `json:"role"`
	Content          *string         `json:"content"`
	ReasoningContent string          `json:"reasoning_content,omitempty"`
	ToolCalls        []callJSON      `json:"tool_calls,omitempty"`
	ToolCallID       string          `json:"tool_call_id,omitempty"`
	Name             string          `json:"name,omitempty"`
	Prefix           bool            `json:"prefix,omitempty"`
	Task             string          `json:"task,omitempty"`
	Tools            []toolJSON      `json:"tools,omitempty"`
	ResponseFormat   json.RawMessage `json:"response_format,omitempty"`
}

type callJSON struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function functionJSON `json:"function"`
}

type functionJSON struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

type toolJSON struct {
	Type     string `json:"type"`
	Function Tool   `json:"function"`
}

// MarshalJSON writes a message of the API, its content null where it is nothing but calls.
func (m Message) MarshalJSON() ([]byte, error) {
	w := messageJSON{
		Role: m.Role, ReasoningContent: m.Reasoning, ToolCallID: m.ToolCallID, Name: m.Name, Prefix: m.Prefix, Task: m.Task,
		ResponseFormat: m.ResponseFormat,
	}
	if m.Content != "" || len(m.ToolCalls) == 0 {
		w.Content = &m.Content
	}
	for _, c := range m.ToolCalls {
		w.ToolCalls = append(w.ToolCalls, callJSON{c.ID, "function", functionJSON{c.Name, c.Arguments}})
	}
	for _, t := range m.Tools {
		w.Tools = append(w.Tools, toolJSON{"function", t})
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(w)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// UnmarshalJSON reads a message of the API whose content is text, or a list of texts.
func (m *Message) UnmarshalJSON(raw []byte) error {
	var w struct {
		messageJSON
		Content contentJSON `json:"content"`
		Tools   []Tool      `json:"tools"` // with or without the outer object
	}
	if err := json.Unmarshal(raw, &w); err != nil {
		return err
	}
	switch w.Role {
	case System, User, Assistant, ToolRole, Developer, Reminder:
	case "":
		return errors.New("chat: a message has no role")
	default:
		return fmt.Errorf("chat: a message has the role %q, which is not known", w.Role)
	}
	*m = Message{
		Role: w.Role, Reasoning: w.ReasoningContent, ToolCallID: w.ToolCallID, Name: w.Name, Prefix: w.Prefix, Task: w.Task,
		Tools: w.Tools, ResponseFormat: w.ResponseFormat,
		Content: string(w.Content),
	}
	for _, c := range w.ToolCalls {
		if c.Type != "" && c.Type != "function" {
			return fmt.Errorf("chat: a call of type %q is not supported, only \"function\"", c.Type)
		}
		m.ToolCalls = append(m.ToolCalls, ToolCall{ID: c.ID, Name: c.Function.Name, Arguments: c.Function.Arguments})
	}
	return nil
}

// contentJSON is a text, null, or the list of parts that may stand in its place.
type contentJSON string

// UnmarshalJSON joins the texts of a list.
func (c *contentJSON) UnmarshalJSON(raw []byte) error {
	if !bytes.HasPrefix(raw, []byte("[")) {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return errors.New("chat: the content of a message is neither a text nor a list of texts")
		}
		*c = contentJSON(text)
		return nil
	}
	var parts []struct {
		Type string  `json:"type"`
		Text *string `json:"text"`
	}
	if err := json.Unmarshal(raw, &parts); err != nil {
		return fmt.Errorf("chat: the content of a message: %w", err)
	}
	*c = ""
	for _, p := range parts {
		if p.Text == nil || p.Type != "text" {
			return fmt.Errorf("chat: the content of a message has a part of type %.40q: only those of type \"text\" can be read", p.Type)
		}
		*c += contentJSON(*p.Text)
	}
	return nil
}
