package jinja

// The walk that gives every name of a template its variable, and checks what Jinja checks when it compiles.

// frame says how the variables of a scope begin.
type frame struct {
	fn   *function
	init []initial
}

type initial struct {
	slot int
	load
	from binding // loadAlias: the variable to copy
}

type binder struct {
	blocks map[string]bool
	loops  int // loops around this place, in whatever function
}

// scope is where the walk stands.
type scope struct {
	*symbols
	fn  *function
	top bool // directly in the template, or in an if there
	// soft is set inside an if: a filter that does not exist is an error only when it is reached
	soft bool
}

// bind binds a whole template and returns the frame of its root.
func bind(body []stmt) *frame {
	b := &binder{blocks: map[string]bool{}}
	fn := &function{}
	s := scope{symbols: newSymbols(nil, fn), fn: fn, top: true}
	s.symbols.statements(body)
	b.statements(body, s)
	return frameOf(s)
}

// frameOf is called when the scope is complete.
func frameOf(s scope) *frame {
	f := &frame{fn: s.fn}
	for v, l := range s.loads {
		if l.kind == loadParameter {
			continue
		}
		i := initial{slot: v.slot, load: l}
		if l.kind == loadAlias {
			i.from = s.reach(l.outer)
		}
		f.init = append(f.init, i)
	}
	return f
}

// reach leads from the function of the scope to a variable.
func (s scope) reach(v *variable) binding {
	up := 0
	for fn := s.fn; fn != v.fn; fn = fn.parent {
		up++
	}
	return binding{up, v.slot}
}

// inner opens a scope in the same function, function one that is a function of its own.
func (s scope) inner() scope {
	return scope{symbols: newSymbols(s.symbols, s.fn), fn: s.fn}
}

func (s scope) function() scope {
	fn := &function{parent: s.fn}
	return scope{symbols: newSymbols(s.symbols, fn), fn: fn}
}

func (b *binder) statements(body []stmt, s scope) {
	for _, st := range body {
		b.statement(st, s)
	}
}

func (b *binder) statement(st stmt, s scope) {
	switch st := st.(type) {
	case *output:
		b.expressions(s, st.parts...)
	case *assign:
		b.expressions(s, st.value)
		b.target(st.target, s, true)
		st.export = s.top
	case *assignBlock:
		in := s.inner()
		in.symbols.statements(st.body)
		b.statements(st.body, in)
		if st.filter != nil {
			// Its names belong to nobody's scope in Jinja, which then fails to compile; here they mean the outer ones.
			in.symbols.expressions(st.filter)
			b.expressions(in, st.filter)
		}
		st.frame = frameOf(in)
		b.target(st.target, s, true)
		st.export = s.top
	case *ifStmt:
		soft := s
		soft.soft = true
		b.expressions(soft, st.test)
		b.statements(st.body, soft)
		for _, e := range st.elif {
			b.expressions(soft, e.test)
			b.statements(e.body, soft)
		}
		b.statements(st.els, soft)
	case *forStmt:
		b.forStatement(st, s)
	case *withStmt:
		in := s.inner()
		for _, t := range st.targets {
			in.parameters(t)
		}
		in.symbols.statements(st.body)
		b.expressions(s, st.values...)
		for _, t := range st.targets {
			b.target(t, in, false)
		}
		b.statements(st.body, in)
		st.frame = frameOf(in)
	case *macroStmt:
		b.macro(st.def, s)
		b.target(st.target, s, false)
		st.export = s.top
	case *callBlock:
		b.macro(st.def, s)
		if st.call != nil {
			b.expressions(s, st.call)
		}
	case *filterBlock:
		in := s.inner()
		in.symbols.statements(st.body)
		in.symbols.expressions(st.filter)
		b.statements(st.body, in)
		b.expressions(in, st.filter)
		st.frame = frameOf(in)
	case *block:
		b.block(st, s)
	}
}

