package serve

// chat/completions: the answer of the OpenAI and DeepSeek APIs, whole and as a stream.

import (
	"bytes"
	"net/http"
	"time"
)

// completionJSON is a whole answer, or one chunk of a stream.
type completionJSON[C any] struct {
	ID          string     `json:"id"`
	Object      string     `json:"object"`
	Created     int64      `json:"created"`
	Model       string     `json:"model"`
	Fingerprint string     `json:"system_fingerprint"`
	Choices     []C        `json:"choices"`
	Usage       *usageJSON `json:"usage,omitempty"`
}

// usageJSON counts tokens for both APIs.
type usageJSON struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
	Hit        int `json:"prompt_cache_hit_tokens"`
	Miss       int `json:"prompt_cache_miss_tokens"`
	OfPrompt   struct {
		Cached int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	OfCompletion struct {
		Reasoning int `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

func usageOf(u usage) *usageJSON {
	j := &usageJSON{Prompt: u.prompt, Completion: u.answer, Total: u.prompt + u.answer, Hit: u.reused, Miss: u.prompt - u.reused}
	j.OfPrompt.Cached = u.reused
	j.OfCompletion.Reasoning = u.reasoning
	return j
}

type chatChoice struct {
	Index    int         `json:"index"`
	Message  chatMessage `json:"message"`
	Logprobs *chatLog    `json:"logprobs"`
	Finish   finish      `json:"finish_reason"`
}

type chatMessage struct {
	Role      string     `json:"role"`
	Content   *string    `json:"content"`
	Reasoning *string    `json:"reasoning_content,omitempty"`
	ToolCalls []toolCall `json:"tool_calls,omitempty"`
}

type chatLog struct {
	Content   []logged `json:"content"`
	Reasoning []logged `json:"reasoning_content,omitempty"`
}

type toolCall struct {
	Index    *int         `json:"index,omitempty"` // in streams
	ID       string       `json:"id,omitempty"`
	Type     string       `json:"type,omitempty"`
	Function toolFunction `json:"function"`
}

type toolFunction struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"`
}

// completion begins an answer by a model. Its id is that of the request behind kind.
func completion[C any](x *exchange, kind, object string, m *Model) completionJSON[C] {
	return completionJSON[C]{
		ID: kind + x.access.ID[4:], Object: object, Created: time.Now().Unix(), Model: m.Name, Fingerprint: m.fingerprint(), Choices: []C{},
	}
}

// fingerprint tells models apart.
func (m *Model) fingerprint() string {
	return "fp_" + m.Details.Digest[:min(10, len(m.Details.Digest))]
}

// chatCompletions answers POST chat/completions.
func (s *Server) chatCompletions(x *exchange) error {
	var body chatJSON
	if err := x.read(&body); err != nil {
		return err
	}
	q, err := body.request()
	if err != nil {
		return err
	}
	p, err := x.prepare(q)
	if err != nil {
		return err
	}
	if body.Stream {
		chunk := completion[chunkChoice](x, "chatcmpl-", "chat.completion.chunk", p.model)
		return x.writeStream(p, &chatFrames{prepared: p, chunk: chunk, usage: body.StreamOptions != nil && body.StreamOptions.IncludeUsage})
	}
	c, err := x.collect(p)
	if err != nil {
		return err
	}
	a := completion[chatChoice](x, "chatcmpl-", "chat.completion", p.model)
	for i := range c.choices {
		a.Choices = append(a.Choices, chatChoiceOf(p, i, &c.choices[i]))
	}
	a.Usage = usageOf(c.usage)
	return x.reply(http.StatusOK, a)
}

func chatChoiceOf(p *prepared, i int, c *choice) chatChoice {
	j := chatChoice{Index: i, Finish: c.finish, Message: chatMessage{Role: "assistant", Content: &c.content}}
	if c.reasoning != "" || p.thinks {
		j.Message.Reasoning = &c.reasoning
	}
	for _, call := range c.calls {
		j.Message.ToolCalls = append(j.Message.ToolCalls, toolCall{ID: call.id, Type: "function", Function: toolFunction{call.name, call.arguments}})
	}
	if c.content == "" && len(c.calls) > 0 {
		j.Message.Content = nil
	}
	if p.logprobs {
		j.Logprobs = &chatLog{Content: append([]logged{}, c.tokens...), Reasoning: c.thoughts}
	}
	return j
}

// chunkChoice is a choice in a stream.
type chunkChoice struct {
	Index    int      `json:"index"`
	Delta    delta    `json:"delta"`
	Logprobs *chatLog `json:"logprobs"`
	Finish   *finish  `json:"finish_reason"`
}

// delta is what is new in a message. A nil text is left out, a nullable one is written as null.
type delta struct {
	Role      string     `json:"role,omitempty"`
	Content   **string   `json:"content,omitempty"`
	Reasoning *string    `json:"reasoning_content,omitempty"`
	ToolCalls []toolCall `json:"tool_calls,omitempty"`
}

// chatFrames writes a stream of chunks.
type chatFrames struct {
	*prepared
	chunk completionJSON[chunkChoice]
	usage bool // is asked for
}

func (f *chatFrames) media() string { return "text/event-stream" }

func (f *chatFrames) send(out *bytes.Buffer, choices []chunkChoice, u *usageJSON) {
	f.chunk.Choices, f.chunk.Usage = choices, u
	data(out, f.chunk)
}

func (f *chatFrames) event(out *bytes.Buffer, e *event) {
	c := chunkChoice{Index: e.choice}
	var null *string
	switch text := &e.text; e.kind {
	case started:
		for i := range max(1, f.n) { // every choice begins with its role
			c := chunkChoice{Index: i, Delta: delta{Role: "assistant", Content: &text}}
			if f.thinks {
				c.Delta.Content, c.Delta.Reasoning = &null, text
			}
			f.send(out, []chunkChoice{c}, nil)
		}
		return
	case reasoning:
		c.Delta.Content, c.Delta.Reasoning = &null, text
		if f.logprobs {
			c.Logprobs = &chatLog{Content: []logged{}, Reasoning: logOf(f.model, e)}
		}
	case content:
		c.Delta.Content = &text
		if f.logprobs {
			c.Logprobs = &chatLog{Content: append([]logged{}, logOf(f.model, e)...)}
		}
	case callStart:
		c.Delta.ToolCalls = []toolCall{{Index: &e.call, ID: e.id, Type: "function", Function: toolFunction{Name: e.text}}}
	case callArgs:
		c.Delta.ToolCalls = []toolCall{{Index: &e.call, Function: toolFunction{Arguments: e.text}}}
	case callEnd:
		return
	case finished:
		c.Finish = &e.finish
	}
	f.send(out, []chunkChoice{c}, nil)
}

func (f *chatFrames) idle(out *bytes.Buffer) { out.WriteString(": keep-alive\n\n") }

func (f *chatFrames) end(out *bytes.Buffer, u usage) {
	if f.usage {
		f.send(out, []chunkChoice{}, usageOf(u))
	}
	out.WriteString("data: [DONE]\n\n")
}

func (f *chatFrames) fail(out *bytes.Buffer, why *failure) {
	_, body := openAI.error(why, "")
	data(out, body)
}

// data writes an event of a stream of events.
func data(out *bytes.Buffer, v any) {
	out.WriteString("data: ")
	out.Write(encode(v))
	out.WriteString("\n\n")
}
