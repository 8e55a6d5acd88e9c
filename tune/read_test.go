package tune

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/chat"
)

func writeLines(t testing.TB, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "talk.jsonl")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestShapes(t *testing.T) {
	path := writeLines(t,
		"\ufeff"+`{"messages":[{"role":"system","content":"Be."},{"role":"user","content":[{"type":"text","text":"hi"}]},{"role":"assistant","content":"ho"}]}`,
		"",
		`{"system":"Be.","conversations":[{"from":"human","value":"hi"},{"from":"gpt","value":"ho"},{"from":"human","value":"left out"}]}`,
		`{"system":"Be.","instruction":"hi","input":"","output":"ho"}`,
		`{"instruction":"Add","input":"1 2","output":"3","history":[["a","b"]]}`,
	)
	list, files, err := Read(t.Context(), []string{path})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range list {
		var parts []string
		for _, m := range c.Messages {
			parts = append(parts, string(m.Role)+" "+m.Content)
		}
		got = append(got, strings.Join(parts, "|"))
	}
	const same = "system Be.|user hi|assistant ho"
	want := []string{same, same, same, "user a|assistant b|user Add\n\n1 2|assistant 3"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
	if list[1].Line != 3 || files[0].Records != 4 || len(files[0].SHA256) != 64 {
		t.Errorf("line %d, file %+v", list[1].Line, files[0])
	}
}

func TestConversationsAreRefused(t *testing.T) {
	const ask, answer = `{"role":"user","content":"hi"}`, `{"role":"assistant","content":"ho"}`
	messages := func(list ...string) string { return `{"messages":[` + strings.Join(list, ",") + `]}` }
	for _, c := range []struct{ line, says string }{
		{`{"messages":[`, "broken JSON"},
		{`[1]`, "a JSON array, where an object is wanted"},
		{`null`, "null, where an object is wanted"},
		{`{"text":"x"}`, `none of the fields "messages"`},
		{`{"messages":7}`, "messages: not a list"},
		{messages(), "messages: the conversation is empty"},
		{messages(`{"content":"x"}`), "messages[0]: a message has no role"},
		{messages(ask, `{"role":"dolphin","content":"x"}`), `messages[1]: a message has the role "dolphin"`},
		{messages(ask, `{"role":"assistant","content":7}`), "messages[1]: the content of a message is neither"},
		{messages(ask), "no answer of the assistant"},
		{messages(answer, ask), "messages[0].role: the conversation begins with an answer"},
		{messages(ask, answer, answer), `messages[2].role: "assistant" follows "assistant"`},
		{messages(ask, ask, answer), `messages[1].role: "user" follows "user"`},
		{messages(ask, `{"role":"system","content":"x"}`, answer), "messages[1].role: a system message stands at the beginning"},
		{messages(ask, answer, `{"role":"tool","content":"x"}`, answer), "messages[2].role: the result of a call"},
		{messages(`{"role":"user","content":""}`, answer), "messages[0].content: empty"},
		{messages(ask, `{"role":"assistant","content":""}`), "messages[1].content: the answer is empty"},
		{messages(ask, `{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"[1]"}}]}`), "messages[1].tool_calls[0].function.arguments"},
		{messages(ask, `{"role":"assistant","content":"x","weight":0.5}`), "messages[1].weight"},
		{messages(ask, `{"role":"assistant","content":"x","weight":0}`), "every answer has weight 0"},
		{`{"messages":[` + ask + `,` + answer + `],"tools":[{}]}`, "tools: a tool has no name"},
		{`{"conversations":[{"from":"whale","value":"x"}]}`, `conversations[0].from: "whale"`},
		{`{"conversations":[{"from":"human","value":1}]}`, "conversations[0].value: not a text"},
		{`{"instruction":"x","output":""}`, "messages[1].content: the answer is empty"},
		{`{"instruction":1,"output":""}`, "instruction: not a text"},
	} {
		path := writeLines(t, `{"instruction":"x","output":"y"}`, c.line)
		_, _, err := Read(t.Context(), []string{path})
		if err == nil || !strings.Contains(err.Error(), "line 2: ") || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want line 2 and %q", c.line, err, c.says)
		}
	}
	for path, says := range map[string]string{writeLines(t, "", ""): "holds no conversation", t.TempDir(): "is a directory", "nowhere.jsonl": "nowhere.jsonl"} {
		if _, _, err := Read(t.Context(), []string{path}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestPairs(t *testing.T) {
	path := writeLines(t,
		`{"prompt":"hi","chosen":"ho","rejected":"no"}`,
		`{"prompt":[{"role":"user","content":"hi"}],"chosen":[{"role":"assistant","content":"ho"}],"rejected":{"role":"assistant","content":"no"}}`,
		`{"chosen":[{"role":"user","content":"hi"},{"role":"assistant","content":"ho"}],"rejected":[{"role":"user","content":"hi"},{"role":"assistant","content":"no"}]}`,
		`{"input":{"messages":[{"role":"user","content":"hi"}]},"preferred_output":[{"role":"assistant","content":"ho"}],"non_preferred_output":[{"role":"assistant","content":"no"}]}`,
	)
	list, _, err := ReadPairs(t.Context(), []string{path})
	if err != nil {
		t.Fatal(err)
	}
	tok := byteTokenizer(t)
	examples, err := encodePairs(t.Context(), tok, formatOf(t, tok, chat.Hints{Format: "v3"}), list, 64)
	one := "^U:hiA:⟦ho$⟧ & ^U:hiA:⟦no$⟧"
	if got, want := show(tok, examples), strings.Join([]string{one, one, one, one}, " & "); err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	for line, says := range map[string]string{
		`{"prompt":"hi","chosen":"ho"}`:                                            "rejected: missing or empty",
		`{"prompt":"hi","chosen":"ho","rejected":"ho"}`:                            "equal",
		`{"chosen":"ho","rejected":"no"}`:                                          "begins with an answer",
		`{"prompt":"hi","chosen":[{"role":"user","content":"x"}],"rejected":"no"}`: "not an answer of the assistant",
		`{"prompt":7,"chosen":"ho","rejected":"no"}`:                               "prompt: not a list of messages",
		`{"input":7,"preferred_output":"ho","non_preferred_output":"no"}`:          "input: a JSON number",
		`{"chosen":[{"role":"user","content":"x"},{"role":"assistant","content":"ho"}],"rejected":[{"role":"user","content":"y"},{"role":"assistant","content":"no"}]}`: "differ before their last answer",
	} {
		if _, _, err := ReadPairs(t.Context(), []string{writeLines(t, line)}); err == nil || !strings.Contains(err.Error(), "line 1: ") || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", line, err, says)
		}
	}
}

// Nothing that a line can say makes the program fall over, and what is taken can be encoded or is refused with an error.
func FuzzLines(f *testing.F) {
	for _, s := range []string{
		`{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"ho","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}],"tools":"[]"}`,
		`{"conversations":[{"from":"human","value":"hi"},{"from":"gpt","value":"ho"}]}`,
		`{"instruction":"a","input":"b","output":"c","history":[["d","e"]]}`,
		`{"prompt":"hi","chosen":"ho","rejected":"no"}`,
		`{"input":{"messages":[]},"preferred_output":null}`,
	} {
		f.Add([]byte(s))
	}
	tok := byteTokenizer(f)
	format := formatOf(f, tok, chat.Hints{Format: "v3.2"})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if c, err := parseConversation(raw); err == nil && c.check() == nil {
			list, err := Encode(tok, format, &c)
			for _, e := range list {
				if err == nil && (len(e.Tokens) != len(e.Answer) || e.answers() == 0) {
					t.Errorf("%s: a sequence of %d tokens, %d of them learned", raw, len(e.Tokens), e.answers())
				}
			}
		}
		if p, err := parsePair(raw); err == nil {
			encodePairs(t.Context(), tok, format, []Pair{p}, 64)
		}
	})
}
