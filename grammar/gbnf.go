package grammar

// GBNF, the notation of llama.cpp's grammars (its grammars/README.md): rules of literals, characters, groups and
// repetitions. The first rule that is used is root.
//
//	rule      ::= name "::=" either
//	either    ::= sequence ("|" sequence)*
//	sequence  ::= (item count?)*
//	item      ::= "text" | [a-z] | [^a-z] | . | (either) | name | <control token>
//	count     ::= * | + | ? | {n} | {n,} | {n,m} | {,m}
//
// A rule ends at a newline outside of brackets, unless the next line begins with "|". Comments go from # to the end of
// the line.

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// FromGBNF reads a grammar in llama.cpp's notation. <name> is the control token that is written so.
func FromGBNF(text string) (*Grammar, error) {
	g, err := parseGBNF(text)
	if err != nil {
		return nil, fmt.Errorf("grammar: GBNF: %w", err)
	}
	return finish("GBNF", g)
}

type gbnf struct {
	text  string
	at    int
	rules *rules
	known map[string]int
	used  []int // offset of the first use, by rule
}

func parseGBNF(text string) (*rules, error) {
	if len(text) > maxSchema {
		return nil, fmt.Errorf("it has %d bytes: at most %d", len(text), maxSchema)
	}
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("it is not UTF-8")
	}
	p := &gbnf{text: text, rules: &rules{}, known: map[string]int{}}
	p.rule("root")
	for p.space(true); p.at < len(text); p.space(true) {
		if err := p.definition(); err != nil {
			line := 1 + strings.Count(text[:min(p.at, len(text))], "\n")
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
	for i, e := range p.rules.exprs {
		if e != nil {
			continue
		}
		if i == 0 {
			return nil, fmt.Errorf(`there is no rule "root", where a grammar begins`)
		}
		return nil, fmt.Errorf("line %d: rule %q is used but not defined", 1+strings.Count(text[:p.used[i]], "\n"), quoted(p.rules.names[i]))
	}
	return p.rules, nil
}

// rule gives the number of a rule by its name.
func (p *gbnf) rule(name string) int {
	i, ok := p.known[name]
	if !ok {
		i = p.rules.add(name)
		p.known[name] = i
		p.used = append(p.used, p.at)
	}
	return i
}

// space passes blanks and comments, and newlines where they mean nothing.
func (p *gbnf) space(newlines bool) {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '#':
			for p.at < len(p.text) && p.text[p.at] != '\n' {
				p.at++
			}
		case c == ' ' || c == '\t' || newlines && (c == '\n' || c == '\r'):
			p.at++
		default:
			return
		}
	}
}

func (p *gbnf) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

// take passes a text if it stands here.
func (p *gbnf) take(s string) bool {
	if strings.HasPrefix(p.text[p.at:], s) {
		p.at += len(s)
		return true
	}
	return false
}

func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

func (p *gbnf) name() string {
	from := p.at
	for isNameByte(p.peek()) {
		p.at++
	}
	return p.text[from:p.at]
}

func (p *gbnf) definition() error {
	name := p.name()
	if name == "" {
		return fmt.Errorf("a rule begins with its name, of letters, digits and -, not with %q", p.rest())
	}
	p.space(false)
	if !p.take("::=") {
		return fmt.Errorf(`after the name %q there is "::=", not %q`, quoted(name), p.rest())
	}
	r := p.rule(name)
	if p.rules.exprs[r] != nil {
		return fmt.Errorf("rule %q is defined twice", quoted(name))
	}
	p.space(true)
	e, err := p.either(false, 0)
	if err != nil {
		return err
	}
	p.rules.exprs[r] = e
	if c := p.peek(); c != 0 && c != '\n' && c != '\r' {
		return fmt.Errorf("%q cannot stand in a rule", p.rest())
	}
	return nil
}

// rest is what stands here, for an error.
func (p *gbnf) rest() string {
	line, _, _ := strings.Cut(p.text[p.at:], "\n")
	return quoted(line)
}

// either reads alternatives. inside says whether brackets are around them.
func (p *gbnf) either(inside bool, depth int) (*expr, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("brackets are nested more than %d deep", maxDepth)
	}
	var ways []*expr
	for {
		e, err := p.sequence(inside, depth)
		if err != nil {
			return nil, err
		}
		ways = append(ways, e)
		if !inside { // a line that begins with | goes on with the rule
			before := p.at
			if p.space(true); p.peek() != '|' {
				p.at = before
			}
		}
		if !p.take("|") {
			return oneOf(ways...), nil
		}
		p.space(true)
	}
}

func (p *gbnf) sequence(inside bool, depth int) (*expr, error) {
	var parts []*expr
	for {
		e, err := p.item(depth)
		if err != nil {
			return nil, err
		}
		if e == nil {
			return seq(parts...), nil
		}
		p.space(inside)
		for n := 0; ; n++ {
			counted, err := p.count(e)
			if err == nil && n > maxDepth {
				err = fmt.Errorf("more than %d counts stand behind one another", maxDepth)
			}
			if err != nil {
				return nil, err
			}
			if counted == nil {
				break
			}
			e = counted
			p.space(inside)
		}
		parts = append(parts, e)
	}
}

