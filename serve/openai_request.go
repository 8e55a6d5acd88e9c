package serve

// Requests of the OpenAI and DeepSeek APIs. Fields that other servers of these APIs have added and many clients send
// (top_k, min_p, repetition_penalty, chat_template_kwargs) are understood too.
//
// Source: the OpenAI API reference; api-docs.deepseek.com.

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/haenyeo/haenyeo/chat"
)

// samplingJSON are the fields that conversations and texts share.
type samplingJSON struct {
	guidedJSON
	Model            string             `json:"model"`
	Stream           bool               `json:"stream"`
	StreamOptions    *streamOptions     `json:"stream_options"`
	Temperature      *float64           `json:"temperature"`
	TopP             *float64           `json:"top_p"`
	TopK             *int               `json:"top_k"`
	MinP             *float64           `json:"min_p"`
	TypicalP         *float64           `json:"typical_p"`
	PresencePenalty  *float64           `json:"presence_penalty"`
	FrequencyPenalty *float64           `json:"frequency_penalty"`
	Repetition       *float64           `json:"repetition_penalty"`
	Seed             *int64             `json:"seed"`
	LogitBias        map[string]float64 `json:"logit_bias"`
	MaxTokens        *int               `json:"max_tokens"`
	N                *int               `json:"n"`
	Stop             texts              `json:"stop"`
	ServiceTier      string             `json:"service_tier"`
	CacheSalt        string             `json:"cache_salt"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

// texts is a string or several.
type texts []string

func (t *texts) UnmarshalJSON(raw []byte) error {
	if raw[0] == '"' {
		*t = make(texts, 1)
		return json.Unmarshal(raw, &(*t)[0])
	}
	return json.Unmarshal(raw, (*[]string)(t))
}

// fill puts the fields into a request.
func (j *samplingJSON) fill(q *request) error {
	q.model, q.stop = j.Model, j.Stop
	q.sampling = sampling{
		temperature: j.Temperature, topP: j.TopP, minP: j.MinP, typicalP: j.TypicalP, topK: j.TopK,
		presence: j.PresencePenalty, frequency: j.FrequencyPenalty, repetition: j.Repetition, seed: j.Seed,
	}
	between := func(name string, v *float64, low, high float64) error {
		if v != nil && !(*v >= low && *v <= high) {
			return fail(outOfRange, name, "%s %v: must be between %v and %v", name, *v, low, high)
		}
		return nil
	}
	for _, err := range []error{
		between("temperature", j.Temperature, 0, 2), between("presence_penalty", j.PresencePenalty, -2, 2),
		between("frequency_penalty", j.FrequencyPenalty, -2, 2),
	} {
		if err != nil {
			return err
		}
	}
	if j.ServiceTier == "flex" {
		q.priority = -1
	}
	if q.salt = j.CacheSalt; len(q.salt) > maxSalt {
		return fail(outOfRange, "cache_salt", "cache_salt has %d bytes: at most %d", len(q.salt), maxSalt)
	}
	if j.TopK != nil && *j.TopK == -1 { // how vLLM says all
		q.sampling.topK = nil
	}
	if j.N != nil {
		if q.n = *j.N; q.n < 1 {
			return fail(outOfRange, "n", "n is %d: must be 1 to %d", q.n, maxAnswers)
		}
	}
	if len(j.LogitBias) > 0 {
		q.sampling.bias = make(map[int32]float64, len(j.LogitBias))
	}
	for key, bias := range j.LogitBias {
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil {
			return fail(outOfRange, "logit_bias", "%q is no id of a token", key)
		}
		if bias == -100 { // OpenAI: a ban
			bias = math.Inf(-1)
		}
		q.sampling.bias[int32(id)] = bias
	}
	return j.guidedJSON.shape(q)
}

// limit reads a limit of tokens.
func limit(q *request, name string, n *int) error {
	if n == nil {
		return nil
	}
	if *n < 1 {
		return fail(outOfRange, name, "%s is %d: must be 1 or more", name, *n)
	}
	q.maxTokens = *n
	return nil
}

// chatJSON is the body of chat/completions.
type chatJSON struct {
	samplingJSON
	Messages            []messageJSON   `json:"messages"`
	MaxCompletionTokens *int            `json:"max_completion_tokens"`
	Logprobs            bool            `json:"logprobs"`
	TopLogprobs         *int            `json:"top_logprobs"`
	Tools               []toolJSON      `json:"tools"`
	ToolChoice          json.RawMessage `json:"tool_choice"`
	ParallelToolCalls   *bool           `json:"parallel_tool_calls"`
	ResponseFormat      formatJSON      `json:"response_format"`
	Thinking            *struct {
		Type string `json:"type"`
	} `json:"thinking"`
	ReasoningEffort string `json:"reasoning_effort"`
	Template        struct {
		Thinking       *bool `json:"thinking"`
		EnableThinking *bool `json:"enable_thinking"`
	} `json:"chat_template_kwargs"`

	// What would change the answer and is not here.
	Functions  json.RawMessage `json:"functions"`
	Modalities []string        `json:"modalities"`
	Audio      json.RawMessage `json:"audio"`
	WebSearch  json.RawMessage `json:"web_search_options"`
}

// messageJSON is a message of a conversation.
type messageJSON struct {
	Role             string          `json:"role"`
	Content          json.RawMessage `json:"content"`
	ReasoningContent string          `json:"reasoning_content"`
	Reasoning        string          `json:"reasoning"` // as some gateways call it
	ToolCallID       string          `json:"tool_call_id"`
	Name             string          `json:"name"`
	Prefix           bool            `json:"prefix"`
	ToolCalls        []struct {
		ID       string `json:"id"`
		Type     string `json:"type"`
		Function struct {
			Name      string `json:"name"`
			Arguments string `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
}

