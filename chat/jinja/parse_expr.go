package jinja

// The parser of expressions. The precedence, weakest first, is
//
//	x if c else y · or · and · not · comparisons, in · + - · ~ · * / // % · ** · unary + - · . [] () | is

import "strings"

// expression reads one expression; a conditional only if cond is set.
func (p *parser) expression(cond bool) expr {
	p.enter()
	defer p.leave()
	if !cond {
		return p.or()
	}
	line := p.line()
	e := p.or()
	for p.skipWord("if") {
		c := &condition{pos: line, yes: e, test: p.or()}
		if p.skipWord("else") {
			c.no = p.expression(true)
		}
		e = c
		line = p.line()
	}
	return e
}

func (p *parser) or() expr {
	line := p.line()
	l := p.and()
	for p.skipWord("or") {
		l = &binary{line, "or", l, p.and()}
		line = p.line()
	}
	return l
}

func (p *parser) and() expr {
	line := p.line()
	l := p.not()
	for p.skipWord("and") {
		l = &binary{line, "and", l, p.not()}
		line = p.line()
	}
	return l
}

func (p *parser) not() expr {
	line := p.line()
	if p.skipWord("not") {
		p.enter()
		defer p.leave()
		return &unary{line, "not", p.not()}
	}
	return p.comparison()
}

func (p *parser) comparison() expr {
	line := p.line()
	c := &compare{pos: line, first: p.sum()}
	for {
		t := p.cur()
		op := ""
		switch {
		case t.op("=="), t.op("!="), t.op("<"), t.op("<="), t.op(">"), t.op(">="):
			op = t.text
		case t.word("in"):
			op = "in"
		case t.word("not") && p.peek().word("in"):
			p.next()
			op = "not in"
		}
		if op == "" {
			break
		}
		p.next()
		c.ops = append(c.ops, op)
		c.rest = append(c.rest, p.sum())
	}
	if len(c.ops) == 0 {
		return c.first
	}
	return c
}

func (p *parser) sum() expr {
	line := p.line()
	l := p.concat()
	for p.cur().op("+") || p.cur().op("-") {
		op := p.next().text
		l = &binary{line, op, l, p.concat()}
		line = p.line()
	}
	return l
}

func (p *parser) concat() expr {
	c := &concat{pos: p.line(), parts: []expr{p.product()}}
	for p.skipOp("~") {
		c.parts = append(c.parts, p.product())
	}
	if len(c.parts) == 1 {
		return c.parts[0]
	}
	return c
}

func (p *parser) product() expr {
	line := p.line()
	l := p.power()
	for p.cur().op("*") || p.cur().op("/") || p.cur().op("//") || p.cur().op("%") {
		op := p.next().text
		l = &binary{line, op, l, p.power()}
		line = p.line()
	}
	return l
}

func (p *parser) power() expr {
	line := p.line()
	l := p.unary(true)
	for p.skipOp("**") {
		l = &binary{line, "**", l, p.unary(true)}
		line = p.line()
	}
	return l
}

func (p *parser) unary(filters bool) expr {
	p.enter()
	defer p.leave()
	var e expr
	line := p.line()
	switch {
	case p.skipOp("-"):
		e = &unary{line, "-", p.unary(false)}
	case p.skipOp("+"):
		e = &unary{line, "+", p.unary(false)}
	default:
		e = p.primary(false)
	}
	e = p.postfix(e)
	for filters {
		t := p.cur()
		switch {
		case p.skipOp("|"):
			e = p.filter(e)
		case t.word("is"):
			e = p.test(e)
		case t.op("("):
			e = p.call(e)
		default:
			return e
		}
	}
	return e
}

// primary reads a name or a literal; with namespace also ns.attr.
func (p *parser) primary(namespace bool) expr {
	t := p.cur()
	line := p.line()
	switch {
	case t.kind == tokName:
		p.next()
		switch t.text {
		case "true", "True":
			return &constant{line, true}
		case "false", "False":
			return &constant{line, false}
		case "none", "None":
			return &constant{line, none{}}
		}
		if namespace && p.skipOp(".") {
			return &nsRef{line, &nameExpr{pos: line, name: t.text}, p.expect(tokName).text}
		}
		return &nameExpr{pos: line, name: t.text}
	case t.kind == tokString:
		s := []string{p.next().text}
		for p.cur().kind == tokString { // strings side by side are one
			s = append(s, p.next().text)
		}
		return &constant{line, strings.Join(s, "")}
	case t.kind == tokNumber:
		return &constant{line, p.next().number}
	case p.skipOp("("):
		e := p.tuple(tupleRules{cond: true, parens: true})
		p.expectOp(")")
		return e
	case p.skipOp("["):
		l := &listExpr{pos: line}
		for !p.cur().op("]") {
			if len(l.items) > 0 {
				p.expectOp(",")
				if p.cur().op("]") {
					break
				}
			}
			l.items = append(l.items, p.expression(true))
		}
		p.expectOp("]")
		return l
	case p.skipOp("{"):
		d := &dictExpr{pos: line}
		for !p.cur().op("}") {
			if len(d.keys) > 0 {
				p.expectOp(",")
				if p.cur().op("}") {
					break
				}
			}
			d.keys = append(d.keys, p.expression(true))
			p.expectOp(":")
			d.vals = append(d.vals, p.expression(true))
		}
		p.expectOp("}")
		return d
	}
	p.fail("unexpected %v", t)
	return nil
}