// item reads one, nil where none begins.
func (p *gbnf) item(depth int) (*expr, error) {
	switch c := p.peek(); {
	case c == '"':
		p.at++
		return p.quotedText()
	case c == '[':
		p.at++
		return p.characters()
	case c == '.':
		p.at++
		return set(anyRune), nil
	case c == '(':
		p.at++
		p.space(true)
		e, err := p.either(true, depth+1)
		if err == nil && !p.take(")") {
			err = fmt.Errorf("a bracket ( is not closed: %q", p.rest())
		}
		return e, err
	case c == '<' || c == '!':
		return p.token()
	case isNameByte(c):
		return callOf(p.rule(p.name())), nil
	}
	return nil, nil
}

// token reads a control token.
func (p *gbnf) token() (*expr, error) {
	if p.peek() == '!' {
		return nil, fmt.Errorf("%q: that a token is excluded cannot be expressed here", p.rest())
	}
	line, _, _ := strings.Cut(p.text[p.at:], "\n")
	name, _, closed := strings.Cut(line, ">")
	switch name += ">"; {
	case !closed || len(name) > maxToken:
		return nil, fmt.Errorf("%q: a control token goes from < to >", quoted(line))
	case strings.HasPrefix(name, "<["):
		return nil, fmt.Errorf("%q: a control token is given by its text, as ids differ between models", quoted(name))
	}
	p.at += len(name)
	return control(name), nil
}

func (p *gbnf) quotedText() (*expr, error) {
	var b strings.Builder
	for {
		switch c := p.peek(); c {
		case 0, '\n', '\r':
			if p.at < len(p.text) && c == 0 {
				b.WriteByte(0)
				p.at++
				continue
			}
			return nil, fmt.Errorf(`a text is not closed by "`)
		case '"':
			p.at++
			return lit(b.String()), nil
		}
		r, err := p.character()
		if err != nil {
			return nil, err
		}
		b.WriteRune(r)
	}
}

// characters reads a set of them, behind its bracket.
func (p *gbnf) characters() (*expr, error) {
	not := p.take("^")
	var pairs []rune
	for !p.take("]") {
		if p.at == len(p.text) || p.peek() == '\n' {
			return nil, fmt.Errorf("a set of characters is not closed by ]")
		}
		lo, err := p.character()
		if err != nil {
			return nil, err
		}
		hi := lo
		if p.peek() == '-' && p.at+1 < len(p.text) && p.text[p.at+1] != ']' {
			p.at++
			if hi, err = p.character(); err != nil {
				return nil, err
			}
			if hi < lo {
				return nil, fmt.Errorf("the range %q-%q of characters is empty", lo, hi)
			}
		}
		pairs = append(pairs, lo, hi)
	}
	s := normalSet(pairs)
	if not {
		s = without(anyRune, s)
	}
	return set(s), nil
}

// character reads one, escaped or not.
func (p *gbnf) character() (rune, error) {
	r, n := utf8.DecodeRuneInString(p.text[p.at:])
	p.at += n
	if r != '\\' {
		return r, nil
	}
	r, n = utf8.DecodeRuneInString(p.text[p.at:])
	p.at += n
	switch r {
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case '\\', '"', '[', ']', '-', '^':
		return r, nil
	case 'x':
		return p.hex(2)
	case 'u':
		return p.hex(4)
	case 'U':
		return p.hex(8)
	}
	return 0, fmt.Errorf(`the escape \%c is not known: there are \n \r \t \\ \" \[ \] \x41 \u0041 and \U00000041`, r)
}

func (p *gbnf) hex(digits int) (r rune, err error) {
	if p.at+digits > len(p.text) || !isHex(p.text[p.at:p.at+digits]) {
		return 0, fmt.Errorf("an escape has %d hexadecimal digits: %q", digits, p.rest())
	}
	var n uint32
	for range digits {
		n = n<<4 | uint32(strings.IndexByte("0123456789abcdef", p.text[p.at]|0x20))
		p.at++
	}
	if n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
		return 0, fmt.Errorf("U+%X is no character", n)
	}
	return rune(n), nil
}

// count reads how often an item stands, nil where nothing is said.
func (p *gbnf) count(e *expr) (*expr, error) {
	switch {
	case p.take("*"):
		return star(e), nil
	case p.take("+"):
		return times(e, 1, -1), nil
	case p.take("?"):
		return optional(e), nil
	case !p.take("{"):
		return nil, nil
	}
	p.space(false)
	least, some, err := p.number()
	if err != nil {
		return nil, err
	}
	p.space(false)
	most := least
	if p.take(",") {
		p.space(false)
		n, given, err := p.number()
		if err != nil {
			return nil, err
		}
		if most = n; !given {
			most = -1
		}
		p.space(false)
	} else if !some {
		return nil, fmt.Errorf("a count is {n}, {n,} or {n,m}: %q", p.rest())
	}
	if !p.take("}") || most >= 0 && most < least {
		return nil, fmt.Errorf("a count is {n}, {n,} or {n,m}, m not below n: %q", p.rest())
	}
	return times(e, least, most), nil
}

func (p *gbnf) number() (n int, given bool, err error) {
	for c := p.peek(); '0' <= c && c <= '9'; c = p.peek() {
		if n = 10*n + int(c-'0'); n > maxCount {
			return 0, false, fmt.Errorf("a count is larger than %d", maxCount)
		}
		given = true
		p.at++
	}
	return n, given, nil
}
