package grammar

// JSON Schema, draft 2020-12, as far as an automaton can hold it.
//
// A place of the document must satisfy several schemas at once: the one that stands there, what its $ref names, the
// members of its allOf. So the unit of translation is a conjunction, a list of schemas. It is translated in three steps:
// flatten puts $ref and allOf beside what they stand in and sets anyOf and oneOf apart; of these, each member in turn
// joins the conjunction, one alternative each; and what is left, plain keywords, is merged into a form per type
// (schema_merge.go) and written as an expression (schema_object.go, schema_string.go, schema_number.go). A conjunction
// becomes one rule, found again by the places of its schemas: that is how recursion ends.

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Options say how a JSON Schema is read.
type Options struct {
	// Strict holds the schema to the rules of strict mode in the OpenAI API: the root is an object; every object lists
	// all its properties as required and has additionalProperties false; at most 5000 properties, 1000 values of enums
	// and 10 levels.
	Strict bool

	// Lenient lets what cannot be expressed go unenforced instead of being an error.
	Lenient bool

	// Compact leaves no room for white space between values.
	Compact bool
}

const (
	maxSchema = 1 << 20 // bytes
	maxParts  = 20000   // schemas of all conjunctions
)

// SchemaError says what is wrong with a schema, and where.
type SchemaError struct {
	Pointer string // JSON pointer of the keyword, "" for the whole
	What    string
}

func (e *SchemaError) Error() string {
	at := e.Pointer
	if at == "" {
		at = "/"
	}
	return fmt.Sprintf("grammar: JSON schema at %s: %s", quoted(at), e.What)
}

// FromJSONSchema is the JSON values that a schema accepts. Properties come in the order in which the schema lists them,
// others after them. An error is a [*SchemaError].
func FromJSONSchema(schema []byte, o Options) (*Grammar, error) {
	root, err := parseJSON(schema)
	if err != nil {
		return nil, &SchemaError{What: err.Error()}
	}
	if o.Strict {
		if err := checkStrict(root); err != nil {
			return nil, err
		}
	}
	s := &schemas{Options: o, j: newJSONRules(o.Compact), root: root, rules: map[string]int{}}
	e, err := s.rule([]*jsonValue{root}, 0)
	if err != nil {
		return nil, err
	}
	s.j.exprs[0] = e
	g, err := compile(s.j.rules)
	if err != nil {
		return nil, &SchemaError{What: err.Error()}
	}
	return g, nil
}

// schemas translates the parts of one schema.
type schemas struct {
	Options
	j     *jsonRules
	root  *jsonValue
	rules map[string]int // by the pointers of a conjunction
	parts int            // in the conjunctions so far
	keys  int            // rules for keys so far
}

func wrong(v *jsonValue, key, format string, args ...any) error {
	at, _, _ := strings.Cut(v.pointer, "\x00")
	if key != "" {
		at = join(at, key)
	}
	return &SchemaError{Pointer: at, What: fmt.Sprintf(format, args...)}
}

// unsupported is an error unless the options are lenient.
func (s *schemas) unsupported(v *jsonValue, key, format string, args ...any) error {
	if s.Lenient {
		return nil
	}
	return wrong(v, key, format, args...)
}

// rule is a call of the rule of a conjunction.
func (s *schemas) rule(conj []*jsonValue, depth int) (*expr, error) {
	pointers := make([]string, len(conj))
	for i, v := range conj {
		pointers[i] = strconv.Quote(v.pointer)
	}
	slices.Sort(pointers)
	key := strings.Join(slices.Compact(pointers), " ")
	if r, ok := s.rules[key]; ok {
		return callOf(r), nil
	}
	if s.parts += len(conj); s.parts > maxParts {
		return nil, wrong(conj[0], "", "the schema has more than %d parts when its references and combinations are written out: make it smaller", maxParts)
	}
	if depth > maxDepth {
		return nil, wrong(conj[0], "", "schemas are nested more than %d deep", maxDepth)
	}
	name, _, _ := strings.Cut(conj[0].pointer, "\x00")
	if name == "" {
		name = "/"
	}
	r := s.j.add(name)
	s.rules[key] = r
	e, err := s.translate(conj, depth)
	s.j.exprs[r] = e
	return callOf(r), err
}

// flat is a conjunction taken apart.
type flat struct {
	plain   []*jsonValue   // objects whose own keywords hold
	choices [][]*jsonValue // of each, one schema holds besides
	never   bool
	seen    map[string]bool
	open    map[string]bool // those that flatten is in
}

