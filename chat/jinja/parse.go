package jinja

// The parser of statements, after jinja2/parser.py.

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Largest template in bytes. The largest published ones have about 40 KB.
const maxSource = 4 << 20

// Deepest nesting of brackets and blocks, and longest chain of operators. Python's compiler gives up earlier.
const maxDepth = 1000

// Template is a parsed template. It is immutable and safe for concurrent use.
type Template struct {
	body  []stmt
	frame *frame
}

// Parse reads a template. Its errors name the line.
func Parse(src string) (t *Template, err error) {
	line := 0
	defer caught(&err, true, &line, nil)
	if len(src) > maxSource {
		fail(0, "the template has %d bytes; %d are the most", len(src), maxSource)
	}
	if !utf8.ValidString(src) {
		at := 0
		for utf8.FullRuneInString(src[at:]) {
			r, n := utf8.DecodeRuneInString(src[at:])
			if r == utf8.RuneError && n <= 1 {
				break
			}
			at += n
		}
		fail(1+strings.Count(src[:at], "\n"), "the byte at offset %d is not UTF-8", at)
	}
	p := &parser{tokens: lex(src)}
	t = &Template{body: p.statements()}
	t.frame = bind(t.body)
	return t, nil
}

type parser struct {
	tokens []token
	at     int
	depth  int
	open   []string // the tags that are not closed yet
	loops  int      // loops around this place in the same function: break and continue need one
}

func (p *parser) cur() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != tokEOF {
		p.at++
	}
	return t
}

// peek gives the token after the current one.
func (p *parser) peek() token { return p.tokens[min(p.at+1, len(p.tokens)-1)] }

func (p *parser) fail(format string, args ...any) { fail(p.cur().line, format, args...) }

func (p *parser) line() pos { return pos(p.cur().line) }

// enter counts nesting; the caller defers leave.
func (p *parser) enter() {
	if p.depth++; p.depth > maxDepth {
		p.fail("nested deeper than %d", maxDepth)
	}
}

func (p *parser) leave() { p.depth-- }

func (t token) op(s string) bool   { return t.kind == tokOperator && t.text == s }
func (t token) word(s string) bool { return t.kind == tokName && t.text == s }

func (p *parser) skipOp(s string) bool {
	if p.cur().op(s) {
		p.next()
		return true
	}
	return false
}

func (p *parser) skipWord(s string) bool {
	if p.cur().word(s) {
		p.next()
		return true
	}
	return false
}

func (p *parser) expectOp(s string) {
	if !p.skipOp(s) {
		p.fail("expected %q, found %v", s, p.cur())
	}
}

func (p *parser) expectWord(s string) {
	if !p.skipWord(s) {
		p.fail("expected %q, found %v", s, p.cur())
	}
}

func (p *parser) expect(k tokenKind) token {
	if p.cur().kind != k {
		p.fail("expected %v, found %v", token{kind: k, text: "a name"}, p.cur())
	}
	return p.next()
}

// statements reads up to one of the end tags, which becomes the current token, or to the end of the template if there
// are none.
func (p *parser) statements(ends ...string) []stmt {
	p.enter()
	defer p.leave()
	var body []stmt
	var text *output
	write := func(e expr) {
		if text == nil {
			text = &output{pos: pos(e.at())}
			body = append(body, text)
		}
		text.parts = append(text.parts, e)
	}
	for {
		t := p.cur()
		switch t.kind {
		case tokData:
			write(&constant{pos(t.line), t.text})
			p.next()
		case tokVariableBegin:
			p.next()
			write(p.tuple(tupleRules{cond: true}))
			p.expect(tokVariableEnd)
		case tokBlockBegin:
			text = nil
			p.next()
			for _, end := range ends {
				if p.cur().word(end) {
					return body
				}
			}
			body = append(body, p.statement(ends))
			p.expect(tokBlockEnd)
		case tokEOF:
			if len(ends) > 0 {
				p.fail("the template ends inside {%% %s %%}; expected {%% %s %%}", p.open[len(p.open)-1], strings.Join(ends, " %} or {% "))
			}
			return body
		default:
			p.fail("unexpected %v", t)
		}
	}
}

