package serve

import (
	"fmt"
	"strings"
	"testing"
)

const ask = `{"model":"claude-of-tomorrow","max_tokens":500,"messages":[{"role":"user","content":"Hello"}]`

func TestMessagesAnswer(t *testing.T) {
	s := play(t, "v3.1", "Hm.</think>"+calls)
	a := s.post("/v1/messages", ask+`,"thinking":{"type":"enabled","budget_tokens":1024},"tools":[{"name":"weather","input_schema":{"type":"object"}}]}`)
	for i, want := range []string{"thinking", "text", "tool_use", "tool_use"} {
		if got := at(t, a, "content", i, "type"); got != want {
			t.Errorf("block %d: %v", i, got)
		}
	}
	if at(t, a, "content", 0, "thinking") != "Hm." || at(t, a, "content", 1, "text") != "Look." || at(t, a, "content", 2, "input", "city") != "Jeju" ||
		!strings.HasPrefix(at(t, a, "content", 2, "id").(string), "toolu_") || at(t, a, "stop_reason") != "tool_use" || at(t, a, "model") != "actor" {
		t.Errorf("%v", a)
	}
	n := s.post("/v1/messages/count_tokens", `{"messages":[{"role":"user","content":"Hello"}],"thinking":{"type":"adaptive"},"tools":[{"name":"weather","input_schema":{"type":"object"}}]}`)
	if at(t, n, "input_tokens").(float64) != at(t, a, "usage", "input_tokens").(float64)+at(t, a, "usage", "cache_read_input_tokens").(float64) {
		t.Errorf("counted %v, used %v", n, at(t, a, "usage"))
	}
}

func TestMessagesStreamBytes(t *testing.T) {
	s := play(t, "v3.1", "So</think>Hi")
	_, h, got := s.ask("POST", "/anthropic/v1/messages", ask+`,"stream":true,"thinking":{"type":"enabled"}}`)
	if h.Get("Content-Type") != "text/event-stream" {
		t.Errorf("header %v", h)
	}
	start := object(t, strings.SplitN(events(t, got)[0], "data: ", 2)[1])
	n := int(at(t, start, "message", "usage", "input_tokens").(float64))
	input := func(fresh, read int) string { // which is which is known at the end
		return fmt.Sprintf(`"input_tokens":%d,"cache_creation_input_tokens":0,"cache_read_input_tokens":%d`, fresh, read)
	}
	var want strings.Builder
	for _, e := range [][2]string{
		{"message_start", fmt.Sprintf(`,"message":{"id":%q,"type":"message","role":"assistant","model":"actor","content":[],"stop_reason":null,"stop_sequence":null,"usage":{%s,"output_tokens":0}}}`,
			at(t, start, "message", "id"), input(n, 0))},
		{"content_block_start", `,"index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}`},
		{"content_block_delta", `,"index":0,"delta":{"type":"thinking_delta","thinking":"S"}}`},
		{"content_block_delta", `,"index":0,"delta":{"type":"thinking_delta","thinking":"o"}}`},
		{"content_block_delta", `,"index":0,"delta":{"type":"signature_delta","signature":"` + sign("So") + `"}}`},
		{"content_block_stop", `,"index":0}`},
		{"content_block_start", `,"index":1,"content_block":{"type":"text","text":""}}`},
		{"content_block_delta", `,"index":1,"delta":{"type":"text_delta","text":"H"}}`},
		{"content_block_delta", `,"index":1,"delta":{"type":"text_delta","text":"i"}}`},
		{"content_block_stop", `,"index":1}`},
		{"message_delta", `,"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{` + input(n-n/2, n/2) + `,"output_tokens":5}}`},
		{"message_stop", `}`},
	} {
		fmt.Fprintf(&want, "event: %[1]s\ndata: {\"type\":\"%[1]s\"%[2]s\n\n", e[0], e[1])
	}
	if got != want.String() {
		t.Errorf("got\n%s\nwant\n%s", got, want.String())
	}
}

func TestMessagesStreamCalls(t *testing.T) {
	s := play(t, "v3.1", calls)
	_, _, stream := s.ask("POST", "/v1/messages", ask+`,"stream":true}`)
	var blocks []string
	var arguments string
	for _, e := range events(t, stream) {
		o := object(t, strings.SplitN(e, "data: ", 2)[1])
		switch o["type"] {
		case "content_block_start":
			blocks = append(blocks, at(t, o, "content_block", "type").(string))
		case "content_block_delta":
			if text, ok := at(t, o, "delta").(map[string]any)["partial_json"].(string); ok {
				arguments += text
			}
		case "message_delta":
			blocks = append(blocks, at(t, o, "delta", "stop_reason").(string))
		}
	}
	if fmt.Sprint(blocks) != "[text tool_use tool_use tool_use]" || arguments != `{"city": "Jeju"}{}` {
		t.Errorf("%v %q", blocks, arguments)
	}
}

