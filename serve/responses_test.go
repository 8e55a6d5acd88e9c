package serve

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// asked1 asks for what the actor calls.
const asked1 = `{"input":"Hello","tools":[{"type":"function","name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}]`

// responseEvents reads a stream of the Responses API and checks what all its events must have.
func responseEvents(t *testing.T, stream string) (list []map[string]any) {
	t.Helper()
	for i, e := range events(t, stream) {
		name, text, ok := strings.Cut(e, "\n")
		if !ok {
			t.Fatalf("event %q", e)
		}
		o := object(t, strings.TrimPrefix(text, "data: "))
		if "event: "+o["type"].(string) != name || o["sequence_number"] != float64(i) {
			t.Errorf("event %d: %s %v", i, name, o)
		}
		if strings.Contains(o["type"].(string), ".delta") && (o["item_id"] == nil || o["output_index"] == nil) {
			t.Errorf("a delta of nothing: %v", o)
		}
		list = append(list, o)
	}
	return list
}

func TestResponses(t *testing.T) {
	s := play(t, "v3.1", "Hm.</think>"+calls)
	a := s.post("/v1/responses", asked1+`,"instructions":"Be brief.","metadata":{"k":"v"}}`)
	if a["object"] != "response" || a["status"] != "completed" || a["store"] != false || at(t, a, "metadata", "k") != "v" {
		t.Errorf("%v", a)
	}
	if at(t, a, "output", 0, "type") != "reasoning" || at(t, a, "output", 0, "summary", 0, "text") != "Hm." ||
		at(t, a, "output", 1, "content", 0, "text") != "Look." || at(t, a, "output", 2, "name") != "weather" ||
		at(t, a, "output", 2, "arguments") != `{"city": "Jeju"}` || at(t, a, "output", 3, "arguments") != "{}" {
		t.Errorf("%v", a["output"])
	}
	if u := a["usage"].(map[string]any); u["input_tokens"].(float64)+u["output_tokens"].(float64) != u["total_tokens"] || at(t, u, "output_tokens_details", "reasoning_tokens") == 0.0 {
		t.Errorf("%v", u)
	}

	_, h, stream := s.ask("POST", "/responses", asked1+`,"stream":true}`)
	if h.Get("Content-Type") != "text/event-stream" || strings.Contains(stream, "[DONE]") {
		t.Errorf("%v %s", h, stream)
	}
	var kinds []string
	for _, e := range responseEvents(t, stream) {
		if kind := strings.TrimPrefix(e["type"].(string), "response."); len(kinds) == 0 || kinds[len(kinds)-1] != kind {
			kinds = append(kinds, kind)
		}
	}
	want := []string{"created", "in_progress",
		"output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta", "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done",
		"output_item.added", "content_part.added", "output_text.delta", "output_text.done", "content_part.done", "output_item.done",
		"output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
		"output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done", "completed"}
	if !slices.Equal(kinds, want) {
		t.Errorf("events\n%q\nwant\n%q", kinds, want)
	}
	all := responseEvents(t, stream)
	if last := all[len(all)-1]; len(at(t, last, "response", "output").([]any)) != 4 || at(t, last, "response", "usage", "total_tokens") == 0.0 {
		t.Errorf("%v", last)
	}

	// The next turn, as Codex sends it: the visible items alone.
	id := at(t, a, "output", 2, "call_id").(string)
	s.post("/v1/responses", fmt.Sprintf(`{"input":[{"role":"user","content":[{"type":"input_text","text":"Hello"}]},`+
		`{"type":"function_call","call_id":%[1]q,"name":"weather","arguments":"{}"},{"type":"function_call_output","call_id":%[1]q,"output":"rain"}]}`, id))
	if prompt := s.actor.tok.Decode(s.actor.asked[len(s.actor.asked)-1].Tokens, false); !strings.Contains(prompt, "rain") || !strings.Contains(prompt, "weather") {
		t.Errorf("prompt %q", prompt)
	}
}