// body reads the rest of an opening tag and the statements up to one of the end tags, which becomes the current token.
func (p *parser) body(ends ...string) []stmt {
	p.skipOp(":") // as in Python
	p.expect(tokBlockEnd)
	return p.statements(ends...)
}

// closed reads a body and its one end tag.
func (p *parser) closed(end string) []stmt {
	body := p.body(end)
	p.next()
	return body
}

func (p *parser) statement(ends []string) stmt {
	t := p.cur()
	if t.kind != tokName {
		p.fail("expected the name of a tag, found %v", t)
	}
	p.open = append(p.open, t.text)
	defer func() { p.open = p.open[:len(p.open)-1] }()
	line := p.line()
	switch t.text {
	case "if":
		return p.ifStatement()
	case "for":
		return p.forStatement()
	case "set":
		return p.setStatement()
	case "macro":
		p.next()
		name := p.expect(tokName)
		if isLiteral(name.text) {
			fail(name.line, "%q cannot be the name of a macro", name.text)
		}
		def := &macroDef{name: name.text}
		p.signature(def)
		p.function(func() { def.body = p.closed("endmacro") })
		return &macroStmt{pos: line, def: def, target: &nameExpr{pos: line, name: name.text}}
	case "call":
		return p.callStatement()
	case "generation":
		p.next()
		def := &macroDef{}
		p.function(func() { def.body = p.closed("endgeneration") })
		return &callBlock{pos: line, def: def}
	case "filter":
		p.next()
		f := p.filter(nil)
		for p.skipOp("|") {
			f = p.filter(f)
		}
		return &filterBlock{pos: line, filter: f, body: p.closed("endfilter")}
	case "with":
		return p.withStatement()
	case "block":
		return p.blockStatement()
	case "print":
		p.next()
		o := &output{pos: line}
		for p.cur().kind != tokBlockEnd {
			if len(o.parts) > 0 {
				p.expectOp(",")
			}
			o.parts = append(o.parts, p.expression(true))
		}
		return o
	case "break", "continue":
		p.next()
		if p.loops == 0 {
			fail(t.line, "%s outside a loop", t.text)
		}
		return &loopControl{pos: line, brk: t.text == "break"}
	case "include", "import", "from", "extends":
		for p.cur().kind != tokBlockEnd && p.cur().kind != tokEOF {
			p.next()
		}
		return &refused{pos: line, tag: t.text}
	case "autoescape":
		p.fail("{%% autoescape %%} is not supported: chat templates do not escape")
	}
	if len(ends) > 0 {
		p.fail("unknown tag %q; expected {%% %s %%}", t.text, strings.Join(ends, " %} or {% "))
	}
	p.fail("unknown tag %q", t.text)
	return nil
}

// function parses what Python compiles to a function of its own, out of reach of the loops around it.
func (p *parser) function(parse func()) {
	loops := p.loops
	p.loops = 0
	parse()
	p.loops = loops
}

func (p *parser) ifStatement() stmt {
	first := &ifStmt{pos: p.line()}
	p.expectWord("if")
	for branch := first; ; {
		branch.test = p.tuple(tupleRules{})
		branch.body = p.body("elif", "else", "endif")
		switch p.next().text {
		case "elif":
			branch = &ifStmt{pos: p.line()}
			first.elif = append(first.elif, branch)
			continue
		case "else":
			first.els = p.closed("endif")
		}
		return first
	}
}

func (p *parser) forStatement() stmt {
	f := &forStmt{pos: p.line()}
	p.expectWord("for")
	f.target = p.target(false)
	p.expectWord("in")
	f.iter = p.tuple(tupleRules{})
	if p.skipWord("if") {
		f.test = p.expression(true)
		f.testTarget = copyTarget(f.target)
	}
	f.recursive = p.skipWord("recursive")
	p.loops++
	f.body = p.body("endfor", "else")
	p.loops--
	parseElse := func() {
		if p.next().text == "else" {
			f.els = p.closed("endfor")
		}
	}
	if f.recursive {
		p.function(parseElse)
	} else {
		parseElse()
	}
	return f
}

// copyTarget copies a target of a for loop, which is made of names and tuples.
func copyTarget(e expr) expr {
	switch e := e.(type) {
	case *nameExpr:
		return &nameExpr{pos: e.pos, name: e.name}
	case *tupleExpr:
		t := &tupleExpr{pos: e.pos}
		for _, item := range e.items {
			t.items = append(t.items, copyTarget(item))
		}
		return t
	}
	return e
}