// What comes back from a client becomes the conversation it was.
func TestMessagesConversation(t *testing.T) {
	s := play(t, "v3.1", "ok")
	a := s.post("/v1/messages", `{"max_tokens":5,"system":[{"type":"text","text":"x-anthropic-billing-header: cch=17\nBe brief."}],"messages":[
		{"role":"user","content":"Hello"},
		{"role":"assistant","content":[{"type":"thinking","thinking":"Hm","signature":"x"},{"type":"redacted_thinking","data":"x"},{"type":"text","text":"Look"},{"type":"tool_use","id":"toolu_1","name":"weather","input":{"city":"Jeju"}}]},
		{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"rain"}]},{"type":"text","text":"And?"}]},
		{"role":"assistant","content":"It"}]}`)
	prompt := s.actor.tok.Decode(s.actor.asked[0].Tokens, false)
	for _, part := range []string{"Be brief.", `{"city":"Jeju"}`, "rain", "And?"} {
		if !strings.Contains(prompt, part) {
			t.Errorf("%q is not in %q", part, prompt)
		}
	}
	if strings.Contains(prompt, "billing") || !strings.HasSuffix(prompt, "It") || at(t, a, "content", 0, "text") != "ok" {
		t.Errorf("prompt %q, answer %v", prompt, a)
	}
}

func TestMessagesStops(t *testing.T) {
	s := play(t, "v3", "one END two")
	a := s.post("/v1/messages", ask+`,"stop_sequences":["END"]}`)
	if at(t, a, "stop_reason") != "stop_sequence" || at(t, a, "stop_sequence") != "END" || at(t, a, "content", 0, "text") != "one " {
		t.Errorf("%v", a)
	}
	a = s.post("/v1/messages", strings.Replace(ask, "500", "2", 1)+`}`)
	if at(t, a, "stop_reason") != "max_tokens" || at(t, a, "usage", "output_tokens") != 2.0 {
		t.Errorf("%v", a)
	}
}

func TestMessagesRefusals(t *testing.T) {
	s := play(t, "v3", "ok")
	for _, c := range []struct {
		body   string
		status int
		typ    string
	}{
		{``, 400, "invalid_request_error"},
		{`{"messages":[{"role":"user","content":"x"}]}`, 400, "invalid_request_error"},
		{`{"max_tokens":5}`, 400, "invalid_request_error"},
		{`{"max_tokens":0,"messages":[{"role":"user","content":"x"}]}`, 400, "invalid_request_error"},
		{`{"max_tokens":5,"messages":[{"role":"king","content":"x"}]}`, 400, "invalid_request_error"},
		{`{"max_tokens":5,"messages":[{"role":"user","content":7}]}`, 400, "invalid_request_error"},
		{`{"max_tokens":5,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"http://127.0.0.1/"}}]}]}`, 501, "api_error"},
		{`{"max_tokens":5,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"none","content":"x"}]}]}`, 400, "invalid_request_error"},
		{ask + `,"tool_choice":{"type":"any"}}`, 400, "invalid_request_error"},
		{ask + `,"tools":[{"type":"web_search_20250305","name":"web_search"}]}`, 501, "api_error"},
		{ask + `,"temperature":1.5}`, 400, "invalid_request_error"},
		{ask + `,"thinking":{"type":"sometimes"}}`, 400, "invalid_request_error"},
		{`{"max_tokens":5,"messages":[{"role":"user","content":"` + strings.Repeat("Hello ", 3000) + `"}]}`, 400, "invalid_request_error"},
	} {
		status, e := s.refused("/v1/messages", c.body)
		if status != c.status || at(t, e, "type") != "error" || at(t, e, "error", "type") != c.typ || at(t, e, "error", "message") == "" || !strings.HasPrefix(at(t, e, "request_id").(string), "req_") {
			t.Errorf("%.60s: %d %v", c.body, status, e)
		}
	}
	if status, _, text := s.ask("GET", "/v1/models", "", "Anthropic-Version", "2023-06-01"); status != 200 || at(t, object(t, text), "data", 0, "type") != "model" {
		t.Errorf("%d %s", status, text)
	}
	if status, _, text := s.ask("POST", "/v1/messages/batches", "{}"); status != 404 || at(t, object(t, text), "error", "type") != "not_found_error" {
		t.Errorf("%d %s", status, text)
	}
}
