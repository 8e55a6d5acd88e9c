package grammar

// Plain keywords of several schemas that hold together, merged, and written type by type.

import (
	"slices"
	"strconv"
)

// types is a set of them. A number that may have a fraction is both an integer and a fraction.
type types uint8

const (
	objectType types = 1 << iota
	arrayType
	stringType
	integerType
	fractionType
	booleanType
	nullType
	numberType = integerType | fractionType
	anyType    = objectType | arrayType | stringType | numberType | booleanType | nullType
)

var typeNames = map[string]types{
	"object": objectType, "array": arrayType, "string": stringType, "integer": integerType, "number": numberType,
	"boolean": booleanType, "null": nullType,
}

// about says what a keyword is about.
var about = map[string]types{
	"properties": objectType, "required": objectType, "additionalProperties": objectType, "minProperties": objectType, "maxProperties": objectType,
	"items": arrayType, "prefixItems": arrayType, "minItems": arrayType, "maxItems": arrayType,
	"minLength": stringType, "maxLength": stringType, "pattern": stringType, "format": stringType,
	"minimum": numberType, "maximum": numberType, "exclusiveMinimum": numberType, "exclusiveMaximum": numberType,
}

// beyond are the keywords that demand what an automaton cannot hold, or this one does not.
var beyond = []string{
	"not", "if", "dependentRequired", "dependentSchemas", "dependencies", "patternProperties", "propertyNames",
	"unevaluatedProperties", "unevaluatedItems", "contains", "uniqueItems", "multipleOf", "additionalItems", "$dynamicRef", "$recursiveRef",
}

// merged is the expression of values that satisfy the plain keywords of all of plain.
func (s *schemas) merged(plain []*jsonValue, depth int) (*expr, error) {
	allowed, err := s.typesOf(plain)
	if err != nil {
		return nil, err
	}
	for _, v := range plain {
		if err := s.refuse(v); err != nil {
			return nil, err
		}
	}
	if values, any, err := s.enumerated(plain); err != nil || any {
		if err != nil {
			return nil, err
		}
		return s.valuesOf(values, plain, allowed)
	}
	if allowed == anyType {
		return s.j.value, nil
	}
	var ways []*expr
	for _, t := range [...]struct {
		types types
		write func(plain []*jsonValue, allowed types, depth int) (*expr, error)
	}{{objectType, s.object}, {arrayType, s.array}, {stringType, s.text}, {numberType, s.number}} {
		if allowed&t.types == 0 {
			continue
		}
		e, err := t.write(plain, allowed, depth)
		if err != nil {
			return nil, err
		}
		ways = append(ways, e)
	}
	if allowed&booleanType != 0 {
		ways = append(ways, lit("true"), lit("false"))
	}
	if allowed&nullType != 0 {
		ways = append(ways, lit("null"))
	}
	return oneOf(ways...), nil
}

// typesOf finds the types that all schemas allow. Where none names a type, those are meant that their keywords are
// about.
func (s *schemas) typesOf(plain []*jsonValue) (types, error) {
	allowed, named := anyType, false
	var hinted types
	for _, v := range plain {
		for _, key := range v.keys {
			hinted |= about[key]
		}
		t := v.get("type")
		if t == nil {
			continue
		}
		named = true
		list := []*jsonValue{t}
		if t.kind == arrayValue {
			list = t.values
		}
		var here types
		for _, name := range list {
			one, ok := typeNames[name.text]
			if !ok || name.kind != stringValue {
				return 0, wrong(v, "type", "there is no type %s: there are object, array, string, number, integer, boolean and null", quoted(string(name.appendCompact(nil))))
			}
			here |= one
		}
		allowed &= here
	}
	if !named && hinted != 0 {
		return hinted, nil
	}
	return allowed, nil
}

// refuse reports the keywords of a schema that are not understood.
func (s *schemas) refuse(v *jsonValue) error {
	for _, key := range beyond {
		x := v.get(key)
		if x == nil || x.kind == falseValue && key == "uniqueItems" || x.kind == trueValue && key[0] == 'u' && key != "uniqueItems" {
			continue
		}
		if err := s.unsupported(v, key, "%s is not supported: leave it out, or check it afterwards", key); err != nil {
			return err
		}
	}
	return nil
}

// enumerated is the values that enum and const leave, and whether there is such a keyword.
func (s *schemas) enumerated(plain []*jsonValue) (values []*jsonValue, any bool, err error) {
	for _, v := range plain {
		if c := v.get("const"); c != nil {
			values, any = restrictTo(values, any, []*jsonValue{c}), true
		}
		if e := v.get("enum"); e != nil {
			if e.kind != arrayValue || len(e.values) == 0 {
				return nil, false, wrong(v, "enum", "it is a list of at least one value")
			}
			values, any = restrictTo(values, any, e.values), true
		}
	}
	return values, any, nil
}

// restrictTo is what of values is in list, all of list at first.
func restrictTo(values []*jsonValue, restricted bool, list []*jsonValue) []*jsonValue {
	if !restricted {
		return list
	}
	var left []*jsonValue
	for _, v := range values {
		if slices.ContainsFunc(list, func(x *jsonValue) bool { return equal(v, x) }) {
			left = append(left, v)
		}
	}
	return left
}

// valuesOf is one of values, of those that the other keywords allow.
func (s *schemas) valuesOf(values []*jsonValue, plain []*jsonValue, allowed types) (*expr, error) {
	var texts []string
	for _, x := range values {
		ok, err := s.allows(plain, allowed, x)
		if err != nil {
			return nil, err
		}
		if ok {
			texts = append(texts, string(x.appendCompact(nil)))
		}
	}
	return words(texts), nil
}

// count reads a keyword that counts something: the strictest of plain, or otherwise.
func count(plain []*jsonValue, key string, otherwise int, stricter func(a, b int) int) (int, error) {
	n, found := otherwise, false
	for _, v := range plain {
		x := v.get(key)
		if x == nil {
			continue
		}
		d, err := parseDecimal(x.text)
		if x.kind != numberValue || err != nil || d.negative || len(d.fraction) > 0 {
			return 0, wrong(v, key, "it is a whole number, 0 or more")
		}
		i, err := strconv.Atoi(d.whole)
		if err != nil || i > maxCount {
			i = maxCount
		}
		if found {
			i = stricter(n, i)
		}
		n, found = i, true
	}
	return n, nil
}

// counts reads a pair of such keywords. most is -1 where there is no end.
func counts(plain []*jsonValue, minKey, maxKey string) (least, most int, err error) {
	larger := func(a, b int) int { return max(a, b) }
	smaller := func(a, b int) int { return min(a, b) }
	if least, err = count(plain, minKey, 0, larger); err == nil {
		most, err = count(plain, maxKey, -1, smaller)
	}
	return least, most, err
}
