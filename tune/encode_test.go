package tune

import (
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/chat"
	"github.com/haenyeo/haenyeo/tokenizer"
)

// controls are the tokens of every generation, and of ChatML.
var controls = []string{"<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<｜System｜>", "<think>", "</think>", "<|EOT|>",
	"<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>", "<｜tool▁outputs▁begin｜>",
	"<｜tool▁outputs▁end｜>", "<｜tool▁output▁begin｜>", "<｜tool▁output▁end｜>", "｜DSML｜", "<|im_start|>"}

// byteTokenizer has a token for every byte, and the controls.
func byteTokenizer(t testing.TB) *tokenizer.Tokenizer {
	t.Helper()
	p := tokenizer.Parts{Pre: "deepseek-v3"}
	next := rune(256)
	for b := range rune(256) { // as byte-level vocabularies spell them
		if b > 32 && b < 127 || b > 160 && b < 173 || b > 173 {
			p.Tokens = append(p.Tokens, string(b))
		} else {
			p.Tokens = append(p.Tokens, string(next))
			next++
		}
		p.Types = append(p.Types, tokenizer.Normal)
	}
	for _, s := range controls {
		p.Tokens, p.Types = append(p.Tokens, s), append(p.Types, tokenizer.UserDefined)
	}
	p.Config.BOS, p.Config.EOS = controls[0], controls[1]
	tok, err := tokenizer.New(p)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func formatOf(t testing.TB, tok *tokenizer.Tokenizer, h chat.Hints) *chat.Format {
	t.Helper()
	f, err := chat.Detect(tok, h)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// show writes sequences, one a line, with what is learned between ⟦ and ⟧, and short names of common tokens.
func show(tok *tokenizer.Tokenizer, list []Example) string {
	var lines []string
	for _, e := range list {
		var b strings.Builder
		for i := 0; i < len(e.Tokens); {
			j := i + 1
			for j < len(e.Tokens) && e.Answer[j] == e.Answer[i] {
				j++
			}
			text := tok.Decode(e.Tokens[i:j], false)
			if e.Answer[i] {
				text = "⟦" + text + "⟧"
			}
			b.WriteString(text)
			i = j
		}
		lines = append(lines, b.String())
	}
	return strings.NewReplacer("<｜begin▁of▁sentence｜>", "^", "<｜end▁of▁sentence｜>", "$", "<｜User｜>", "U:", "<｜Assistant｜>", "A:", "<｜System｜>", "S:", "\n", "␊").
		Replace(strings.Join(lines, " & "))
}

const chatML = `{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + eos_token + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`

// The mask of every template: two turns without reasoning, two with it, and a call with its result. A control token that the
// user spells stays words.
func TestMask(t *testing.T) {
	user := func(s string) chat.Message { return chat.Message{Role: chat.User, Content: s} }
	said := func(thought, s string) chat.Message {
		return chat.Message{Role: chat.Assistant, Reasoning: thought, Content: s}
	}
	plain := []chat.Message{{Role: chat.System, Content: "Be."}, user("hi"), said("", "ho"), user("$<think>"), said("", "hum")}
	thinking := []chat.Message{user("hi"), said("r1", "ho"), user("so"), said("r2", "hum")}
	call := chat.Message{Role: chat.Assistant, ToolCalls: []chat.ToolCall{{ID: "1", Name: "f", Arguments: `{"x":1}`}}}
	calling := []chat.Message{user("hi"), call, {Role: chat.ToolRole, ToolCallID: "1", Content: "7"}, said("", "ho")}
	const dsml = `␊␊<｜DSML｜calls>␊<｜DSML｜invoke name="f">␊<｜DSML｜parameter name="x" string="false">1</｜DSML｜parameter>␊</｜DSML｜invoke>␊</｜DSML｜calls>`
	v32, v4, v41 := strings.ReplaceAll(dsml, "calls", "function_calls"), strings.ReplaceAll(dsml, "calls", "tool_calls"),
		strings.NewReplacer("｜calls", "｜ calls", "｜invoke", "｜ invoke", "｜parameter", "｜ parameter").Replace(dsml)
	const fenced = "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f␊```json␊{\"x\":1}␊```<｜tool▁call▁end｜><｜tool▁calls▁end｜>"
	const bare = `<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{"x":1}<｜tool▁call▁end｜><｜tool▁calls▁end｜>`
	const outputs, output = "<｜tool▁outputs▁begin｜>", "<｜tool▁output▁begin｜>7<｜tool▁output▁end｜>"
	const endOutputs = "<｜tool▁outputs▁end｜>"
	const effort = "Reasoning Effort: 75 (range 1-100, the higher the value, the more thorough the reasoning)␊␊"
	tok := byteTokenizer(t)
	for _, c := range []struct {
		format                   string
		plain, thinking, calling string // "": refused
	}{
		{"raw", "Be.hi⟦ho$⟧ & Be.hiho$<think>⟦hum$⟧", "", ""},
		{"llm", "^Be.␊␊User: hi␊␊Assistant:⟦ ho$⟧User: $<think>␊␊Assistant:⟦ hum$⟧", "", ""},
		{"coder", "^Be.### Instruction:␊hi␊### Response:␊⟦ho␊<|EOT|>⟧␊### Instruction:␊$<think>␊### Response:␊⟦hum␊<|EOT|>⟧", "", ""},
		{"v3", "^Be.U:hiA:⟦ho$⟧U:$<think>A:⟦hum$⟧", "", "^U:hiA:⟦" + fenced + "$⟧" + outputs + output + endOutputs + "⟦ho$⟧"},
		{"r1", "^Be.U:hiA:<think>␊⟦␊</think>␊␊ho$⟧ & ^Be.U:hiA:ho$U:$<think>A:<think>␊⟦␊</think>␊␊hum$⟧",
			"^U:hiA:<think>␊⟦r1␊</think>␊␊ho$⟧ & ^U:hiA:ho$U:soA:<think>␊⟦r2␊</think>␊␊hum$⟧",
			"^U:hiA:<think>␊⟦␊</think>␊␊" + fenced + "$⟧ & ^U:hiA:" + fenced + "$" + outputs + output + endOutputs + "⟦<think>␊␊</think>␊␊ho$⟧"},
		{"r1-0528", "^Be.U:hiA:⟦<think>␊␊</think>␊␊ho$⟧ & ^Be.U:hiA:ho$U:$<think>A:⟦<think>␊␊</think>␊␊hum$⟧",
			"^U:hiA:⟦<think>␊r1␊</think>␊␊ho$⟧ & ^U:hiA:ho$U:soA:⟦<think>␊r2␊</think>␊␊hum$⟧",
			"^U:hiA:⟦<think>␊␊</think>␊␊" + fenced + "$⟧ & ^U:hiA:" + fenced + "$" + outputs + output + endOutputs + "⟦<think>␊␊</think>␊␊ho$⟧"},
		{"v3.1", "^Be.U:hiA:</think>⟦ho$⟧U:$<think>A:</think>⟦hum$⟧",
			"^U:hiA:<think>⟦r1</think>ho$⟧ & ^U:hiA:</think>ho$U:soA:<think>⟦r2</think>hum$⟧",
			"^U:hiA:</think>⟦" + bare + "$⟧" + output + "⟦ho$⟧"},
		{"v3.2", "^Be.U:hiA:</think>⟦ho$⟧U:$<think>A:</think>⟦hum$⟧",
			"^U:hiA:<think>⟦r1</think>ho$⟧ & ^U:hiA:</think>ho$U:soA:<think>⟦r2</think>hum$⟧",
			"^U:hiA:</think>⟦" + v32 + "$⟧␊␊<function_results>␊<result>7</result>␊</function_results>␊␊</think>⟦ho$⟧"},
		{"v4", "^Be.U:hiA:</think>⟦ho$⟧U:$<think>A:</think>⟦hum$⟧",
			"^U:hiA:<think>⟦r1</think>ho$⟧ & ^U:hiA:</think>ho$U:soA:<think>⟦r2</think>hum$⟧",
			"^U:hiA:</think>⟦" + v4 + "$⟧U:<tool_result>7</tool_result>A:</think>⟦ho$⟧"},
		{"v4-0731", "^Be.U:hiA:</think>⟦ho$⟧U:$<think>A:</think>⟦hum$⟧",
			"^U:hiA:<think>⟦r1</think>ho$⟧ & ^U:hiA:</think>ho$U:soA:<think>⟦r2</think>hum$⟧",
			"^U:hiA:</think>⟦" + v4 + "$⟧U:<tool_result>7</tool_result>A:</think>⟦ho$⟧"},
		{"v4.1", "^S:Be.U:hiA:</think>⟦ho$⟧U:$<think>A:</think>⟦hum$⟧",
			"^S:" + effort + "U:hiA:<think>⟦r1</think>ho$⟧ & ^S:" + effort + "U:hiA:</think>ho$U:soA:<think>⟦r2</think>hum$⟧",
			"^U:hiA:</think>⟦" + v41 + "$⟧U:<tool_result>7</tool_result>A:</think>⟦ho$⟧"},
		{"jinja", "<|im_start|>system␊Be.$␊<|im_start|>user␊hi$␊<|im_start|>assistant␊⟦ho$⟧␊<|im_start|>user␊$<think>$␊<|im_start|>assistant␊⟦hum$⟧",
			"-", "-"},
	} {
		f := formatOf(t, tok, chat.Hints{Format: c.format, Template: chatML})
		for name, x := range map[string]struct {
			list []chat.Message
			want string
		}{"plain": {plain, c.plain}, "thinking": {thinking, c.thinking}, "calling": {calling, c.calling}} {
			if x.want == "-" { // the template does not show it
				continue
			}
			list, err := Encode(tok, f, &Conversation{Messages: x.list})
			if x.want == "" {
				if err == nil {
					t.Errorf("%s, %s: taken: %s", c.format, name, show(tok, list))
				}
				continue
			}
			if err != nil {
				t.Errorf("%s, %s: %v", c.format, name, err)
				continue
			}
			if got := show(tok, list); got != x.want {
				t.Errorf("%s, %s:\n got %s\nwant %s", c.format, name, got, x.want)
			}
		}
	}
	words := func(e Example) bool { // "<think>" of the user is bytes, not the token
		id, _ := tok.TokenID("<think>")
		return !slices.Contains(e.Tokens, id)
	}
	list, err := Encode(tok, formatOf(t, tok, chat.Hints{Format: "v3"}), &Conversation{Messages: plain})
	if err != nil || !words(list[0]) {
		t.Errorf("what the user spelled became a control token: %v", err)
	}
}

func TestSilentAnswers(t *testing.T) {
	tok := byteTokenizer(t)
	c, err := parseConversation([]byte(`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","weight":0},{"role":"user","content":"c"},{"role":"assistant","content":"d"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	list, err := Encode(tok, formatOf(t, tok, chat.Hints{Format: "v3"}), &c)
	if got, want := show(tok, list), "^U:aA:b$U:cA:⟦d$⟧"; err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}

func TestLongConversations(t *testing.T) {
	tok := byteTokenizer(t)
	f := formatOf(t, tok, chat.Hints{Format: "v3"})
	talk := func(question, answer string) Conversation {
		return Conversation{Path: "talk.jsonl", Line: 3, Messages: []chat.Message{{Role: chat.User, Content: question}, {Role: chat.Assistant, Content: answer}}}
	}
	fits, long, lost := talk("hi", "ho"), talk("hi", "hohohoho"), talk("hihihihihihi", "ho")
	if _, err := encodeAll(t.Context(), tok, f, []Conversation{fits, long}, 8, false, nil); err == nil || !strings.Contains(err.Error(), `"talk.jsonl" line 3: the conversation has 14 tokens, and a row holds 8`) {
		t.Errorf("a long conversation: %v", err)
	}
	list, err := encodeAll(t.Context(), tok, f, []Conversation{fits, long, lost}, 8, true, nil)
	if got, want := show(tok, list), "^U:hiA:⟦ho$⟧ & ^U:hiA:⟦hoh⟧"; err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	if _, err := encodeAll(t.Context(), tok, f, []Conversation{lost}, 8, true, nil); err == nil {
		t.Error("nothing left to learn, and no error")
	}
}
