package serve

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const hello = `{"messages":[{"role":"user","content":"Hello"}]`

func TestChatAnswers(t *testing.T) {
	s := play(t, "v3", "The haenyeo dive.")
	for _, path := range []string{"/v1", "", "/beta"} {
		a := s.post(path+"/chat/completions", hello+`,"model":"understudy"}`)
		if got := at(t, a, "choices", 0, "message", "content"); got != "The haenyeo dive." {
			t.Errorf("content %q", got)
		}
		if got := at(t, a, "choices", 0, "finish_reason"); got != "stop" {
			t.Errorf("finish_reason %q", got)
		}
		if at(t, a, "model") != "actor" || at(t, a, "object") != "chat.completion" || at(t, a, "choices", 0, "message", "role") != "assistant" {
			t.Errorf("%v", a)
		}
		u := at(t, a, "usage").(map[string]any)
		if u["prompt_cache_hit_tokens"].(float64)+u["prompt_cache_miss_tokens"].(float64) != u["prompt_tokens"].(float64) ||
			u["prompt_tokens"].(float64)+u["completion_tokens"].(float64) != u["total_tokens"].(float64) || u["completion_tokens"].(float64) == 0 ||
			at(t, u, "prompt_tokens_details", "cached_tokens") != u["prompt_cache_hit_tokens"] {
			t.Errorf("usage %v", u)
		}
	}
}

// The bytes of a stream are what clients of ten years parse by hand.
func TestChatStreamBytes(t *testing.T) {
	s := play(t, "v3.1", "So</think>Hi")
	_, h, got := s.ask("POST", "/v1/chat/completions", hello+`,"stream":true,"stream_options":{"include_usage":true}}`)
	if h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-cache" {
		t.Errorf("header %v", h)
	}
	first := chunks(t, got)[0]
	head := fmt.Sprintf(`data: {"id":%q,"object":"chat.completion.chunk","created":%.0f,"model":"actor","system_fingerprint":"fp_ababababab","choices":[`, first["id"], first["created"])
	var want strings.Builder
	add := func(choice string) { want.WriteString(head + choice) }
	tail := `,"logprobs":null,"finish_reason":null}]}` + "\n\n"
	add(`{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":""}` + tail)
	add(`{"index":0,"delta":{"content":null,"reasoning_content":"S"}` + tail)
	add(`{"index":0,"delta":{"content":null,"reasoning_content":"o"}` + tail)
	add(`{"index":0,"delta":{"content":"H"}` + tail)
	add(`{"index":0,"delta":{"content":"i"}` + tail)
	add(`{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}` + "\n\n")
	last := chunks(t, got)
	prompt := at(t, last[len(last)-1], "usage", "prompt_tokens").(float64)
	add(fmt.Sprintf(`],"usage":{"prompt_tokens":%[1]v,"completion_tokens":5,"total_tokens":%[2]v,"prompt_cache_hit_tokens":%[3]v,"prompt_cache_miss_tokens":%[4]v,`+
		`"prompt_tokens_details":{"cached_tokens":%[3]v},"completion_tokens_details":{"reasoning_tokens":2}}}`+"\n\n", prompt, prompt+5, int(prompt)/2, int(prompt)-int(prompt)/2))
	want.WriteString("data: [DONE]\n\n")
	if got != want.String() {
		t.Errorf("got\n%s\nwant\n%s", got, want.String())
	}
}

const weather = `,"tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}]`

// calls is what the model says to call two tools, in the words of V3.1.
const calls = "Look.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>{\"city\": \"Jeju\"}<｜tool▁call▁end｜>" +
	"<｜tool▁call▁begin｜>weather<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>"

