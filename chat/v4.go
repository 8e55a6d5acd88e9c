package chat

// V4 of April 2026, V4-Flash-0731, and V4.1.
//
//	{bos}[{effort}]{system}[␊␊{tools}][␊␊{response format}]<｜User｜>{user}<｜Assistant｜>  then <think> or </think>
//
// Results of calls are user messages: <tool_result>…</tool_result>, joined with what the user says by empty lines, in the
// order of the calls. Once a conversation has tools, no reasoning is dropped.
//
// V4.1 writes <｜System｜> before system messages, takes a later one for a question, numbers the effort, and has a blank in
// its tags.
//
// Source: encoding/encoding_dsv4.py of DeepSeek-V4, and its successor of V4.1 as engines carry it; copies of that differ in
// the numbers behind the names of efforts. The efforts of V4-Flash-0731 are those of its ported template.

import (
	"fmt"
	"strconv"
)

func writeV4(w *writer, f *Format, conversation []Message, o Options) error {
	return (&v4{w: w, f: f, o: o}).write(conversation)
}

func writeV41(w *writer, f *Format, conversation []Message, o Options) error {
	return (&v4{w: w, f: f, o: o, numbered: true}).write(conversation)
}

// v4 writes one prompt.
type v4 struct {
	w        *writer
	f        *Format
	o        Options
	numbered bool // V4.1
	list     []Message
	last     int  // the last question in list
	keep     bool // reasoning of earlier turns
}

const reminderToken = "<｜latest_reminder｜>"

// taskTokens asks for the short jobs.
var taskTokens = map[string]string{
	"action": "<｜action｜>", "query": "<｜query｜>", "authority": "<｜authority｜>", "domain": "<｜domain｜>", "title": "<｜title｜>",
	"read_url": "<｜read_url｜>",
}

func (v *v4) write(conversation []Message) error {
	effort, err := v.effort()
	if err != nil {
		return err
	}
	v.list = mergeResults(withOptions(conversation, v.o))
	v.keep = v.o.KeepThinking
	for _, m := range v.list {
		if len(m.Tools) > 0 {
			v.keep = true
		}
		if _, ok := taskTokens[m.Task]; m.Task != "" && !ok {
			return fmt.Errorf("there is no task %q; tasks are action, query, authority, domain, title and read_url", m.Task)
		}
	}
	if v.o.Thinking && !v.keep {
		v.list = dropDevelopers(v.list, lastOf(v.list, v.asks))
	}
	v.last = lastOf(v.list, v.asks)
	v.w.control(v.f.bos)
	if v.numbered && len(v.list) > 0 && (v.o.Thinking || v.list[0].Role == System) {
		v.w.control(systemToken)
	}
	if v.o.Thinking {
		v.w.control(effort)
	}
	for i := range v.list {
		if err := v.message(i); err != nil {
			return err
		}
		v.transition(i)
	}
	return nil
}

// asks tells whether a message wants an answer: of a user, or, in V4.1, a system message in the middle.
func (v *v4) asks(i int, m *Message) bool {
	return isUser(i, m) || v.numbered && m.Role == System && i > 0
}

// thinks tells whether reasoning stands, or comes, at message i, given that it may where i is at least from.
func (v *v4) thinks(i, from int) bool { return v.o.Thinking && (v.keep || i >= from) }

func (v *v4) message(i int) error {
	m, w, tags := v.list[i], v.w, dsmlTags[v.f.kind.calls]
	switch m.Role {
	case System:
		if v.numbered && i > 0 {
			w.control(systemToken)
		}
		w.text(m.Content)
		return writeSections(w, tags, toolsV4, m)
	case User:
		w.control(userToken)
		writeBlocks(w, m)
	case Developer:
		w.control(userToken)
		w.text(m.Content)
		return writeSections(w, tags, toolsV4, m)
	case Reminder:
		w.control(reminderToken)
		w.text(m.Content)
	case Assistant:
		if v.thinks(i, v.last+1) && (i == 0 || v.list[i-1].Task == "") {
			w.text(m.Reasoning)
			if !v.numbered || !m.Prefix || m.Reasoning == "" || m.Content != "" {
				w.control(endThinkToken)
			}
		}
		if w.text(m.Content); m.Prefix {
			return nil
		}
		if err := tags.writeCalls(w, m.ToolCalls); err != nil {
			return err
		}
		w.control(v.f.eos)
	}
	return nil
}

// transition writes what leads from message i to an answer, if one follows.
func (v *v4) transition(i int) {
	m, w := v.list[i], v.w
	if i+1 < len(v.list) && v.list[i+1].Role != Assistant && v.list[i+1].Role != Reminder {
		return
	}
	think := func(now bool) string {
		if now {
			return thinkToken
		}
		return endThinkToken
	}
	switch {
	case m.Task == "action":
		w.control(assistantToken, think(v.o.Thinking), taskTokens[m.Task])
	case m.Task != "":
		w.control(taskTokens[m.Task])
	case v.asks(i, &m) || v.numbered && i == len(v.list)-1 && (m.Role == System || m.Role == Assistant && !m.Prefix):
		w.control(assistantToken, think(v.thinks(i, v.last)))
	}
}

// effort gives the text that begins a prompt in which the model is to think.
func (v *v4) effort() (string, error) {
	name := v.o.Effort
	if v.numbered {
		n, known := map[string]int{"": 75, "low": 50, "high": 75, "max": 100}[name]
		if !known {
			var err error
			if n, err = strconv.Atoi(name); err != nil || n < 1 || n > 100 {
				return "", fmt.Errorf("effort %q is none of low, high, max and 1 to 100", name)
			}
		}
		return fmt.Sprintf("Reasoning Effort: %d (range 1-100, the higher the value, the more thorough the reasoning)\n\n", n), nil
	}
	levels := map[string]string{"": "", "low": "", "high": "", "max": effortThorough}
	if v.f.name == "v4-0731" {
		levels["high"], levels["max"] = effortThorough, effortExhaustive
	}
	text, known := levels[name]
	if !known {
		return "", fmt.Errorf("effort %q is none of low, high and max", name)
	}
	return text, nil
}

const effortThorough = `Reasoning Effort: Absolute maximum with no shortcuts permitted.
You MUST be very thorough in your thinking and comprehensively decompose the problem to resolve the root cause, rigorously stress-testing your logic against all potential paths, edge cases, and adversarial scenarios.
Explicitly write out your entire deliberation process, documenting every intermediate step, considered alternative, and rejected hypothesis to ensure absolutely no assumption is left unchecked.

`

const effortExhaustive = `Reasoning Effort: Beyond maximum — exhaustive, relentless, and uncompromising.
You MUST reason with the utmost depth and rigor, leaving absolutely nothing to chance: exhaustively decompose the problem into its most fundamental components, trace every causal chain to its root, and resolve the underlying cause rather than any surface symptom.
Do not stop reasoning until you have independently verified the solution from multiple angles and are certain that no assumption remains unchecked and no error remains undiscovered.

`
