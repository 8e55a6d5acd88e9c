package grammar

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestWrongSchemas(t *testing.T) {
	deep := strings.Repeat(`{"items":`, 300) + `{}` + strings.Repeat(`}`, 300)
	var many []string
	for i := range 30 {
		many = append(many, fmt.Sprintf(`{"anyOf":[{"minimum":%d},{"maximum":%d}]}`, i, 1000-i))
	}
	for _, c := range []struct{ schema, pointer, want string }{
		{`{`, "", "no JSON"}, {`[]`, "", "a schema is an object"}, {`{} {}`, "", "follows"}, {`{"type":"integer","type":"string"}`, "", "twice"}, {"\"\xff\"", "", "UTF-8"}, {deep, "", "nested more than"},
		{strings.Repeat(" ", maxSchema+1), "", "at most"},
		{`{"type":"int"}`, "/type", `no type "int"`}, {`{"type":[1]}`, "/type", "no type 1"},
		{`{"properties":{"a/b":{"not":{}}}}`, "/properties/a~1b/not", "not supported"},
		{`{"items":{"uniqueItems":true}}`, "/items/uniqueItems", "not supported"}, {`{"multipleOf":3}`, "/multipleOf", "not supported"}, {`{"patternProperties":{}}`, "/patternProperties", "not supported"},
		{`{"if":{},"then":{}}`, "/if", "not supported"}, {`{"type":"string","format":"idn-email"}`, "/format", "not supported"},
		{`{"type":"string","pattern":"(?=x)"}`, "/pattern", "cannot be used"}, {`{"type":"string","pattern":"a{1,1000000000}"}`, "/pattern", "cannot be used"},
		{`{"type":"string","pattern":"a","maxLength":3}`, "", "length beside a pattern"},
		{`{"$ref":"http://x/y"}`, "/$ref", "nothing is fetched"}, {`{"$ref":"file:///etc/passwd"}`, "/$ref", "nothing is fetched"}, {`{"$ref":"#/$defs/x"}`, "/$ref", "not in the schema"}, {`{"$ref":"#anchor"}`, "/$ref", "anchor"}, {`{"$ref":7}`, "/$ref", "a string"},
		{`{"$ref":"#"}`, "", "refers to itself"}, {`{"allOf":[{"$ref":"#"}]}`, "", "refers to itself"}, {`{"anyOf":[{"$ref":"#"},{"type":"string"}]}`, "", "calls itself"},
		{`{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}`, "", "ever complete"}, {`false`, "", "ever complete"}, {`{"type":"integer","minimum":5,"maximum":4}`, "", "ever complete"},
		{`{"minLength":-1}`, "/minLength", "whole number"}, {`{"minLength":1.5}`, "/minLength", "whole number"}, {`{"minItems":"x"}`, "/minItems", "whole number"}, {`{"minimum":1e999}`, "/minimum", "too large"}, {`{"minimum":"1"}`, "/minimum", "a number"},
		{`{"enum":[]}`, "/enum", "at least one"}, {`{"anyOf":{}}`, "/anyOf", "list"}, {`{"required":"a"}`, "/required", "list"}, {`{"required":[1]}`, "/required", "list"}, {`{"properties":[]}`, "/properties", "object of schemas"}, {`{"items":[{}]}`, "/items", "prefixItems"}, {`{"prefixItems":{}}`, "/prefixItems", "list"},
		{`{"enum":[{}],"properties":{}}`, "/properties", "beside an enum"}, {`{"properties":{"a":{}},"minProperties":1}`, "/minProperties", "not supported beside"},
		{`{"allOf":[` + strings.Join(many, ",") + `]}`, "", "more than"},
	} {
		_, err := FromJSONSchema([]byte(c.schema), Options{})
		var at *SchemaError
		if !errors.As(err, &at) || !strings.Contains(err.Error(), c.want) || c.pointer != "" && at.Pointer != c.pointer || strings.Contains(err.Error(), "\x00") {
			t.Errorf("%.80s: %v, want %q at %q", c.schema, err, c.want, c.pointer)
		}
	}
}

// Counts, lengths and lists that are as long as one likes cost nothing.
func TestLargeSchemas(t *testing.T) {
	var properties []string
	for i := range 400 {
		properties = append(properties, fmt.Sprintf(`"property_%d":{"type":"string","maxLength":%d}`, i, 1000000+i))
	}
	for _, schema := range []string{
		`{"type":"string","minLength":1000000000,"maxLength":2000000000}`,
		`{"type":"array","items":{"type":"array","items":{"type":"string","maxLength":1000000},"maxItems":1000000},"maxItems":1000000}`,
		`{"type":"object","properties":{` + strings.Join(properties, ",") + `}}`,
		`{"type":"integer","minimum":-12345678901234567890123456789012345,"maximum":98765432109876543210987654321098765}`,
		`{"type":"number","minimum":0.1234567890123456789012345678901234567890,"maximum":0.1234567890123456789012345678901234567891}`,
	} {
		g, err := FromJSONSchema([]byte(schema), Options{})
		if err != nil {
			t.Errorf("%.80s: %v", schema, err)
		} else if len(g.states) > 100000 {
			t.Errorf("%.80s: %d states", schema, len(g.states))
		}
	}
}

func TestLenientAndStrict(t *testing.T) {
	for _, schema := range []string{`{"type":"array","uniqueItems":true}`, `{"type":"string","format":"x","pattern":"(?!a)"}`, `{"not":{}}`, `{"type":"string","pattern":"a","maxLength":3}`} {
		if _, err := FromJSONSchema([]byte(schema), Options{Lenient: true}); err != nil {
			t.Errorf("%s: %v", schema, err)
		}
	}
	const good = `{"type":"object","properties":{"a":{"type":["string","null"]},"b":{"$ref":"#/$defs/b"}},"required":["a","b"],"additionalProperties":false,
		"$defs":{"b":{"type":"array","items":{"type":"object","properties":{},"additionalProperties":false}}}}`
	if _, err := FromJSONSchema([]byte(good), Options{Strict: true}); err != nil {
		t.Error(err)
	}
	nested := `{"type":"string"}`
	for range 12 {
		nested = `{"type":"object","properties":{"x":` + nested + `},"required":["x"],"additionalProperties":false}`
	}
	for _, c := range []struct{ schema, pointer, want string }{
		{`{"type":"string"}`, "/type", "root"}, {`{"anyOf":[]}`, "/type", "root"}, {`true`, "", "object"}, {nested, "", "levels"},
		{strings.Replace(good, `["a","b"]`, `["a"]`, 1), "/required", `"b" is not required`},
		{strings.Replace(good, `"required":["a","b"],"additionalProperties":false`, `"required":["a","b"]`, 1), "/additionalProperties", "additionalProperties false"},
		{strings.Replace(good, `"properties":{},"additionalProperties":false`, `"properties":{}`, 1), "/$defs/b/items/additionalProperties", "additionalProperties false"},
	} {
		_, err := FromJSONSchema([]byte(c.schema), Options{Strict: true})
		var at *SchemaError
		if !errors.As(err, &at) || !strings.Contains(at.What, c.want) || c.pointer != "" && at.Pointer != c.pointer {
			t.Errorf("%.80s: %v, want %q at %q", c.schema, err, c.want, c.pointer)
		}
	}
}
