package chat

// V3.2 and V3.2-Speciale.
//
//	{bos}{system}[␊␊{tools}][␊␊{response format}]<｜User｜>{user}<｜Assistant｜>  then <think> or </think>
//
// Reasoning is written after the last user message only: within one round of calls the model sees what it thought.
//
// Source: encoding/encoding_dsv32.py of DeepSeek-V3.2. Copies of it in other engines lack the empty lines of the tool
// section.

import "fmt"

func writeV32(w *writer, f *Format, conversation []Message, o Options) error {
	list := withOptions(conversation, o)
	if o.Thinking && !o.KeepThinking {
		list = dropDevelopers(list, lastOf(list, isUser))
	}
	last := lastOf(list, isUser)
	tags := dsmlTags[f.kind.calls]
	think := func(now bool) string {
		if now && o.Thinking {
			return thinkToken
		}
		return endThinkToken
	}
	w.control(f.bos)
	for i, m := range list {
		switch m.Role {
		case System:
			w.text(m.Content)
			if err := writeSections(w, tags, toolsV32, m); err != nil {
				return err
			}
		case User:
			w.control(userToken)
			w.text(m.Content)
			w.control(assistantToken, think(i == last))
		case Developer:
			w.control(userToken)
			if err := writeSections(w, tags, toolsV32, m); err != nil {
				return err
			}
			w.control("\n\n# The user's message is: ")
			w.text(m.Content)
			w.control(assistantToken, think(i == last))
		case Assistant:
			if o.Thinking && i > last {
				w.text(m.Reasoning)
				if !m.Prefix || m.Content != "" {
					w.control(endThinkToken)
				}
			}
			if w.text(m.Content); m.Prefix {
				return nil
			}
			if err := tags.writeCalls(w, m.ToolCalls); err != nil {
				return err
			}
			w.control(f.eos)
		case ToolRole:
			first := i // of the results of one message's calls
			for first > 0 && list[first-1].Role == ToolRole {
				first--
			}
			calls, n := 0, i-first+1
			if first > 0 {
				calls = len(list[first-1].ToolCalls)
			}
			if n > calls {
				return fmt.Errorf("message %d: result %d of a call, but the message before made %d calls", i, n, calls)
			}
			if n == 1 {
				w.control("\n\n<function_results>")
			}
			w.control("\n<result>")
			w.text(m.Content)
			w.control("</result>")
			if n == calls || i+1 == len(list) || list[i+1].Role != ToolRole {
				w.control("\n</function_results>\n\n", think(i >= last))
			}
		}
	}
	return nil
}

// writeSections writes what a system or developer message carries beside its text.
func writeSections(w *writer, tags dsml, tools string, m Message) error {
	if len(m.Tools) > 0 {
		if err := tags.writeTools(w, tools, m.Tools); err != nil {
			return err
		}
	}
	return writeResponseFormat(w, m.ResponseFormat)
}