// request translates the body.
func (j *chatJSON) request() (*request, error) {
	q := &request{}
	if err := j.fill(q); err != nil {
		return nil, err
	}
	for _, err := range []error{
		limit(q, "max_tokens", j.MaxTokens), limit(q, "max_completion_tokens", j.MaxCompletionTokens),
		j.refuse(), j.choose(q), j.think(q),
	} {
		if err != nil {
			return nil, err
		}
	}
	q.logprobs = j.Logprobs
	if j.TopLogprobs != nil {
		if q.top = *j.TopLogprobs; q.top > 0 && !j.Logprobs {
			return nil, fail(outOfRange, "top_logprobs", "top_logprobs needs logprobs to be true")
		}
	}
	if len(j.Messages) == 0 {
		return nil, fail(malformed, "messages", "messages is empty or missing: send at least one")
	}
	for i := range j.Messages {
		m, err := j.Messages[i].message(i)
		if err != nil {
			return nil, err
		}
		q.messages = append(q.messages, m)
	}
	return q, nil
}

// refuse finds what would change the answer and is not here.
func (j *chatJSON) refuse() error {
	switch {
	case given(j.Functions):
		return fail(notImplemented, "functions", "functions are not supported: send them as tools")
	case given(j.Audio), len(j.Modalities) > 1, len(j.Modalities) == 1 && j.Modalities[0] != "text":
		return fail(notImplemented, "modalities", "the model writes text only")
	case given(j.WebSearch):
		return fail(notImplemented, "web_search_options", "this server reads nothing from the network")
	}
	return nil
}

// choose reads which tools may be called, and what the answer must look like.
func (j *chatJSON) choose(q *request) error {
	q.oneCall = j.ParallelToolCalls != nil && !*j.ParallelToolCalls
	for _, t := range j.Tools {
		q.tools = append(q.tools, t.Tool)
		if t.strict {
			q.strict = append(q.strict, t.Name)
		}
	}
	if err := q.chooseTool(j.ToolChoice); err != nil {
		return err
	}
	return j.ResponseFormat.shape(q, "response_format")
}

// toolJSON is a tool that may be strict: its arguments follow its schema.
type toolJSON struct {
	chat.Tool
	strict bool
}

