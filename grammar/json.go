package grammar

// JSON (RFC 8259) as a model writes it. White space is bounded, so that no answer is nothing but space: after an
// opening bracket, a comma and before a closing one there may be a space, or a newline and up to 40 spaces or tabs;
// after a colon there may be a space. Numbers have at most 16 digits before the point and 16 after it, and an exponent
// of at most two digits: every one fits into a float64, and every integer of a schema into an int64.

import "fmt"

const (
	maxIndent   = 40
	maxDigits   = 16
	maxExponent = 2
)

// jsonRules are rules with those of JSON among them.
type jsonRules struct {
	*rules
	space, colon          *expr
	text, number, integer *expr
	value, object, array  *expr
}

func newJSONRules(compact bool) *jsonRules {
	j := &jsonRules{rules: begin(), space: lit(""), colon: lit(":")}
	if !compact {
		blank := chars(' ', ' ', '\t', '\t')
		blank.set = normalSet(blank.set)
		j.space = j.define("space", oneOf(lit(""), lit(" "), seq(lit("\n"), times(blank, 0, maxIndent))))
		j.colon = seq(lit(":"), optional(lit(" ")))
	}
	j.text = j.define("string", seq(lit(`"`), star(jsonChar()), lit(`"`)))
	j.integer = j.define("integer", jsonInteger())
	j.number = j.define("number", jsonNumber())
	value, object, array := j.add("value"), j.add("object"), j.add("array")
	j.value, j.object, j.array = callOf(value), callOf(object), callOf(array)
	j.exprs[value] = oneOf(j.object, j.array, j.text, j.number, lit("true"), lit("false"), lit("null"))
	j.exprs[object] = j.members(seq(j.text, j.colon, j.value))
	j.exprs[array] = j.list(j.value, 0, -1)
	return j
}

// members is an object of any number of the same member.
func (j *jsonRules) members(member *expr) *expr {
	return j.enclosed("{", member, 0, -1, "}")
}

// list is an array of min to max of the same item.
func (j *jsonRules) list(item *expr, min, max int) *expr { return j.enclosed("[", item, min, max, "]") }

func (j *jsonRules) enclosed(opening string, item *expr, least, most int, closing string) *expr {
	empty := lit(opening + closing)
	if most == 0 {
		return empty
	}
	rest := most
	if rest > 0 {
		rest--
	}
	full := seq(lit(opening), j.space, item, times(seq(j.comma(), item), max(least-1, 0), rest), j.space, lit(closing))
	if least > 0 {
		return full
	}
	return oneOf(empty, full)
}

func (j *jsonRules) comma() *expr { return seq(lit(","), j.space) }

// jsonEscaped are the characters that a string has escaped, jsonPlain the others.
var (
	jsonEscaped = normalSet([]rune{0, 0x1f, '"', '"', '\\', '\\'})
	jsonPlain   = without(anyRune, jsonEscaped)
)

// jsonChar is one character of a string. A character beyond the basic plane that is escaped is two escapes.
func jsonChar() *expr {
	hex := set([]rune{'0', '9', 'A', 'F', 'a', 'f'})
	d := set([]rune{'D', 'D', 'd', 'd'})
	return &expr{op: unit, subs: []*expr{
		set(jsonPlain),
		seq(lit(`\`), set(normalSet([]rune{'"', '"', '\\', '\\', '/', '/', 'b', 'b', 'f', 'f', 'n', 'n', 'r', 'r', 't', 't'}))),
		seq(lit(`\u`), set([]rune{'0', '9', 'A', 'C', 'E', 'F', 'a', 'c', 'e', 'f'}), hex, hex, hex),
		seq(lit(`\u`), d, set([]rune{'0', '7'}), hex, hex),
		seq(lit(`\u`), d, set([]rune{'8', '9', 'A', 'B', 'a', 'b'}), hex, hex,
			lit(`\u`), d, set([]rune{'C', 'F', 'c', 'f'}), hex, hex),
	}}
}

func digits(min, max int) *expr { return times(set([]rune{'0', '9'}), min, max) }

// natural is a number without sign, zeros before it, or fraction.
func natural() *expr { return oneOf(lit("0"), seq(set([]rune{'1', '9'}), digits(0, maxDigits-1))) }

func jsonInteger() *expr {
	return oneOf(lit("0"), seq(optional(lit("-")), set([]rune{'1', '9'}), digits(0, maxDigits-1)))
}

func jsonNumber() *expr {
	exponent := seq(set(normalSet([]rune{'e', 'e', 'E', 'E'})), optional(set(normalSet([]rune{'+', '+', '-', '-'}))), digits(1, maxExponent))
	return seq(optional(lit("-")), natural(), optional(seq(lit("."), digits(1, maxDigits))), optional(exponent))
}

// quote writes a text as JSON does, with its quotation marks and no more escapes than are needed.
func quote(s string) string {
	out := []byte{'"'}
	for _, r := range s {
		out = appendJSONRune(out, r)
	}
	return string(append(out, '"'))
}

func appendJSONRune(out []byte, r rune) []byte {
	switch {
	case r == '"' || r == '\\':
		return append(out, '\\', byte(r))
	case r == '\n':
		return append(out, `\n`...)
	case r == '\r':
		return append(out, `\r`...)
	case r == '\t':
		return append(out, `\t`...)
	case r == '\b':
		return append(out, `\b`...)
	case r == '\f':
		return append(out, `\f`...)
	case r < ' ':
		return fmt.Appendf(out, `\u%04x`, r)
	}
	return append(out, string(r)...)
}

// jsonRunes writes characters inside a JSON string.
func jsonRunes(s []rune) *expr {
	plain, escaped := without(s, jsonEscaped), common(s, jsonEscaped)
	if len(escaped) == 0 {
		return set(plain)
	}
	ways := []*expr{set(plain)}
	for i := 0; i < len(escaped); i += 2 {
		for r := escaped[i]; r <= escaped[i+1]; r++ {
			ways = append(ways, lit(string(appendJSONRune(nil, r))))
		}
	}
	return &expr{op: unit, subs: ways}
}

// JSON is any JSON value.
func JSON() *Grammar {
	j := newJSONRules(false)
	j.exprs[0] = j.value
	return mustRules(j.rules)
}

// JSONObject is any JSON object.
func JSONObject() *Grammar {
	j := newJSONRules(false)
	j.exprs[0] = j.object
	return mustRules(j.rules)
}
