package serve

// The parts of grammars of answers: texts as the model's tokenizer writes them, shapes, and calls in the form of each
// generation.

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/haenyeo/haenyeo/chat"
	"github.com/haenyeo/haenyeo/grammar"
)

// builder puts grammars together and keeps the first error; after it, everything is empty.
type builder struct {
	m    *Model
	form chat.CallForm
	err  error
}

func (b *builder) keep(g *grammar.Grammar, err error) *grammar.Grammar {
	if b.err == nil {
		b.err = err
	}
	if b.err != nil {
		return grammar.Text("")
	}
	return g
}

func (b *builder) sequence(parts ...*grammar.Grammar) *grammar.Grammar {
	return b.keep(grammar.Sequence(parts...))
}

func (b *builder) either(parts ...*grammar.Grammar) *grammar.Grammar {
	return b.keep(grammar.Either(parts...))
}

func (b *builder) maybe(g *grammar.Grammar) *grammar.Grammar { return b.keep(grammar.Repeat(g, 0, 1)) }

func (b *builder) free(marks ...string) *grammar.Grammar { return b.keep(grammar.Free(marks...)) }

func (b *builder) pattern(re string) *grammar.Grammar { return b.keep(grammar.FromRegexp(re)) }

// newlines stand between parts of an answer, and are nobody's words.
func (b *builder) newlines() *grammar.Grammar { return b.pattern(`\n{0,2}`) }

// written is a text of the format, in which control tokens stand where the tokenizer has them.
func (b *builder) written(text string) *grammar.Grammar {
	var parts []*grammar.Grammar
	for text != "" {
		at, token := len(text), ""
		for _, a := range b.m.Tokenizer.AddedTokens() {
			if i := strings.Index(text, a.Content); i >= 0 && !a.Harmless() && (i < at || i == at && len(a.Content) > len(token)) {
				at, token = i, a.Content
			}
		}
		if at > 0 {
			parts = append(parts, grammar.Text(text[:at]))
		}
		if token != "" {
			parts = append(parts, grammar.Mark(token))
		}
		text = text[at+len(token):]
	}
	return b.sequence(append(parts, grammar.Text(""))...)
}

func (b *builder) shape(s *shape) *grammar.Grammar {
	switch {
	case s.object:
		return grammar.JSONObject()
	case given(s.schema):
		return b.keep(grammar.FromJSONSchema(s.schema, grammar.Options{Strict: s.strict, Lenient: !s.strict}))
	case s.grammar != "":
		return b.keep(grammar.FromGBNF(s.grammar))
	case s.pattern != "":
		return b.pattern(s.pattern)
	}
	return b.keep(grammar.FromChoices(s.choices))
}

// mark is a text with which every block of calls begins, or nearly so.
func (b *builder) mark() string {
	switch begin := strings.TrimSpace(b.form.Begin); {
	case b.form.Parameters:
		return dsmlMark
	case begin != "":
		return begin
	default:
		head, _, _ := strings.Cut(b.form.Head, ">")
		return head + ">"
	}
}

// dsmlMark stands in every tag of DSML.
const dsmlMark = "｜DSML｜"

// mostCalls is how many calls an answer can have.
const mostCalls = 32

// calls is a block of calls to the tools of a request.
func (b *builder) calls(p *prepared) *grammar.Grammar {
	var each []*grammar.Grammar
	for _, t := range p.tools {
		strict := slices.Contains(p.strict, t.Name)
		name := encode(t.Name)
		each = append(each, b.sequence(b.written(b.form.Head), grammar.Text(string(name[1:len(name)-1])), b.written(b.form.Middle),
			b.arguments(t.Parameters, strict), b.written(b.form.Tail)))
		if b.err != nil {
			b.err = fail(outOfRange, "tools", "tool %q: %s", t.Name, strings.TrimPrefix(b.err.Error(), "grammar: "))
			return grammar.Text("")
		}
	}
	call := b.either(each...)
	block := []*grammar.Grammar{b.written(b.form.Begin), call}
	if b.form.Parameters || b.form.Begin == "" {
		block = append([]*grammar.Grammar{b.newlines()}, block...)
	}
	if !p.oneCall {
		block = append(block, b.keep(grammar.Repeat(b.sequence(b.written(b.form.Between), call), 0, mostCalls-1)))
	}
	return b.sequence(append(block, b.written(b.form.End))...)
}

// parametersJSON is what a schema of parameters says about its own level.
type parametersJSON struct {
	Type       json.RawMessage
	Properties json.RawMessage
	Required   []string
	Defs       json.RawMessage `json:"$defs"`
	Old        json.RawMessage `json:"definitions"`
}