// A custom tool takes any text, which the model gives as the argument of a function.
func TestResponsesCustomTool(t *testing.T) {
	s := play(t, "v3.1", "</think><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>patch<｜tool▁sep｜>{\"input\": \"a\\nb\"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>")
	body := `{"input":"Hello","tools":[{"type":"custom","name":"patch"},{"type":"web_search"}]`
	a := s.post("/v1/responses", body+"}")
	if call := at(t, a, "output", 0); at(t, call, "type") != "custom_tool_call" || at(t, call, "input") != "a\nb" {
		t.Errorf("%v", a)
	}
	_, _, stream := s.ask("POST", "/v1/responses", body+`,"stream":true}`)
	var input string
	for _, e := range responseEvents(t, stream) {
		if e["type"] == "response.custom_tool_call_input.delta" {
			input += e["delta"].(string)
		}
	}
	if input != "a\nb" {
		t.Errorf("%q in %s", input, stream)
	}
}

func TestResponsesEnds(t *testing.T) {
	s := play(t, "v3", strings.Repeat("Hello ", 50))
	a := s.post("/v1/responses", `{"input":"Hello","max_output_tokens":3}`)
	if a["status"] != "incomplete" || at(t, a, "incomplete_details", "reason") != "max_output_tokens" || at(t, a, "usage", "output_tokens") != 3.0 {
		t.Errorf("%v", a)
	}
	_, _, stream := s.ask("POST", "/v1/responses", `{"input":"Hello","max_output_tokens":3,"stream":true}`)
	if all := responseEvents(t, stream); all[len(all)-1]["type"] != "response.incomplete" {
		t.Errorf("%s", stream)
	}
	s = play(t, "v3", "")
	if a := s.post("/v1/responses", `{"input":[{"role":"user","content":"Hello"}]}`); at(t, a, "output", 0, "content", 0, "text") != "" {
		t.Errorf("%v", a)
	}
	_, _, stream = s.ask("POST", "/v1/responses", `{"input":"Hello","stream":true}`)
	if all := responseEvents(t, stream); all[len(all)-1]["type"] != "response.completed" || len(at(t, all[len(all)-1], "response", "output").([]any)) != 1 {
		t.Errorf("%s", stream)
	}
	for _, c := range []struct {
		body   string
		status int
		of     string
	}{
		{`{}`, 400, "input"}, {`{"input":[]}`, 400, "input"}, {`{"input":7}`, 400, "input"}, {`{"input":[{"role":"king","content":"x"}]}`, 400, "input"},
		{`{"input":[{"type":"function_call_output","output":"x"}]}`, 400, "input"},
		{`{"input":[{"type":"function_call_output","call_id":"made up","output":"x"}]}`, 400, "messages"},
		{`{"input":[{"role":"user","content":[{"type":"input_image","image_url":"http://x"}]}]}`, 501, "input"},
		{`{"input":[{"type":"item_reference","id":"x"}]}`, 501, "input"}, {`{"input":"x","previous_response_id":"y"}`, 501, "previous_response_id"},
		{`{"input":"x","background":true}`, 501, "background"}, {`{"input":"x","tools":[{"type":"mcp"}]}`, 501, "tools"},
		{`{"input":"x","tools":[{"type":"function"}]}`, 400, "tools"}, {`{"input":"x","temperature":3}`, 400, "temperature"},
		{`{"input":"x","max_output_tokens":0}`, 400, "max_output_tokens"}, {`{"input":"x","reasoning":{"effort":"vast"}}`, 400, "reasoning"},
		{`{"input":"x","tool_choice":"required"}`, 400, "tool_choice"}, {`{"input":"x","text":{"format":{"type":"poem"}}}`, 400, "text"},
	} {
		if status, e := s.refused("/v1/responses", c.body); status != c.status || at(t, e, "error", "param") != c.of {
			t.Errorf("%s: %d %v", c.body, status, e)
		}
	}
}
