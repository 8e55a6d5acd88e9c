package grammar

// A validator of JSON Schema for the tests, written from the specification and apart from the code that it checks.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

func decodeAny(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err = d.Decode(&v); err == nil && d.More() {
		err = fmt.Errorf("more than one value")
	}
	return v, err
}

// valid says why v does not satisfy schema.
func valid(root, schema, v any) error {
	s, ok := schema.(map[string]any)
	if !ok {
		if schema == false {
			return fmt.Errorf("nothing is valid")
		}
		return nil
	}
	if ref, ok := s["$ref"].(string); ok {
		at := root
		for _, part := range strings.Split(ref, "/")[1:] {
			at = at.(map[string]any)[part]
		}
		if err := valid(root, at, v); err != nil {
			return err
		}
	}
	if all, ok := s["allOf"].([]any); ok {
		for _, m := range all {
			if err := valid(root, m, v); err != nil {
				return err
			}
		}
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		if list, ok := s[key].([]any); ok {
			var err error
			for _, m := range list {
				if err = valid(root, m, v); err == nil {
					break
				}
			}
			if err != nil {
				return err
			}
		}
	}
	if c, ok := s["const"]; ok && !same(c, v) {
		return fmt.Errorf("%v is not %v", v, c)
	}
	if list, ok := s["enum"].([]any); ok {
		found := false
		for _, x := range list {
			found = found || same(x, v)
		}
		if !found {
			return fmt.Errorf("%v is not of %v", v, list)
		}
	}
	if err := validType(s, v); err != nil {
		return err
	}
	switch v := v.(type) {
	case json.Number:
		return validNumber(s, v)
	case string:
		return validString(s, v)
	case []any:
		return validArray(root, s, v)
	case map[string]any:
		return validObject(root, s, v)
	}
	return nil
}

func same(a, b any) bool {
	if x, ok := a.(json.Number); ok {
		y, ok := b.(json.Number)
		return ok && rat(x).Cmp(rat(y)) == 0
	}
	return reflect.DeepEqual(a, b)
}

func rat(n json.Number) *big.Rat {
	r, _ := new(big.Rat).SetString(n.String())
	return r
}

func validType(s map[string]any, v any) error {
	var list []any
	switch t := s["type"].(type) {
	case nil:
		return nil
	case string:
		list = []any{t}
	case []any:
		list = t
	}
	for _, t := range list {
		ok := false
		switch x := v.(type) {
		case nil:
			ok = t == "null"
		case bool:
			ok = t == "boolean"
		case string:
			ok = t == "string"
		case json.Number:
			ok = t == "number" || t == "integer" && rat(x).IsInt()
		case []any:
			ok = t == "array"
		case map[string]any:
			ok = t == "object"
		}
		if ok {
			return nil
		}
	}
	return fmt.Errorf("%v is not of type %v", v, list)
}

func validNumber(s map[string]any, n json.Number) error {
	for key, good := range map[string]func(c int) bool{
		"minimum": func(c int) bool { return c >= 0 }, "exclusiveMinimum": func(c int) bool { return c > 0 },
		"maximum": func(c int) bool { return c <= 0 }, "exclusiveMaximum": func(c int) bool { return c < 0 },
	} {
		if b, ok := s[key].(json.Number); ok && !good(rat(n).Cmp(rat(b))) {
			return fmt.Errorf("%v breaks %s %v", n, key, b)
		}
	}
	return nil
}

// limits checks a number against two keywords.
func limits(s map[string]any, n int, least, most string) error {
	for key, sign := range map[string]int{least: 1, most: -1} {
		if b, ok := s[key].(json.Number); ok {
			if i, _ := b.Int64(); sign*(n-int(i)) < 0 {
				return fmt.Errorf("%d breaks %s %v", n, key, b)
			}
		}
	}
	return nil
}

func validString(s map[string]any, v string) error {
	if strings.ContainsRune(v, utf8.RuneError) {
		return fmt.Errorf("%q holds what is no character", v)
	}
	if err := limits(s, utf8.RuneCountInString(v), "minLength", "maxLength"); err != nil {
		return err
	}
	if p, ok := s["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(v) {
		return fmt.Errorf("%q does not match %q", v, p)
	}
	layout := map[any]string{"date": time.DateOnly, "date-time": time.RFC3339Nano}[s["format"]]
	if layout != "" {
		if _, err := time.Parse(layout, v); err != nil {
			return err
		}
	}
	return nil
}

func validArray(root any, s map[string]any, v []any) error {
	if err := limits(s, len(v), "minItems", "maxItems"); err != nil {
		return err
	}
	first, _ := s["prefixItems"].([]any)
	for i, x := range v {
		item := s["items"]
		if i < len(first) {
			item = first[i]
		}
		if err := valid(root, item, x); err != nil {
			return err
		}
	}
	return nil
}

func validObject(root any, s map[string]any, v map[string]any) error {
	if err := limits(s, len(v), "minProperties", "maxProperties"); err != nil {
		return err
	}
	required, _ := s["required"].([]any)
	for _, name := range required {
		if _, ok := v[name.(string)]; !ok {
			return fmt.Errorf("%q is missing", name)
		}
	}
	properties, _ := s["properties"].(map[string]any)
	for name, x := range v {
		p, ok := properties[name]
		if !ok {
			p = s["additionalProperties"]
		}
		if err := valid(root, p, x); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
