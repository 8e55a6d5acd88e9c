package serve

// The answers of the OpenAI Responses API: items of reasoning, text and calls. responses_stream.go has their events.

import (
	"encoding/json"
	"net/http"
	"time"
)

// responseJSON is a response: what was asked and what is answered.
type responseJSON struct {
	ID           string            `json:"id"`
	Object       string            `json:"object"`
	CreatedAt    int64             `json:"created_at"`
	Status       string            `json:"status"` // in_progress, completed, incomplete, failed
	Background   bool              `json:"background"`
	Error        *responseError    `json:"error"`
	Incomplete   *incompleteJSON   `json:"incomplete_details"`
	Instructions *string           `json:"instructions"`
	MaxTokens    *int              `json:"max_output_tokens"`
	Model        string            `json:"model"`
	Output       []any             `json:"output"`
	Parallel     bool              `json:"parallel_tool_calls"`
	Previous     *string           `json:"previous_response_id"`
	Reasoning    reasoningJSON     `json:"reasoning"`
	Store        bool              `json:"store"`
	Temperature  float64           `json:"temperature"`
	Text         responseTextJSON  `json:"text"`
	ToolChoice   json.RawMessage   `json:"tool_choice"`
	Tools        []json.RawMessage `json:"tools"`
	TopP         float64           `json:"top_p"`
	Truncation   string            `json:"truncation"`
	Usage        *responseUsage    `json:"usage"`
	User         *string           `json:"user"`
	Metadata     json.RawMessage   `json:"metadata"`
}

type responseError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type incompleteJSON struct {
	Reason string `json:"reason"`
}

type reasoningJSON struct {
	Effort  *string `json:"effort"`
	Summary *string `json:"summary"`
}

type responseTextJSON struct {
	Format formatJSON `json:"format"`
}

type responseUsage struct {
	Input   int `json:"input_tokens"`
	OfInput struct {
		Cached int `json:"cached_tokens"`
	} `json:"input_tokens_details"`
	Output   int `json:"output_tokens"`
	OfOutput struct {
		Reasoning int `json:"reasoning_tokens"`
	} `json:"output_tokens_details"`
	Total int `json:"total_tokens"`
}

func responseUsageOf(u usage) *responseUsage {
	j := &responseUsage{Input: u.prompt, Output: u.answer, Total: u.prompt + u.answer}
	j.OfInput.Cached = u.reused
	j.OfOutput.Reasoning = u.reasoning
	return j
}

// reasoningItem is what the model thought. All of it stands where the API has a summary.
type reasoningItem struct {
	ID      string     `json:"id"`
	Type    string     `json:"type"`
	Summary []partJSON `json:"summary"`
}

// messageItem is what it says.
type messageItem struct {
	ID      string       `json:"id"`
	Type    string       `json:"type"`
	Status  string       `json:"status"`
	Role    string       `json:"role"`
	Content []outputText `json:"content"`
}

type outputText struct {
	Type        string   `json:"type"`
	Text        string   `json:"text"`
	Annotations []any    `json:"annotations"`
	Logprobs    []logged `json:"logprobs"`
}

// callItem is a call, of a function (arguments) or a custom tool (input).
type callItem struct {
	ID        string  `json:"id"`
	Type      string  `json:"type"`
	Status    string  `json:"status"`
	CallID    string  `json:"call_id"`
	Name      string  `json:"name"`
	Arguments *string `json:"arguments,omitempty"`
	Input     *string `json:"input,omitempty"`
}

// responses answers POST responses.
func (s *Server) responses(x *exchange) error {
	var body responsesJSON
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
	a := body.answer(p, x.access.ID[4:])
	if body.Stream {
		return x.writeStream(p, &responseFrames{prepared: p, answer: a, custom: body.custom})
	}
	c, err := x.collect(p)
	if err != nil {
		return err
	}
	a.items(x.access.ID[4:], &c.choices[0], body.custom)
	a.end(c.choices[0].finish, c.usage)
	return x.reply(http.StatusOK, a)
}

// answer begins an answer.
func (j *responsesJSON) answer(p *prepared, id string) responseJSON {
	a := responseJSON{
		ID: "resp_" + id, Object: "response", CreatedAt: time.Now().Unix(), Status: "in_progress", Instructions: j.Instructions,
		MaxTokens: j.MaxOutputTokens, Model: p.model.Name, Output: []any{}, Parallel: !p.oneCall, Reasoning: reasoningJSON(j.Reasoning),
		Temperature: p.ask.Temperature, Text: responseTextJSON{j.Text.Format}, ToolChoice: j.ToolChoice, Tools: j.Tools, TopP: p.ask.TopP,
		Truncation: "disabled", User: j.User, Metadata: j.Metadata,
	}
	if a.Text.Format.Type == "" {
		a.Text.Format.Type = "text"
	}
	if a.TopP == 0 {
		a.TopP = 1
	}
	if !given(a.ToolChoice) {
		a.ToolChoice = json.RawMessage(`"auto"`)
	}
	if a.Tools == nil {
		a.Tools = []json.RawMessage{}
	}
	if !given(a.Metadata) {
		a.Metadata = json.RawMessage(`{}`)
	}
	return a
}

// items puts a whole choice into the output.
func (a *responseJSON) items(id string, c *choice, custom map[string]bool) {
	if c.reasoning != "" {
		a.Output = append(a.Output, reasoningItem{"rs_" + id, "reasoning", []partJSON{{"summary_text", c.reasoning}}})
	}
	if c.content != "" || len(c.calls) == 0 {
		text := outputText{"output_text", c.content, []any{}, append([]logged{}, c.tokens...)}
		a.Output = append(a.Output, messageItem{"msg_" + id, "message", "completed", "assistant", []outputText{text}})
	}
	for _, call := range c.calls {
		a.Output = append(a.Output, itemOf(call, custom))
	}
}

// itemOf makes the item of a call.
func itemOf(c call, custom map[string]bool) callItem {
	if custom[c.name] {
		input := inputOf(c.arguments)
		return callItem{ID: "ctc_" + c.id[5:], Type: "custom_tool_call", Status: "completed", CallID: c.id, Name: c.name, Input: &input}
	}
	return callItem{ID: "fc_" + c.id[5:], Type: "function_call", Status: "completed", CallID: c.id, Name: c.name, Arguments: &c.arguments}
}

// inputOf takes the text out of the arguments of a custom tool; words that are no such object are the text.
func inputOf(arguments string) string {
	var j struct {
		Input *string `json:"input"`
	}
	if json.Unmarshal([]byte(arguments), &j) != nil || j.Input == nil {
		return arguments
	}
	return *j.Input
}

// end says how the answer ended.
func (a *responseJSON) end(why finish, u usage) {
	a.Status, a.Usage = "completed", responseUsageOf(u)
	if why == finishLength {
		a.Status, a.Incomplete = "incomplete", &incompleteJSON{"max_output_tokens"}
	}
}
