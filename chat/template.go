package chat

// Models of others: their Jinja template.
//
// A template gives one string. The words of people are marked before, so that they can be told from the template's own
// text in it, and never become a control token.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/haenyeo/haenyeo/chat/jinja"
)

func writeJinja(w *writer, f *Format, conversation []Message, o Options) error {
	last := conversation[len(conversation)-1]
	if last.Prefix && last.Reasoning != "" {
		return writeThought(w, f, conversation, o)
	}
	// Most templates want the arguments of calls as an object, some as text; and null where a message is nothing but calls,
	// some an empty text.
	shapes := []shape{{}}
	if slices.ContainsFunc(conversation, func(m Message) bool { return len(m.ToolCalls) > 0 }) {
		shapes = []shape{{}, {argumentText: true}, {emptyContent: true}, {argumentText: true, emptyContent: true}}
	}
	var out string
	var marks *jinja.Marks
	var err error
	for _, s := range shapes {
		var again error
		if out, marks, again = f.runTemplate(conversation, o, s); again == nil {
			err = nil
			break
		}
		if err == nil {
			err = again
		}
	}
	if err != nil {
		return err
	}
	if last.Prefix {
		before, _, shown := strings.Cut(out, string(marks.End()))
		if !shown {
			return errors.New("the template does not show the last message, so it cannot be continued")
		}
		out = before
	}
	marks.Split(out, func(s string, data bool) { w.add(s, !data) })
	return nil
}

// writeThought writes a prompt that ends in reasoning, which templates have no way to go on with: as the answer itself would
// be written, behind what the template gives for the beginning of one.
func writeThought(w *writer, f *Format, conversation []Message, o Options) error {
	last := conversation[len(conversation)-1]
	if len(conversation) == 1 {
		return errors.New("an answer that is gone on with needs a message before it")
	}
	if err := writeJinja(w, f, conversation[:len(conversation)-1], o); err != nil {
		return err
	}
	if !endsInThought(w.prompt) {
		w.control(thinkToken)
	}
	w.text(last.Reasoning)
	if last.Content != "" {
		w.control(endThinkToken)
		w.text(last.Content)
	}
	return nil
}

// roles are those whose names templates may make tokens of.
var roles = []Role{System, User, Assistant, ToolRole, Developer, Reminder}

// shape is a way to hand a message with calls to a template.
type shape struct{ argumentText, emptyContent bool }

func (f *Format) runTemplate(conversation []Message, o Options, s shape) (string, *jinja.Marks, error) {
	data, err := templateData(conversation, o, s)
	if err != nil {
		return "", nil, err
	}
	marks, err := jinja.NewMarks(f.tokens, slices.Collect(maps.Values(data))...)
	if err != nil {
		return "", nil, err
	}
	if last := len(conversation) - 1; conversation[last].Prefix {
		conversation = slices.Clone(conversation)
		conversation[last].Content += string(marks.End())
		if data, err = templateData(conversation, o, s); err != nil {
			return "", nil, err
		}
	}
	vars := map[string]any{"bos_token": f.bos, "eos_token": f.eos, "tools": nil, "documents": nil,
		"add_generation_prompt": !conversation[len(conversation)-1].Prefix && !o.complete, "thinking": o.Thinking, "enable_thinking": o.Thinking}
	for name, v := range data {
		vars[name] = marks.Mark(v, func(depth int, key, text string) bool {
			return name == "messages" && depth == 1 && key == "role" && slices.Contains(roles, Role(text)) // <|user|>
		})
	}
	out, err := f.template.Render(context.Background(), vars, jinja.Options{Marks: marks})
	return out, marks, err
}

// templateData gives what templates read, made of the API's JSON.
func templateData(conversation []Message, o Options, s shape) (map[string]jinja.Value, error) {
	var b bytes.Buffer
	b.WriteByte('[')
	for i, m := range conversation {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"role":%s`, quote(string(m.Role)))
		if m.Content == "" && len(m.ToolCalls) > 0 && !s.emptyContent {
			b.WriteString(`,"content":null`)
		} else {
			fmt.Fprintf(&b, `,"content":%s`, quote(m.Content))
		}
		for _, field := range []struct{ name, value string }{
			{"reasoning_content", m.Reasoning}, {"name", m.Name}, {"tool_call_id", m.ToolCallID}} {
			if field.value != "" {
				fmt.Fprintf(&b, `,%q:%s`, field.name, quote(field.value))
			}
		}
		if len(m.ToolCalls) > 0 {
			b.WriteString(`,"tool_calls":[`)
			for j, c := range m.ToolCalls {
				arguments := quote(c.Arguments)
				if !s.argumentText {
					if !json.Valid([]byte(c.Arguments)) {
						return nil, fmt.Errorf("message %d: the arguments of call %d are not JSON", i, j)
					}
					arguments = c.Arguments
				}
				fmt.Fprintf(&b, `{"id":%s,"type":"function","function":{"name":%s,"arguments":%s}},`, quote(c.ID), quote(c.Name), arguments)
			}
			b.Truncate(b.Len() - 1)
			b.WriteByte(']')
		}
		if m.Prefix {
			b.WriteString(`,"prefix":true`)
		}
		b.WriteByte('}')
	}
	b.WriteByte(']')
	data := map[string]json.RawMessage{"messages": bytes.Clone(b.Bytes())}
	if len(o.Tools) > 0 {
		b.Reset()
		for i, t := range o.Tools {
			function, err := t.MarshalJSON()
			if err != nil {
				return nil, t.wrong("parameters", err)
			}
			fmt.Fprintf(&b, `%s{"type":"function","function":%s}`, map[bool]string{true: "[", false: ","}[i == 0], function)
		}
		b.WriteByte(']')
		data["tools"] = bytes.Clone(b.Bytes())
	}
	if len(o.ResponseFormat) > 0 {
		data["response_format"] = o.ResponseFormat
	}
	if o.Effort != "" {
		data["reasoning_effort"] = json.RawMessage(quote(o.Effort))
	}
	maps.Copy(data, o.Variables)
	values := map[string]jinja.Value{}
	for name, raw := range data {
		v, err := jinja.FromJSON(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		values[name] = v
	}
	return values, nil
}
