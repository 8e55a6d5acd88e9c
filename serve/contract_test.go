package serve

// The server and openapi.yaml say the same: addresses, fields of requests, fields of answers.

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// yaml is a mapping of the file; leaves are scalars and the inline collections, as they are written.
type yaml struct {
	text string
	keys map[string]*yaml
}

// parseYAML reads block mappings with inline values, which is all that openapi.yaml has outside its header.
func parseYAML(t *testing.T, text string) *yaml {
	t.Helper()
	root := &yaml{keys: map[string]*yaml{}}
	type level struct {
		indent int
		node   *yaml
	}
	open := []level{{-1, root}}
	for n, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimLeft(line, " ")
		if trimmed == "" || trimmed[0] == '#' || trimmed[0] == '-' {
			continue
		}
		indent := len(line) - len(trimmed)
		for open[len(open)-1].indent >= indent {
			open = open[:len(open)-1]
		}
		key, value, ok := strings.Cut(trimmed, ":")
		if !ok {
			t.Fatalf("openapi.yaml: line %d: %q", n+1, line)
		}
		key = strings.Trim(key, `"`)
		parent := open[len(open)-1].node
		if _, twice := parent.keys[key]; twice {
			t.Errorf("openapi.yaml: line %d: %q stands twice", n+1, key)
		}
		node := &yaml{strings.TrimSpace(value), map[string]*yaml{}}
		parent.keys[key] = node
		open = append(open, level{indent, node})
	}
	return root
}

