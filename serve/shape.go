package serve

// What clients may ask of the form of an answer: JSON, JSON of a schema, a text of a grammar, of a regular expression or
// of a list; and that a tool is called. Every dialect translates into a shape and chooseTool; constrain.go makes them true.

import (
	"bytes"
	"encoding/json"

	"github.com/haenyeo/haenyeo/chat"
)

// shape is what content must look like. One of its fields is set.
type shape struct {
	param   string // the client's name for it
	object  bool   // any JSON object
	schema  json.RawMessage
	strict  bool   // schema keeps the rules of strict mode; others may hold what cannot be enforced
	grammar string // GBNF
	pattern string
	choices []string
}

// told is the schema that models are told of that were trained to follow one.
func (s *shape) told() json.RawMessage {
	switch {
	case s == nil:
		return nil
	case s.object:
		return json.RawMessage(`{"type":"object"}`)
	}
	return s.schema
}

// size is how many bytes describe it.
func (s *shape) size() int {
	n := len(s.schema) + len(s.grammar) + len(s.pattern)
	for _, c := range s.choices {
		n += len(c)
	}
	return n
}

// formatJSON is response_format of chat/completions and text.format of responses, which has the fields of json_schema
// beside its type.
type formatJSON struct {
	Type       string          `json:"type"`
	JSONSchema *schemaJSON     `json:"json_schema,omitempty"`
	Name       string          `json:"name,omitempty"`
	Schema     json.RawMessage `json:"schema,omitempty"`
	Strict     *bool           `json:"strict,omitempty"`
}

type schemaJSON struct {
	Name   string          `json:"name"`
	Schema json.RawMessage `json:"schema"`
	Strict *bool           `json:"strict,omitempty"`
}

// shape reads the format into a request.
func (f *formatJSON) shape(q *request, param string) error {
	schema, strict := f.Schema, f.Strict
	if f.JSONSchema != nil {
		schema, strict = f.JSONSchema.Schema, f.JSONSchema.Strict
	}
	switch f.Type {
	case "", "text":
		return nil
	case "json_object":
		if !given(schema) { // as llama.cpp has it, an object may have a schema
			return q.shaped(&shape{param: param, object: true})
		}
	case "json_schema":
		if !given(schema) {
			return fail(malformed, param, "%s is json_schema and has no schema", param)
		}
	default:
		return fail(outOfRange, param, "%s %q is none of text, json_object and json_schema", param, f.Type)
	}
	return q.shaped(&shape{param: param, schema: schema, strict: strict != nil && *strict})
}

// guidedJSON are the fields that vLLM and llama.cpp have for the form of an answer.
type guidedJSON struct {
	GuidedJSON    json.RawMessage `json:"guided_json"`
	GuidedRegex   string          `json:"guided_regex"`
	GuidedChoice  []string        `json:"guided_choice"`
	GuidedGrammar string          `json:"guided_grammar"`
	Structured    struct {
		JSON    json.RawMessage `json:"json"`
		Regex   string          `json:"regex"`
		Choice  []string        `json:"choice"`
		Grammar string          `json:"grammar"`
	} `json:"structured_outputs"`
	Grammar string          `json:"grammar"`
	Schema  json.RawMessage `json:"json_schema"`
}

func (j *guidedJSON) shape(q *request) error {
	for _, s := range []shape{
		{param: "guided_json", schema: j.GuidedJSON}, {param: "guided_regex", pattern: j.GuidedRegex},
		{param: "guided_choice", choices: j.GuidedChoice}, {param: "guided_grammar", grammar: j.GuidedGrammar},
		{param: "structured_outputs", schema: j.Structured.JSON}, {param: "structured_outputs", pattern: j.Structured.Regex},
		{param: "structured_outputs", choices: j.Structured.Choice}, {param: "structured_outputs", grammar: j.Structured.Grammar},
		{param: "grammar", grammar: j.Grammar}, {param: "json_schema", schema: j.Schema},
	} {
		var text string
		if json.Unmarshal(s.schema, &text) == nil && given(s.schema) { // a schema that was written as a text
			s.schema = json.RawMessage(text)
		}
		if !given(s.schema) && s.pattern == "" && s.grammar == "" && len(s.choices) == 0 {
			continue
		}
		if err := q.shaped(&s); err != nil {
			return err
		}
	}
	return nil
}

// shaped sets the shape, of which there can be one.
func (q *request) shaped(s *shape) error {
	if q.shape != nil {
		return fail(outOfRange, s.param, "%s and %s are both given: the answer can have one form", q.shape.param, s.param)
	}
	q.shape = s
	return nil
}

// toolChoiceJSON names a tool, or tools that may be called.
type toolChoiceJSON struct {
	Type     string `json:"type"`
	Name     string `json:"name"`
	Function struct {
		Name string `json:"name"`
	} `json:"function"`
	Mode    string           `json:"mode"`
	Tools   []toolChoiceJSON `json:"tools"`
	Allowed *toolChoiceJSON  `json:"allowed_tools"`
}

func (t *toolChoiceJSON) name() string {
	if t.Function.Name != "" {
		return t.Function.Name
	}
	return t.Name
}

// chooseTool reads tool_choice of the OpenAI and DeepSeek APIs, when the tools are known.
func (q *request) chooseTool(raw json.RawMessage) error {
	switch choice := string(bytes.TrimSpace(raw)); choice {
	case "", "null", `"auto"`:
		return nil
	case `"none"`:
		q.tools = nil
		return nil
	case `"required"`:
		return q.mustCall("")
	}
	var t toolChoiceJSON
	if json.Unmarshal(raw, &t) != nil {
		return fail(outOfRange, "tool_choice", "tool_choice is none of none, auto, required and the name of a tool")
	}
	if t.Type == "allowed_tools" {
		if t.Allowed != nil {
			t.Mode, t.Tools = t.Allowed.Mode, t.Allowed.Tools
		}
		var kept []chat.Tool
		for _, tool := range q.tools {
			for _, may := range t.Tools {
				if may.name() == tool.Name {
					kept = append(kept, tool)
				}
			}
		}
		if q.tools = kept; t.Mode == "required" {
			return q.mustCall("")
		}
		return nil
	}
	if t.name() == "" {
		return fail(outOfRange, "tool_choice", "tool_choice names no tool")
	}
	return q.mustCall(t.name())
}

// mustCall asks for a call, of the tool of a name or of any.
func (q *request) mustCall(name string) error {
	q.must = true
	if name == "" {
		if len(q.tools) == 0 {
			return fail(outOfRange, "tool_choice", "a tool must be called, and there is none")
		}
		return nil
	}
	for _, t := range q.tools {
		if t.Name == name {
			q.tools, q.oneCall = []chat.Tool{t}, true
			return nil
		}
	}
	return fail(outOfRange, "tool_choice", "tool_choice names %q, which is no tool of this request", name)
}
