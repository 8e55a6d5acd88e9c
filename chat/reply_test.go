package chat

import (
	"encoding/json"
	"strings"
	"testing"
)

// What Reply says that a model writes, Parser reads back, in every generation.
func TestReplyIsReadBack(t *testing.T) {
	tok := newTokenizer(t, familyTokens)
	for _, name := range Names() {
		if name == "jinja" {
			continue
		}
		f := detect(t, tok, Hints{Format: name})
		answers := []Message{{Role: Assistant, Content: "Hello, world"}}
		if f.Thinking() != NeverThinks {
			answers = append(answers, Message{Role: Assistant, Reasoning: "hm, 2", Content: "two"})
		}
		if f.CallsTools() {
			answers = append(answers, Message{Role: Assistant, ToolCalls: []ToolCall{{Name: "dive", Arguments: `{"depth": 3, "where": "sea"}`}, {Name: "rise", Arguments: `{}`}}})
		}
		for _, want := range answers {
			prompt, reply, err := f.Reply([]Message{{Role: User, Content: "Hi"}, want}, Options{})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			p := f.Parser(prompt)
			var got Message
			var arguments []string
			for _, e := range append(p.Push(Text(reply)), p.Close()...) {
				switch e.Kind {
				case ReasoningDelta:
					got.Reasoning += e.Text
				case ContentDelta:
					got.Content += e.Text
				case CallStart:
					got.ToolCalls, arguments = append(got.ToolCalls, ToolCall{Name: e.Text}), append(arguments, "")
				case CallArguments:
					arguments[e.Index] += e.Text
				case Malformed:
					t.Errorf("%s: %q is malformed: %v", name, e.Text, e.Err)
				}
			}
			trim := strings.TrimSpace
			if name == "raw" && f.eos == "" {
				continue
			}
			if trim(got.Content) != want.Content || trim(got.Reasoning) != want.Reasoning || len(got.ToolCalls) != len(want.ToolCalls) {
				t.Errorf("%s: %+v came back as %+v from %q", name, want, got, Text(reply))
				continue
			}
			for i, c := range want.ToolCalls {
				var x, y map[string]any
				if json.Unmarshal([]byte(arguments[i]), &x) != nil || json.Unmarshal([]byte(c.Arguments), &y) != nil || len(x) != len(y) || got.ToolCalls[i].Name != c.Name {
					t.Errorf("%s: call %+v came back as %s%s", name, c, got.ToolCalls[i].Name, arguments[i])
				}
			}
			if last := reply[len(reply)-1]; !last.Control {
				t.Errorf("%s: the answer has no end: %q", name, Text(reply))
			}
		}
	}
}

// A template of others: what is to be learned is what it writes behind the prompt, to the end token.
func TestReplyOfTemplate(t *testing.T) {
	tok := newTokenizer(t, []string{"<|im_start|>", "<|im_end|>", eosToken})
	const chatML = `{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + eos_token + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`
	f := detect(t, tok, Hints{Template: chatML})
	prompt, reply, err := f.Reply([]Message{{Role: User, Content: "Hi"}, {Role: Assistant, Content: "Hello"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := "<|im_start|>user\nHi" + eosToken + "\n<|im_start|>assistant\n"; Text(prompt) != want || Text(reply) != "Hello"+eosToken {
		t.Errorf("%q, %q", Text(prompt), Text(reply))
	}
	f = detect(t, tok, Hints{Template: strings.Replace(chatML, `'<|im_start|>assistant\n'`, `'Go on: '`, 1)})
	if _, _, err := f.Reply([]Message{{Role: User, Content: "Hi"}, {Role: Assistant, Content: "Hello"}}, Options{}); err == nil {
		t.Error("a template whose prompt is no beginning of the whole was taken")
	}
}

func TestReplyRefuses(t *testing.T) {
	f := detect(t, newTokenizer(t, familyTokens), Hints{Format: "v3"})
	hi := Message{Role: User, Content: "Hi"}
	for _, c := range [][]Message{nil, {hi}, {{Role: Assistant, Content: "x"}}, {hi, {Role: Assistant, Content: "x", Prefix: true}}, {hi, {Role: Assistant, Reasoning: "r", Content: "x"}}} {
		if _, _, err := f.Reply(c, Options{}); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}