func (b *binder) forStatement(st *forStmt, s scope) {
	b.expressions(s, st.iter)
	if st.test != nil {
		test := s.function()
		test.parameters(st.testTarget)
		test.symbols.expressions(st.test)
		b.target(st.testTarget, test, true)
		b.expressions(test, st.test)
		st.testFrame = frameOf(test)
	}
	loop, els := s.inner(), s.inner()
	if st.recursive {
		loop = s.function()
		els = scope{symbols: newSymbols(s.symbols, loop.fn), fn: loop.fn}
	}
	b.loops++
	st.loop = loop.parameter("loop")
	loop.parameters(st.target)
	loop.symbols.statements(st.body)
	b.target(st.target, loop, true)
	b.statements(st.body, loop)
	st.frame = frameOf(loop)
	els.symbols.statements(st.els)
	b.statements(st.els, els)
	st.elseFrame = frameOf(els)
	b.loops--
}

func (b *binder) macro(d *macroDef, s scope) {
	in := s.function()
	for _, p := range d.params {
		in.parameter(p.name)
	}
	in.symbols.expressions(d.defaults...)
	in.symbols.statements(d.body)
	special := map[string]bool{}
	for _, p := range d.params {
		special[p.name] = true
	}
	asked := mentions(d.body, "caller", "kwargs", "varargs")
	if asked["caller"] {
		if !special["caller"] {
			d.caller = in.parameter("caller")
		} else {
			for i, p := range d.params {
				if p.name == "caller" && i < len(d.params)-len(d.defaults) {
					fail(p.at(), `the special parameter "caller" must be omitted or have a default`)
				}
			}
		}
	}
	d.explicitCaller = special["caller"]
	if asked["kwargs"] && !special["kwargs"] {
		d.kwargs = in.parameter("kwargs")
	}
	if asked["varargs"] && !special["varargs"] {
		d.varargs = in.parameter("varargs")
	}
	for _, p := range d.params {
		p.ref = in.reach(in.find(p.name))
	}
	b.expressions(in, d.defaults...)
	b.statements(d.body, in)
	d.frame = frameOf(in)
}

func (b *binder) block(st *block, s scope) {
	if b.blocks[st.name] {
		fail(st.at(), "block %q is defined twice", st.name)
	}
	b.blocks[st.name] = true
	if st.scoped {
		st.visible = map[string]binding{}
		for sym := s.symbols; sym != nil; sym = sym.parent {
			for name := range sym.stores {
				if _, ok := st.visible[name]; !ok {
					st.visible[name] = s.reach(s.find(name))
				}
			}
		}
	}
	fn := &function{}
	in := scope{symbols: newSymbols(nil, fn), fn: fn}
	in.symbols.statements(st.body)
	b.statements(st.body, in)
	st.frame = frameOf(in)
}

// target binds the names that are assigned to. stores is false for parameters, which may be called loop.
func (b *binder) target(e expr, s scope, stores bool) {
	switch e := e.(type) {
	case *nameExpr:
		if stores && b.loops > 0 && e.name == "loop" {
			fail(e.at(), "the variable loop cannot be assigned to inside a loop")
		}
		e.ref = s.reach(s.find(e.name))
	case *nsRef:
		e.name.ref = s.reach(s.find(e.name.name))
	case *tupleExpr:
		for _, item := range e.items {
			b.target(item, s, stores)
		}
	}
}

// expressions binds the names that are read, and checks that filters and tests exist.
func (b *binder) expressions(s scope, es ...expr) { b.expressionsAt(s, es, 0) }

func (b *binder) expressionsAt(s scope, es []expr, depth int) {
	for _, e := range es {
		if e == nil {
			continue
		}
		if depth > maxDepth {
			fail(e.at(), "an expression is nested or chained deeper than %d", maxDepth)
		}
		in := s
		switch e := e.(type) {
		case *nameExpr:
			v := s.find(e.name)
			if l := v.load(s); e.name == "self" && l.kind == loadContext {
				fail(e.at(), "self is not supported: it means the blocks of a template that others extend")
			}
			e.ref = s.reach(v)
		case *condition:
			in.soft = true
		case *filterCall:
			if e == nil {
				continue
			}
			if filterOf(e.name) == nil && !s.soft {
				fail(e.at(), "%s", noFilter(e.name))
			}
		case *testCall:
			if testOf(e.name) == nil && !s.soft {
				fail(e.at(), "%s", noTest(e.name))
			}
		}
		b.expressionsAt(in, children(e), depth+1)
	}
}

// load tells how the variable begins, in the scope that owns it.
func (v *variable) load(s scope) load {
	for sym := s.symbols; sym != nil; sym = sym.parent {
		if l, ok := sym.loads[v]; ok {
			return l
		}
	}
	return load{}
}
