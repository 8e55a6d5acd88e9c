package chat

// Replies, whole and cut everywhere.

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// parse reads a reply in the pieces given.
func parse(f *Format, prompt []Segment, pieces ...string) []Event {
	p := f.Parser(prompt)
	var events []Event
	for _, s := range pieces {
		events = append(events, p.Push(s)...)
	}
	return joined(append(events, p.Close()...))
}

// joined puts the deltas of one thing together, as a piece of any length gives them.
func joined(events []Event) (list []Event) {
	for _, e := range events {
		n := len(list)
		if n > 0 && list[n-1].Kind == e.Kind && list[n-1].Index == e.Index && (e.Kind == ReasoningDelta || e.Kind == ContentDelta || e.Kind == CallArguments) {
			list[n-1].Text += e.Text
			continue
		}
		list = append(list, e)
	}
	return list
}

// collect gives the message of a reply, and what was malformed or unusable in it.
func collect(events []Event) (m Message, wrong []error) {
	m.Role = Assistant
	for _, e := range events {
		m.Add(e)
		if e.Err != nil {
			wrong = append(wrong, e.Err)
		}
	}
	for i := range m.ToolCalls {
		m.ToolCalls[i].ID = ""
	}
	return m, wrong
}

func formats(t testing.TB) map[string]*Format {
	t.Helper()
	tok, all := newTokenizer(t, familyTokens), map[string]*Format{}
	for _, name := range Names() {
		h := Hints{Format: name}
		if name == "jinja" {
			h.Template = "<think> <tool_call> arguments {{ messages[0].content }}"
		}
		all[name] = detect(t, tok, h)
	}
	return all
}

func call(name, arguments string) ToolCall { return ToolCall{Name: name, Arguments: arguments} }

const (
	v32Block = "<｜DSML｜function_calls>\n"
	v4Block  = "<｜DSML｜tool_calls>\n"
)

func invoke(name, parameters string) string {
	return "<｜DSML｜invoke name=\"" + name + "\">\n" + parameters + "</｜DSML｜invoke>\n"
}

func parameter(key, isString, value string) string {
	return "<｜DSML｜parameter name=\"" + key + "\" string=\"" + isString + "\">" + value + "</｜DSML｜parameter>\n"
}

type reply struct {
	name, format string
	thinking     bool // the prompt ends in <think>
	text         string
	want         Message
	wrong        []error
}

func fenced(name, arguments string) string {
	return callBegin + "function" + callSep + name + "\n```json\n" + arguments + "\n```" + callEnd
}

func bare(name, arguments string) string { return callBegin + name + callSep + arguments + callEnd }