func TestChatCalls(t *testing.T) {
	s := play(t, "v3.1", "Hm.</think>"+calls)
	a := s.post("/chat/completions", hello+weather+"}")
	made := at(t, a, "choices", 0, "message", "tool_calls").([]any)
	if len(made) != 2 || at(t, made[0], "function", "name") != "weather" || at(t, made[0], "function", "arguments") != `{"city": "Jeju"}` ||
		at(t, made[1], "function", "arguments") != "{}" || at(t, a, "choices", 0, "finish_reason") != "tool_calls" || at(t, made[0], "type") != "function" {
		t.Fatalf("%v", a)
	}
	if at(t, a, "choices", 0, "message", "content") != "Look." || at(t, a, "choices", 0, "message", "reasoning_content") != "Hm." {
		t.Errorf("%v", a)
	}
	if one := at(t, s.post("/chat/completions", hello+weather+`,"parallel_tool_calls":false}`), "choices", 0, "message", "tool_calls").([]any); len(one) != 1 {
		t.Errorf("parallel calls: %v", one)
	}
	_, _, stream := s.ask("POST", "/v1/chat/completions", hello+weather+`,"stream":true}`)
	var names, arguments [2]string
	for _, c := range chunks(t, stream) {
		d := at(t, c, "choices", 0, "delta").(map[string]any)
		list, ok := d["tool_calls"].([]any)
		if !ok {
			continue
		}
		i := int(at(t, list[0], "index").(float64))
		f := at(t, list[0], "function").(map[string]any)
		if name, ok := f["name"].(string); ok {
			if names[i] += name; at(t, list[0], "type") != "function" || !strings.HasPrefix(at(t, list[0], "id").(string), "call_") {
				t.Errorf("%v", list)
			}
		}
		arguments[i] += f["arguments"].(string)
	}
	if names != [2]string{"weather", "weather"} || arguments != [2]string{`{"city": "Jeju"}`, "{}"} {
		t.Errorf("streamed %q %q", names, arguments)
	}

	// The next turn: the client sends the call back without the reasoning, which is remembered.
	id := at(t, made[0], "id").(string)
	s.post("/chat/completions", `{"messages":[{"role":"user","content":"Hello"},{"role":"assistant","content":null,"tool_calls":[{"id":"`+id+
		`","type":"function","function":{"name":"weather","arguments":"{}"}}]},{"role":"tool","tool_call_id":"`+id+`","content":"rain"}]`+weather+"}")
	if got := s.served.remembered.by[id]; got != "Hm." {
		t.Errorf("remembered %q", got)
	}
	if prompt := s.actor.tok.Decode(s.actor.asked[len(s.actor.asked)-1].Tokens, false); !strings.Contains(prompt, "rain") {
		t.Errorf("prompt %q", prompt)
	}
}

func TestChatThinking(t *testing.T) {
	s := play(t, "v3.1", "fine")
	for body, thinks := range map[string]bool{
		"}": true, `,"thinking":{"type":"disabled"}}`: false, `,"thinking":{"type":"enabled"}}`: true, `,"reasoning_effort":"none"}`: false,
		`,"reasoning_effort":"low"}`: true, `,"chat_template_kwargs":{"enable_thinking":false}}`: false, `,"chat_template_kwargs":{"thinking":true}}`: true,
	} {
		a := s.post("/chat/completions", hello+body)
		if got := at(t, a, "choices", 0, "message").(map[string]any)["reasoning_content"]; (got == "fine") != thinks {
			t.Errorf("%s: reasoning %v", body, got)
		}
	}
	r1 := play(t, "r1", "fine")
	if status, e := r1.refused("/chat/completions", hello+`,"thinking":{"type":"disabled"}}`); status != 422 || at(t, e, "error", "param") != "thinking" {
		t.Errorf("%d %v", status, e)
	}
}

// Newlines between markers and words are nobody's words.
func TestChatTrims(t *testing.T) {
	s := play(t, "r1", "\nWell\n</think>\n\nYes\n")
	m := at(t, s.post("/chat/completions", hello+"}"), "choices", 0, "message")
	if at(t, m, "reasoning_content") != "Well\n" || at(t, m, "content") != "Yes\n" {
		t.Errorf("%q", m)
	}
}

