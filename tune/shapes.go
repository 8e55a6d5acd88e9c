package tune

// This file knows the three shapes of a line:
//
//	OpenAI    {"messages": [{"role": "user", "content": "…"}, …], "tools": […]}; "weight": 0 of an answer: no loss on it
//	ShareGPT  {"conversations": [{"from": "human", "value": "…"}, {"from": "gpt", "value": "…"}], "system": "…"}
//	Alpaca    {"instruction": "…", "input": "…", "output": "…", "system": "…", "history": [["…", "…"], …]}

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/haenyeo/haenyeo/chat"
)

// parseConversation reads one line.
func parseConversation(raw []byte) (c Conversation, err error) {
	fields, err := fieldsOf(raw)
	if err != nil {
		return c, err
	}
	switch {
	case fields["messages"] != nil:
		c.Messages, c.Silent, err = messagesOf("messages", fields["messages"])
	case fields["conversations"] != nil:
		c.Messages, err = shareGPT(fields)
	case fields["instruction"] != nil || fields["output"] != nil:
		c.Messages, err = alpaca(fields)
	default:
		err = errors.New(`none of the fields "messages" (OpenAI), "conversations" (ShareGPT) and "instruction" (Alpaca)`)
	}
	if err != nil {
		return c, err
	}
	c.Tools, err = toolsOf(fields)
	return c, err
}

// messagesOf reads a list of the API's messages; silent says which answers have weight 0, nil if none.
func messagesOf(name string, raw json.RawMessage) (list []chat.Message, silent []bool, err error) {
	var raws []json.RawMessage
	if err := json.Unmarshal(raw, &raws); err != nil {
		return nil, nil, fmt.Errorf("%s: not a list of messages", name)
	}
	for i, raw := range raws {
		var m chat.Message
		if err := json.Unmarshal(raw, &m); err != nil {
			return nil, nil, fmt.Errorf("%s[%d]: %s", name, i, strings.TrimPrefix(err.Error(), "chat: "))
		}
		m.Prefix = false
		var more struct{ Weight *float64 }
		if err := json.Unmarshal(raw, &more); err != nil || more.Weight != nil && *more.Weight != 0 && *more.Weight != 1 {
			return nil, nil, fmt.Errorf("%s[%d].weight: give 0 or 1, or leave it out", name, i)
		}
		list = append(list, m)
		if more.Weight != nil && *more.Weight == 0 {
			if silent == nil {
				silent = make([]bool, len(raws))
			}
			silent[i] = true
		}
	}
	return list, silent, nil
}

func toolsOf(fields map[string]json.RawMessage) (tools []chat.Tool, err error) {
	raw := fields["tools"]
	if raw == nil {
		return nil, nil
	}
	if len(raw) > 0 && raw[0] == '"' { // some data sets quote the list
		var quoted string
		if err := json.Unmarshal(raw, &quoted); err != nil {
			return nil, fmt.Errorf("tools: %w", err)
		}
		if raw = json.RawMessage(quoted); strings.TrimSpace(quoted) == "" {
			return nil, nil
		}
	}
	if err := json.Unmarshal(raw, &tools); err != nil {
		return nil, fmt.Errorf("tools: %s", strings.TrimPrefix(err.Error(), "chat: "))
	}
	return tools, nil
}

// speakers are the names of ShareGPT.
var speakers = map[string]chat.Role{
	"system": chat.System, "human": chat.User, "user": chat.User, "gpt": chat.Assistant, "chatgpt": chat.Assistant, "assistant": chat.Assistant,
	"model": chat.Assistant, "bing": chat.Assistant, "bard": chat.Assistant, "tool": chat.ToolRole, "observation": chat.ToolRole,
}

func shareGPT(fields map[string]json.RawMessage) (list []chat.Message, err error) {
	system, err := text(fields, "system")
	if err != nil {
		return nil, err
	}
	if system != "" {
		list = append(list, chat.Message{Role: chat.System, Content: system})
	}
	var turns []map[string]json.RawMessage
	if err := json.Unmarshal(fields["conversations"], &turns); err != nil {
		return nil, errors.New(`conversations: not a list of objects with "from" and "value"`)
	}
	for i, t := range turns {
		from, err := text(t, "from")
		if err != nil {
			return nil, fmt.Errorf("conversations[%d].%w", i, err)
		}
		role, known := speakers[from]
		if !known {
			return nil, fmt.Errorf("conversations[%d].from: %.40q is none of human, gpt, system and tool", i, from)
		}
		value, err := text(t, "value")
		if err != nil {
			return nil, fmt.Errorf("conversations[%d].%w", i, err)
		}
		list = append(list, chat.Message{Role: role, Content: value})
	}
	return list, nil
}

func alpaca(fields map[string]json.RawMessage) (list []chat.Message, err error) {
	var parts [4]string
	for i, name := range []string{"system", "instruction", "input", "output"} {
		if parts[i], err = text(fields, name); err != nil {
			return nil, err
		}
	}
	if parts[0] != "" {
		list = append(list, chat.Message{Role: chat.System, Content: parts[0]})
	}
	var history [][2]string
	if raw := fields["history"]; raw != nil {
		if err := json.Unmarshal(raw, &history); err != nil {
			return nil, errors.New("history: not a list of pairs of texts")
		}
	}
	for _, h := range history {
		list = append(list, chat.Message{Role: chat.User, Content: h[0]}, chat.Message{Role: chat.Assistant, Content: h[1]})
	}
	question := parts[1]
	if parts[2] != "" {
		question = strings.TrimPrefix(question+"\n\n"+parts[2], "\n\n")
	}
	return append(list, chat.Message{Role: chat.User, Content: question}, chat.Message{Role: chat.Assistant, Content: parts[3]}), nil
}

// text is a field that is a text, "" where it is missing or null.
func text(fields map[string]json.RawMessage, name string) (string, error) {
	var s string
	if raw := fields[name]; raw != nil {
		if err := json.Unmarshal(raw, &s); err != nil {
			return "", fmt.Errorf("%s: not a text", name)
		}
	}
	return s, nil
}
