package chat

// Prompts against what the publishers' own templates and code make of the same conversations.

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/tokenizer"
	"github.com/klauspost/compress/zstd"
)

// family is a tokenizer with the control tokens of every generation, so that one serves all formats.
var familyTokens = []string{bosToken, eosToken, userToken, assistantToken, systemToken, thinkToken, endThinkToken, eot, callsBegin, callsEnd,
	callBegin, callEnd, callSep, resultsBegin, resultsEnd, resultBegin, resultEnd, dsmlToken, reminderToken, "<｜action｜>", "<｜query｜>",
	"<｜authority｜>", "<｜domain｜>", "<｜title｜>", "<｜read_url｜>", "<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"}

func newTokenizer(t testing.TB, tokens []string) *tokenizer.Tokenizer {
	t.Helper()
	p := tokenizer.Parts{Pre: "deepseek-v3"}
	for _, s := range alphabet() {
		p.Tokens, p.Types = append(p.Tokens, s), append(p.Types, tokenizer.Normal)
	}
	for _, m := range []string{"H e", "He l", "Hel l", "Ċ Ċ", "` `", "`` `", "t h", "U s", "Us e", "Use r", ": Ġ", "Ġ H"} {
		p.Merges = append(p.Merges, m)
		p.Tokens, p.Types = append(p.Tokens, strings.ReplaceAll(m, " ", "")), append(p.Types, tokenizer.Normal)
	}
	for _, s := range tokens {
		p.Tokens, p.Types = append(p.Tokens, s), append(p.Types, tokenizer.UserDefined)
	}
	if slices.Contains(tokens, bosToken) {
		p.Config.BOS = bosToken
	}
	tok, err := tokenizer.New(p)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// alphabet spells the 256 bytes as byte-level vocabularies do.
func alphabet() (list []string) {
	next := rune(256)
	for b := range rune(256) {
		if b > 32 && b < 127 || b > 160 && b < 173 || b > 173 {
			list = append(list, string(b))
			continue
		}
		list = append(list, string(next))
		next++
	}
	return list
}

// wireMessage is a message as APIs have it.
type wireMessage struct {
	Role      Role
	Content   *string
	Reasoning string `json:"reasoning_content"`
	ToolCalls []struct {
		ID       string
		Function struct{ Name, Arguments string }
	} `json:"tool_calls"`
	ToolCallID     string `json:"tool_call_id"`
	Prefix         bool
	Task           string
	Tools          []Tool
	ResponseFormat json.RawMessage `json:"response_format"`
}

func (m wireMessage) message() Message {
	r := Message{Role: m.Role, Reasoning: m.Reasoning, ToolCallID: m.ToolCallID, Prefix: m.Prefix, Task: m.Task, Tools: m.Tools,
		ResponseFormat: m.ResponseFormat}
	if m.Content != nil {
		r.Content = *m.Content
	}
	for _, c := range m.ToolCalls {
		r.ToolCalls = append(r.ToolCalls, ToolCall{ID: c.ID, Name: c.Function.Name, Arguments: c.Function.Arguments})
	}
	return r
}

type promptCase struct {
	Format, Name string
	Options      struct {
		Thinking       bool
		KeepThinking   bool `json:"keep_thinking"`
		Published      bool
		Effort         string
		Tools          []Tool
		ResponseFormat json.RawMessage `json:"response_format"`
	}
	Messages []wireMessage
	Expected string
}

func (c *promptCase) conversation() (list []Message) {
	for _, m := range c.Messages {
		list = append(list, m.message())
	}
	return list
}

func (c *promptCase) options() Options {
	o := c.Options
	return Options{Thinking: o.Thinking, KeepThinking: o.KeepThinking, Published: o.Published, Effort: o.Effort, Tools: o.Tools,
		ResponseFormat: o.ResponseFormat}
}

func promptCases(t testing.TB) (list []promptCase) {
	t.Helper()
	f, err := os.Open("testdata/prompts.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var c promptCase
		if err := json.Unmarshal(s.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
	if err := s.Err(); err != nil || len(list) == 0 {
		t.Fatal(err, len(list))
	}
	return list
}

func detect(t testing.TB, tok *tokenizer.Tokenizer, h Hints) *Format {
	t.Helper()
	f, err := Detect(tok, h)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestPrompts compares every format with its publisher's template or code, as text and as ids.
func TestPrompts(t *testing.T) {
	tok := newTokenizer(t, familyTokens)
	counts := map[string]int{}
	for _, c := range promptCases(t) {
		counts[c.Format]++
		f := detect(t, tok, Hints{Format: c.Format})
		before, _ := json.Marshal(c.conversation())
		conversation := c.conversation()
		prompt, err := f.Render(conversation, c.options())
		if err != nil {
			t.Errorf("%s, %s, %+v: %v", c.Format, c.Name, c.Options, err)
			continue
		}
		if got := Text(prompt); got != c.Expected {
			t.Errorf("%s, %s, thinking %v, keep %v:\n got %q\nwant %q", c.Format, c.Name, c.Options.Thinking, c.Options.KeepThinking, got, c.Expected)
			continue
		}
		if after, _ := json.Marshal(conversation); !bytes.Equal(before, after) {
			t.Errorf("%s, %s: the conversation was changed", c.Format, c.Name)
		}
		if strings.Contains(c.Name, "thought inline") {
			continue // the template takes a token that stands in the words for one
		}
		if got, want := Encode(tok, prompt), tok.Encode(nil, c.Expected, tokenizer.EncodeOptions{}); !slices.Equal(got, want) {
			t.Errorf("%s, %s: ids are not those of the whole text:\n got %v\nwant %v", c.Format, c.Name, got, want)
		}
	}
	for _, name := range []string{"llm", "coder", "v3", "r1", "r1-0528", "v3.1", "v3.2", "v4", "v4.1"} {
		if counts[name] < 5 {
			t.Errorf("%d cases of %s", counts[name], name)
		}
	}
}

// TestWordsStayWords has everybody in a conversation say every control token, and finds in the ids no more of them than
// when they say nothing of the kind.
func TestWordsStayWords(t *testing.T) {
	tok := newTokenizer(t, familyTokens)
	count := func(ids []int32) map[int32]int {
		n := map[int32]int{}
		for _, id := range ids {
			if tok.TokenType(id) != tokenizer.Normal {
				n[id]++
			}
		}
		return n
	}
	say := strings.Join(familyTokens, "") + "<thi"
	for _, name := range append(Names(), "jinja with words inside") {
		h := Hints{Format: name}
		if strings.HasPrefix(name, "jinja") {
			h.Format, h.Template = "jinja", templateV3(t)
		}
		if name == "jinja with words inside" {
			h.Template = "{% for m in messages %}<{{ m.content }}>{{ m.content }}<｜User｜>{% endfor %}"
		}
		f := detect(t, tok, h)
		for _, word := range []string{say, "think", "｜", "think>", "｜User｜", "<", "<｜User", "Assistant｜>"} {
			conversation := func(s string) []Message {
				list := []Message{{Role: System, Content: s}, {Role: User, Content: s}, {Role: Assistant, Content: s, Reasoning: s}, {Role: User, Content: s}}
				if f.calls() != noCalls {
					list = append(list, Message{Role: Assistant, Content: s, ToolCalls: []ToolCall{{ID: "1", Name: "f", Arguments: `{"a":` + quote(s) + `}`}}},
						Message{Role: ToolRole, Content: s, ToolCallID: "1"})
				}
				return list
			}
			o := Options{Thinking: true}
			words, err := f.Render(conversation(strings.ReplaceAll(word, endThinkToken, "")), o)
			if err != nil {
				t.Fatal(name, err)
			}
			without, err := f.Render(conversation("x"), o)
			if err != nil {
				t.Fatal(name, err)
			}
			got, want := count(Encode(tok, words)), count(Encode(tok, without))
			for id, n := range got {
				if n != want[id] {
					t.Errorf("%s: %q %d times, want %d, when people say %q", name, tok.TokenBytes(id), n, want[id], word)
				}
			}
		}
	}
}

func templateV3(t testing.TB) string {
	t.Helper()
	raw, err := os.ReadFile("../tokenizer/testdata/deepseek-v3.tokenizer_config.json")
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Template string `json:"chat_template"`
	}
	if err := json.Unmarshal(raw, &c); err != nil || c.Template == "" {
		t.Fatal("no template", err)
	}
	return c.Template
}

// TestTemplate runs the published template of V3 through the engine for templates: the same prompts again.
func TestTemplate(t *testing.T) {
	tok := newTokenizer(t, familyTokens)
	f := detect(t, tok, Hints{Format: "jinja", Template: templateV3(t)})
	n := 0
	for _, c := range promptCases(t) {
		if c.Format != "v3" {
			continue
		}
		n++
		prompt, err := f.Render(c.conversation(), c.options())
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		if got := Text(prompt); got != c.Expected {
			t.Errorf("%s:\n got %q\nwant %q", c.Name, got, c.Expected)
		}
		if got, want := Encode(tok, prompt), tok.Encode(nil, c.Expected, tokenizer.EncodeOptions{}); !slices.Equal(got, want) {
			t.Errorf("%s: ids are not those of the whole text", c.Name)
		}
	}
	if n == 0 {
		t.Fatal("no cases")
	}
}

// TestTemplateSeesWords has templates look at, escape and compare the words that are marked for them: the marks never show.
func TestTemplateSeesWords(t *testing.T) {
	tok := newTokenizer(t, familyTokens)
	say := []Message{{Role: User, Content: "é" + thinkToken + "User"}, {Role: Assistant, ToolCalls: []ToolCall{{Name: "f", Arguments: `{"User": "think"}`}}},
		{Role: ToolRole, Content: "User", Name: "User"}, {Role: Assistant, Content: "<think>\nhm\n</think>\n\n42"}, {Role: User, Content: "<</think>think>"}}
	o := Options{Tools: []Tool{{Name: "f", Parameters: json.RawMessage(`{"type":"object","properties":{"User":{"type":"string"}},"required":["User"]}`)}},
		Variables: map[string]json.RawMessage{"tone": json.RawMessage(`"<think>"`)}}
	for template, want := range map[string]string{
		"{{ messages[0].content }}":                               "é<think>User",
		"{{ messages[0].content | tojson(ensure_ascii=true) }}":   "\"\\u00e9<think>User\"",
		"{{ [messages[0].content] }}":                             "['é<think>User']",
		"{{ messages[0].content | upper | length }}":              "12",
		"{% if messages[1].content is none %}none{% endif %}":     "none",
		"{{ 'x' in messages[1].content }}":                        "False",
		"{{ messages[1].tool_calls[0].function.arguments.User }}": "think",
		"{{ '' + messages[1].tool_calls[0].function.arguments }}": `{"User": "think"}`,
		"{% for k in tools[0].function.parameters.properties %}{{ k in tools[0].function.parameters.required }}{% endfor %}": "True",
		"{{ tools[0].function.parameters.type == 'object' }}":                                                                "True",
		"{{ tone }}{{ thinking }}": "<think>False",
		"{% set c = messages[3].content %}{% if '</think>' in c %}{% set c = c.split('</think>')[-1].lstrip('\\n') %}{% endif %}{{ c }}": "42",
		"{{ messages[2].content == 'User' }}{{ messages[2].name == 'User' }}":                                                            "TrueTrue",
		"{{ messages[2].content.startswith('U') }}{{ messages[2].content in ['User'] }}":                                                 "TrueTrue",
		"{{ messages[3].content.find('</think>') }}":                                                                                     "11",
		"{{ messages[4].content.split('</think>')|join }}":                                                                               "<think>",
		"{{ messages[4].content|replace('</think>', '') }}{{ messages[4].content[1:9] }}":                                                "<think></think>",
		"{{ messages[2].content|upper }}":                                                                                                "USER",
	} {
		prompt, err := detect(t, tok, Hints{Format: "jinja", Template: template}).Render(say, o)
		if err != nil {
			t.Errorf("%s: %v", template, err)
			continue
		}
		if got := Text(prompt); got != want {
			t.Errorf("%s: %q, want %q", template, got, want)
		}
		for _, id := range Encode(tok, prompt) {
			if tok.TokenType(id) != tokenizer.Normal {
				t.Errorf("%s: words became the token %q", template, tok.TokenBytes(id))
			}
		}
	}
	fails := detect(t, tok, Hints{Format: "jinja", Template: "{{ raise_exception('no ' + messages[2].name) }}"})
	if _, err := fails.Render(say, o); err == nil || !strings.HasSuffix(err.Error(), "the template says: no User") {
		t.Errorf("%q", err)
	}
	for name, bad := range map[string]Options{
		"a variable": {Variables: map[string]json.RawMessage{"tools": json.RawMessage(`[{"a": }]`)}},
		"a schema":   {Tools: []Tool{{Name: "f", Parameters: json.RawMessage(`{`)}}},
	} {
		if _, err := detect(t, tok, Hints{Format: "jinja", Template: "x"}).Render(say, bad); err == nil {
			t.Errorf("broken JSON in %s was taken", name)
		}
	}
	if _, err := detect(t, tok, Hints{Format: "jinja", Template: "{% for i in range(100000000) %}{% for i in range(100000000) %}x{% endfor %}{% endfor %}"}).Render(say, o); err == nil {
		t.Error("a template without end came to one")
	}
}

// TestWellFormed shows what V3 and R1 are written as by default, where the published template has its defects.
func TestWellFormed(t *testing.T) {
	tok := newTokenizer(t, familyTokens)
	f := detect(t, tok, Hints{Format: "v2.5"})
	prompt, err := f.Render([]Message{
		{Role: User, Content: "q"}, {Role: Assistant, ToolCalls: []ToolCall{{Name: "f", Arguments: "{}"}}}, {Role: ToolRole, Content: "r"},
		{Role: Assistant, Content: "more", ToolCalls: []ToolCall{{Name: "g", Arguments: "{}"}, {Name: "h", Arguments: "{}"}}},
		{Role: ToolRole, Content: "s"}, {Role: ToolRole, Content: "t"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	call := func(name string) string {
		return callBegin + "function" + callSep + name + "\n```json\n{}\n```" + callEnd
	}
	want := bosToken + userToken + "q" + assistantToken + callsBegin + call("f") + callsEnd + eosToken + resultsBegin + resultBegin + "r" + resultEnd +
		resultsEnd + "more" + callsBegin + call("g") + "\n" + call("h") + callsEnd + eosToken + resultsBegin + resultBegin + "s" + resultEnd + "\n" +
		resultBegin + "t" + resultEnd + resultsEnd
	if got := Text(prompt); got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// TestV4Later holds what the published code of the April release does not have: the efforts of 0731, and V4.1.
func TestV4Later(t *testing.T) {
	tok := newTokenizer(t, familyTokens)
	user := []Message{{Role: User, Content: "q"}}
	weather := []Tool{{Name: "a::b", Description: "d"}}
	called := []Message{{Role: System, Content: "s"}, {Role: User, Content: "q"}, {Role: Assistant, Reasoning: "r",
		ToolCalls: []ToolCall{{Name: "f", Arguments: `{"a": "x", "b": 1}`}}}, {Role: ToolRole, Content: "t"}, {Role: System, Content: "now"}}
	for _, c := range []struct {
		format string
		o      Options
		say    []Message
		want   string
	}{
		{"v4-0731", Options{Thinking: true}, user, bosToken + userToken + "q" + assistantToken + thinkToken},
		{"v4-0731", Options{Thinking: true, Effort: "high"}, user, bosToken + effortThorough + userToken + "q" + assistantToken + thinkToken},
		{"v4-0731", Options{Thinking: true, Effort: "max"}, user, bosToken + effortExhaustive + userToken + "q" + assistantToken + thinkToken},
		{"v4-0731", Options{Effort: "max"}, user, bosToken + userToken + "q" + assistantToken + endThinkToken},
		{"v4.1", Options{}, user, bosToken + userToken + "q" + assistantToken + endThinkToken},
		{"v4.1", Options{Thinking: true, Effort: "low"}, user, bosToken + systemToken +
			"Reasoning Effort: 50 (range 1-100, the higher the value, the more thorough the reasoning)\n\n" + userToken + "q" + assistantToken + thinkToken},
		{"v4.1", Options{}, called, bosToken + systemToken + "s" + userToken + "q" + assistantToken + endThinkToken + "\n\n<｜DSML｜ calls>\n" +
			`<｜DSML｜ invoke name="f">` + "\n" + `<｜DSML｜ parameter name="a" string="true">x</｜DSML｜ parameter>` + "\n" +
			`<｜DSML｜ parameter name="b" string="false">1</｜DSML｜ parameter>` + "\n</｜DSML｜ invoke>\n</｜DSML｜ calls>" + eosToken + userToken +
			"<tool_result>t</tool_result>" + systemToken + "now" + assistantToken + endThinkToken},
	} {
		prompt, err := detect(t, tok, Hints{Format: c.format}).Render(c.say, c.o)
		if err != nil {
			t.Fatal(err)
		}
		if got := Text(prompt); got != c.want {
			t.Errorf("%s, %+v:\n got %q\nwant %q", c.format, c.o, got, c.want)
		}
	}
	prompt, err := detect(t, tok, Hints{Format: "v4.1"}).Render(user, Options{Tools: weather})
	if got := Text(prompt); err != nil || !strings.HasPrefix(got, bosToken+systemToken+"\n\n## Tools\n") ||
		!strings.Contains(got, "\"<｜DSML｜ calls>\" block") || !strings.Contains(got, `{"name": "a::b", "description": "d"}`) {
		t.Errorf("%q, %v", got, err)
	}
}

// TestRefusals looks for errors that say what to do.
func TestRefusals(t *testing.T) {
	tok := newTokenizer(t, familyTokens)
	user := Message{Role: User, Content: "q"}
	for _, c := range []struct {
		format string
		say    []Message
		o      Options
		want   string
	}{
		{"v3", nil, Options{}, "empty"},
		{"v3", []Message{{Role: "robot"}}, Options{}, `no role "robot"`},
		{"llm", []Message{user, {Role: ToolRole}}, Options{}, `no role "tool"`},
		{"llm", []Message{user}, Options{Tools: []Tool{{Name: "f"}}}, "no tools"},
		{"v3.1", []Message{user}, Options{ResponseFormat: json.RawMessage(`{}`)}, "response format"},
		{"v3.1", []Message{user}, Options{Tools: []Tool{{Name: "f", Parameters: json.RawMessage(`{`)}}}, `tool "f"`},
		{"v3.2", []Message{user, {Role: ToolRole}}, Options{}, "made 0 calls"},
		{"v4", []Message{user}, Options{Effort: "huge"}, "low, high and max"},
		{"v4.1", []Message{user}, Options{Effort: "101"}, "1 to 100"},
		{"v4", []Message{{Role: User, Task: "dance"}}, Options{}, "no task"},
		{"v3", []Message{{Role: Assistant, Prefix: true}, user}, Options{}, "prefix"},
		{"v3", []Message{{Role: User, Reasoning: "r"}}, Options{}, "no reasoning"},
		{"v3", []Message{{Role: Assistant, ToolCalls: []ToolCall{{}}}}, Options{}, "no name"},
		{"coder", []Message{{Role: Assistant, ToolCalls: []ToolCall{{Name: "f"}}}}, Options{}, "no calls"},
	} {
		_, err := detect(t, tok, Hints{Format: c.format}).Render(c.say, c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "chat: ") {
			t.Errorf("%s: %v, want %q", c.format, err, c.want)
		}
	}
	if _, err := Detect(tok, Hints{Format: "v9"}); err == nil || !strings.Contains(err.Error(), "v3.1") {
		t.Error(err)
	}
	if _, err := Detect(newTokenizer(t, nil), Hints{Format: "v3"}); err == nil || !strings.Contains(err.Error(), userToken) {
		t.Error(err)
	}
	if _, err := Detect(newTokenizer(t, nil), Hints{ModelType: "gemma"}); err == nil || !strings.Contains(err.Error(), "raw") {
		t.Error(err)
	}
	if _, err := Detect(tok, Hints{Format: "jinja", Template: "{% if %}"}); err == nil {
		t.Error("a broken template was taken")
	}
	if _, err := FillInMiddle(newTokenizer(t, nil), "a", "b"); err == nil || !strings.Contains(err.Error(), "fim") {
		t.Error(err)
	}
}

// A thought that broke off under somebody else's template is gone on with as the answer itself was written.
func TestTemplateGoesOnWithThought(t *testing.T) {
	tok := newTokenizer(t, familyTokens)
	for template, open := range map[string]string{
		"{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}":        "[user]q[assistant]" + thinkToken,
		"{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]<think>{% endif %}": "[user]q[assistant]" + thinkToken,
	} {
		f := detect(t, tok, Hints{Format: "jinja", Template: template})
		for _, c := range []struct {
			begun  Message
			want   string
			thinks bool
		}{
			{Message{Reasoning: "\nhm <think>"}, open + "\nhm <think>", true},
			{Message{Reasoning: "\nhm\n", Content: "\n\n4"}, open + "\nhm\n" + endThinkToken + "\n\n4", false},
		} {
			c.begun.Role, c.begun.Prefix = Assistant, true
			prompt, err := f.Render([]Message{{Role: User, Content: "q"}, c.begun}, Options{Thinking: true})
			if got := Text(prompt); err != nil || got != c.want || f.Thinks(prompt) != c.thinks {
				t.Errorf("%s: %q, %v, want %q; thinks %v", template, got, err, c.want, f.Thinks(prompt))
			}
			n := 0
			for _, id := range Encode(tok, prompt) {
				if tok.TokenType(id) != tokenizer.Normal {
					n++
				}
			}
			if want := map[bool]int{true: 1, false: 2}[c.thinks]; n != want {
				t.Errorf("%s: %d control tokens in %q", template, n, Text(prompt))
			}
		}
	}
}

func TestEfforts(t *testing.T) {
	tok := newTokenizer(t, familyTokens)
	for _, c := range []struct {
		h     Hints
		level string
		ok    bool
	}{
		{Hints{Format: "v3.1"}, "silly", false}, {Hints{Format: "v3.1"}, "high", false}, {Hints{Format: "v3.1"}, "", true},
		{Hints{Format: "v4"}, "high", true}, {Hints{Format: "v4"}, "silly", false}, {Hints{Format: "v4.1"}, "50", true}, {Hints{Format: "v4.1"}, "101", false},
		{Hints{Format: "jinja", Template: "{{ reasoning_effort }}"}, "medium", true}, {Hints{Format: "jinja", Template: "x"}, "medium", false},
	} {
		if err := detect(t, tok, c.h).CheckEffort(c.level); (err == nil) != c.ok {
			t.Errorf("%+v, %q: %v", c.h, c.level, err)
		}
	}
}

func TestFillInMiddle(t *testing.T) {
	prompt, err := FillInMiddle(newTokenizer(t, familyTokens), "a<｜fim▁hole｜>", "b")
	if want := bosToken + "<｜fim▁begin｜>a<｜fim▁hole｜><｜fim▁hole｜>b<｜fim▁end｜>"; err != nil || Text(prompt) != want {
		t.Errorf("%q, %v", Text(prompt), err)
	}
}

// TestDetect goes through what people have.
func TestDetect(t *testing.T) {
	without := func(drop ...string) *tokenizer.Tokenizer {
		return newTokenizer(t, slices.DeleteFunc(slices.Clone(familyTokens), func(s string) bool { return slices.Contains(drop, s) }))
	}
	all, v3 := without(systemToken), without(systemToken, thinkToken, endThinkToken)
	r1 := templateV3(t) + `{{'<｜Assistant｜><think>\n'}}`
	for name, c := range map[string]struct {
		tok  *tokenizer.Tokenizer
		h    Hints
		want string
	}{
		"V3 with its template":         {v3, Hints{ModelType: "deepseek_v3", Template: templateV3(t)}, "v3"},
		"V3 without":                   {v3, Hints{ModelType: "deepseek_v3"}, "v3"},
		"R1 by template":               {all, Hints{ModelType: "deepseek_v3", Template: r1}, "r1"},
		"letters of a longer word":     {all, Hints{ModelType: "deepseek_v3", Name: "/home/user1/talker1"}, "v3.1"},
		"experiments":                  {all, Hints{ModelType: "deepseek_v32", Name: "/experiments/DeepSeek-V3.2"}, "v3.2"},
		"R1 by name":                   {all, Hints{ModelType: "deepseek_v3", Name: "DeepSeek-R1"}, "r1"},
		"R1-0528 by name":              {all, Hints{ModelType: "deepseek_v3", Name: "DeepSeek-R1-0528-Q4"}, "r1-0528"},
		"V3.1 without template":        {all, Hints{ModelType: "deepseek_v3"}, "v3.1"},
		"V3.2":                         {all, Hints{ModelType: "deepseek_v32"}, "v3.2"},
		"V3.2-Exp":                     {all, Hints{ModelType: "deepseek_v32", Name: "DeepSeek-V3.2-Exp"}, "v3.1"},
		"V4":                           {all, Hints{ModelType: "deepseek_v4"}, "v4"},
		"V4-Flash-0731":                {all, Hints{ModelType: "deepseek_v4", Name: "DeepSeek-V4-Flash-0731"}, "v4-0731"},
		"V4.1":                         {newTokenizer(t, familyTokens), Hints{ModelType: "deepseek_v4"}, "v4.1"},
		"V2":                           {all, Hints{ModelType: "deepseek_v2"}, "llm"},
		"V2.5":                         {all, Hints{ModelType: "deepseek_v2", Name: "DeepSeek-V2.5"}, "v3"},
		"MoE-16B":                      {all, Hints{ModelType: "deepseek"}, "llm"},
		"a distilled Qwen":             {all, Hints{ModelType: "qwen2"}, "r1"},
		"a ported V4 template":         {all, Hints{Template: "{{'<｜User｜><｜Assistant｜>'}}{% set dsml = '｜DSML｜' %}{{dsml}}tool_calls>"}, "v4"},
		"another model":                {newTokenizer(t, nil), Hints{ModelType: "llama", Template: "{{ messages[0].content }}"}, "jinja"},
		"a template, but no tokens":    {newTokenizer(t, nil), Hints{Template: templateV3(t)}, "jinja"},
		"an alias":                     {all, Hints{Format: "v3.1-terminus"}, "v3.1"},
		"LLM by template":              {all, Hints{Template: "{{ 'User: ' + m + '\\n\\n' }}{{ 'Assistant: ' + m }}"}, "llm"},
		"Coder by template":            {all, Hints{Template: "### Instruction: ### Response: <|EOT|> 'You are an AI programming assistant.\\n'"}, "coder"},
		"a named one above a template": {all, Hints{Format: "raw", Template: templateV3(t)}, "raw"},
	} {
		f := detect(t, c.tok, c.h)
		if f.Name() != c.want {
			t.Errorf("%s: %s, want %s", name, f.Name(), c.want)
		}
		if name == "Coder by template" && f.system != "You are an AI programming assistant.\n" {
			t.Errorf("%s: system text %q", name, f.system)
		}
	}
}

// TestTool keeps the order of keys and what it does not know.
func TestTool(t *testing.T) {
	var tools []Tool
	if err := json.Unmarshal([]byte(`[{"type":"function","function":{"strict":true,"name":"f","parameters":{"z":1e0,"a":"\u00e9/"}}},{"name":"g"}]`), &tools); err != nil {
		t.Fatal(err)
	}
	first, _ := tools[0].dump()
	second, _ := tools[1].dump()
	if first != `{"strict": true, "name": "f", "parameters": {"z": 1.0, "a": "é/"}}` || second != `{"name": "g"}` {
		t.Error(first, second)
	}
	for _, bad := range []string{`{"type":"web_search","function":{"name":"f"}}`, `{}`, `3`} {
		if json.Unmarshal([]byte(bad), new(Tool)) == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// TestPublishedTokenizer encodes prompts with the tokenizer of DeepSeek-V3: the ids are those of the whole text.
func TestPublishedTokenizer(t *testing.T) {
	f, err := os.Open("../tokenizer/testdata/deepseek-v3.tokenizer.json.zst")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	model, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile("../tokenizer/testdata/deepseek-v3.tokenizer_config.json")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Parse(model, config)
	if err != nil {
		t.Fatal(err)
	}
	if f := detect(t, tok, Hints{ModelType: "deepseek_v3"}); f.Name() != "v3" {
		t.Errorf("it is taken for %s", f.Name())
	}
	for _, c := range promptCases(t) {
		if strings.Contains(c.Name, "thought inline") || c.Format == "v4.1" {
			continue // V3 has no <｜System｜>
		}
		f := detect(t, tok, Hints{Format: c.Format})
		prompt, err := f.Render(c.conversation(), c.options())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := Encode(tok, prompt), tok.Encode(nil, c.Expected, tokenizer.EncodeOptions{}); !slices.Equal(got, want) {
			t.Errorf("%s, %s:\n got %v\nwant %v", c.Format, c.Name, got, want)
		}
	}
}