// replies is what models say, well and badly.
var replies = []reply{
	{name: "plain", format: "v3", text: "Hi <b>there</b> < <｜ </think>", want: Message{Content: "Hi <b>there</b> < <｜ </think>"}, wrong: nil},
	{name: "the space of LLM", format: "llm", text: "  Hi", want: Message{Content: " Hi"}},
	{name: "the newline of Coder", format: "coder", text: "x\n\n", want: Message{Content: "x\n"}},
	{name: "the end of Coder", format: "coder", text: "x\n<|EOT|>\n### In", want: Message{Content: "x"}},
	{name: "no thought to be had", format: "llm", text: "<think>a</think>b", want: Message{Content: "<think>a</think>b"}},
	{name: "R1", format: "r1", thinking: true, text: "hm\n</think>\n\nHi", want: Message{Reasoning: "hm\n", Content: "\n\nHi"}},
	{name: "R1 begins again", format: "r1", thinking: true, text: "<think>hm</think>Hi", want: Message{Reasoning: "hm", Content: "Hi"}},
	{name: "R1-0528", format: "r1-0528", text: "<think>\nhm</think>Hi", want: Message{Reasoning: "\nhm", Content: "Hi"}},
	{name: "a line before thought", format: "jinja", text: " \n<think>\nhm</think>Hi", want: Message{Reasoning: "\nhm", Content: "Hi"}},
	{name: "lines before none", format: "v3.1", text: "\n\n<b>", want: Message{Content: "\n\n<b>"}},
	{name: "R1-0528 without thought", format: "r1-0528", text: "<thin ice", want: Message{Content: "<thin ice"}},
	{name: "thought without end", format: "v3.1", thinking: true, text: "hm </thi", want: Message{Reasoning: "hm </thi"}},
	{name: "talk about thought", format: "v3.1", text: "Use <think> and </think>.", want: Message{Content: "Use <think> and </think>."}},
	{name: "after the end", format: "v3.1", text: "Hi" + eosToken + "more", want: Message{Content: "Hi"}},

	{name: "a call", format: "v3", text: "Well." + callsBegin + fenced("f", `{"a": 1}`) + callsEnd + eosToken,
		want: Message{Content: "Well.", ToolCalls: []ToolCall{call("f", `{"a": 1}`)}}},
	{name: "two calls", format: "r1", thinking: true, text: "hm</think>" + callsBegin + fenced("f", "{}") + "\n" + fenced("g", "{\n}") + callsEnd + "\n",
		want: Message{Reasoning: "hm", ToolCalls: []ToolCall{call("f", "{}"), call("g", "{\n}")}}},
	{name: "a call in thought", format: "r1", thinking: true, text: "hm" + callsBegin + fenced("f", "{}"),
		want: Message{Reasoning: "hm", ToolCalls: []ToolCall{call("f", "{}")}}},
	{name: "no fence", format: "v3", text: callsBegin + callBegin + "function" + callSep + "f\n{\"a\": \"`\"}" + callEnd + callsEnd,
		want: Message{ToolCalls: []ToolCall{call("f", "{\"a\": \"`\"}")}}},
	{name: "no arguments", format: "v3.1", text: callsBegin + bare("f", "") + callsEnd, want: Message{ToolCalls: []ToolCall{call("f", "{}")}}},
	{name: "V3.1", format: "v3.1", text: "ok" + callsBegin + bare("f", `{"a":"b"}`) + bare("g", "{}") + callsEnd,
		want: Message{Content: "ok", ToolCalls: []ToolCall{call("f", `{"a":"b"}`), call("g", "{}")}}},
	{name: "never closed", format: "v3.1", text: callsBegin + callBegin + "f" + callSep + "{}" + callsEnd, want: Message{ToolCalls: []ToolCall{call("f", "{}")}}},
	{name: "one in the other", format: "v3.1", text: callsBegin + callBegin + "f" + callSep + "{}" + bare("g", "{}") + callsEnd,
		want: Message{ToolCalls: []ToolCall{call("f", "{}"), call("g", "{}")}}},
	{name: "not JSON", format: "v3.1", text: callsBegin + bare("f", "{oops}") + callsEnd,
		want: Message{Content: "f {oops}"}, wrong: []error{errArguments}},
	{name: "a list", format: "v3", text: callsBegin + fenced("f", "[1]") + callsEnd, want: Message{Content: "f [1]"}, wrong: []error{errArguments}},
	{name: "cut in arguments", format: "v3", text: callsBegin + callBegin + "function" + callSep + "f\n```json\n{\"a\": \n``",
		want: Message{Content: `f {"a": `}, wrong: []error{errArguments}},
	{name: "cut in the fence", format: "v3", text: callsBegin + callBegin + "function" + callSep + "f\n```js",
		want: Message{Content: "f "}, wrong: []error{errArguments}},
	{name: "cut in the name", format: "v3.1", text: "x" + callsBegin + callBegin + "get_wea", want: Message{Content: "x" + callBegin + "get_wea"}, wrong: []error{errCut}},
	{name: "no name", format: "v3", text: callsBegin + callBegin + "what?" + callEnd + fenced("f", "{}") + callsEnd,
		want: Message{Content: callBegin + "what?", ToolCalls: []ToolCall{call("f", "{}")}}, wrong: []error{errNoCall}},
	{name: "words between calls", format: "v3.1", text: callsBegin + "hm" + bare("f", "{}") + " and " + callsEnd + " so ",
		want: Message{Content: "hm and  so ", ToolCalls: []ToolCall{call("f", "{}")}}, wrong: []error{errNoCall, errNoCall}},
	{name: "words after calls", format: "v3.1", text: callsBegin + bare("f", "{}") + callsEnd + "\n\nSo.", want: Message{Content: "\n\nSo.", ToolCalls: []ToolCall{call("f", "{}")}}},
	{name: "two blocks", format: "v3.1", text: callsBegin + bare("f", "{}") + callsEnd + "\n" + callsBegin + bare("g", "{}") + callsEnd,
		want: Message{ToolCalls: []ToolCall{call("f", "{}"), call("g", "{}")}}},

	{name: "V3.2", format: "v3.2", thinking: true, text: "hm</think>Look.\n\n" + v32Block + invoke("f", parameter("s", "true", "a \"b\"\n\\ é")+parameter("n", "false", "[1, 2.50]")) + "</｜DSML｜function_calls>" + eosToken,
		want: Message{Reasoning: "hm", Content: "Look.", ToolCalls: []ToolCall{call("f", `{"s": "a \"b\"\n\\ é", "n": [1, 2.50]}`)}}},
	{name: "V4", format: "v4", text: "\n\n\n" + v4Block + invoke("f", "\n") + invoke("g", parameter("a", "true", "")) + "</｜DSML｜tool_calls>",
		want: Message{Content: "\n", ToolCalls: []ToolCall{call("f", "{}"), call("g", `{"a": ""}`)}}},
	{name: "V4 in thought", format: "v4", thinking: true, text: "hm\n\n" + v4Block + invoke("f", "") + "</｜DSML｜tool_calls>",
		want: Message{Reasoning: "hm", ToolCalls: []ToolCall{call("f", "{}")}}},
	{name: "the block of another generation", format: "v4", text: "\n\n" + v32Block, want: Message{Content: "\n\n" + v32Block}},
	{name: "V4.1", format: "v4.1", text: "<｜DSML｜ calls>\n<｜DSML｜ invoke name=\"n::f\">\n<｜DSML｜ parameter name=\"a\" string=\"false\">1</｜DSML｜ parameter>\n</｜DSML｜ invoke>\n</｜DSML｜ calls>",
		want: Message{ToolCalls: []ToolCall{call("n::f", `{"a": 1}`)}}},
	{name: "a string that was called JSON", format: "v4", text: v4Block + invoke("f", parameter("a", "false", "Seoul \"x\"")) + "</｜DSML｜tool_calls>",
		want: Message{ToolCalls: []ToolCall{call("f", `{"a": "Seoul \"x\""}`)}}},
	{name: "twice the same", format: "v4", text: v4Block + invoke("f", parameter("a", "true", "1")+parameter("a", "true", "2")) + "</｜DSML｜tool_calls>",
		want: Message{Content: `f {"a": "1", "a": "2"`}, wrong: []error{errRepeated}},
	{name: "cut in a value", format: "v4", text: v4Block + "<｜DSML｜invoke name=\"f\">\n<｜DSML｜parameter name=\"a\" string=\"true\">Seo</｜DSML",
		want: Message{Content: `f {"a": "Seo`}, wrong: []error{errCut}},
	{name: "cut between parameters", format: "v4", text: v4Block + "<｜DSML｜invoke name=\"f\">\n" + parameter("a", "true", "x"),
		want: Message{Content: `f {"a": "x"`}, wrong: []error{errCut}},
	{name: "cut in the marker", format: "v4", text: "Look.\n\n<｜DSML｜tool", want: Message{Content: "Look.\n\n<｜DSML｜tool"}, wrong: []error{errCut}},
	{name: "a call not closed", format: "v4", text: v4Block + "<｜DSML｜invoke name=\"f\">\n</｜DSML｜tool_calls>",
		want: Message{Content: "f "}, wrong: []error{errCut}},
	{name: "no tag at all", format: "v4", text: v4Block + "f(1)\n</｜DSML｜tool_calls>", want: Message{Content: "\nf(1)\n"}, wrong: []error{errNoCall}},
	{name: "a tag that is none", format: "v4", text: v4Block + "<｜DSML｜invoke name=\"f\n" + parameter("a", "true", "x") + "</｜DSML｜invoke>\n" + invoke("g", "") + "</｜DSML｜tool_calls>",
		want: Message{Content: "<｜DSML｜invoke name=\"f\n" + parameter("a", "true", "x"), ToolCalls: []ToolCall{call("g", "{}")}}, wrong: []error{errNoCall, errNoCall}},

	{name: "Qwen", format: "jinja", text: "Hm.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>\n<tool_call>\n{\"arguments\": \"{}\", \"name\": \"g\"}\n</tool_call>",
		want: Message{Content: "Hm.", ToolCalls: []ToolCall{call("f", `{"a": 1}`), call("g", "{}")}}},
	{name: "Qwen, broken", format: "jinja", text: "<tool_call>\n{\"name\": \n</tool_call>so", want: Message{Content: "<tool_call>\n{\"name\": \nso"}, wrong: []error{errNoCall}},
}

