package chat

// V2.5, V3 and V3-0324; R1, R1-Zero, R1-0528 and the distilled models.
//
//	{bos}{system}<｜User｜>{user}<｜Assistant｜>{answer}{eos}<｜User｜>{user}<｜Assistant｜>
//
// R1 begins every reply with <think> and a newline, which stand in the prompt; R1-0528 writes <think> itself. Reasoning of
// earlier turns is left out.
//
// The published template has two defects: a single call is never closed, and only the first round of calls in a
// conversation is opened. Options.Published repeats them.
//
// Source: tokenizer_config.json of DeepSeek-V3, DeepSeek-R1, DeepSeek-R1-0528.

import "strings"

const (
	callsBegin   = "<｜tool▁calls▁begin｜>"
	callsEnd     = "<｜tool▁calls▁end｜>"
	callBegin    = "<｜tool▁call▁begin｜>"
	callEnd      = "<｜tool▁call▁end｜>"
	callSep      = "<｜tool▁sep｜>"
	resultsBegin = "<｜tool▁outputs▁begin｜>"
	resultsEnd   = "<｜tool▁outputs▁end｜>"
	resultBegin  = "<｜tool▁output▁begin｜>"
	resultEnd    = "<｜tool▁output▁end｜>"
)

func writeV3(w *writer, f *Format, conversation []Message, o Options) error {
	if err := refuseResponseFormat(o); err != nil {
		return err
	}
	w.control(f.bos)
	w.text(systemText(conversation))
	if o.Published {
		writeV3Published(w, f, conversation)
		return nil
	}
	if err := writeToolsV3(w, conversation, o); err != nil {
		return err
	}
	eager := f.name == "r1-0528" // its template has <｜Assistant｜> follow every user message at once
	results := false             // the list of results is open
	for i, m := range conversation {
		switch m.Role {
		case User:
			if results {
				w.control(resultsEnd)
				results = false
			}
			w.control(userToken)
			w.text(m.Content)
			if eager {
				w.control(assistantToken)
			}
		case ToolRole:
			w.control(map[bool]string{false: resultsBegin, true: "\n"}[results], resultBegin)
			w.text(m.Content)
			w.control(resultEnd)
			results = true
		case Assistant:
			if results {
				w.control(resultsEnd)
				results = false
			} else if !eager || i == 0 || conversation[i-1].Role != User {
				w.control(assistantToken)
			}
			if m.Prefix {
				f.writePrefixR1(w, m)
				return nil
			}
			w.text(f.answerOnly(m.Content))
			writeFencedCalls(w, m.ToolCalls)
			w.control(f.eos)
		}
	}
	last := conversation[len(conversation)-1].Role
	switch {
	case results:
		w.control(resultsEnd)
	case !eager || last != User:
		w.control(assistantToken)
		fallthrough
	default:
		if f.name == "r1" {
			w.control(thinkToken, "\n")
		}
	}
	return nil
}

// answerOnly drops reasoning that a caller left in the content, as the templates of R1 do.
func (f *Format) answerOnly(content string) string {
	if f.kind.thinking == AlwaysThinks {
		if i := strings.LastIndex(content, endThinkToken); i >= 0 {
			return content[i+len(endThinkToken):]
		}
	}
	return content
}

// writePrefixR1 writes a beginning of the assistant's own; with reasoning, the model goes on in it until content follows.
func (f *Format) writePrefixR1(w *writer, m Message) {
	if m.Reasoning != "" {
		w.control(thinkToken)
		if f.name == "r1" {
			w.control("\n")
		}
		w.text(m.Reasoning)
		if m.Content != "" {
			w.control(endThinkToken)
		}
	}
	w.text(m.Content)
}

// writeFencedCalls writes
//
//	<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}␊```json␊{arguments}␊```<｜tool▁call▁end｜>␊<｜tool▁call▁begin｜>…<｜tool▁calls▁end｜>
func writeFencedCalls(w *writer, calls []ToolCall) {
	if len(calls) == 0 {
		return
	}
	w.control(callsBegin)
	for i, c := range calls {
		if i > 0 {
			w.control("\n")
		}
		writeFencedCall(w, c)
	}
	w.control(callsEnd)
}

func writeFencedCall(w *writer, c ToolCall) {
	w.control(callBegin, "function", callSep)
	w.text(c.Name)
	w.control("\n```json\n")
	w.text(c.Arguments)
	w.control("\n```", callEnd)
}

// writeToolsV3 describes the functions at the end of the system text. The generation has no published words for it: these
// name the functions with their schemas and show the form of a call.
func writeToolsV3(w *writer, conversation []Message, o Options) error {
	if len(o.Tools) == 0 {
		return nil
	}
	if hasRole(conversation, System) {
		w.control("\n\n")
	}
	w.control("## Tools\n\nYou can call these functions:\n")
	for _, t := range o.Tools {
		function, err := t.dump()
		if err != nil {
			return err
		}
		w.control("\n```json\n")
		w.text(function)
		w.control("\n```\n")
	}
	w.control("\nTo call functions, end your reply with exactly this, the arguments being a JSON object:\n",
		callsBegin, callBegin, "function", callSep, "FUNCTION_NAME\n```json\nARGUMENTS\n```", callEnd, callsEnd, "\n")
	return nil
}

// writeV3Published follows the published template of V3 and R1 step by step. It shows a message's calls only where its
// content is empty, and no tools.
func writeV3Published(w *writer, f *Format, conversation []Message) {
	called, results, shown := false, false, false // the template's is_first, is_tool, and not is_output_first
	for _, m := range conversation {
		switch {
		case m.Role == User:
			results = false
			w.control(userToken)
			w.text(m.Content)
		case m.Role == Assistant && m.Content == "" && len(m.ToolCalls) > 0:
			results = false
			for _, c := range m.ToolCalls {
				if !called {
					w.control(assistantToken, callsBegin)
					writeFencedCall(w, c)
					called = true
					continue
				}
				w.control("\n")
				writeFencedCall(w, c)
				w.control(callsEnd, f.eos)
			}
		case m.Role == Assistant:
			content := m.Content
			if results {
				w.control(resultsEnd)
				results = false
			} else {
				w.control(assistantToken)
				content = f.answerOnly(content)
			}
			if w.text(content); m.Prefix {
				return
			}
			w.control(f.eos)
		case m.Role == ToolRole:
			results = true
			if shown {
				w.control("\n")
			} else {
				w.control(resultsBegin)
			}
			shown = true
			w.control(resultBegin)
			w.text(m.Content)
			w.control(resultEnd)
		}
	}
	if results {
		w.control(resultsEnd)
		return
	}
	w.control(assistantToken)
	if f.name == "r1" {
		w.control(thinkToken, "\n")
	}
}
