package serve

import (
	"strings"
	"testing"
)

const told = `{"model":"actor:latest","messages":[{"role":"user","content":"Hello"}]`

// lines gives the objects of a stream of lines, the last of which is done.
func jsonLines(t *testing.T, stream string) (list []map[string]any) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSuffix(stream, "\n"), "\n") {
		list = append(list, object(t, line))
	}
	for i, o := range list {
		if done := at(t, o, "done"); done != (i == len(list)-1) {
			t.Errorf("line %d of %d: done %v", i, len(list), done)
		}
	}
	return list
}

func TestOllamaChat(t *testing.T) {
	s := play(t, "v3.1", "Hm.</think>"+calls)
	a := s.post("/api/chat", told+`,"stream":false,"options":{"num_predict":500,"repeat_last_n":0,"seed":5}}`)
	if at(t, a, "message", "content") != "Look." || at(t, a, "message", "thinking") != "Hm." || at(t, a, "message", "tool_calls", 0, "function", "arguments", "city") != "Jeju" ||
		at(t, a, "done_reason") != "stop" || at(t, a, "eval_count").(float64) == 0 || at(t, a, "prompt_eval_count").(float64) == 0 || at(t, a, "total_duration").(float64) == 0 {
		t.Errorf("%v", a)
	}
	_, h, stream := s.ask("POST", "/api/chat", told+`}`)
	if h.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("header %v", h)
	}
	var text, thought string
	made := 0
	for _, l := range jsonLines(t, stream) {
		m := at(t, l, "message").(map[string]any)
		text += m["content"].(string)
		more, _ := m["thinking"].(string)
		thought += more
		list, _ := m["tool_calls"].([]any)
		made += len(list)
	}
	if text != "Look." || thought != "Hm." || made != 2 {
		t.Errorf("%q %q %d", text, thought, made)
	}
	// The results of calls, in their order.
	s.post("/api/chat", `{"model":"actor","stream":false,"messages":[{"role":"user","content":"Hello"},{"role":"assistant","content":"","tool_calls":[{"function":{"name":"weather","arguments":{"city":"Jeju"}}}]},{"role":"tool","content":"rain","tool_name":"weather"}]}`)
	if prompt := s.actor.tok.Decode(s.actor.asked[len(s.actor.asked)-1].Tokens, false); !strings.Contains(prompt, "rain") {
		t.Errorf("prompt %q", prompt)
	}
}

func TestOllamaGenerate(t *testing.T) {
	s := play(t, "v3", "a time. Then")
	a := s.post("/api/generate", `{"model":"actor","prompt":"Once","stream":false,"options":{"num_predict":3}}`)
	if at(t, a, "response") != "a t" || at(t, a, "done_reason") != "length" || at(t, a, "eval_count") != 3.0 {
		t.Errorf("%v", a)
	}
	s.post("/api/generate", `{"model":"actor","prompt":"Once","raw":true,"stream":false,"options":{"temperature":0.5,"top_k":3,"repeat_penalty":1.5,"repeat_last_n":-1}}`)
	q := s.actor.asked[1]
	if prompt := s.actor.tok.Decode(q.Tokens, true); prompt != "Once" || q.Temperature != 0.5 || q.TopK != 3 || q.RepetitionPenalty != 1.5 || q.PenaltyWindow != 0 {
		t.Errorf("%q %+v", prompt, q.Sampling)
	}
	_, _, stream := s.ask("POST", "/api/generate", `{"model":"actor","prompt":"Once","system":"Be brief"}`)
	var text string
	for _, l := range jsonLines(t, stream) {
		text += at(t, l, "response").(string)
	}
	if text != "a time. Then" {
		t.Errorf("%q", text)
	}
	if a := s.post("/api/generate", `{"model":"actor"}`); at(t, a, "done_reason") != "load" || len(s.actor.asked) != 3 {
		t.Errorf("%v", a)
	}
}

func TestOllamaModels(t *testing.T) {
	s := play(t, "v3.1", "ok")
	_, _, text := s.ask("GET", "/api/tags", "")
	want := `{"models":[{"name":"actor","model":"actor","modified_at":"2023-11-14T22:13:20Z","size":98000000,"digest":"` + strings.Repeat("ab", 32) +
		`","details":{"parent_model":"","format":"gguf","family":"llama","families":["llama"],"parameter_size":"135.0M","quantization_level":"Q4_1"}}]}` + "\n"
	if text != want {
		t.Errorf("%s", text)
	}
	a := s.post("/api/show", `{"model":"actor"}`)
	if at(t, a, "model_info", "llama.context_length") != 2048.0 || !strings.Contains(text, "Q4_1") || at(t, a, "capabilities", 1) != "tools" || at(t, a, "capabilities", 2) != "thinking" {
		t.Errorf("%v", a)
	}
	if _, _, text := s.ask("GET", "/api/version", ""); text != `{"version":"`+ollamaVersion+"\"}\n" {
		t.Errorf("%s", text)
	}
	if _, _, text := s.ask("GET", "/", ""); text != "Ollama is running" {
		t.Errorf("%s", text)
	}
	if _, _, text := s.ask("GET", "/api/ps", ""); at(t, object(t, text), "models", 0, "name") != "actor" {
		t.Errorf("%s", text)
	}
}

func TestOllamaRefusals(t *testing.T) {
	s := play(t, "v3", "ok")
	for _, c := range []struct {
		path, body string
		status     int
	}{
		{"/api/chat", ``, 400},
		{"/api/chat", `{"messages":[{"role":"user","content":"x"}]}`, 400},
		{"/api/chat", `{"model":"gone","messages":[{"role":"user","content":"x"}]}`, 404},
		{"/api/chat", `{"model":"actor","messages":[{"role":"king","content":"x"}]}`, 400},
		{"/api/chat", `{"model":"actor","messages":[{"role":"tool","content":"x"}]}`, 400},
		{"/api/chat", `{"model":"actor","messages":[{"role":"user","content":"x","images":["eA=="]}]}`, 501},
		{"/api/chat", told + `,"format":"xml"}`, 400},
		{"/api/chat", told + `,"think":true}`, 400},
		{"/api/chat", told + `,"options":{"temperature":-1}}`, 400},
		{"/api/generate", `{"model":"actor","prompt":"x","template":"{{ .Prompt }}"}`, 501},
		{"/api/generate", `{"model":"actor","prompt":"x","context":[1]}`, 501},
		{"/api/show", `{}`, 400},
		{"/api/show", `{"model":"gone"}`, 404},
		{"/api/pull", `{"model":"x"}`, 404},
	} {
		if status, e := s.refused(c.path, c.body); status != c.status || at(t, e, "error").(string) == "" || len(e) != 1 {
			t.Errorf("%s %.60s: %d %v", c.path, c.body, status, e)
		}
	}
}