func (r *reply) prompt() []Segment {
	if r.thinking {
		return []Segment{{Text: "q", Control: false}, {Text: assistantToken + thinkToken + "\n", Control: true}}
	}
	return []Segment{{Text: thinkToken, Control: false}, {Text: assistantToken, Control: true}}
}

func TestReplies(t *testing.T) {
	all := formats(t)
	for _, r := range replies {
		m, wrong := collect(parse(all[r.format], r.prompt(), r.text))
		r.want.Role = Assistant
		if !reflect.DeepEqual(m, r.want) || !slices.Equal(wrong, r.wrong) {
			t.Errorf("%s, %s:\n got %+v, %v\nwant %+v, %v", r.format, r.name, m, wrong, r.want, r.wrong)
		}
	}
}

// TestEveryCut cuts every reply at every place: in two, in single bytes, and off. The events stay the same, what came
// before the cut is never taken back, and nothing but the rest of a marker is missing from a reply that was cut off.
func TestEveryCut(t *testing.T) {
	all := formats(t)
	for _, r := range replies {
		f, prompt := all[r.format], r.prompt()
		whole := parse(f, prompt, r.text)
		if got := parse(f, prompt, characters(r.text)...); !reflect.DeepEqual(got, whole) {
			t.Errorf("%s, %s, in single characters:\n got %+v\nwant %+v", r.format, r.name, got, whole)
		}
		for i := range r.text {
			if got := parse(f, prompt, r.text[:i], r.text[i:]); !reflect.DeepEqual(got, whole) {
				t.Errorf("%s, %s, in two at %d:\n got %+v\nwant %+v", r.format, r.name, i, got, whole)
			}
			checkCutOff(t, f, prompt, r.text, i)
		}
	}
}

