package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/tokenizer"
)

// gambler is an engine that says anything: a model of the worst quality. It likes to come to an end.
type gambler struct{ tok *tokenizer.Tokenizer }

func (g gambler) Generate(ctx context.Context, q infer.Request, emit func(string) error) (infer.Result, error) {
	q.Temperature, q.TopK, q.TopP = 1, 0, 0
	return infer.Generate(ctx, &dice{g, rand.New(rand.NewPCG(q.Seed, 7)), make([]float32, g.tok.VocabSize())}, q, emit)
}

type dice struct {
	gambler
	rng    *rand.Rand
	logits []float32
}

func (d *dice) Rewind([]int32) int { return 0 }

func (d *dice) Step(context.Context, []int32) ([]float32, error) {
	for id := range d.logits {
		d.logits[id] = d.rng.Float32()
		switch text := string(d.tok.TokenBytes(int32(id))); {
		case d.tok.TokenType(int32(id)) != tokenizer.Normal:
			d.logits[id] += 8
		case text == `"` || text == "}" || text == "]" || text == "<" || text == "</":
			d.logits[id] += 6
		}
	}
	return d.logits, nil
}

// tried asks many times, and gives the answers that were not cut off.
func tried(t *testing.T, s *stage, path, body string) (complete []map[string]any) {
	t.Helper()
	for seed := range 30 {
		a := s.post(path, fmt.Sprintf(`%s,"seed":%d,"max_tokens":2000}`, body, seed))
		if at(t, a, "choices", 0, "finish_reason") != "length" {
			complete = append(complete, a)
		}
	}
	if len(complete) < 15 {
		t.Errorf("%.100s: only %d of 30 answers came to an end", body, len(complete))
	}
	return complete
}

func gamble(t *testing.T, format string) *stage {
	return play(t, format, "", func(_ *Options, m *Model) { m.Engine = gambler{m.Tokenizer}; m.Context = 8192 })
}

const person = `{"type":"object","properties":{"name":{"type":"string","maxLength":20},"age":{"type":"integer","minimum":0,"maximum":150},"mood":{"enum":["calm","wild"]}},"required":["name","age","mood"],"additionalProperties":false}`

// Whatever the model, JSON is JSON, and of the schema.
func TestShapes(t *testing.T) {
	type one struct {
		Name string
		Age  int
		Mood string
	}
	isPerson := func(text string) bool {
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		var p one
		return d.Decode(&p) == nil && p.Age >= 0 && p.Age <= 150 && (p.Mood == "calm" || p.Mood == "wild")
	}
	isObject := func(text string) bool { var o map[string]any; return json.Unmarshal([]byte(text), &o) == nil }
	date := regexp.MustCompile(`^[0-9]{4}-[0-9]{2}$`)
	for _, format := range []string{"v3", "v3.1", "v3.2", "v4"} {
		s := gamble(t, format)
		for _, c := range []struct {
			field string
			holds func(string) bool
		}{
			{`"response_format":{"type":"json_schema","json_schema":{"name":"p","strict":true,"schema":` + person + `}}`, isPerson},
			{`"response_format":{"type":"json_object"}`, isObject},
			{`"guided_json":` + person, isPerson},
			{`"json_schema":` + person, isPerson},
			{`"guided_regex":"[0-9]{4}-[0-9]{2}"`, date.MatchString},
			{`"structured_outputs":{"choice":["yes","no"]}`, func(s string) bool { return s == "yes" || s == "no" }},
			{`"grammar":"root ::= (\"a\" | \"b\"){2,3} \"!\""`, regexp.MustCompile(`^[ab]{2,3}!$`).MatchString},
		} {
			for _, a := range tried(t, s, "/v1/chat/completions", hello+","+c.field) {
				if text := at(t, a, "choices", 0, "message", "content").(string); !c.holds(text) {
					t.Errorf("%s %.40s: %q", format, c.field, text)
				}
			}
		}
	}
	s := gamble(t, "v3")
	for _, a := range tried(t, s, "/v1/completions", `{"prompt":"x","guided_regex":"(ha)+!"`) {
		if text := at(t, a, "choices", 0, "text").(string); !regexp.MustCompile(`^(ha)+!$`).MatchString(text) {
			t.Errorf("%q", text)
		}
	}
	for range 10 {
		a := s.post("/api/chat", `{"model":"actor","stream":false,"messages":[{"role":"user","content":"Hello"}],"format":`+person+`}`)
		if text := at(t, a, "message", "content").(string); at(t, a, "done_reason") == "stop" && !isPerson(text) {
			t.Errorf("%q", text)
		}
		a = s.post("/v1/messages", ask+`,"output_config":{"format":{"type":"json_schema","schema":`+person+`}}}`)
		if at(t, a, "stop_reason") == "end_turn" && !isPerson(at(t, a, "content", 0, "text").(string)) {
			t.Errorf("%v", a)
		}
		a = s.post("/v1/responses", `{"input":"x","text":{"format":{"type":"json_schema","name":"p","schema":`+person+`}}}`)
		if at(t, a, "status") == "completed" && !isPerson(at(t, a, "output", 0, "content", 0, "text").(string)) {
			t.Errorf("%v", a)
		}
	}
}

