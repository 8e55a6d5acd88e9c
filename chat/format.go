package chat

// The formats by name, and what all of them check before they write.

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/haenyeo/haenyeo/chat/jinja"
)

// Format is the prompt encoding of one generation, with the reading of its replies. It does not change and may be used
// by many goroutines.
type Format struct {
	name     string
	bos, eos string
	kind     *kind
	template *jinja.Template // of the format "jinja"
	tokens   []string        // added tokens of the tokenizer, for the format "jinja"
	called   syntax          // of the format "jinja": how the template writes calls
	effort   bool            // of the format "jinja": the template looks at the effort
	system   string          // of the format "coder": what stands there when the conversation has no system message
}

// calls is how a reply calls tools.
func (f *Format) calls() syntax {
	if f.template != nil {
		return f.called
	}
	return f.kind.calls
}

// kind is what formats of a name have in common.
type kind struct {
	name     string
	thinking Thinking
	stops    []string // texts of tokens that end a reply, beside EOS
	needs    []string // tokens without which the model cannot have been trained with it
	roles    []Role   // beside system, user and assistant
	calls    syntax   // how a reply calls tools
	effort   bool     // Options.Effort means something
	write    func(w *writer, f *Format, conversation []Message, o Options) error

	// lead is what a reply begins with before its content, tail what may stand between the content and the end.
	lead, tail string
}

// Thinking says whether the models of a format reason before they answer.
type Thinking int

const (
	NeverThinks  Thinking = iota
	MayThink              // as Options.Thinking says
	AlwaysThinks          // whatever Options.Thinking says
)

// kinds lists the formats, oldest first.
var kinds = []*kind{
	{name: "raw", write: writeRaw},
	{name: "llm", write: writeLLM, lead: " "},
	{name: "coder", write: writeCoder, stops: []string{eot}, needs: []string{eot}, tail: "\n"},
	{name: "v3", write: writeV3, roles: []Role{ToolRole}, needs: roleTokens, calls: fencedCalls},
	{name: "r1", write: writeV3, roles: []Role{ToolRole}, needs: roleTokens, calls: fencedCalls, thinking: AlwaysThinks},
	{name: "r1-0528", write: writeV3, roles: []Role{ToolRole}, needs: roleTokens, calls: fencedCalls, thinking: AlwaysThinks},
	{name: "v3.1", write: writeV31, roles: []Role{ToolRole}, needs: roleTokens, calls: bareCalls, thinking: MayThink},
	{name: "v3.2", write: writeV32, roles: []Role{ToolRole, Developer}, needs: roleTokens, calls: dsmlV32, thinking: MayThink},
	{name: "v4", write: writeV4, roles: []Role{ToolRole, Developer, Reminder}, needs: roleTokens, calls: dsmlV4, thinking: MayThink, effort: true},
	{name: "v4-0731", write: writeV4, roles: []Role{ToolRole, Developer, Reminder}, needs: roleTokens, calls: dsmlV4, thinking: MayThink, effort: true},
	{name: "v4.1", write: writeV41, roles: []Role{ToolRole, Developer, Reminder}, needs: append(slices.Clone(roleTokens), systemToken),
		calls: dsmlV41, thinking: MayThink, effort: true},
	{name: "jinja", write: writeJinja, roles: []Role{ToolRole, Developer, Reminder}, thinking: MayThink},
}

// aliases are other names that people know a format by.
var aliases = map[string]string{
	"v2": "llm", "v2.5": "v3", "v3-0324": "v3", "r1-zero": "r1", "v3.1-terminus": "v3.1", "v3.2-exp": "v3.1", "v3.2-speciale": "v3.2",
}

// Tokens and texts that more than one format writes.
const (
	bosToken       = "<｜begin▁of▁sentence｜>"
	eosToken       = "<｜end▁of▁sentence｜>"
	userToken      = "<｜User｜>"
	assistantToken = "<｜Assistant｜>"
	systemToken    = "<｜System｜>"
	thinkToken     = "<think>"
	endThinkToken  = "</think>"
	eot            = "<|EOT|>"
)