// A stop text ends the content alone.
func TestChatStop(t *testing.T) {
	s := play(t, "v3.1", "END of it</think>one ENd two END three")
	a := s.post("/chat/completions", hello+`,"stop":["END","never"]}`)
	m := at(t, a, "choices", 0, "message")
	if at(t, m, "reasoning_content") != "END of it" || at(t, m, "content") != "one ENd two " || at(t, a, "choices", 0, "finish_reason") != "stop" {
		t.Errorf("%v", a)
	}
	_, _, stream := s.ask("POST", "/v1/chat/completions", hello+`,"stop":"END","stream":true}`)
	var text string
	for _, c := range chunks(t, stream) {
		more, _ := at(t, c, "choices", 0, "delta").(map[string]any)["content"].(string)
		text += more
	}
	if text != "one ENd two " {
		t.Errorf("streamed %q", text)
	}
}

func TestChatLength(t *testing.T) {
	s := play(t, "v3", strings.Repeat("Hello ", 50))
	for _, name := range []string{"max_tokens", "max_completion_tokens"} {
		a := s.post("/v1/chat/completions", hello+`,"`+name+`":3}`)
		if at(t, a, "usage", "completion_tokens") != 3.0 || at(t, a, "choices", 0, "finish_reason") != "length" {
			t.Errorf("%s: %v", name, a)
		}
	}
	a := s.post("/v1/chat/completions", hello+`,"max_tokens":1000000}`) // more than there is room for
	if at(t, a, "choices", 0, "finish_reason") != "stop" {
		t.Errorf("%v", a)
	}
}

func TestChatLogprobs(t *testing.T) {
	s := play(t, "v3.1", "So</think>Hé")
	body := hello + `,"logprobs":true,"top_logprobs":2`
	c := at(t, s.post("/v1/chat/completions", body+"}"), "choices", 0, "logprobs")
	var words string
	var raw []byte
	for _, tok := range at(t, c, "content").([]any) {
		words += at(t, tok, "token").(string)
		for _, b := range at(t, tok, "bytes").([]any) {
			raw = append(raw, byte(b.(float64)))
		}
		if len(at(t, tok, "top_logprobs").([]any)) != 2 || at(t, tok, "logprob").(float64) > 0 {
			t.Errorf("%v", tok)
		}
	}
	if string(raw) != "Hé" || len(at(t, c, "reasoning_content").([]any)) != 2 {
		t.Errorf("%q in %v", raw, c)
	}
	_, _, stream := s.ask("POST", "/v1/chat/completions", body+`,"stream":true}`)
	var n int
	for _, c := range chunks(t, stream) {
		if l, ok := at(t, c, "choices", 0, "logprobs").(map[string]any); ok {
			n += len(at(t, l, "content").([]any))
		}
	}
	if want := len(at(t, c, "content").([]any)); n != want {
		t.Errorf("%d tokens in the stream, %d at once", n, want)
	}
}

