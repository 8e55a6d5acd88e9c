package chat

// Results of calls in V4: they become parts of user messages, in the order of the calls.

import "slices"

// block is a part of a user message.
type block struct {
	text   string
	result bool
	callID string // that it answers
}

// mergeResults joins results and what users say where they follow one another. A user message with a task stays the last
// of its group.
func mergeResults(conversation []Message) []Message {
	var list []Message
	for _, m := range conversation {
		if m.Role != User && m.Role != ToolRole {
			list = append(list, m)
			continue
		}
		b := block{text: m.Content, result: m.Role == ToolRole, callID: m.ToolCallID}
		if n := len(list); n > 0 && list[n-1].Role == User && (b.result || list[n-1].Task == "") {
			list[n-1].blocks = append(list[n-1].blocks, b)
			if m.Task != "" {
				list[n-1].Task = m.Task
			}
			continue
		}
		m.Role, m.blocks = User, []block{b}
		list = append(list, m)
	}
	order := map[string]int{} // of the calls of the last message that made any
	for _, m := range list {
		if m.Role == Assistant && len(m.ToolCalls) > 0 {
			clear(order)
			for i, c := range m.ToolCalls {
				if c.ID != "" {
					order[c.ID] = i
				}
			}
		}
		sortResults(m.blocks, order)
	}
	return list
}

// sortResults puts results in the order of their calls, on the places that results have; one whose call is unknown counts
// as an answer to the first.
func sortResults(blocks []block, order map[string]int) {
	var results []block
	for _, b := range blocks {
		if b.result {
			results = append(results, b)
		}
	}
	slices.SortStableFunc(results, func(a, b block) int { return order[a.callID] - order[b.callID] })
	for i, b := range blocks {
		if b.result {
			blocks[i] = results[0]
			results = results[1:]
		}
	}
}

func writeBlocks(w *writer, m Message) {
	for i, b := range m.blocks {
		if i > 0 {
			w.control("\n\n")
		}
		if b.result {
			w.control("<tool_result>")
		}
		w.text(b.text)
		if b.result {
			w.control("</tool_result>")
		}
	}
}