func (s *schemas) translate(conj []*jsonValue, depth int) (*expr, error) {
	f := &flat{seen: map[string]bool{}, open: map[string]bool{}}
	for _, v := range conj {
		if err := s.flatten(f, v, depth); err != nil {
			return nil, err
		}
	}
	switch {
	case f.never:
		return never(), nil
	case len(f.choices) == 0:
		return s.merged(f.plain, depth)
	}
	// The members of the first choice join the rest. Schemas that are flat already stay what they are: their own choices
	// are given on beside them.
	var ways []*expr
	for _, member := range f.choices[0] {
		w, err := s.joined(f.plain, append([][]*jsonValue{{member}}, f.choices[1:]...), depth)
		if err != nil {
			return nil, err
		}
		ways = append(ways, w)
	}
	return oneOf(ways...), nil
}

// joined is the conjunction of plain keywords and one of each of the choices.
func (s *schemas) joined(plain []*jsonValue, choices [][]*jsonValue, depth int) (*expr, error) {
	if len(plain) == 0 && len(choices) == 1 && len(choices[0]) == 1 {
		return s.rule(choices[0], depth+1)
	}
	conj := make([]*jsonValue, 0, len(plain)+len(choices))
	for _, v := range plain {
		conj = append(conj, v.own())
	}
	for _, c := range choices {
		if len(c) == 1 {
			conj = append(conj, c[0])
		} else {
			conj = append(conj, choiceOf(c))
		}
	}
	return s.rule(conj, depth+1)
}

// own is a schema without what flatten resolves.
func (v *jsonValue) own() *jsonValue {
	if strings.HasSuffix(v.pointer, "\x00own") {
		return v
	}
	o := &jsonValue{kind: v.kind, pointer: v.pointer + "\x00own"}
	for i, k := range v.keys {
		switch k {
		case "$ref", "allOf", "anyOf", "oneOf":
		default:
			o.keys, o.values = append(o.keys, k), append(o.values, v.values[i])
		}
	}
	return o
}

// choiceOf is a schema that is nothing but a choice.
func choiceOf(c []*jsonValue) *jsonValue {
	list := &jsonValue{kind: arrayValue, values: c, pointer: c[0].pointer + "\x00list"}
	return &jsonValue{kind: objectValue, keys: []string{"anyOf"}, values: []*jsonValue{list}, pointer: c[0].pointer + "\x00choice"}
}

// flatten adds a schema to f.
func (s *schemas) flatten(f *flat, v *jsonValue, depth int) error {
	if f.seen[v.pointer] {
		if f.open[v.pointer] {
			return wrong(v, "", "the schema refers to itself, and to nothing else")
		}
		return nil
	}
	f.seen[v.pointer], f.open[v.pointer] = true, true
	defer delete(f.open, v.pointer)
	if depth > maxDepth || len(f.seen) > maxParts {
		return wrong(v, "", "schemas are nested more than %d deep", maxDepth)
	}
	switch {
	case v.kind == trueValue:
		return nil
	case v.kind == falseValue:
		f.never = true
		return nil
	case v.kind != objectValue:
		return wrong(v, "", "a schema is an object, true or false, not %s", v.kind)
	}
	if ref := v.get("$ref"); ref != nil {
		target, err := s.resolve(v, ref)
		if err != nil {
			return err
		}
		if err := s.flatten(f, target, depth+1); err != nil {
			return err
		}
	}
	if all := v.get("allOf"); all != nil {
		list, err := all.list("allOf")
		if err != nil {
			return err
		}
		for _, m := range list {
			if err := s.flatten(f, m, depth+1); err != nil {
				return err
			}
		}
	}
	for _, key := range [...]string{"anyOf", "oneOf"} {
		if c := v.get(key); c != nil {
			list, err := c.list(key)
			if err != nil {
				return err
			}
			f.choices = append(f.choices, list)
		}
	}
	f.plain = append(f.plain, v)
	return nil
}

// resolve finds what a reference names.
func (s *schemas) resolve(v, ref *jsonValue) (*jsonValue, error) {
	if ref.kind != stringValue {
		return nil, wrong(v, "$ref", "a reference is a string, not %s", ref.kind)
	}
	path, inside := strings.CutPrefix(ref.text, "#")
	if !inside {
		return nil, wrong(v, "$ref", "%q is outside the schema, and nothing is fetched: put it under $defs", quoted(ref.text))
	}
	at := s.root
	if path == "" {
		return at, nil
	}
	parts := strings.Split(path, "/")
	if parts[0] != "" {
		return nil, wrong(v, "$ref", "%q names an anchor: refer by a path such as #/$defs/name", quoted(ref.text))
	}
	for _, p := range parts[1:] {
		if at = at.child(unescapePointer(p)); at == nil {
			return nil, wrong(v, "$ref", "%q is not in the schema", quoted(ref.text))
		}
	}
	return at, nil
}

// list is the members of a combination.
func (v *jsonValue) list(key string) ([]*jsonValue, error) {
	if v.kind != arrayValue || len(v.values) == 0 {
		return nil, wrong(v, "", "%s is a list of at least one schema", key)
	}
	return v.values, nil
}
