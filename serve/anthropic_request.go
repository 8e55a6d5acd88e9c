package serve

// Requests of the Anthropic Messages API.
//
// Source: docs.anthropic.com, Messages and count_tokens.

import (
	"encoding/json"
	"strings"

	"github.com/haenyeo/haenyeo/chat"
)

// turnsJSON is what a prompt is made of, in messages and in count_tokens.
type turnsJSON struct {
	Model    string          `json:"model"`
	System   json.RawMessage `json:"system"`
	Messages []struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
	} `json:"messages"`
	Tools []struct {
		Type        string          `json:"type"`
		Name        string          `json:"name"`
		Description string          `json:"description"`
		InputSchema json.RawMessage `json:"input_schema"`
		Strict      bool            `json:"strict"`
	} `json:"tools"`
	ToolChoice *struct {
		Type            string `json:"type"`
		Name            string `json:"name"`
		DisableParallel bool   `json:"disable_parallel_tool_use"`
	} `json:"tool_choice"`
	Thinking *struct {
		Type string `json:"type"`
	} `json:"thinking"`
	Output struct {
		Effort string     `json:"effort"`
		Format formatJSON `json:"format"`
	} `json:"output_config"`
}

// messagesJSON is the body of messages.
type messagesJSON struct {
	turnsJSON
	MaxTokens   *int     `json:"max_tokens"`
	Stop        []string `json:"stop_sequences"`
	Stream      bool     `json:"stream"`
	Temperature *float64 `json:"temperature"`
	TopP        *float64 `json:"top_p"`
	TopK        *int     `json:"top_k"`
}

// blockJSON is a part of a message.
type blockJSON struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	Thinking  string          `json:"thinking"`
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Input     json.RawMessage `json:"input"`
	ToolUseID string          `json:"tool_use_id"`
	Content   json.RawMessage `json:"content"`
}

// request translates the body.
func (j *messagesJSON) request() (*request, error) {
	q, err := j.turns()
	if err != nil {
		return nil, err
	}
	if j.MaxTokens == nil {
		return nil, fail(malformed, "max_tokens", "max_tokens: field required")
	}
	if err := limit(q, "max_tokens", j.MaxTokens); err != nil {
		return nil, err
	}
	if j.Temperature != nil && !(*j.Temperature >= 0 && *j.Temperature <= 1) {
		return nil, fail(outOfRange, "temperature", "temperature %v: must be between 0 and 1", *j.Temperature)
	}
	q.stop = j.Stop
	q.sampling.temperature, q.sampling.topP, q.sampling.topK = j.Temperature, j.TopP, j.TopK
	return q, nil
}

// turns translates what the prompt is made of.
func (j *turnsJSON) turns() (*request, error) {
	q := &request{model: j.Model, effort: j.Output.Effort}
	if err := j.choose(q); err != nil {
		return nil, err
	}
	if err := j.Output.Format.shape(q, "output_config"); err != nil {
		return nil, err
	}
	switch q.effort {
	case "", "low", "max":
	case "medium", "high", "xhigh":
		q.effort = "high"
	default:
		return nil, fail(outOfRange, "output_config", "output_config.effort %q is none of low, medium, high, xhigh and max", q.effort)
	}
	think := false
	if j.Thinking != nil {
		switch j.Thinking.Type {
		case "enabled", "adaptive":
			think = true
		case "disabled":
		default:
			return nil, fail(outOfRange, "thinking", "thinking.type %q is none of enabled, adaptive and disabled", j.Thinking.Type)
		}
	}
	if j.Thinking != nil || q.effort == "" { // who says nothing wants no thinking
		q.thinking = &think
	}
	system, err := j.system()
	if err != nil {
		return nil, err
	}
	if system != "" {
		q.messages = append(q.messages, chat.Message{Role: chat.System, Content: system})
	}
	if len(j.Messages) == 0 {
		return nil, fail(malformed, "messages", "messages: at least one message is required")
	}
	for i, m := range j.Messages {
		blocks, err := blocksOf(m.Content)
		if err != nil {
			return nil, fail(malformed, "messages", "messages.%d.content: %v", i, err)
		}
		switch m.Role {
		case "user":
			err = q.user(blocks)
		case "assistant":
			err = q.assistant(blocks, i == len(j.Messages)-1)
		case "system":
			var text string
			if text, err = textOf(blocks); err == nil {
				q.messages = append(q.messages, chat.Message{Role: chat.System, Content: text})
			}
		default:
			return nil, fail(malformed, "messages", "messages.%d.role: %q is neither user nor assistant", i, m.Role)
		}
		if err != nil {
			return nil, fail(failureOf(err).kind, "messages", "messages.%d: %v", i, err)
		}
	}
	return q, nil
}

