package grammar

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// byteVocabulary is all bytes and words of JSON; the last id ends a text.
func byteVocabulary() (*Vocabulary, int32) {
	var tokens [][]byte
	for b := range 256 {
		tokens = append(tokens, []byte{byte(b)})
	}
	for _, w := range []string{`{"`, `"}`, `":`, `": "`, `", "`, `","`, `"],`, `]}`, "true", "false", "null", "12", "000", "name", "abc", "é", "한국", "😀", `\u00e9`, `\"`, "\n  ", "1.5", "e5", "[]", "{}"} {
		tokens = append(tokens, []byte(w))
	}
	end := int32(len(tokens))
	tokens = append(tokens, []byte("<end>"))
	return NewVocabulary(len(tokens), func(id int32) []byte { return tokens[id] }, func(id int32) bool { return id == end }), end
}

// sample writes a text by drawing permitted tokens, short of breath: an end is taken when it may be. ok is false where
// most tokens do not suffice.
func sample(t *testing.T, rng *rand.Rand, k *Masker, end int32, most int) (text string, ok bool) {
	t.Helper()
	m := k.Matcher()
	var out []byte
	var made []int32
	for range most {
		mask := m.Allowed(made)
		var may, closing []int32
		for id := range int32(k.v.size) {
			if mask[id/64]>>(id%64)&1 == 0 {
				continue
			}
			may = append(may, id)
			if strings.ContainsAny(string(k.v.spelled[id]), "\"]},") {
				closing = append(closing, id)
			}
		}
		if len(may) == 0 {
			if errors.Is(m.Err(), errComplex) {
				return "", false
			}
			t.Fatalf("nothing is permitted after %q: %v", out, m.Err())
		}
		id := may[rng.IntN(len(may))]
		switch {
		case mask[end/64]>>(end%64)&1 == 1 && rng.IntN(3) == 0:
			id = end
		case len(closing) > 0 && rng.IntN(2) == 0:
			id = closing[rng.IntN(len(closing))]
		}
		if id == end {
			return string(out), true
		}
		made = append(made, id)
		out = append(out, k.v.spelled[id]...)
	}
	return "", false
}

// randomSchema makes a schema; refs says whether it may refer to #/$defs/a and b.
func randomSchema(rng *rand.Rand, depth int) map[string]any {
	pick := func(list ...any) any { return list[rng.IntN(len(list))] }
	n := rng.IntN(13)
	if depth == 0 {
		n = rng.IntN(7)
	}
	sub := func() any { return randomSchema(rng, depth-1) }
	switch n {
	case 0:
		return map[string]any{"type": pick("string", "integer", "number", "boolean", "null")}
	case 1:
		return map[string]any{"enum": []any{"red", "re", 1, nil, true, map[string]any{"a": []any{1}}}[:1+rng.IntN(6)]}
	case 2:
		return map[string]any{"type": "integer", "minimum": rng.IntN(300) - 150, "maximum": 150 + rng.IntN(2000)}
	case 3:
		lo := json.Number(fmt.Sprintf("%.*f", rng.IntN(4), rng.Float64()*200-100))
		hi := json.Number(fmt.Sprintf("%.*f", rng.IntN(4), 100+rng.Float64()*200))
		return map[string]any{"type": "number", pick("minimum", "exclusiveMinimum").(string): lo, pick("maximum", "exclusiveMaximum").(string): hi}
	case 4:
		lo := rng.IntN(5)
		return map[string]any{"type": "string", "minLength": lo, "maxLength": lo + rng.IntN(60)}
	case 5:
		return map[string]any{"type": "string", "pattern": pick(`^[a-z]+-\d{2,3}$`, `x"y|z`, `^(a|b\\)*c`, `^é{40,50}$`, `\n$`)}
	case 6:
		return map[string]any{"type": "string", "format": pick("date", "date-time", "uuid", "ipv4", "email", "time", "ipv6", "hostname", "duration")}
	case 7:
		return map[string]any{"anyOf": []any{sub(), sub()}, "description": "x"}
	case 8:
		lo := rng.IntN(3)
		return map[string]any{"type": "array", "items": sub(), "minItems": lo, "maxItems": lo + rng.IntN(40)}
	case 9:
		return map[string]any{"type": "array", "prefixItems": []any{sub(), sub()}, "items": pick(false, sub()), "minItems": rng.IntN(3)}
	case 10:
		return map[string]any{"$ref": "#/$defs/" + pick("a", "b").(string)}
	}
	names := []string{"a", "ab", "name", `q"`, "é", "z"}[:1+rng.IntN(6)]
	properties, required := map[string]any{}, []any{}
	for _, name := range names {
		properties[name] = sub()
		if rng.IntN(2) == 0 {
			required = append(required, name)
		}
	}
	s := map[string]any{"type": "object", "properties": properties, "required": required}
	switch rng.IntN(3) {
	case 0:
		s["additionalProperties"] = false
	case 1:
		s["additionalProperties"] = sub()
	}
	if rng.IntN(4) == 0 {
		s["allOf"] = []any{map[string]any{"properties": map[string]any{"extra": sub(), "a": true}}}
	}
	return s
}