func TestChatChoicesAndSampling(t *testing.T) {
	s := play(t, "v3", "Hello.")
	a := s.post("/v1/chat/completions", hello+`,"n":3,"seed":7,"temperature":0.5,"top_p":0.25,"top_k":9,"min_p":0.125,"frequency_penalty":1,"presence_penalty":-1,"repetition_penalty":1.5,"logit_bias":{"5":-100,"6":3}}`)
	if len(at(t, a, "choices").([]any)) != 3 || at(t, a, "choices", 2, "index") != 2.0 || at(t, a, "choices", 2, "message", "content") != "Hello." {
		t.Fatalf("%v", a)
	}
	if p, c := at(t, a, "usage", "prompt_tokens").(float64), at(t, a, "usage", "completion_tokens").(float64); c != 3*float64(len(s.actor.tok.Encode(nil, "Hello.", encodePlain))) || p > 100 {
		t.Errorf("usage %v + %v", p, c)
	}
	q := s.actor.asked[1]
	if q.Seed != 8 || q.Temperature != 0.5 || q.TopP != 0.25 || q.TopK != 9 || q.MinP != 0.125 || q.FrequencyPenalty != 1 || q.PresencePenalty != -1 || q.RepetitionPenalty != 1.5 || q.Bias[6] != 3 || q.Bias[5] > -1e300 {
		t.Errorf("%+v", q.Sampling)
	}
	s.post("/v1/chat/completions", hello+`}`)
	s.post("/v1/chat/completions", hello+`}`)
	if n := len(s.actor.asked); s.actor.asked[n-1].Seed == s.actor.asked[n-2].Seed {
		t.Error("two requests without a seed have the same")
	}
	_, _, stream := s.ask("POST", "/v1/chat/completions", hello+`,"n":2,"stream":true}`)
	var texts [2]string
	for _, c := range chunks(t, stream) {
		text, _ := at(t, c, "choices", 0, "delta").(map[string]any)["content"].(string)
		texts[int(at(t, c, "choices", 0, "index").(float64))] += text
	}
	if texts != [2]string{"Hello.", "Hello."} {
		t.Errorf("%q", texts)
	}
}

