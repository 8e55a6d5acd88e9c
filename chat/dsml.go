package chat

// DSML, in which V3.2 and later call functions, and the texts that tell them which there are.
//
//	<｜DSML｜function_calls>
//	<｜DSML｜invoke name="{name}">
//	<｜DSML｜parameter name="{key}" string="true|false">{value}</｜DSML｜parameter>
//	</｜DSML｜invoke>
//	</｜DSML｜function_calls>
//
// A string stands as it is; any other value is JSON. Nothing is escaped.
//
// Source: encoding_dsv32.py of DeepSeek-V3.2, encoding_dsv4.py of DeepSeek-V4.

import (
	"encoding/json"
	"strings"
)

const dsmlToken = "｜DSML｜"

// dsml is the names of the tags in a generation.
type dsml struct{ block, invoke, parameter string }

var dsmlTags = map[syntax]dsml{
	dsmlV32: {"function_calls", "invoke", "parameter"},
	dsmlV4:  {"tool_calls", "invoke", "parameter"},
	dsmlV41: {" calls", " invoke", " parameter"},
}

func open(tag string) string   { return "<" + dsmlToken + tag }
func closed(tag string) string { return "</" + dsmlToken + tag + ">" }

// writeCalls writes the block of calls that ends a message, after an empty line.
func (d dsml) writeCalls(w *writer, calls []ToolCall) error {
	if len(calls) == 0 {
		return nil
	}
	w.control("\n\n", open(d.block), ">\n")
	for _, c := range calls {
		w.control(open(d.invoke), ` name="`)
		w.text(c.Name)
		w.control("\">\n")
		for i, a := range arguments(c.Arguments) {
			if i > 0 {
				w.control("\n")
			}
			w.control(open(d.parameter), ` name="`)
			w.text(a.key)
			var s string
			if a.value[0] == '"' && json.Unmarshal(a.value, &s) == nil {
				w.control(`" string="true">`)
			} else {
				w.control(`" string="false">`)
				var err error
				if s, err = dumps(a.value); err != nil {
					return err
				}
			}
			w.text(s)
			w.control(closed(d.parameter))
		}
		w.control("\n", closed(d.invoke), "\n")
	}
	w.control(closed(d.block))
	return nil
}

// writeTools writes the section that describes functions, from a text with the places {block} and so on in it.
func (d dsml) writeTools(w *writer, section string, tools []Tool) error {
	section = strings.NewReplacer("{dsml}", dsmlToken, "{block}", d.block, "{invoke}", d.invoke, "{parameter}", d.parameter).Replace(section)
	before, after, _ := strings.Cut(section, "{schemas}")
	w.control("\n\n", before)
	for i, t := range tools {
		if i > 0 {
			w.control("\n")
		}
		function, err := t.dump()
		if err != nil {
			return err
		}
		w.text(function)
	}
	w.control(after)
	return nil
}

func writeResponseFormat(w *writer, schema json.RawMessage) error {
	if len(schema) == 0 {
		return nil
	}
	s, err := dumps(schema)
	if err != nil {
		return err
	}
	w.control("\n\n## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n")
	w.text(s)
	return nil
}

// withOptions copies a conversation and gives the tools and the response format of the options to its first message, a
// system message, which is made up where there is none.
func withOptions(conversation []Message, o Options) []Message {
	list := append([]Message(nil), conversation...)
	if len(o.Tools) == 0 && len(o.ResponseFormat) == 0 {
		return list
	}
	if list[0].Role != System {
		list = append([]Message{{Role: System}}, list...)
	}
	if len(o.Tools) > 0 {
		list[0].Tools = append(append([]Tool(nil), list[0].Tools...), o.Tools...)
	}
	if len(o.ResponseFormat) > 0 {
		list[0].ResponseFormat = o.ResponseFormat
	}
	return list
}

// lastOf gives the index of the last message that asks for an answer, -1 if there is none.
func lastOf(conversation []Message, asks func(i int, m *Message) bool) int {
	for i := len(conversation) - 1; i >= 0; i-- {
		if asks(i, &conversation[i]) {
			return i
		}
	}
	return -1
}

func isUser(_ int, m *Message) bool { return m.Role == User || m.Role == Developer }

// dropDevelopers leaves developer messages before the last question out, as the publisher does while thinking.
func dropDevelopers(conversation []Message, last int) []Message {
	var kept []Message
	for i, m := range conversation {
		if m.Role != Developer || i >= last {
			kept = append(kept, m)
		}
	}
	return kept
}

const toolsV32 = `## Tools

You have access to a set of tools you can use to answer the user's question.
You can invoke functions by writing a "<{dsml}{block}>" block like the following as part of your reply to the user:
<{dsml}{block}>
<{dsml}{invoke} name="$FUNCTION_NAME">
<{dsml}{parameter} name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE</{dsml}{parameter}>
...
</{dsml}{invoke}>
<{dsml}{invoke} name="$FUNCTION_NAME2">
...
</{dsml}{invoke}>
</{dsml}{block}>

String and scalar parameters should be specified as is without any escaping or quotes, while lists and objects should use JSON format. The "string" attribute should be set to "true" for string type parameters and "false" for other types (numbers, booleans, arrays, objects).

If the thinking_mode is enabled, then after function results you should strongly consider outputting a thinking block. Here is an example:

<{dsml}{block}>
...
</{dsml}{block}>

<function_results>
...
</function_results>

<think>...thinking about results</think>

Here are the functions available in JSONSchema format:
<functions>
{schemas}
</functions>
`

const toolsV4 = `## Tools

You have access to a set of tools to help answer the user's question. You can invoke tools by writing a "<{dsml}{block}>" block like the following:

<{dsml}{block}>
<{dsml}{invoke} name="$TOOL_NAME">
<{dsml}{parameter} name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE</{dsml}{parameter}>
...
</{dsml}{invoke}>
<{dsml}{invoke} name="$TOOL_NAME2">
...
</{dsml}{invoke}>
</{dsml}{block}>

` + "String parameters should be specified as is and set `string=\"true\"`. For all other types (numbers, booleans, arrays, objects), pass the value in JSON format and set `string=\"false\"`." + `

If thinking_mode is enabled (triggered by <think>), you MUST output your complete reasoning inside <think>...</think> BEFORE any tool calls or final response.

Otherwise, output directly after </think> with tool calls or final response.

### Available Tool Schemas

{schemas}

You MUST strictly follow the above defined tool name and parameter schemas to invoke tool calls.
`