// arguments is what may stand in a call.
func (b *builder) arguments(schema json.RawMessage, strict bool) *grammar.Grammar {
	o := grammar.Options{Strict: strict, Lenient: !strict}
	var j parametersJSON
	plain := json.Unmarshal(schema, &j) != nil || string(bytes.TrimSpace(j.Type)) != `"object"`
	if strict {
		b.keep(grammar.FromJSONSchema(schema, o)) // for what it finds wrong
	}
	if b.form.Parameters {
		return b.parameters(&j, o)
	}
	if plain {
		return grammar.JSONObject()
	}
	g, err := grammar.FromJSONSchema(schema, o)
	if err != nil && !strict { // what it means is for the model to find out
		return grammar.JSONObject()
	}
	return b.keep(g, err)
}

// parameters is the arguments of a call in DSML, in the order of the schema.
func (b *builder) parameters(j *parametersJSON, o grammar.Options) *grammar.Grammar {
	keys, values := members(j.Properties)
	if len(keys) == 0 {
		return b.keep(grammar.Repeat(b.parameter(b.pattern(`[A-Za-z0-9_.-]{1,64}`), nil, o), 0, mostCalls))
	}
	parts := []*grammar.Grammar{grammar.Text("")}
	for i, key := range keys {
		schema, text := withDefinitions(values[i], j), grammar.Text(key)
		part := b.parameter(text, schema, o)
		if !slices.Contains(j.Required, key) {
			part = b.maybe(part)
		}
		parts = append(parts, part)
	}
	return b.sequence(parts...)
}

// parameter is one of them; any value without a schema.
func (b *builder) parameter(key *grammar.Grammar, schema json.RawMessage, o grammar.Options) *grammar.Grammar {
	text := func(value *grammar.Grammar) *grammar.Grammar {
		return b.sequence(b.written(b.form.Parameter), key, b.written(b.form.AsText), value, b.written(b.form.ParameterEnd))
	}
	value := func(value *grammar.Grammar) *grammar.Grammar {
		return b.sequence(b.written(b.form.Parameter), key, b.written(b.form.AsJSON), value, b.written(b.form.ParameterEnd))
	}
	if schema == nil {
		return b.either(text(b.free(dsmlMark)), value(grammar.JSON()))
	}
	var j map[string]json.RawMessage
	json.Unmarshal(schema, &j)
	if string(bytes.TrimSpace(j["type"])) == `"string"` && unbounded(j) {
		return text(b.free(dsmlMark))
	}
	var choices []string
	if json.Unmarshal(j["enum"], &choices) == nil && len(choices) > 0 {
		return text(b.keep(grammar.FromChoices(choices)))
	}
	g, err := grammar.FromJSONSchema(schema, grammar.Options{Lenient: o.Lenient}) // strict is about the root
	if err != nil && o.Lenient {
		return b.either(text(b.free(dsmlMark)), value(grammar.JSON()))
	}
	return value(b.keep(g, err))
}

// unbounded says whether a schema says nothing about a string but that it is one.
func unbounded(j map[string]json.RawMessage) bool {
	for _, key := range []string{"enum", "const", "pattern", "format", "minLength", "maxLength", "anyOf", "oneOf", "allOf", "$ref"} {
		if _, ok := j[key]; ok {
			return false
		}
	}
	return true
}

// members gives the members of a JSON object in their order.
func members(raw json.RawMessage) (keys []string, values []json.RawMessage) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, nil
	}
	for d.More() {
		key, err := d.Token()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil {
			return nil, nil
		}
		keys, values = append(keys, key.(string)), append(values, value)
	}
	return keys, values
}

// withDefinitions gives a part of a schema the definitions that it may refer to.
func withDefinitions(part json.RawMessage, j *parametersJSON) json.RawMessage {
	var o map[string]json.RawMessage
	if json.Unmarshal(part, &o) != nil || o == nil || j.Defs == nil && j.Old == nil {
		return part
	}
	// The keys of the part keep their order: the definitions are put before them.
	var b bytes.Buffer
	b.WriteByte('{')
	for key, defs := range map[string]json.RawMessage{"$defs": j.Defs, "definitions": j.Old} {
		if _, has := o[key]; defs != nil && !has {
			b.Write(encode(key))
			b.WriteByte(':')
			b.Write(defs)
			b.WriteByte(',')
		}
	}
	rest := bytes.TrimSpace(part)[1:]
	if len(o) == 0 {
		b.Truncate(b.Len() - 1)
	}
	b.Write(rest)
	return b.Bytes()
}