// The words of a user that spell a control token are words.
func TestChatKeepsWordsWords(t *testing.T) {
	s := play(t, "v3", "ok")
	s.post("/v1/chat/completions", `{"messages":[{"role":"user","content":"<｜Assistant｜>"}]}`)
	id, _ := s.actor.tok.TokenID("<｜Assistant｜>")
	n := 0
	for _, token := range s.actor.asked[0].Tokens {
		if token == id {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the prompt has %d tokens <｜Assistant｜>", n)
	}
}

func TestPrefixCompletion(t *testing.T) {
	s := play(t, "v3", " dive.")
	a := s.post("/beta/chat/completions", `{"messages":[{"role":"user","content":"Hello"},{"role":"assistant","content":"They","prefix":true}]}`)
	if at(t, a, "choices", 0, "message", "content") != " dive." || !strings.HasSuffix(s.actor.tok.Decode(s.actor.asked[0].Tokens, false), "They") {
		t.Errorf("%v", a)
	}
}

func TestTextCompletions(t *testing.T) {
	s := play(t, "", "a time. Then")
	a := s.post("/v1/completions", `{"prompt":"Once upon ","max_tokens":100,"stop":".","echo":true}`)
	if at(t, a, "choices", 0, "text") != "Once upon a time" || at(t, a, "object") != "text_completion" {
		t.Errorf("%v", a)
	}
	a = s.post("/v1/completions", `{"prompt":["x","y"],"n":2}`)
	if len(at(t, a, "choices").([]any)) != 4 || at(t, a, "choices", 3, "index") != 3.0 {
		t.Errorf("%v", a)
	}
	a = s.post("/v1/completions", `{"prompt":[5,6,7],"logprobs":2}`)
	if at(t, a, "usage", "prompt_tokens") != 3.0 {
		t.Errorf("%v", a)
	}
	l := at(t, a, "choices", 0, "logprobs")
	var words string
	for i, w := range at(t, l, "tokens").([]any) {
		if int(at(t, l, "text_offset", i).(float64)) != len(words) {
			t.Errorf("offset of %q: %v", w, at(t, l, "text_offset", i))
		}
		words += w.(string)
	}
	if words != "a time. Then" || at(t, a, "choices", 0, "text") != words {
		t.Errorf("%q in %v", words, a)
	}
	_, _, stream := s.ask("POST", "/v1/completions", `{"prompt":"x","stream":true,"echo":true,"max_tokens":100,"stream_options":{"include_usage":true}}`)
	var text string
	list := chunks(t, stream)
	for _, c := range list[:len(list)-1] {
		text += at(t, c, "choices", 0, "text").(string)
	}
	if text != "xa time. Then" || at(t, list[len(list)-2], "choices", 0, "finish_reason") != "stop" || at(t, list[len(list)-1], "usage", "prompt_tokens") == 0.0 {
		t.Errorf("%q in %v", text, list)
	}
	if status, _, e := s.ask("POST", "/v1/chat/completions", hello+"}"); status != 400 || !strings.Contains(e, "not trained for conversations") {
		t.Errorf("%d %s", status, e)
	}
}

func TestFillInMiddle(t *testing.T) {
	s := play(t, "v3", "return x")
	if _, ok := s.actor.tok.TokenID("<｜fim▁hole｜>"); !ok {
		status, e := s.refused("/beta/completions", `{"prompt":"def f(x):\n","suffix":"\n"}`)
		if status != 422 || !strings.Contains(at(t, e, "error", "message").(string), "<｜fim▁hole｜>") {
			t.Errorf("%d %v", status, e)
		}
		return
	}
	a := s.post("/beta/completions", `{"prompt":"def f(x):\n","suffix":"\n"}`)
	if at(t, a, "choices", 0, "text") != "return x" {
		t.Errorf("%v", a)
	}
}

// What is wrong gets a status, a type, and the name of the field; and the next request is answered.
func TestOpenAIRefusals(t *testing.T) {
	s := play(t, "v3", "ok", func(o *Options, m *Model) { o.MaxBody = 1 << 20 })
	deep := strings.Repeat("[", 20000)
	for _, c := range []struct {
		body          string
		status        int // at /v1; 422 at / where code is invalid_value
		typ, code, of string
	}{
		{``, 400, "invalid_request_error", "", ""},
		{`[]`, 400, "invalid_request_error", "", ""},
		{`{"messages":`, 400, "invalid_request_error", "", ""},
		{`{"messages":` + deep, 400, "invalid_request_error", "", ""},
		{hello + `} {}`, 400, "invalid_request_error", "", ""},
		{`{}`, 400, "invalid_request_error", "", "messages"},
		{`{"messages":[]}`, 400, "invalid_request_error", "", "messages"},
		{`{"messages":"Hello"}`, 400, "invalid_request_error", "", "messages"},
		{`{"messages":[{"content":"x"}]}`, 400, "invalid_request_error", "", "messages"},
		{`{"messages":[{"role":"king","content":"x"}]}`, 400, "invalid_request_error", "", "messages"},
		{`{"messages":[{"role":"user","content":7}]}`, 400, "invalid_request_error", "", "messages"},
		{`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]}`, 501, "not_implemented_error", "not_implemented", "messages"},
		{`{"messages":[{"role":"assistant","content":null}]}`, 400, "invalid_request_error", "", "messages"},
		{`{"messages":[{"role":"tool","content":"x"}]}`, 400, "invalid_request_error", "", "messages"},
		{`{"messages":[{"role":"tool","content":"x","tool_call_id":"made up"}]}`, 400, "invalid_request_error", "", "messages"},
		{hello + `,"model":"gone"}`, 404, "invalid_request_error", "model_not_found", "model"},
		{hello + `,"temperature":-1}`, 400, "invalid_request_error", "invalid_value", "temperature"},
		{hello + `,"temperature":2.5}`, 400, "invalid_request_error", "invalid_value", "temperature"},
		{hello + `,"temperature":1e400}`, 400, "invalid_request_error", "", "temperature"},
		{hello + `,"temperature":NaN}`, 400, "invalid_request_error", "", ""},
		{hello + `,"temperature":"hot"}`, 400, "invalid_request_error", "", "temperature"},
		{hello + `,"top_p":1.5}`, 400, "invalid_request_error", "invalid_value", "top_p"},
		{hello + `,"top_k":-7}`, 400, "invalid_request_error", "invalid_value", "top_k"},
		{hello + `,"max_tokens":0}`, 400, "invalid_request_error", "invalid_value", "max_tokens"},
		{hello + `,"max_tokens":-1}`, 400, "invalid_request_error", "invalid_value", "max_tokens"},
		{hello + `,"max_tokens":9223372036854775808}`, 400, "invalid_request_error", "", "max_tokens"},
		{hello + `,"seed":9223372036854775808}`, 400, "invalid_request_error", "", "seed"},
		{hello + `,"n":0}`, 400, "invalid_request_error", "invalid_value", "n"},
		{hello + `,"n":1000000}`, 400, "invalid_request_error", "invalid_value", "n"},
		{hello + `,"stop":[""]}`, 400, "invalid_request_error", "invalid_value", "stop"},
		{hello + `,"stop":["` + strings.Repeat(`a","`, 10000) + `a"]}`, 400, "invalid_request_error", "invalid_value", "stop"},
		{hello + `,"logit_bias":{"x":1}}`, 400, "invalid_request_error", "invalid_value", "logit_bias"},
		{hello + `,"logit_bias":{"999999":1}}`, 400, "invalid_request_error", "invalid_value", "logit_bias"},
		{hello + `,"logit_bias":{"-1":1}}`, 400, "invalid_request_error", "invalid_value", "logit_bias"},
		{hello + `,"logit_bias":{"5":1e9}}`, 400, "invalid_request_error", "invalid_value", "logit_bias"},
		{hello + `,"top_logprobs":21,"logprobs":true}`, 400, "invalid_request_error", "invalid_value", "top_logprobs"},
		{hello + `,"top_logprobs":2}`, 400, "invalid_request_error", "invalid_value", "top_logprobs"},
		{hello + `,"tool_choice":"required"}`, 400, "invalid_request_error", "invalid_value", "tool_choice"},
		{hello + `,"tool_choice":{"type":"function","function":{"name":"gone"}}` + weather + `}`, 400, "invalid_request_error", "invalid_value", "tool_choice"},
		{hello + `,"response_format":{"type":"poem"}}`, 400, "invalid_request_error", "invalid_value", "response_format"},
		{hello + `,"response_format":{"type":"json_schema","json_schema":{"name":"x"}}}`, 400, "invalid_request_error", "", "response_format"},
		{hello + `,"response_format":{"type":"json_schema","json_schema":{"schema":{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/a"}}}}}}`, 400, "invalid_request_error", "invalid_value", "response_format"},
		{hello + `,"response_format":{"type":"json_schema","json_schema":{"strict":true,"schema":{"type":"object","properties":{"a":{}}}}}}`, 400, "invalid_request_error", "invalid_value", "response_format"},
		{hello + `,"response_format":{"type":"json_schema","json_schema":{"schema":{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}}}}`, 400, "invalid_request_error", "invalid_value", "response_format"},
		{hello + `,"guided_regex":"a{1,1000000000}"}`, 400, "invalid_request_error", "invalid_value", "guided_regex"},
		{hello + `,"guided_regex":"("}`, 400, "invalid_request_error", "invalid_value", "guided_regex"},
		{hello + `,"guided_grammar":"root ::= root"}`, 400, "invalid_request_error", "invalid_value", "guided_grammar"},
		{hello + `,"guided_regex":"a","guided_choice":["b"]}`, 400, "invalid_request_error", "invalid_value", "guided_choice"},
		{hello + `,"guided_regex":"` + strings.Repeat("a", 300<<10) + `"}`, 400, "invalid_request_error", "invalid_value", "guided_regex"},
		{hello + `,"response_format":{"type":"json_object"},"logit_bias":{` + everyID(-100) + `}}`, 400, "invalid_request_error", "invalid_value", "logit_bias"},
		{hello + `,"modalities":["text","audio"]}`, 501, "not_implemented_error", "not_implemented", "modalities"},
		{hello + `,"functions":[]}`, 501, "not_implemented_error", "not_implemented", "functions"},
		{hello + `,"reasoning_effort":"enormous"}`, 400, "invalid_request_error", "invalid_value", "reasoning_effort"},
		{hello + `,"tools":[{"type":"function","function":{}}]}`, 400, "invalid_request_error", "", ""},
		{`{"messages":[{"role":"user","content":"` + strings.Repeat("Hello ", 3000) + `"}]}`, 400, "invalid_request_error", "context_length_exceeded", "messages"},
		{`{"messages":[{"role":"user","content":"` + strings.Repeat("a", 2<<20) + `"}]}`, 413, "invalid_request_error", "request_too_large", ""},
	} {
		name := c.body[:min(60, len(c.body))]
		for _, path := range []string{"/v1/chat/completions", "/chat/completions"} {
			want := c.status
			if path[1] == 'c' && c.code == "invalid_value" {
				want = 422
			}
			status, e := s.refused(path, c.body)
			code, _ := at(t, e, "error", "code").(string)
			param, _ := at(t, e, "error", "param").(string)
			if status != want || at(t, e, "error", "type") != c.typ || code != c.code || param != c.of || at(t, e, "error", "message") == "" {
				t.Errorf("%s: %d %v; want %d %s %s %s", name, status, e, want, c.typ, c.code, c.of)
			}
		}
	}
	if a := s.post("/v1/chat/completions", hello+"}"); at(t, a, "choices", 0, "message", "content") != "ok" {
		t.Errorf("%v", a)
	}
	for _, c := range []struct {
		body string
		want int
	}{{`{"prompt":7}`, 400}, {`{}`, 400}, {`{"prompt":[[-1]]}`, 400}, {`{"prompt":[[99999]]}`, 400}, {`{"prompt":[]}`, 400}, {`{"prompt":"x","best_of":3}`, 501}, {`{"prompt":"x","echo":true,"logprobs":1}`, 501}} {
		if status, e := s.refused("/v1/completions", c.body); status != c.want {
			t.Errorf("%s: %d %v", c.body, status, e)
		}
	}
}

func TestModelsAndHealth(t *testing.T) {
	s := play(t, "v3", "ok")
	for _, path := range []string{"/v1/models", "/models"} {
		_, _, text := s.ask("GET", path, "")
		if want := `{"object":"list","data":[{"id":"actor","object":"model","created":1700000000,"owned_by":"haenyeo","context_length":2048}]}` + "\n"; text != want {
			t.Errorf("%s: %s", path, text)
		}
	}
	if status, _, text := s.ask("GET", "/v1/models/understudy", ""); status != 200 || at(t, object(t, text), "id") != "actor" {
		t.Errorf("%d %s", status, text)
	}
	if status, _, text := s.ask("GET", "/v1/models/org/none", ""); status != 404 {
		t.Errorf("%d %s", status, text)
	}
	if status, _, text := s.ask("GET", "/health", ""); status != 200 || at(t, object(t, text), "status") != "ok" {
		t.Errorf("%d %s", status, text)
	}
	status, h, text := s.ask("DELETE", "/v1/models", "")
	if status != http.StatusMethodNotAllowed || h.Get("Allow") != "GET, HEAD" || at(t, object(t, text), "error", "code") != "method_not_allowed" {
		t.Errorf("%d %v %s", status, h, text)
	}
	if status, _, text := s.ask("GET", "/v1/responses", ""); status != 404 || at(t, object(t, text), "error", "code") != "unknown_url" {
		t.Errorf("%d %s", status, text)
	}
}

// everyID biases all tokens of the actor alike.
func everyID(bias int) string {
	list := make([]string, 320)
	for i := range list {
		list[i] = fmt.Sprintf(`"%d":%d`, i, bias)
	}
	return strings.Join(list, ",")
}