func (p *parser) setStatement() stmt {
	line := p.line()
	p.next()
	target := p.target(true)
	if p.skipOp("=") {
		return &assign{pos: line, target: target, value: p.tuple(tupleRules{cond: true})}
	}
	s := &assignBlock{pos: line, target: target}
	for p.skipOp("|") {
		s.filter = p.nextFilter(s.filter)
	}
	s.body = p.closed("endset")
	return s
}

// nextFilter is filter for an input that may be the text of a block, a nil *filterCall.
func (p *parser) nextFilter(f *filterCall) *filterCall {
	if f == nil {
		return p.filter(nil)
	}
	return p.filter(f)
}

func (p *parser) withStatement() stmt {
	w := &withStmt{pos: p.line()}
	p.next()
	for p.cur().kind != tokBlockEnd {
		if len(w.targets) > 0 {
			p.expectOp(",")
		}
		w.targets = append(w.targets, p.target(false))
		p.expectOp("=")
		w.values = append(w.values, p.expression(true))
	}
	w.body = p.closed("endwith")
	return w
}

func (p *parser) blockStatement() stmt {
	b := &block{pos: p.line()}
	p.next()
	b.name = p.expect(tokName).text
	b.scoped = p.skipWord("scoped")
	b.required = p.skipWord("required")
	p.function(func() { b.body = p.closed("endblock") })
	if b.required {
		for _, s := range b.body {
			o, ok := s.(*output)
			for _, part := range outputParts(o) {
				c, isConst := part.(*constant)
				text, isText := "", false
				if isConst {
					text, isText = c.v.(string)
				}
				ok = ok && isText && strings.TrimFunc(text, isSpace) == ""
			}
			if !ok {
				fail(int(b.pos), "a required block can only contain comments and white space")
			}
		}
	}
	p.skipWord(b.name)
	return b
}

func outputParts(o *output) []expr {
	if o == nil {
		return nil
	}
	return o.parts
}

func (p *parser) callStatement() stmt {
	c := &callBlock{pos: p.line(), def: &macroDef{}}
	p.next()
	if p.cur().op("(") {
		p.signature(c.def)
	}
	call, ok := p.expression(true).(*callExpr)
	if !ok {
		fail(int(c.pos), "{%% call %%} needs a call")
	}
	c.call = call
	p.function(func() { c.def.body = p.closed("endcall") })
	return c
}

// signature reads the parameters of a macro or call block.
func (p *parser) signature(d *macroDef) {
	p.expectOp("(")
	seen := map[string]bool{}
	for !p.cur().op(")") {
		if len(d.params) > 0 {
			p.expectOp(",")
		}
		line := p.line()
		name := p.expect(tokName).text
		if isLiteral(name) {
			fail(int(line), "%q cannot be a parameter", name)
		}
		if seen[name] {
			fail(int(line), "parameter %q is given twice", name)
		}
		seen[name] = true
		if p.skipOp("=") {
			d.defaults = append(d.defaults, p.expression(true))
		} else if len(d.defaults) > 0 {
			fail(int(line), "parameter %q without a default follows one with a default", name)
		}
		d.params = append(d.params, &nameExpr{pos: line, name: name})
	}
	p.next()
}

func isLiteral(name string) bool {
	switch name {
	case "true", "false", "none", "True", "False", "None":
		return true
	}
	return false
}

// target reads what can be assigned to: names, with namespace ns.attr, and tuples of them.
func (p *parser) target(namespace bool) expr {
	line := p.cur().line
	e := p.tuple(tupleRules{primary: true, namespace: namespace})
	checkTarget(line, e)
	return e
}

func checkTarget(line int, e expr) {
	switch e := e.(type) {
	case *nameExpr, *nsRef:
	case *tupleExpr:
		for _, item := range e.items {
			checkTarget(line, item)
		}
	default:
		fail(line, "%s cannot be assigned to", exprName(e))
	}
}

func exprName(e expr) string {
	switch e.(type) {
	case *constant:
		return "a constant"
	case *listExpr:
		return "a list"
	case *dictExpr:
		return "a dict"
	}
	return fmt.Sprintf("this expression (%T)", e)
}