const twoTools = `,"tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string","maxLength":20},"days":{"type":"integer"}},"required":["city"]}}},
	{"type":"function","function":{"name":"mood","strict":true,"parameters":` + person + `}}]`

// Whatever the model, a call that is demanded is made, and what is called can be read, in the words of every generation.
func TestCallsAreDemanded(t *testing.T) {
	for _, format := range []string{"v3", "r1", "v3.1", "v3.2", "v4"} {
		s := gamble(t, format)
		for choice, want := range map[string][]string{
			`"required"`: {"weather", "mood"},
			`{"type":"function","function":{"name":"mood"}}`:                                                         {"mood"},
			`{"type":"allowed_tools","mode":"required","tools":[{"type":"function","function":{"name":"weather"}}]}`: {"weather"},
			`"auto"`: {"weather", "mood"},
		} {
			for _, a := range tried(t, s, "/v1/chat/completions", hello+twoTools+`,"tool_choice":`+choice) {
				m := at(t, a, "choices", 0, "message").(map[string]any)
				made, _ := m["tool_calls"].([]any)
				if len(made) == 0 && choice != `"auto"` {
					t.Errorf("%s %s: no call in %v", format, choice, a)
				}
				for _, call := range made {
					name, arguments := at(t, call, "function", "name").(string), at(t, call, "function", "arguments").(string)
					var o map[string]any
					if err := json.Unmarshal([]byte(arguments), &o); err != nil || !slices.Contains(want, name) {
						t.Errorf("%s %s: %s %q: %v", format, choice, name, arguments, err)
					}
					if _, city := o["city"].(string); name == "weather" && !city || name == "mood" && o["mood"] != "calm" && o["mood"] != "wild" {
						t.Errorf("%s %s: %s %q", format, choice, name, arguments)
					}
				}
			}
		}
	}
}

// Schemas of tools that say nothing sensible leave the arguments to the model, which are JSON all the same; those of
// strict tools are refused.
func TestCallsOfOddSchemas(t *testing.T) {
	for _, format := range []string{"v3.1", "v4"} {
		s := gamble(t, format)
		for _, schema := range []string{`{"type":"object","properties":{"a":{"type":"string","enum":null}}}`, `{}`, `{"type":"object","properties":{}}`, `true`} {
			tools := `,"tools":[{"type":"function","function":{"name":"f","parameters":` + schema + `}}],"tool_choice":"required"`
			for seed := range 5 {
				a := s.post("/v1/chat/completions", fmt.Sprintf(`%s%s,"seed":%d,"max_tokens":2000}`, hello, tools, seed))
				if at(t, a, "choices", 0, "finish_reason") == "length" {
					continue
				}
				for _, call := range at(t, a, "choices", 0, "message", "tool_calls").([]any) {
					if arguments := at(t, call, "function", "arguments").(string); !json.Valid([]byte(arguments)) || arguments[0] != '{' {
						t.Errorf("%s %s: %q", format, schema, arguments)
					}
				}
			}
			strict := strings.Replace(tools, `"name":"f"`, `"name":"f","strict":true`, 1)
			if status, e := s.refused("/v1/chat/completions", hello+strict+"}"); status != 400 || at(t, e, "error", "param") != "tools" {
				t.Errorf("%s %s: %d %v", format, schema, status, e)
			}
		}
	}
}

// A grammar that is used again is not made again.
func TestGrammarsAreKept(t *testing.T) {
	s := play(t, "v3", `{"name":"a","age":1,"mood":"calm"}`)
	kept := s.served.models[0].grammars
	for i := range 40 {
		body := hello + `,"response_format":{"type":"json_schema","json_schema":{"schema":` + strings.Replace(person, "150", fmt.Sprint(150+i%20), 1) + `}}}`
		if a := s.post("/v1/chat/completions", body); at(t, a, "choices", 0, "message", "content") != `{"name":"a","age":1,"mood":"calm"}` {
			t.Errorf("%v", a)
		}
	}
	if n := kept.used.Len(); n != keptMaskers || len(kept.by) != n {
		t.Errorf("%d grammars", n)
	}
	first := kept.used.Front()
	s.post("/v1/chat/completions", hello+`,"response_format":{"type":"json_schema","json_schema":{"schema":`+strings.Replace(person, "150", "169", 1)+`}}}`)
	if kept.used.Front() != first {
		t.Error("the same grammar was made twice")
	}
}

func TestWithDefinitions(t *testing.T) {
	j := parametersJSON{Defs: json.RawMessage(`{"a":{"type":"string"}}`)}
	for part, want := range map[string]string{
		`{"$ref":"#/$defs/a"}`: `{"$defs":{"a":{"type":"string"}},"$ref":"#/$defs/a"}`, `{}`: `{"$defs":{"a":{"type":"string"}}}`, `true`: `true`,
	} {
		if got := string(withDefinitions(json.RawMessage(part), &j)); got != want {
			t.Errorf("%s: %s", part, got)
		}
	}
}
