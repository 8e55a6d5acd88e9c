package chat

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestMessageJSON(t *testing.T) {
	for text, m := range map[string]Message{
		`{"role":"user","content":"<b> & \"q\""}`: {Role: User, Content: `<b> & "q"`},
		`{"role":"assistant","content":"Hi","reasoning_content":"Say hi.","prefix":true}`: {
			Role: Assistant, Content: "Hi", Reasoning: "Say hi.", Prefix: true},
		`{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]}`: {
			Role: Assistant, ToolCalls: []ToolCall{{ID: "c", Name: "f", Arguments: `{"a":1}`}}},
		`{"role":"tool","content":"12","tool_call_id":"c","name":"f"}`: {Role: ToolRole, Content: "12", ToolCallID: "c", Name: "f"},
		`{"role":"user","content":""}`:                                 {Role: User},
	} {
		got, err := json.Marshal(m)
		if plain := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(got)); err != nil || plain != text {
			t.Errorf("%s, %v; want %s", got, err, text)
		}
		var back Message
		if err := json.Unmarshal([]byte(text), &back); err != nil || !reflect.DeepEqual(back, m) {
			t.Errorf("%s: read %+v, %v", text, back, err)
		}
	}
	for _, bad := range []string{`{}`, `{"role":"wizard","content":"x"}`, `{"role":"user","content":["x"]}`, `[]`, `{"role":"assistant","tool_calls":[{"type":"custom"}]}`} {
		if err := json.Unmarshal([]byte(bad), new(Message)); err == nil {
			t.Errorf("accepted %s", bad)
		}
	}
}

// What was read is written so that it reads the same.
func FuzzMessageJSON(f *testing.F) {
	f.Add(`{"role":"developer","content":"x","tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"response_format":{"type":"object"}}`)
	f.Add(`{"role":"assistant","content":null,"reasoning_content":"r","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var m, back Message
		if json.Unmarshal([]byte(text), &m) != nil {
			return
		}
		out, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out, &back); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if again, err := json.Marshal(back); err != nil || string(again) != string(out) {
			t.Errorf("%s, then %s, %v", out, again, err)
		}
	})
}
