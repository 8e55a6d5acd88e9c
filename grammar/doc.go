// Package grammar keeps what a model writes inside a language: a JSON Schema, a GBNF grammar, a regular expression, a
// list of choices, or a combination of these. Before every token it says which tokens leave the text completable, so
// that a finished text is always in the language, whatever the model.
//
//	g, err := grammar.FromJSONSchema(schema, grammar.Options{})
//	k, err := g.For(grammar.OfTokenizer(tok), ends) // once for a model and a grammar; shared by many answers
//	sampling.Allowed = k.Matcher().Allowed          // of one answer, see package infer
//
// # The path of a grammar
//
//	schema*.go gbnf.go regexp.go choices.go json.go combine.go   a front end writes expressions in rules (expr.go)
//	compile.go utf8.go     expressions become states over bytes; what can never end is taken out
//	machine.go             the automaton at work: sets of stacks, each computed once (a pushdown, made deterministic on demand)
//	vocabulary.go          the tokens as a tree of bytes
//	mask.go counted.go     the tokens that a configuration permits
//	matcher.go             the place of one answer
//
// # JSON Schema
//
// Of draft 2020-12 these keywords are enforced:
//
//	all      type, enum, const, anyOf, oneOf (as anyOf), allOf (merged), $ref within the schema (recursion too), $defs
//	object   properties, required, additionalProperties; minProperties and maxProperties without properties
//	array    items, prefixItems, minItems, maxItems
//	string   minLength, maxLength, pattern (RE2, searched as the draft says), format date, time, date-time, duration,
//	         email, hostname, ipv4, ipv6, uuid, uri
//	number   minimum, maximum, exclusiveMinimum, exclusiveMaximum, for integers and others
//
// Others that demand something (not, if, uniqueItems, multipleOf, patternProperties and more) are errors that name
// their place, or are left unenforced with Options.Lenient; unknown keywords are annotations, as the draft has it.
//
// What is written is a part of what the schema accepts. Properties come in the order of the schema. Where a schema
// names no type, the types are meant that its keywords are about. Keys of additional properties hold no escapes where
// there are properties with names; that such a key is not written twice is not enforced. Numbers have at most 16 digits
// before and behind the point, and none in a range has an exponent; a space follows commas and colons or not, and values
// may stand on lines of their own, indented by at most 40.
//
// # Limits
//
// Schemas and grammars have at most 1 MB, patterns 64 KB and counts in patterns 1000 (RE2's limit); a grammar has at most
// 1,048,576 states. Repetitions are counted, not written out: their length costs nothing. A text that can be read in
// more than 8192 ways at a time, or a mask that takes a good part of a second, is an error of the answer.
package grammar
