package chat

// V3.1, V3.1-Terminus and V3.2-Exp: one model that thinks or does not, as the last token of the prompt says.
//
//	{bos}{system}<｜User｜>{user}<｜Assistant｜></think>{answer}{eos}<｜User｜>{user}<｜Assistant｜>   then <think> or </think>
//
// Reasoning of earlier turns is always dropped. The result of a call follows without a role, and the assistant goes on
// after it without one.
//
// Source: tokenizer_config.json and assets/chat_template.jinja of DeepSeek-V3.1.

import "strings"

func writeV31(w *writer, f *Format, conversation []Message, o Options) error {
	if err := refuseResponseFormat(o); err != nil {
		return err
	}
	w.control(f.bos)
	w.text(systemText(conversation))
	if err := writeToolsV31(w, o.Tools); err != nil {
		return err
	}
	asked, results := false, false // a user message waits for its answer; a result of a call came last
	for _, m := range conversation {
		switch m.Role {
		case User:
			asked, results = true, false
			w.control(userToken)
			w.text(m.Content)
		case ToolRole:
			asked, results = false, true
			w.control(resultBegin)
			w.text(m.Content)
			w.control(resultEnd)
		case Assistant:
			thinks := m.Prefix && o.Thinking
			if asked {
				w.control(assistantToken, map[bool]string{false: endThinkToken, true: thinkToken}[thinks])
			}
			content := m.Content
			if !results {
				if _, after, found := strings.Cut(content, endThinkToken); found {
					content = after
				}
			}
			if asked && thinks && m.Reasoning != "" {
				w.text(m.Reasoning)
				if content != "" {
					w.control(endThinkToken)
				}
			}
			if w.text(content); m.Prefix {
				return nil
			}
			writeBareCalls(w, m.ToolCalls)
			w.control(f.eos)
			asked, results = false, false
		}
	}
	if asked {
		w.control(assistantToken, map[bool]string{false: endThinkToken, true: thinkToken}[o.Thinking])
	}
	return nil
}

// writeBareCalls writes
//
//	<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>{name}<｜tool▁sep｜>{arguments}<｜tool▁call▁end｜>…<｜tool▁calls▁end｜>
func writeBareCalls(w *writer, calls []ToolCall) {
	if len(calls) == 0 {
		return
	}
	w.control(callsBegin)
	for _, c := range calls {
		w.control(callBegin)
		w.text(c.Name)
		w.control(callSep)
		w.text(c.Arguments)
		w.control(callEnd)
	}
	w.control(callsEnd)
}

func writeToolsV31(w *writer, tools []Tool) error {
	if len(tools) == 0 {
		return nil
	}
	w.control("\n\n## Tools\nYou have access to the following tools:\n")
	for _, t := range tools {
		parameters, err := dumps(t.Parameters)
		if err != nil {
			return t.wrong("parameters", err)
		}
		w.control("\n### ")
		w.text(t.Name)
		w.control("\nDescription: ")
		w.text(t.Description)
		w.control("\n\nParameters: ")
		w.text(parameters)
		w.control("\n")
	}
	w.control("\nIMPORTANT: ALWAYS adhere to this exact format for tool use:\n",
		callsBegin, callBegin, "tool_call_name", callSep, "tool_call_arguments", callEnd, "{{additional_tool_calls}}", callsEnd,
		"\n\nWhere:\n\n- `tool_call_name` must be an exact match to one of the available tools\n"+
			"- `tool_call_arguments` must be valid JSON that strictly follows the tool's Parameters Schema\n"+
			"- For multiple tool calls, chain them directly without separators or spaces\n")
	return nil
}