func characters(s string) (list []string) {
	for _, r := range s {
		list = append(list, string(r))
	}
	return list
}

// checkCutOff compares a reply that ends at i with the whole one.
func checkCutOff(t *testing.T, f *Format, prompt []Segment, text string, i int) {
	t.Helper()
	p := f.Parser(prompt)
	sure := joined(p.Push(text[:i]))
	cut := joined(append(slices.Clone(sure), p.Close()...))
	whole := parse(f, prompt, text)
	// What was given before the end came holds in the whole too.
	for j, e := range sure {
		if j >= len(whole) || e.Kind != whole[j].Kind || e.Index != whole[j].Index || e.Err != whole[j].Err ||
			!strings.HasPrefix(whole[j].Text, e.Text) || e.Text != whole[j].Text && j < len(sure)-1 {
			t.Errorf("%s: %q gave %+v before the end, which the whole %q does not: %+v", f.Name(), text[:i], e, text, whole)
			return
		}
	}
	for _, e := range cut {
		if e.Kind == ReasoningDelta || e.Kind == ContentDelta || e.Kind == CallArguments {
			for _, marker := range append(slices.Clone(f.calls().starts()), f.Stops()...) {
				if n := strings.IndexFunc(marker, func(r rune) bool { return r == '｜' }); n >= 0 && strings.Contains(e.Text, marker) {
					t.Errorf("%s: %q leaks %q in %+v", f.Name(), text[:i], marker, e)
				}
			}
		}
	}
	started, ended := 0, 0
	for _, e := range cut {
		switch e.Kind {
		case CallStart:
			started++
		case CallEnd:
			ended++
		}
		if (e.Kind == CallStart || e.Kind == CallArguments || e.Kind == CallEnd) && e.Index != started-1 {
			t.Errorf("%s: %q: %+v after %d calls began", f.Name(), text[:i], e, started)
		}
	}
	if started != ended {
		t.Errorf("%s: %q begins %d calls and ends %d", f.Name(), text[:i], started, ended)
	}
	// Where there are no markers, no letter is missing.
	if said := text[:i]; !strings.ContainsAny(said, "｜|") && !strings.Contains(said, "<t") && !strings.Contains(said, "</t") {
		m, _ := collect(cut)
		want := strings.TrimSuffix(strings.TrimPrefix(said, f.kind.lead), f.kind.tail)
		if got := m.Reasoning + m.Content; got != want {
			t.Errorf("%s: %q gives %q, want %q", f.Name(), said, got, want)
		}
	}
}