type tupleRules struct {
	primary   bool // names and literals only, for targets
	namespace bool // ns.attr too
	cond      bool // conditionals are allowed
	parens    bool // inside parentheses, where nothing is the empty tuple
}

// tuple reads expressions with commas between them: a tuple if there is a comma, else the one expression.
func (p *parser) tuple(rules tupleRules) expr {
	p.enter()
	defer p.leave()
	line := p.line()
	var items []expr
	comma := false
	for {
		if len(items) > 0 {
			p.expectOp(",")
		}
		t := p.cur()
		if t.kind == tokVariableEnd || t.kind == tokBlockEnd || t.op(")") {
			break
		}
		if rules.primary {
			items = append(items, p.primary(rules.namespace))
		} else {
			items = append(items, p.expression(rules.cond))
		}
		if !p.cur().op(",") {
			break
		}
		comma = true
		line = p.line()
	}
	if !comma {
		if len(items) > 0 {
			return items[0]
		}
		if !rules.parens {
			p.fail("expected an expression, found %v", p.cur())
		}
	}
	return &tupleExpr{line, items}
}

func (p *parser) postfix(e expr) expr {
	for {
		switch t := p.cur(); {
		case t.op("."):
			line := p.line()
			p.next()
			switch attr := p.next(); attr.kind {
			case tokName:
				e = &getAttr{line, e, attr.text}
			case tokNumber:
				if _, ok := attr.number.(float64); ok {
					fail(attr.line, "expected a name or an integer after the point")
				}
				e = &getItem{line, e, &constant{line, attr.number}}
			default:
				fail(attr.line, "expected a name or an integer after the point, found %v", attr)
			}
		case t.op("["):
			e = p.subscript(e)
		case t.op("("):
			e = p.call(e)
		default:
			return e
		}
	}
}

func (p *parser) subscript(x expr) expr {
	line := p.line()
	p.next()
	var items []expr
	slice := false
	for !p.cur().op("]") {
		if len(items) > 0 {
			p.expectOp(",")
		}
		var start expr
		if !p.cur().op(":") {
			start = p.expression(true)
		}
		if !p.skipOp(":") {
			items = append(items, start)
			continue
		}
		s := &getSlice{pos: line, x: x, start: start}
		slice = true
		ends := func() bool { t := p.cur(); return t.op(":") || t.op("]") || t.op(",") }
		if !ends() {
			s.stop = p.expression(true)
		}
		if p.skipOp(":") && !ends() {
			s.step = p.expression(true)
		}
		items = append(items, s)
	}
	p.next()
	if slice {
		if len(items) > 1 {
			fail(int(line), "a slice cannot stand beside other keys")
		}
		return items[0]
	}
	if len(items) == 1 {
		return &getItem{line, x, items[0]}
	}
	return &getItem{line, x, &tupleExpr{line, items}}
}

func (p *parser) call(fn expr) expr {
	c := &callExpr{pos: p.line(), fn: fn}
	c.callArgs = p.arguments()
	return c
}

func (p *parser) arguments() (a callArgs) {
	line := p.cur().line
	p.expectOp("(")
	check := func(ok bool) {
		if !ok {
			fail(line, "the arguments of a call must be: positional, named, *list, **dict")
		}
	}
	seen := map[string]bool{}
	for first := true; !p.cur().op(")"); first = false {
		if !first {
			p.expectOp(",")
			if p.cur().op(")") {
				break
			}
		}
		switch {
		case p.cur().op("*"):
			check(a.dynArgs == nil && a.dynKwargs == nil)
			p.next()
			a.dynArgs = p.expression(true)
		case p.cur().op("**"):
			check(a.dynKwargs == nil)
			p.next()
			a.dynKwargs = p.expression(true)
		case p.cur().kind == tokName && p.peek().op("="):
			check(a.dynKwargs == nil)
			name := p.next().text
			if seen[name] {
				p.fail("argument %q is given twice", name)
			}
			seen[name] = true
			p.next()
			a.names = append(a.names, name)
			a.named = append(a.named, p.expression(true))
		default:
			check(a.dynArgs == nil && a.dynKwargs == nil && len(a.named) == 0)
			a.args = append(a.args, p.expression(true))
		}
	}
	p.expectOp(")")
	return a
}

// filter reads the name and arguments of a filter applied to x, which is nil for the text of a block.
func (p *parser) filter(x expr) *filterCall {
	f := &filterCall{pos: p.line(), x: x, name: p.dotted()}
	if p.cur().op("(") {
		f.callArgs = p.arguments()
	}
	return f
}

// dotted reads the name of a filter or test.
func (p *parser) dotted() string {
	name := p.expect(tokName).text
	for p.skipOp(".") {
		name += "." + p.expect(tokName).text
	}
	return name
}

func (p *parser) test(x expr) expr {
	line := p.line()
	p.next()
	negated := p.skipWord("not")
	t := &testCall{pos: line, x: x, name: p.dotted()}
	switch c := p.cur(); {
	case c.op("("):
		t.callArgs = p.arguments()
	case c.word("is"):
		p.fail("tests cannot be chained with is")
	case c.kind == tokName && !c.word("else") && !c.word("or") && !c.word("and"), c.kind == tokString, c.kind == tokNumber, c.op("["), c.op("{"):
		t.args = []expr{p.postfix(p.primary(false))}
	}
	if negated {
		return &unary{line, "not", t}
	}
	return t
}