func (t *toolJSON) UnmarshalJSON(raw []byte) error {
	var j struct {
		Strict   bool
		Function struct{ Strict bool }
	}
	if err := json.Unmarshal(raw, &t.Tool); err != nil {
		return err
	}
	if json.Unmarshal(raw, &j) == nil {
		t.strict = j.Strict || j.Function.Strict
	}
	return nil
}

// think reads whether and how long to think.
func (j *chatJSON) think(q *request) error {
	say := func(yes bool) { q.thinking = &yes }
	for _, v := range []*bool{j.Template.Thinking, j.Template.EnableThinking} {
		if v != nil {
			say(*v)
		}
	}
	if err := q.think(j.ReasoningEffort, "reasoning_effort"); err != nil {
		return err
	}
	if j.Thinking != nil {
		switch j.Thinking.Type {
		case "enabled":
			say(true)
		case "disabled":
			say(false)
		default:
			return fail(outOfRange, "thinking", "thinking.type %q is neither enabled nor disabled", j.Thinking.Type)
		}
	}
	return nil
}

// think reads how long to think.
func (q *request) think(effort, param string) error {
	switch effort {
	case "":
	case "none":
		no := false
		q.thinking = &no
	case "minimal", "low":
		q.effort = "low"
	case "medium", "high", "xhigh":
		q.effort = "high"
	case "max", "ultra":
		q.effort = "max"
	default:
		return fail(outOfRange, param, "%s %q is none of none, minimal, low, medium, high, xhigh and max", param, effort)
	}
	return nil
}

func (m *messageJSON) message(i int) (chat.Message, error) {
	text, err := partsText(m.Content, "messages", fmt.Sprintf("message %d", i))
	if err != nil {
		return chat.Message{}, err
	}
	out := chat.Message{Content: text, Reasoning: m.ReasoningContent, ToolCallID: m.ToolCallID, Name: m.Name, Prefix: m.Prefix}
	if out.Reasoning == "" {
		out.Reasoning = m.Reasoning
	}
	switch m.Role {
	case "system", "developer": // the new word for it
		out.Role = chat.System
	case "user":
		out.Role = chat.User
	case "assistant":
		out.Role = chat.Assistant
	case "tool":
		out.Role = chat.ToolRole
		if m.ToolCallID == "" {
			return out, fail(malformed, "messages", "message %d is the result of a call and has no tool_call_id", i)
		}
	default:
		return out, fail(malformed, "messages", "message %d: role %q is none of system, developer, user, assistant and tool", i, m.Role)
	}
	for n, c := range m.ToolCalls {
		if c.Type != "" && c.Type != "function" {
			return out, fail(notImplemented, "messages", "message %d: call %d is of type %q: only functions are supported", i, n, c.Type)
		}
		out.ToolCalls = append(out.ToolCalls, chat.ToolCall{ID: c.ID, Name: c.Function.Name, Arguments: c.Function.Arguments})
	}
	if out.Role == chat.Assistant && len(m.ToolCalls) == 0 && !given(m.Content) {
		return out, fail(malformed, "messages", "message %d: content or tool_calls must be set", i)
	}
	return out, nil
}

// partsText reads a text, parts of text, or nothing. place is what errors call it.
func partsText(raw json.RawMessage, param, place string) (string, error) {
	var text string
	if !given(raw) || json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	var parts []struct {
		Type    string `json:"type"`
		Text    string `json:"text"`
		Refusal string `json:"refusal"`
	}
	if json.Unmarshal(raw, &parts) != nil {
		return "", fail(malformed, param, "%s: what it holds is neither a text nor a list of parts", place)
	}
	list := make([]string, len(parts))
	for n, p := range parts {
		switch p.Type {
		case "text", "input_text", "output_text":
			list[n] = p.Text
		case "refusal":
			list[n] = p.Refusal
		default:
			return "", fail(notImplemented, param, "%s: a part of type %q: the model reads text only", place, p.Type)
		}
	}
	return strings.Join(list, "\n"), nil
}
