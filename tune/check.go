package tune

// This file refuses conversations that nobody can have meant.

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/haenyeo/haenyeo/chat"
)

// check finds what is wrong with a conversation, and drops what follows its last answer: nothing is learned from it.
func (c *Conversation) check() error {
	last := -1
	for i, m := range c.Messages {
		if err := checkMessage(c.Messages, i); err != nil {
			return fmt.Errorf("messages[%d]%w", i, err)
		}
		if m.Role == chat.Assistant {
			last = i
		}
	}
	switch {
	case len(c.Messages) == 0:
		return errors.New("messages: the conversation is empty")
	case last < 0:
		return errors.New("messages: no answer of the assistant: there is nothing to learn")
	}
	c.Messages = c.Messages[:last+1]
	for i, m := range c.Messages {
		if m.Role == chat.Assistant && (c.Silent == nil || !c.Silent[i]) {
			return nil
		}
	}
	return errors.New("messages: every answer has weight 0: there is nothing to learn")
}

// checkMessage looks at message i and where it stands. Its errors begin where the name of the message ends.
func checkMessage(list []chat.Message, i int) error {
	m := list[i]
	before := chat.System
	if i > 0 {
		before = list[i-1].Role
	}
	switch m.Role {
	case chat.System:
		if i > 0 && before != chat.System {
			return errors.New(".role: a system message stands at the beginning")
		}
	case chat.User, chat.Developer:
		if before == chat.User {
			return fmt.Errorf(".role: %q follows %q: an answer of the assistant is missing between them", m.Role, before)
		}
		if m.Content == "" {
			return errors.New(".content: empty")
		}
	case chat.ToolRole:
		if before != chat.ToolRole && (i == 0 || before != chat.Assistant || len(list[i-1].ToolCalls) == 0) {
			return errors.New(".role: the result of a call (\"tool\") follows an answer with tool_calls, or another result")
		}
	case chat.Assistant:
		if before == chat.Assistant || before == chat.System {
			if i == 0 {
				return errors.New(".role: the conversation begins with an answer: a question of the user is missing")
			}
			return fmt.Errorf(".role: \"assistant\" follows %q: a question of the user is missing between them", before)
		}
		if m.Content == "" && len(m.ToolCalls) == 0 {
			return errors.New(".content: the answer is empty")
		}
		for j, call := range m.ToolCalls {
			var object map[string]json.RawMessage
			switch {
			case call.Name == "":
				return fmt.Errorf(".tool_calls[%d].function.name: empty", j)
			case json.Unmarshal([]byte(call.Arguments), &object) != nil || object == nil:
				return fmt.Errorf(".tool_calls[%d].function.arguments: not the text of a JSON object", j)
			}
		}
	}
	return nil
}
