package grammar

import (
	"encoding/json"
	"testing"
)

// live tries what a parser made: no input may panic or take long, and what is permitted is accepted.
func live(t *testing.T, g *Grammar, picks []byte) (text []byte, whole bool) {
	v, end := byteVocabulary()
	k, err := g.For(v, []int32{end})
	if err != nil {
		return nil, false // too ambiguous, or it names control tokens
	}
	k.m.limit = 1 << 13
	m := k.Matcher()
	for _, pick := range picks {
		mask, err := m.Mask()
		if err != nil {
			return nil, false
		}
		var may []int32
		for id := range int32(v.size) {
			if mask[id/64]>>(id%64)&1 == 1 {
				may = append(may, id)
			}
		}
		if len(may) == 0 {
			t.Fatalf("nothing is permitted after %q", text)
		}
		id := may[int(pick)%len(may)]
		if pick%4 == 0 && mask[end/64]>>(end%64)&1 == 1 {
			id = end
		}
		if err := m.Accept(id); err != nil {
			if k.m.work > k.m.limit {
				return nil, false
			}
			t.Fatalf("token %d after %q is permitted, but: %v", id, text, err)
		}
		if id == end {
			return text, true
		}
		text = append(text, v.spelled[id]...)
	}
	return text, false
}

var picks = []byte("a long enough row of arbitrary choices that ends in zeros \x00\x00\x00\x00\x00\x00\x00\x00")

func FuzzGBNF(f *testing.F) {
	for _, s := range []string{arithmetic, `root ::= "a" | [^b-z]{2,} (x | .)? # c` + "\nx ::= <tok>\n", `root ::= "\x41\u00e9\U0001f600" root?`, `root ::= ([ab]{3,40} "c"){2,50}`, "root ::= (\"a\"|\"b\"\n\"c\")*"} {
		f.Add(s, picks)
	}
	f.Fuzz(func(t *testing.T, text string, picks []byte) {
		if g, err := FromGBNF(text); err == nil {
			live(t, g, picks[:min(len(picks), 60)])
		}
	})
}

func FuzzRegexp(f *testing.F) {
	for _, s := range []string{`^a+(b|[^c]){3,9}$`, `(?i)\p{L}*\d{2,}`, `(a{2,30}b?){0,40}`, `x|^y$|`, `[[:alpha:]\x{10ffff}]`} {
		f.Add(s, picks)
	}
	f.Fuzz(func(t *testing.T, re string, picks []byte) {
		if g, err := FromRegexp(re); err == nil {
			live(t, g, picks[:min(len(picks), 60)])
		}
	})
}

func FuzzJSONSchema(f *testing.F) {
	for _, s := range []string{person, `{"$ref":"#/$defs/a","$defs":{"a":{"anyOf":[{"type":"array","items":{"$ref":"#/$defs/a"}},{"const":1e2}]}}}`,
		`{"allOf":[{"properties":{"a":{"minimum":-1.5}}},{"properties":{"a":{"type":"number","exclusiveMaximum":3e1},"é\"":true},"required":["a"]}]}`,
		`{"type":"string","pattern":"^\\u0041[\"\\\\\\n]{2,50}$"}`, `{"prefixItems":[true,{"enum":["x",null,{"a":[1]}]}],"items":false,"minItems":1}`, `{"format":"date-time"}`, `{"additionalProperties":{"type":"integer"},"maxProperties":3}`} {
		f.Add(s, picks, true)
	}
	f.Fuzz(func(t *testing.T, schema string, picks []byte, compact bool) {
		g, err := FromJSONSchema([]byte(schema), Options{Compact: compact})
		if err != nil {
			return
		}
		text, whole := live(t, g, picks[:min(len(picks), 100)])
		if whole && !json.Valid(text) {
			t.Errorf("schema %s\nwrote %s", schema, text)
		}
	})
}

// FuzzText follows any bytes by two ways, byte by byte over a whole text and as tokens.
func FuzzText(f *testing.F) {
	f.Add([]byte(someone))
	f.Add([]byte(`{"a":[1,2,{"b":"\ud83d\ude00"}]}`))
	v, end := byteVocabulary()
	k, err := JSON().For(v, []int32{end})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m := k.Matcher()
		for _, b := range text {
			if m.Accept(int32(b)) != nil {
				return
			}
		}
		if m.Complete() && !json.Valid(text) {
			t.Errorf("%q is no JSON", text)
		}
	})
}
