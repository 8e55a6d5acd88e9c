package grammar

import "testing"

func TestTexts(t *testing.T) {
	schema := func(s string) func() (*Grammar, error) {
		return func() (*Grammar, error) { return FromJSONSchema([]byte(s), Options{}) }
	}
	re := func(s string) func() (*Grammar, error) { return func() (*Grammar, error) { return FromRegexp(s) } }
	for _, c := range []struct {
		name      string
		grammar   func() (*Grammar, error)
		good, bad []string
	}{
		{"regexp", re(`^[a-c]+(x|yy){2,3}$`), []string{"axx", "abcyyxx", "cxyyx"}, []string{"", "ax", "axxxx", "xx"}},
		{"regexp counted", re(`é{100,200}b`), nil, []string{"éb"}},
		{"regexp fold", re(`(?i)kelvin|\x{1F600}`), []string{"KelVin", "\u212aelvin", "😀"}, []string{"kelvi"}},
		{"json", func() (*Grammar, error) { return JSON(), nil },
			[]string{`{"a": [1, 2.5e-3, {"b":null}], "c":"\ud83d\ude00é\n"}`, `[]`, `"x"`, "{\n  \"a\": true\n}", `-0`, `-0.5`},
			[]string{`{`, `[1,]`, `{"a"}`, `01`, `"\ud83d"`, `tru`, ` 1`, "\"\x01\"", "\"\xff\""}},
		{"any", schema(`{}`), []string{`{"a":1}`, `3`}, []string{`{a:1}`}},
		{"object", schema(`{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"},"c":{"type":"boolean"}},"required":["b"],"additionalProperties":false}`),
			[]string{`{"b":""}`, `{"a":1, "b":"x"}`, `{"a":-7,"b":"x","c":true}`, `{"b":"x","c":false}`},
			[]string{`{}`, `{"a":1}`, `{"b":"x","a":1}`, `{"b":"x","d":1}`, `{"b":"x",}`}},
		{"open object", schema(`{"type":"object","properties":{"ab":{"type":"integer"},"b":{}},"required":["ab"]}`),
			[]string{`{"ab":1}`, `{"ab":1,"b":[]}`, `{"ab":1,"a":[]}`, `{"ab":1,"abc":[],"":0}`}, []string{`{"ab":"x"}`, `{"a":1,"ab":1}`, `{"ab":1,"ab":"x"}`, `{"ab":1,"b":1,"b":2}`}},
		{"map", schema(`{"type":"object","additionalProperties":{"type":"integer"},"minProperties":1,"maxProperties":2}`),
			[]string{`{"x":1}`, `{"x":1,"y":2}`}, []string{`{}`, `{"x":"1"}`, `{"x":1,"y":2,"z":3}`}},
		{"array", schema(`{"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":3}`), []string{`[1,2]`, `[1, 2, 3]`}, []string{`[]`, `[1]`, `[1,2,3,4]`}},
		{"long array", schema(`{"items":{"type":"integer"},"minItems":2,"maxItems":3000000}`), []string{`[1,2]`, `[1,1,1,1,1,1]`}, []string{`[]`, `[1]`}},
		{"tuple", schema(`{"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"items":{"type":"null"},"minItems":1,"maxItems":3}`),
			[]string{`[1]`, `[1,"x"]`, `[1,"x",null]`}, []string{`[]`, `["x"]`, `[1,null]`, `[1,"x",null,null]`}},
		{"enum", schema(`{"enum":["red","green",1,null,{"a":[1]}]}`), []string{`"red"`, `1`, `null`, `{"a":[1]}`}, []string{`"re"`, `"blue"`, `2`}},
		{"typed enum", schema(`{"type":"string","enum":["red",1,"r"],"minLength":2}`), []string{`"red"`}, []string{`1`, `"r"`}},
		{"const", schema(`{"const":"a\"\n"}`), []string{`"a\"\n"`}, []string{`"a"`}},
		{"anyOf", schema(`{"anyOf":[{"type":"integer"},{"type":"array","items":{"$ref":"#"}}]}`), []string{`1`, `[]`, `[1,[2,[]]]`}, []string{`"x"`, `["x"]`}},
		{"recursion", schema(`{"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["v","next"],"additionalProperties":false}}}`),
			[]string{`{"v":1,"next":null}`, `{"v":1,"next":{"v":2,"next":null}}`}, []string{`{"v":1}`, `{"v":1,"next":1}`}},
		{"allOf", schema(`{"allOf":[{"properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"a":{"minimum":5},"b":{"type":"string"}},"additionalProperties":false}]}`),
			[]string{`{"a":5}`, `{"a":71,"b":"x"}`}, []string{`{"a":4}`, `{"b":"x"}`, `{"a":5,"c":1}`}},
		{"length", schema(`{"type":"string","minLength":2,"maxLength":4}`), []string{`"ab"`, `"éé"`, `"😀\n\ud83d\ude00x"`}, []string{`"a"`, `"abcde"`, `"\n"`}},
		{"long length", schema(`{"type":"string","minLength":2,"maxLength":4000}`), []string{`"ab"`, `"éé"`, `"😀\n\ud83d\ude00x"`}, []string{`"a"`, `""`, `"\n"`}},
		{"pattern", schema(`{"type":"string","pattern":"^[A-Z]{2}-\\d+$"}`), []string{`"AB-12"`}, []string{`"AB-"`, `"xAB-1"`}},
		{"search", schema(`{"type":"string","pattern":"a\"|^b$"}`), []string{`"xa\"y"`, `"b"`}, []string{`"a"`, `"bb"`}},
		{"date", schema(`{"type":"string","format":"date"}`), []string{`"2024-02-29"`, `"2023-12-31"`}, []string{`"2023-02-29"`, `"2023-13-01"`, `"1900-02-29"`}},
		{"date-time", schema(`{"type":"string","format":"date-time"}`), []string{`"2024-02-29T10:00:00Z"`, `"2023-12-31T23:59:59.5+09:00"`}, []string{`"2023-12-31"`, `"2023-12-31T25:00:00Z"`}},
		{"ipv4", schema(`{"type":"string","format":"ipv4"}`), []string{`"1.20.255.0"`}, []string{`"256.1.1.1"`, `"01.1.1.1"`}},
		{"range", schema(`{"type":"integer","minimum":-12,"maximum":105}`), []string{`-12`, `-9`, `0`, `7`, `99`, `105`}, []string{`-13`, `106`, `200`, `-0`, `1.5`}},
		{"integers between fractions", schema(`{"type":"integer","minimum":-1.5,"exclusiveMaximum":4.0}`), []string{`-1`, `0`, `3`}, []string{`-2`, `4`}},
		{"integers above a fraction", schema(`{"type":"integer","minimum":1.5,"maximum":2.5}`), []string{`2`}, []string{`1`, `3`}},
		{"number range", schema(`{"type":"number","exclusiveMinimum":0.25,"maximum":3.5}`), []string{`0.26`, `0.251`, `1`, `2.99`, `3.5`, `3.50`, `3`}, []string{`0.25`, `0`, `3.51`, `4`, `0.2500`}},
		{"negative range", schema(`{"type":"number","minimum":-1.5,"exclusiveMaximum":-0.1}`), []string{`-1.5`, `-1`, `-0.11`}, []string{`-0.1`, `-1.51`, `0`, `1`}},
		{"types", schema(`{"type":["string","null"]}`), []string{`null`, `"x"`}, []string{`1`}},
		{"choices", func() (*Grammar, error) { return FromChoices([]string{"yes", "no", "nobody", "no"}) }, []string{"yes", "no", "nobody"}, []string{"", "n", "nob"}},
	} {
		g, err := c.grammar()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		m := newMachine(g)
		for _, s := range c.good {
			if ok, _ := m.match([]byte(s)); !ok {
				t.Errorf("%s: %s is refused", c.name, s)
			}
		}
		for _, s := range c.bad {
			if ok, _ := m.match([]byte(s)); ok {
				t.Errorf("%s: %s is accepted", c.name, s)
			}
		}
	}
}
