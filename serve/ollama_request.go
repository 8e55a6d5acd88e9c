package serve

// Requests of the Ollama API.
//
// Source: docs/api.md of Ollama.

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/haenyeo/haenyeo/chat"
)

// askJSON is what conversations and texts share.
type askJSON struct {
	Model   string          `json:"model"`
	Stream  *bool           `json:"stream"` // true where nothing is said
	Think   json.RawMessage `json:"think"`
	Format  json.RawMessage `json:"format"`
	Options struct {
		Temperature   *float64 `json:"temperature"`
		TopK          *int     `json:"top_k"`
		TopP          *float64 `json:"top_p"`
		MinP          *float64 `json:"min_p"`
		TypicalP      *float64 `json:"typical_p"`
		RepeatPenalty *float64 `json:"repeat_penalty"`
		RepeatLastN   *int     `json:"repeat_last_n"`
		Presence      *float64 `json:"presence_penalty"`
		Frequency     *float64 `json:"frequency_penalty"`
		Seed          *int64   `json:"seed"`
		Predict       *int     `json:"num_predict"`
		Stop          texts    `json:"stop"`
	} `json:"options"`
	Logprobs    bool `json:"logprobs"`
	TopLogprobs int  `json:"top_logprobs"`
}

// fill puts the fields into a request.
func (j *askJSON) fill(s *Server) (*request, error) {
	if j.Model == "" {
		return nil, fail(malformed, "model", "model is required")
	}
	o := &j.Options
	q := &request{model: s.untagged(j.Model), stop: o.Stop, logprobs: j.Logprobs || j.TopLogprobs > 0, top: j.TopLogprobs}
	q.sampling = sampling{
		temperature: o.Temperature, topP: o.TopP, minP: o.MinP, typicalP: o.TypicalP, topK: o.TopK, seed: o.Seed,
		presence: o.Presence, frequency: o.Frequency, repetition: o.RepeatPenalty, penaltyWindow: o.RepeatLastN,
	}
	if n := o.RepeatLastN; n != nil && *n == -1 { // the whole context
		q.sampling.penaltyWindow = new(int)
	} else if n != nil && *n == 0 { // no penalty
		one := 1.0
		q.sampling.penaltyWindow, q.sampling.repetition = nil, &one
	}
	if n := o.Predict; n != nil && *n >= 0 { // below 0: no limit
		if err := limit(q, "num_predict", n); err != nil {
			return nil, err
		}
	}
	switch f := string(bytes.TrimSpace(j.Format)); {
	case f == "", f == "null", f == `""`:
	case f == `"json"`:
		q.shape = &shape{param: "format", object: true}
	case f[0] == '{':
		q.shape = &shape{param: "format", schema: j.Format}
	default:
		return nil, fail(outOfRange, "format", "format is neither \"json\" nor a JSON schema")
	}
	return q, j.think(q)
}

// think reads whether and how long to think.
func (j *askJSON) think(q *request) error {
	if !given(j.Think) {
		return nil
	}
	var yes bool
	if json.Unmarshal(j.Think, &yes) == nil {
		q.thinking = &yes
		return nil
	}
	if json.Unmarshal(j.Think, &q.effort) != nil {
		return fail(malformed, "think", "think is neither a boolean nor a text")
	}
	switch yes = true; q.effort {
	case "low", "high", "max":
	case "medium":
		q.effort = "high"
	default:
		return fail(outOfRange, "think", "think %q is none of low, medium, high and max", q.effort)
	}
	q.thinking = &yes
	return nil
}

// untagged leaves out the tag that clients add to names.
func (s *Server) untagged(name string) string {
	if _, err := s.find(name); err != nil {
		if n := len(name) - len(":latest"); n > 0 && name[n:] == ":latest" {
			return name[:n]
		}
	}
	return name
}

// ollamaChatJSON is the body of /api/chat.
type ollamaChatJSON struct {
	askJSON
	Messages []ollamaMessageJSON `json:"messages"`
	Tools    []chat.Tool         `json:"tools"`
}

type ollamaMessageJSON struct {
	Role      string            `json:"role"`
	Content   string            `json:"content"`
	Thinking  string            `json:"thinking"`
	Images    []json.RawMessage `json:"images"`
	ToolName  string            `json:"tool_name"`
	ToolCalls []struct {
		Function struct {
			Name      string          `json:"name"`
			Arguments json.RawMessage `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
}

func (j *ollamaChatJSON) request(s *Server) (*request, error) {
	q, err := j.fill(s)
	if err != nil {
		return nil, err
	}
	q.tools = j.Tools
	open := []string{} // calls that have no result yet
	for i, m := range j.Messages {
		out := chat.Message{Content: m.Content, Reasoning: m.Thinking, Name: m.ToolName}
		if len(m.Images) > 0 {
			return nil, fail(notImplemented, "messages", "message %d has images: the model reads text only", i)
		}
		switch m.Role {
		case "system", "user", "assistant":
			out.Role = chat.Role(m.Role)
		case "tool":
			out.Role = chat.ToolRole
			if len(open) == 0 {
				return nil, fail(malformed, "messages", "message %d is the result of a call, and no call before it is without one", i)
			}
			out.ToolCallID, open = open[0], open[1:] // results come in the order of the calls
		default:
			return nil, fail(malformed, "messages", "message %d: role %q is none of system, user, assistant and tool", i, m.Role)
		}
		for n, c := range m.ToolCalls {
			id := fmt.Sprintf("call_%d_%d", i, n) // this API has no ids
			open = append(open, id)
			arguments := string(c.Function.Arguments)
			if arguments == "" || arguments == "null" {
				arguments = "{}"
			}
			out.ToolCalls = append(out.ToolCalls, chat.ToolCall{ID: id, Name: c.Function.Name, Arguments: arguments})
		}
		out.Prefix = out.Role == chat.Assistant && i == len(j.Messages)-1 && len(out.ToolCalls) == 0
		q.messages = append(q.messages, out)
	}
	return q, nil
}

// ollamaTextJSON is the body of /api/generate.
type ollamaTextJSON struct {
	askJSON
	Prompt   string            `json:"prompt"`
	Suffix   string            `json:"suffix"`
	System   string            `json:"system"`
	Template string            `json:"template"`
	Raw      bool              `json:"raw"`
	Images   []json.RawMessage `json:"images"`
	Context  []int32           `json:"context"`
}

func (j *ollamaTextJSON) request(x *exchange) (*request, error) {
	q, err := j.fill(x.server)
	if err != nil {
		return nil, err
	}
	switch {
	case len(j.Images) > 0:
		return nil, fail(notImplemented, "images", "images: the model reads text only")
	case j.Template != "":
		return nil, fail(notImplemented, "template", "template: prompts are written as the model was trained; raw leaves it to you")
	case len(j.Context) > 0:
		return nil, fail(notImplemented, "context", "context is not supported: send the conversation to /api/chat")
	case j.Suffix != "":
		q.middle = &middle{j.Prompt, j.Suffix}
		return q, nil
	}
	if m, err := x.use(q.model); j.Raw || err == nil && m.Format == nil {
		text := j.System + j.Prompt
		q.text = &text
		return q, nil
	}
	if j.System != "" {
		q.messages = append(q.messages, chat.Message{Role: chat.System, Content: j.System})
	}
	q.messages = append(q.messages, chat.Message{Role: chat.User, Content: j.Prompt})
	return q, nil
}