// writeReply writes what a model would answer, in the words of the format's own encoder.
func (f *Format) writeReply(t testing.TB, m Message, thinking bool) string {
	t.Helper()
	var w writer
	if thinking {
		w.text(m.Reasoning)
		w.control(endThinkToken)
	}
	w.control(f.kind.lead)
	w.text(m.Content)
	switch c := f.calls(); c {
	case noCalls:
	case fencedCalls:
		writeFencedCalls(&w, m.ToolCalls)
	case bareCalls:
		writeBareCalls(&w, m.ToolCalls)
	case taggedCalls:
		for _, c := range m.ToolCalls {
			w.text("\n" + toolCallBegin + "\n{\"name\": " + quote(c.Name) + ", \"arguments\": " + c.Arguments + "}\n" + toolCallEnd)
		}
	default:
		if err := dsmlTags[c].writeCalls(&w, m.ToolCalls); err != nil {
			t.Fatal(err)
		}
	}
	w.control(f.kind.tail)
	return Text(w.prompt)
}

// TestRoundTrip has every format read what it writes: random messages with odd text, in random pieces.
func TestRoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	parts := []string{"a", " ", "\n", "\n\n", "<", "<｜", "｜", "</", "think", ">", "```", "\"", "\\", "é", "漢", "{", "}", "DSML", "\t", "name=\"", "\x01"}
	say := func(n int) string {
		var b strings.Builder
		for range random.IntN(n) {
			b.WriteString(parts[random.IntN(len(parts))])
		}
		return b.String()
	}
	for name, f := range formats(t) {
		for range 400 {
			m := Message{Role: Assistant, Content: say(8)}
			thinking := f.Thinking() != NeverThinks && random.IntN(2) == 0
			if thinking {
				m.Reasoning = say(8)
			}
			for range random.IntN(3) {
				if f.calls() == noCalls {
					break
				}
				arguments := map[string]any{}
				for range random.IntN(3) {
					arguments["k"+strings.NewReplacer("\x01", "", "\"", "'", "｜", "|").Replace(say(3))] = []any{say(6), 1.5, nil, true, []any{say(4)}}[random.IntN(5)]
				}
				raw, err := json.Marshal(arguments)
				if err != nil {
					t.Fatal(err)
				}
				text, err := dumps(raw)
				if err != nil {
					t.Fatal(err)
				}
				m.ToolCalls = append(m.ToolCalls, call([]string{"f", "get_weather", "a.b-c"}[random.IntN(3)], text))
			}
			text := f.writeReply(t, m, thinking)
			if bad := m.Reasoning + "\x00" + m.Content; strings.Contains(bad, thinkToken) || strings.Contains(bad, endThinkToken) {
				continue // words that mean something else
			}
			if slices.ContainsFunc(append(f.calls().starts(), f.Stops()...), func(marker string) bool {
				n := overlap(m.Content, marker)
				return strings.Contains(m.Content[len(m.Content)-n:], "｜")
			}) {
				continue // it could be a marker that was cut off
			}
			if m.Content != "" && strings.Trim(m.Content, "\n") == "" && len(m.ToolCalls) > 0 && f.calls() == taggedCalls {
				continue // which newlines are whose?
			}
			if f.calls() == taggedCalls && len(m.ToolCalls) > 0 && strings.HasSuffix(m.Content, "\n") {
				continue
			}
			var prompt []Segment
			if thinking {
				prompt = []Segment{{thinkToken, true}}
			}
			got, wrong := collect(parse(f, prompt, pieces(random, text)...))
			if len(wrong) > 0 || !reflect.DeepEqual(got, m) {
				t.Fatalf("%s: %q\n got %+v, %v\nwant %+v", name, text, got, wrong, m)
			}
		}
	}
}

