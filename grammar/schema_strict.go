package grammar

// The rules of strict mode. Source: OpenAI API, "Structured outputs", section "Supported schemas".

import "slices"

const (
	strictProperties = 5000
	strictLevels     = 10
	strictValues     = 1000
	strictText       = 120000 // bytes of names and values
)

type strict struct {
	properties, values, text int
}

func checkStrict(root *jsonValue) error {
	if root.kind != objectValue {
		return wrong(root, "", "strict mode: the schema is an object, not %s", root.kind)
	}
	if t := root.get("type"); t == nil || t.text != "object" {
		if root.get("$ref") == nil {
			return wrong(root, "type", `strict mode: the root has type "object", and no anyOf`)
		}
	}
	return new(strict).check(root, 0)
}

// check looks at a schema and all schemas in it, at a level of objects and arrays.
func (c *strict) check(v *jsonValue, level int) error {
	if v.kind != objectValue {
		return nil
	}
	if level > strictLevels {
		return wrong(v, "", "strict mode: nested more than %d levels deep", strictLevels)
	}
	if err := c.checkObject(v); err != nil {
		return err
	}
	if e := v.get("enum"); e != nil {
		c.values += len(e.values)
		for _, x := range e.values {
			c.text += len(x.text)
		}
	}
	for _, key := range [...]string{"properties", "$defs", "definitions"} {
		if p := v.get(key); p != nil {
			below := level
			if key == "properties" {
				below++
				c.properties += len(p.keys)
			}
			for i, m := range p.values {
				if i < len(p.keys) {
					c.text += len(p.keys[i])
				}
				if err := c.check(m, below); err != nil {
					return err
				}
			}
		}
	}
	for _, key := range [...]string{"items", "anyOf", "oneOf", "allOf", "prefixItems"} {
		p := v.get(key)
		if p == nil {
			continue
		}
		list, below := p.values, level
		if key == "items" {
			list, below = []*jsonValue{p}, level+1
		}
		for _, m := range list {
			if err := c.check(m, below); err != nil {
				return err
			}
		}
	}
	switch {
	case c.properties > strictProperties:
		return wrong(v, "", "strict mode: more than %d properties", strictProperties)
	case c.values > strictValues:
		return wrong(v, "", "strict mode: more than %d values of enums", strictValues)
	case c.text > strictText:
		return wrong(v, "", "strict mode: names and values of more than %d bytes", strictText)
	}
	return nil
}

func (c *strict) checkObject(v *jsonValue) error {
	t, p := v.get("type"), v.get("properties")
	isObject := p != nil
	if t != nil {
		isObject = isObject || t.text == "object" || slices.ContainsFunc(t.values, func(x *jsonValue) bool { return x.text == "object" })
	}
	if !isObject {
		return nil
	}
	if a := v.get("additionalProperties"); a == nil || a.kind != falseValue {
		return wrong(v, "additionalProperties", "strict mode: an object has additionalProperties false")
	}
	if p == nil {
		return nil
	}
	r := v.get("required")
	for _, name := range p.keys {
		if r == nil || !slices.ContainsFunc(r.values, func(x *jsonValue) bool { return x.text == name }) {
			return wrong(v, "required", "strict mode: property %q is not required: list all, and let those that may be missing be null", quoted(name))
		}
	}
	return nil
}