// choose reads the tools and which may be called.
func (j *turnsJSON) choose(q *request) error {
	for i, t := range j.Tools {
		if t.Type != "" && t.Type != "custom" {
			return fail(notImplemented, "tools", "tools.%d: a tool of type %q: this server runs none itself", i, t.Type)
		}
		if t.Name == "" {
			return fail(malformed, "tools", "tools.%d: name: field required", i)
		}
		q.tools = append(q.tools, chat.Tool{Name: t.Name, Description: t.Description, Parameters: t.InputSchema})
		if t.Strict {
			q.strict = append(q.strict, t.Name)
		}
	}
	if j.ToolChoice == nil {
		return nil
	}
	q.oneCall = j.ToolChoice.DisableParallel
	switch j.ToolChoice.Type {
	case "auto":
	case "none":
		q.tools = nil
	case "any":
		return q.mustCall("")
	case "tool":
		if j.ToolChoice.Name == "" {
			return fail(malformed, "tool_choice", "tool_choice.name: field required")
		}
		return q.mustCall(j.ToolChoice.Name)
	default:
		return fail(outOfRange, "tool_choice", "tool_choice.type %q is none of auto, any, tool and none", j.ToolChoice.Type)
	}
	return nil
}

// billing begins a line that some clients put before the system prompt and change with every request, so that nothing
// behind it would be found in the cache.
const billing = "x-anthropic-billing-header:"

func (j *turnsJSON) system() (string, error) {
	blocks, err := blocksOf(j.System)
	if err != nil {
		return "", fail(malformed, "system", "system: %v", err)
	}
	var kept []blockJSON
	for _, b := range blocks {
		if strings.HasPrefix(b.Text, billing) {
			_, b.Text, _ = strings.Cut(b.Text, "\n")
		}
		if b.Text != "" || b.Type != "text" {
			kept = append(kept, b)
		}
	}
	return textOf(kept)
}

// blocksOf reads a text or a list of blocks.
func blocksOf(raw json.RawMessage) ([]blockJSON, error) {
	if !given(raw) {
		return nil, nil
	}
	if raw[0] == '"' {
		b := blockJSON{Type: "text"}
		err := json.Unmarshal(raw, &b.Text)
		return []blockJSON{b}, err
	}
	var list []blockJSON
	if json.Unmarshal(raw, &list) != nil {
		return nil, fail(malformed, "", "neither a text nor a list of blocks")
	}
	return list, nil
}

// textOf joins blocks that must be text.
func textOf(blocks []blockJSON) (string, error) {
	list := make([]string, len(blocks))
	for i, b := range blocks {
		if b.Type != "text" {
			return "", fail(notImplemented, "", "content.%d: a block of type %q: the model reads text only", i, b.Type)
		}
		list[i] = b.Text
	}
	return strings.Join(list, "\n\n"), nil
}

// user adds what a user says, and results of calls before it.
func (q *request) user(blocks []blockJSON) error {
	var words []blockJSON
	for i, b := range blocks {
		if b.Type != "tool_result" {
			words = append(words, b)
			continue
		}
		if b.ToolUseID == "" {
			return fail(malformed, "", "content.%d: tool_use_id: field required", i)
		}
		inner, err := blocksOf(b.Content)
		if err != nil {
			return err
		}
		text, err := textOf(inner)
		if err != nil {
			return err
		}
		q.messages = append(q.messages, chat.Message{Role: chat.ToolRole, ToolCallID: b.ToolUseID, Content: text})
	}
	text, err := textOf(words)
	if err == nil && len(words) > 0 {
		q.messages = append(q.messages, chat.Message{Role: chat.User, Content: text})
	}
	return err
}

// assistant adds what the assistant said. Where it is the last, the answer goes on from there.
func (q *request) assistant(blocks []blockJSON, last bool) error {
	m := chat.Message{Role: chat.Assistant}
	var words []blockJSON
	for _, b := range blocks {
		switch b.Type {
		case "thinking":
			m.Reasoning += b.Thinking
		case "redacted_thinking": // nobody can read it
		case "tool_use":
			arguments := string(b.Input)
			if len(b.Input) == 0 {
				arguments = "{}"
			}
			m.ToolCalls = append(m.ToolCalls, chat.ToolCall{ID: b.ID, Name: b.Name, Arguments: arguments})
		default:
			words = append(words, b)
		}
	}
	text, err := textOf(words)
	m.Content = text
	m.Prefix = last && len(m.ToolCalls) == 0
	q.messages = append(q.messages, m)
	return err
}