func pieces(random *rand.Rand, s string) (list []string) {
	for _, r := range s {
		if n := len(list); n > 0 && random.IntN(3) > 0 {
			list[n-1] += string(r)
		} else {
			list = append(list, string(r))
		}
	}
	return list
}

// TestLongArgument reads a call of a megabyte, token by token, in both of the ways that hold it back.
func TestLongArgument(t *testing.T) {
	all := formats(t)
	value := "[" + strings.Repeat("1, ", 300_000) + "1]"
	for name, text := range map[string]string{
		"v4":    v4Block + invoke("f", parameter("a", "false", value)) + "</｜DSML｜tool_calls>",
		"jinja": toolCallBegin + `{"name": "f", "arguments": {"a": ` + value + `}}` + toolCallEnd,
	} {
		start := time.Now()
		m, wrong := collect(parse(all[name], nil, characters(text)...))
		if d := time.Since(start); len(wrong) > 0 || len(m.ToolCalls) != 1 || m.ToolCalls[0].Arguments != `{"a": `+value+`}` || d > 20*time.Second {
			t.Errorf("%s: %v, %d calls, in %v", name, wrong, len(m.ToolCalls), d)
		}
	}
}

// TestEndsInThought checks where a reply begins, by the prompts of the formats themselves.
func TestEndsInThought(t *testing.T) {
	all := formats(t)
	said := []Message{{Role: User, Content: "q" + thinkToken}, {Role: Assistant, Content: "a", Reasoning: "r"}, {Role: User, Content: endThinkToken}}
	for name, want := range map[string][2]bool{ // without and with Options.Thinking
		"v3": {false, false}, "r1": {true, true}, "r1-0528": {false, false}, "v3.1": {false, true}, "v3.2": {false, true}, "v4": {false, true}, "v4.1": {false, true},
	} {
		for i, thinking := range []bool{false, true} {
			prompt, err := all[name].Render(said, Options{Thinking: thinking})
			if err != nil {
				t.Fatal(err)
			}
			if got := endsInThought(prompt); got != want[i] {
				t.Errorf("%s, thinking %v: %v, want %v", name, thinking, got, want[i])
			}
		}
	}
}

func FuzzParser(f *testing.F) {
	for _, r := range replies {
		f.Add(r.format, r.thinking, r.text, 7)
	}
	all := formats(f)
	f.Fuzz(func(t *testing.T, name string, thinking bool, text string, cut int) {
		format := all[name]
		if format == nil || len(text) > 1<<12 || strings.ToValidUTF8(text, "") != text {
			return
		}
		r := reply{thinking: thinking}
		whole := parse(format, r.prompt(), text)
		if got := parse(format, r.prompt(), characters(text)...); !reflect.DeepEqual(got, whole) {
			t.Fatalf("%s, %q in characters:\n got %+v\nwant %+v", name, text, got, whole)
		}
		if cut < 0 || cut > len(text) || strings.ToValidUTF8(text[:cut], "") != text[:cut] {
			return
		}
		if got := parse(format, r.prompt(), text[:cut], text[cut:]); !reflect.DeepEqual(got, whole) {
			t.Fatalf("%s, %q cut at %d:\n got %+v\nwant %+v", name, text, cut, got, whole)
		}
		checkCutOff(t, format, r.prompt(), text, cut)
	})
}

func FuzzRender(f *testing.F) {
	for _, c := range promptCases(f) {
		raw, _ := json.Marshal(c.Messages)
		f.Add(c.Format, string(raw), c.Options.Thinking)
	}
	all, tok := formats(f), newTokenizer(f, familyTokens)
	f.Fuzz(func(t *testing.T, name, messages string, thinking bool) {
		format := all[name]
		var wire []wireMessage
		if format == nil || json.Unmarshal([]byte(messages), &wire) != nil {
			return
		}
		var say []Message
		for _, m := range wire {
			say = append(say, m.message())
		}
		prompt, err := format.Render(say, Options{Thinking: thinking})
		if err != nil {
			return
		}
		if got := tok.Decode(Encode(tok, prompt), false); got != strings.ToValidUTF8(Text(prompt), "\ufffd") {
			t.Fatalf("%q comes back as %q", Text(prompt), got)
		}
	})
}