var roleTokens = []string{userToken, assistantToken}

// Names lists the formats that Hints.Format may name.
func Names() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}

// Name is one of Names.
func (f *Format) Name() string { return f.name }

// Thinking says whether replies begin with reasoning.
func (f *Format) Thinking() Thinking { return f.kind.thinking }

// CheckEffort says what is wrong with a level of Options.Effort, nil if nothing is.
func (f *Format) CheckEffort(level string) error {
	switch {
	case level == "" || f.effort:
		return nil
	case !f.kind.effort:
		return fmt.Errorf("chat: format %q has no levels of effort: leave it out", f.name)
	}
	_, err := f.Render([]Message{{Role: User}}, Options{Thinking: true, Effort: level})
	return err
}

// CallsTools says whether models of this format can be given tools and their calls be read.
func (f *Format) CallsTools() bool { return f.calls() != noCalls }

// Stops lists the texts of the tokens that end a reply, beside the tokenizer's EOS.
func (f *Format) Stops() []string {
	if f.eos == "" {
		return f.kind.stops
	}
	return append([]string{f.eos}, f.kind.stops...)
}

// Render writes the prompt for the next reply to a conversation. It does not change the conversation.
func (f *Format) Render(conversation []Message, o Options) ([]Segment, error) {
	if err := f.check(conversation); err != nil {
		return nil, fmt.Errorf("chat: %w", err)
	}
	var w writer
	if err := f.kind.write(&w, f, conversation, o); err != nil {
		return nil, fmt.Errorf("chat: format %q: %w", f.name, err)
	}
	return w.prompt, nil
}

// check finds what no format can mean.
func (f *Format) check(conversation []Message) error {
	if len(conversation) == 0 {
		return errors.New("the conversation is empty")
	}
	for i, m := range conversation {
		switch m.Role {
		case System, User, Assistant:
		default:
			if !slices.Contains(f.kind.roles, m.Role) {
				allowed := append([]Role{System, User, Assistant}, f.kind.roles...)
				return fmt.Errorf("message %d: format %q has no role %q, only %q", i, f.name, m.Role, allowed)
			}
		}
		if m.Role != Assistant && (m.Reasoning != "" || len(m.ToolCalls) > 0) {
			return fmt.Errorf("message %d: a message of role %q has no reasoning and no calls", i, m.Role)
		}
		if m.Prefix && (m.Role != Assistant || i != len(conversation)-1) {
			return fmt.Errorf("message %d: only the last message, of the assistant, can be a prefix", i)
		}
		if m.Prefix && len(m.ToolCalls) > 0 {
			return fmt.Errorf("message %d: a prefix cannot end in calls", i)
		}
		for j, c := range m.ToolCalls {
			if c.Name == "" {
				return fmt.Errorf("message %d: call %d has no name", i, j)
			}
			if f.template == nil && f.calls() == noCalls {
				return fmt.Errorf("message %d: format %q has no calls of tools", i, f.name)
			}
		}
	}
	return nil
}

// refuseTools is for the formats whose models were never shown a tool.
func refuseTools(o Options) error {
	if len(o.Tools) > 0 {
		return errors.New("its models know no tools; leave them out, or describe them in the system message")
	}
	return refuseResponseFormat(o)
}

func refuseResponseFormat(o Options) error {
	if len(o.ResponseFormat) > 0 {
		return errors.New("it has no place for a response format; describe it in the system message")
	}
	return nil
}

// systemText joins all system messages, as the templates from V2.5 to V3.1 do.
func systemText(conversation []Message) string {
	var parts []string
	for _, m := range conversation {
		if m.Role == System {
			parts = append(parts, m.Content)
		}
	}
	return strings.Join(parts, "\n\n")
}