// Whatever is drawn under the mask of a schema satisfies it.
func TestSampledTextsAreValid(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	v, end := byteVocabulary()
	complete, schemas := 0, 0
	for range 400 {
		s := randomSchema(rng, 3)
		s["$defs"] = map[string]any{"a": randomSchema(rng, 1), "b": map[string]any{"type": []any{"array", "null"}, "items": map[string]any{"$ref": "#/$defs/b"}}}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		g, err := FromJSONSchema(text, Options{Compact: rng.IntN(2) == 0})
		if err != nil {
			var wrong *SchemaError
			if !errors.As(err, &wrong) {
				t.Fatalf("%s: %v", text, err)
			}
			if strings.Contains(err.Error(), "itself") || strings.Contains(err.Error(), "ever complete") {
				continue // by chance
			}
			t.Fatalf("%s: %v", text, err)
		}
		k, err := g.For(v, []int32{end})
		if err != nil {
			t.Fatal(err)
		}
		schemas++
		root, err := decodeAny(text)
		if err != nil {
			t.Fatal(err)
		}
		for range 8 {
			written, ok := sample(t, rng, k, end, 300)
			if !ok {
				continue
			}
			complete++
			x, err := decodeAny([]byte(written))
			if err == nil {
				err = valid(root, root, x)
			}
			if err != nil {
				t.Fatalf("schema %s\nwrote %s\n%v", text, written, err)
			}
		}
	}
	if schemas < 300 || complete < 1500 {
		t.Errorf("only %d schemas and %d complete texts were looked at", schemas, complete)
	}
}

func TestSampledTextsMatchRegexps(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 5))
	v, end := byteVocabulary()
	for _, re := range []string{`a*b+c?`, `(ab|a)(c|bcd)(d*)`, `[^a-z"]{3,90}`, `(?i)straße[a-z]{0,200}\d{2}`, `(?s).{2,40}x`, `\p{Greek}{1,50}|\x{10ffff}`, `(x{2,30}y){0,9}z`, ``, `(a?){3,5}b`} {
		g, err := FromRegexp(re)
		if err != nil {
			t.Fatal(err)
		}
		k, err := g.For(v, []int32{end})
		if err != nil {
			t.Fatal(err)
		}
		whole := regexp.MustCompile(`^(?:` + re + `)$`)
		complete := 0
		for range 60 {
			if text, ok := sample(t, rng, k, end, 400); ok {
				complete++
				if !whole.MatchString(text) {
					t.Fatalf("%s wrote %q", re, text)
				}
			}
		}
		if complete < 20 {
			t.Errorf("%s: only %d complete texts", re, complete)
		}
	}
}

// Texts of random bytes over the letters of a regular expression match it here if and only if they do in package
// regexp.
func TestRegexpsAgreeWithGo(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 1))
	for _, re := range []string{`a*b+c?`, `(ab|a)(c|bcd)(d*)`, `(?:a|ab){2,40}b`, `(a{2,30}b){1,3}`, `[^a]{3,70}`, `(a*)*b`, `^a|b$`, `^(^ab|c$)$`, `(?i)aB`, `((a|b)?c){0,50}`} {
		g, err := FromRegexp(re)
		if err != nil {
			t.Fatal(err)
		}
		whole := regexp.MustCompile(`^(?:` + re + `)$`)
		m := newMachine(g)
		for range 3000 {
			text := make([]byte, rng.IntN(12))
			for i := range text {
				text[i] = "abcd"[rng.IntN(4)]
			}
			if got, _ := m.match(text); got != whole.Match(text) {
				t.Fatalf("%s: %q matches %v", re, text, got)
			}
		}
	}
}