func TestContractAddresses(t *testing.T) {
	paths := parseYAML(t, string(specification)).keys["paths"].keys
	s := play(t, "v3", "ok")
	var have, want []string
	for _, r := range s.served.routes() {
		have = append(have, r.method+" "+strings.ReplaceAll(r.path, "{id...}", "{id}"))
	}
	for path, methods := range paths {
		for method := range methods.keys {
			want = append(want, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("the server has\n%s\nopenapi.yaml has\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
	for _, r := range have { // each is answered by who it says, and not with 404
		method, path, _ := strings.Cut(r, " ")
		if status, _, text := s.ask(method, strings.Replace(path, "{id}", "actor", 1), "{}"); status == 404 || status == 405 || status >= 500 {
			t.Errorf("%s: %d %s", r, status, text)
		}
	}
}

// fields lists what a struct has in JSON.
func fields(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			names = append(names, fields(inner)...)
			continue
		}
		if !f.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

func TestContractFields(t *testing.T) {
	schemas := parseYAML(t, string(specification)).keys["components"].keys["schemas"].keys
	refused := map[string]bool{ // read only to be refused
		"functions": true, "modalities": true, "audio": true, "web_search_options": true, "images": true, "template": true, "context": true,
		"previous_response_id": true, "conversation": true, "prompt": true, "background": true,
	}
	for name, v := range map[string]any{
		"ChatRequest": chatJSON{}, "ChatMessage": messageJSON{}, "TextRequest": textJSON{}, "MessagesRequest": messagesJSON{},
		"OllamaChatRequest": ollamaChatJSON{}, "OllamaTextRequest": ollamaTextJSON{}, "OllamaOptions": askJSON{}.Options,
		"Model": modelJSON{}, "ModelList": modelListJSON{}, "ToolCall": toolCall{}, "ChatCompletion": completionJSON[chatChoice]{}, "ChatChoice": chatChoice{},
		"Answer": chatMessage{}, "ChatChunk": completionJSON[chunkChoice]{}, "ChunkChoice": chunkChoice{}, "Delta": delta{}, "ChatLogprobs": chatLog{}, "TokenLogprob": logged{},
		"Usage": usageJSON{}, "TextCompletion": completionJSON[textChoice]{}, "TextChoice": textChoice{}, "TextLogprobs": textLog{},
		"Message": answerJSON{}, "MessageUsage": answerUsageJSON{}, "AnthropicError": anthropicErrorJSON{}, "TagDetails": ollamaDetailsJSON{},
		"Line": lineJSON{}, "LineMessage": ollamaMessageLine{}, "OllamaError": ollamaErrorJSON{}, "ErrorBody": errorJSON{}.Error,
		"LoadRequest": loadJSON{}, "Loaded": statusJSON{},
		"EmbeddingsRequest": embeddingsJSON{}, "EmbeddingList": embeddingListJSON{}, "Embedding": embeddingJSON{}, "OllamaEmbedRequest": ollamaEmbedJSON{},
		"ResponsesRequest": responsesJSON{}, "Response": responseJSON{}, "ResponseUsage": responseUsage{}, "ReasoningItem": reasoningItem{}, "MessageItem": messageItem{},
		"OutputText": outputText{}, "CallItem": callItem{}, "ResponseEvent": responseEvent{}, "Format": formatJSON{},
	} {
		if schemas[name] == nil {
			t.Errorf("openapi.yaml has no schema %s", name)
			continue
		}
		var have []string
		for _, f := range fields(reflect.TypeOf(v)) {
			if !refused[f] || schemas[name].keys["properties"].keys[f] != nil {
				have = append(have, f)
			}
		}
		want := slices.Collect(maps.Keys(schemas[name].keys["properties"].keys))
		slices.Sort(have)
		slices.Sort(want)
		if !slices.Equal(have, want) {
			t.Errorf("%s: the server has %v, openapi.yaml has %v", name, have, want)
		}
	}
}

// Answers have every field that openapi.yaml calls required, and none that it does not know.
func TestContractAnswers(t *testing.T) {
	schemas := parseYAML(t, string(specification)).keys["components"].keys["schemas"].keys
	s := play(t, "v3.1", "Hm.</think>"+calls)
	check := func(schema string, v any) {
		t.Helper()
		o, ok := v.(map[string]any)
		if !ok {
			t.Errorf("%s: %v is no object", schema, v)
			return
		}
		properties := schemas[schema].keys["properties"].keys
		for name := range o {
			if properties[name] == nil {
				t.Errorf("%s: openapi.yaml knows no %q", schema, name)
			}
		}
		list := schemas[schema].keys["required"]
		if list == nil {
			return
		}
		for _, name := range strings.FieldsFunc(list.text, func(r rune) bool { return strings.ContainsRune("[], ", r) }) {
			if _, ok := o[name]; !ok {
				t.Errorf("%s: %q is missing in %v", schema, name, o)
			}
		}
	}
	get := func(path string) any { _, _, text := s.ask("GET", path, ""); return object(t, text) }
	chat := s.post("/v1/chat/completions", hello+`,"logprobs":true,"top_logprobs":1}`)
	check("ChatCompletion", chat)
	check("ChatChoice", at(t, chat, "choices", 0))
	check("Answer", at(t, chat, "choices", 0, "message"))
	check("ToolCall", at(t, chat, "choices", 0, "message", "tool_calls", 0))
	check("ChatLogprobs", at(t, chat, "choices", 0, "logprobs"))
	check("TokenLogprob", at(t, chat, "choices", 0, "logprobs", "content", 0))
	check("Usage", at(t, chat, "usage"))
	_, _, stream := s.ask("POST", "/v1/chat/completions", hello+`,"stream":true,"stream_options":{"include_usage":true}}`)
	for _, c := range chunks(t, stream) {
		check("ChatChunk", c)
		for _, choice := range at(t, c, "choices").([]any) {
			check("ChunkChoice", choice)
			check("Delta", at(t, choice, "delta"))
		}
	}
	text := s.post("/v1/completions", `{"prompt":"x","logprobs":1}`)
	check("TextCompletion", text)
	check("TextChoice", at(t, text, "choices", 0))
	check("TextLogprobs", at(t, text, "choices", 0, "logprobs"))
	response := s.post("/v1/responses", asked1+`,"top_logprobs":1}`)
	check("Response", response)
	check("ResponseUsage", at(t, response, "usage"))
	check("ReasoningItem", at(t, response, "output", 0))
	check("MessageItem", at(t, response, "output", 1))
	check("OutputText", at(t, response, "output", 1, "content", 0))
	check("TokenLogprob", at(t, response, "output", 1, "content", 0, "logprobs", 0))
	check("CallItem", at(t, response, "output", 2))
	_, _, stream = s.ask("POST", "/v1/responses", asked1+`,"stream":true}`)
	for _, e := range responseEvents(t, stream) {
		check("ResponseEvent", e)
	}
	vectors := s.post("/v1/embeddings", `{"input":"x"}`)
	check("EmbeddingList", vectors)
	check("Embedding", at(t, vectors, "data", 0))
	check("OllamaEmbeddings", s.post("/api/embed", `{"model":"actor","input":["x"]}`))
	message := s.post("/v1/messages", ask+`}`)
	check("Message", message)
	check("MessageUsage", at(t, message, "usage"))
	check("Count", s.post("/v1/messages/count_tokens", ask+`}`))
	line := s.post("/api/chat", told+`,"stream":false}`)
	check("Line", line)
	check("LineMessage", at(t, line, "message"))
	check("Line", s.post("/api/generate", `{"model":"actor","prompt":"x","stream":false}`))
	check("Shown", s.post("/api/show", `{"model":"actor"}`))
	check("TagDetails", at(t, s.post("/api/show", `{"model":"actor"}`), "details"))
	check("Health", get("/health"))
	check("ModelList", get("/v1/models"))
	check("Model", get("/v1/models/actor"))
	check("AnthropicModels", get("/anthropic/v1/models"))
	check("Version", get("/api/version"))
	check("Tags", get("/api/tags"))
	check("Tag", at(t, get("/api/tags"), "models", 0))
	check("Tag", at(t, get("/api/ps"), "models", 0))
	for path, schema := range map[string]string{"/v1/chat/completions": "Error", "/v1/messages": "AnthropicError", "/api/chat": "OllamaError"} {
		_, e := s.refused(path, "no JSON")
		check(schema, e)
		if schema == "Error" {
			check("ErrorBody", at(t, e, "error"))
		}
	}
	if _, _, text := s.ask("GET", "/openapi.yaml", ""); text != string(specification) {
		t.Error("/openapi.yaml is another file")
	}
}

// Whatever a body says, the answer is JSON of the dialect and no fault of the server, and the engine gets what it can use.
func FuzzBodies(f *testing.F) {
	for _, seed := range []string{
		hello + "}", hello + weather + `,"stream":true,"n":2,"stop":["a"],"logit_bias":{"5":-100},"seed":-1,"logprobs":true,"top_logprobs":3}`,
		`{"messages":[{"role":"assistant","content":"x","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{"}}]},{"role":"tool","tool_call_id":"1","content":[{"type":"text","text":"y"}]}]}`,
		`{"messages":[{"role":"user","content":"\ud800\u0000"}],"max_tokens":1e9}`, `{"prompt":[[1,2],[3]],"echo":true}`, `{"prompt":"x","suffix":"y","stream":true}`,
		ask + `,"system":[{"type":"text","text":"x"}],"stream":true,"thinking":{"type":"adaptive"},"tools":[{"name":"f","input_schema":{}}]}`,
		`{"max_tokens":3,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":null}]},{"role":"assistant","content":[{"type":"tool_use","id":"1","name":"f","input":[]}]}]}`,
		asked1 + "}", `{"input":[{"role":"user","content":[{"type":"input_text","text":"x"}]},{"type":"reasoning","summary":[{"text":"y"}]},{"type":"custom_tool_call","call_id":"1","name":"p","input":"z"},{"type":"custom_tool_call_output","call_id":"1","output":"w"}],"tools":[{"type":"custom","name":"p"}],"stream":true}`,
		told + "}", `{"model":"actor","prompt":"x","raw":true,"options":{"num_predict":-1,"repeat_last_n":-1,"stop":"x"},"think":"high"}`,
		`{"messages":` + strings.Repeat("[", 2000), `null`, `{"messages":null,"tools":[null],"stop":null}`,
	} {
		for i := range 6 {
			f.Add(byte(i), []byte(seed))
		}
	}
	s := play(f, "v3.1", "ok</think>"+calls, func(_ *Options, m *Model) { m.Context = 100 }) // 256 long answers take long
	paths := []string{"/v1/chat/completions", "/beta/completions", "/v1/messages", "/api/chat", "/api/generate", "/v1/responses"}
	f.Fuzz(func(t *testing.T, to byte, body []byte) {
		path := paths[int(to)%len(paths)]
		w := httptest.NewRecorder()
		s.served.ServeHTTP(w, asked(path, body).WithContext(t.Context()))
		if w.Code >= 500 && w.Code != 501 {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		if text := w.Body.Bytes(); w.Header().Get("Content-Type") == "application/json" && !json.Valid(text) {
			t.Fatalf("%s: no JSON: %q", path, text)
		}
	})
}

// asked makes a request of this machine.
func asked(path string, body []byte) *http.Request {
	r := httptest.NewRequest("POST", path, bytes.NewReader(body))
	r.Host = "localhost"
	return r
}
