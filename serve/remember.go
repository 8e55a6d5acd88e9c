package serve

// What the model thought before it made a call. The publisher's API asks clients to send it back with the call, and many
// do not, so that the next prompt would lack it.

import (
	"slices"
	"sync"

	"github.com/haenyeo/haenyeo/chat"
)

// memory keeps the reasoning of the latest calls by their ids, which are random: who does not know an id reads nothing.
type memory struct {
	mu    sync.Mutex
	by    map[string]string
	order []string
	bytes int
}

// Limits of what is remembered. They are those of a long conversation of several agents.
const (
	maxRemembered      = 4096
	maxRememberedBytes = 64 << 20
)

func (m *memory) add(calls []string, reasoning string) {
	if reasoning == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.by == nil {
		m.by = map[string]string{}
	}
	for _, id := range calls {
		m.by[id] = reasoning
		m.order = append(m.order, id)
		m.bytes += len(reasoning)
	}
	for len(m.order) > maxRemembered || m.bytes > maxRememberedBytes {
		m.bytes -= len(m.by[m.order[0]])
		delete(m.by, m.order[0])
		m.order = m.order[1:]
	}
}

// restore gives a conversation in which the messages that made calls have the reasoning that led to them.
func (m *memory) restore(conversation []chat.Message) []chat.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	restored := conversation
	for i, msg := range conversation {
		if msg.Reasoning != "" || len(msg.ToolCalls) == 0 {
			continue
		}
		if thought, ok := m.by[msg.ToolCalls[0].ID]; ok {
			if &restored[0] == &conversation[0] {
				restored = slices.Clone(conversation)
			}
			restored[i].Reasoning = thought
		}
	}
	return restored
}
