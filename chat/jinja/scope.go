package jinja

// Which variable a name means. Jinja decides this when it compiles a template to Python, not when it runs: a name that
// is assigned anywhere in a scope belongs to that scope from its beginning. So
//
//	{% for m in messages %}{{ x }}{% endfor %}{% set x = 1 %}
//
// never prints the x that was handed in. The rules here are those of jinja2/idtracking.py and compiler.py.
//
// Scopes (symbols) nest: a loop body, a with block, a captured block. Functions (function) hold the variables of
// several scopes and nest too: the template, a macro, the test of a loop, a recursive loop, a block.

import (
	"maps"
	"slices"
)

// function is what Python would compile to one function; each call of it has one activation.
type function struct {
	parent *function
	vars   int
}

// variable is a slot in the activations of a function.
type variable struct {
	fn   *function
	slot int
}

// binding leads from the function where a name stands to its variable: so many activations up, then the slot.
type binding struct{ up, slot int }

type loadKind uint8

const (
	loadParameter loadKind = iota // set by a call or by the loop
	loadContext                   // looked up among what was handed in, by name
	loadAlias                     // copied from the variable of the scope around it
	loadMissing
)

type load struct {
	kind  loadKind
	name  string
	outer *variable
}

// symbols are the names of one scope.
type symbols struct {
	parent *symbols
	fn     *function
	ids    map[string]*variable // every variable made here, also in branches; shared by copies
	refs   map[string]*variable
	loads  map[*variable]load
	stores map[string]bool
}

func newSymbols(parent *symbols, fn *function) *symbols {
	return &symbols{parent, fn, map[string]*variable{}, map[string]*variable{}, map[*variable]load{}, map[string]bool{}}
}

func (s *symbols) copy() *symbols {
	return &symbols{s.parent, s.fn, s.ids, maps.Clone(s.refs), maps.Clone(s.loads), maps.Clone(s.stores)}
}

func (s *symbols) define(name string, l load) *variable {
	v := s.ids[name]
	if v == nil {
		v = &variable{s.fn, s.fn.vars}
		s.fn.vars++
		s.ids[name] = v
	}
	s.refs[name] = v
	s.loads[v] = l
	return v
}

func (s *symbols) find(name string) *variable {
	for ; s != nil; s = s.parent {
		if v := s.refs[name]; v != nil {
			return v
		}
	}
	return nil
}

func (s *symbols) parameter(name string) *variable {
	s.stores[name] = true
	return s.define(name, load{kind: loadParameter})
}

func (s *symbols) load(name string) {
	if s.find(name) == nil {
		s.define(name, load{kind: loadContext, name: name})
	}
}

func (s *symbols) store(name string) {
	s.stores[name] = true
	if s.refs[name] != nil {
		return
	}
	if outer := s.parent.find(name); outer != nil {
		s.define(name, load{kind: loadAlias, outer: outer})
		return
	}
	s.define(name, load{kind: loadMissing})
}

// merge joins the branches of an if: a name that only some of them assign begins with what it means outside.
func (s *symbols) merge(branches []*symbols) {
	assigned := map[string]bool{}
	for _, b := range branches {
		for name := range b.stores {
			if !s.stores[name] {
				assigned[name] = true
			}
		}
	}
	for _, b := range branches {
		maps.Copy(s.refs, b.refs)
		maps.Copy(s.loads, b.loads)
		maps.Copy(s.stores, b.stores)
	}
	for name := range assigned {
		v := s.find(name)
		if outer := s.parent.find(name); outer != nil {
			s.loads[v] = load{kind: loadAlias, outer: outer}
		} else {
			s.loads[v] = load{kind: loadContext, name: name}
		}
	}
}

// statements notes the names that statements use in their own scope; inner scopes are left alone.
func (s *symbols) statements(body []stmt) {
	for _, st := range body {
		s.statement(st)
	}
}

func (s *symbols) statement(st stmt) {
	switch st := st.(type) {
	case *output:
		s.expressions(st.parts...)
	case *assign:
		s.expressions(st.value)
		s.target(st.target)
	case *assignBlock:
		s.target(st.target)
	case *ifStmt:
		s.expressions(st.test)
		branch := func(visit func(*symbols)) *symbols {
			b := s.copy()
			visit(b)
			return b
		}
		s.merge([]*symbols{
			branch(func(b *symbols) { b.statements(st.body) }),
			branch(func(b *symbols) {
				for _, e := range st.elif {
					b.statement(e)
				}
			}),
			branch(func(b *symbols) { b.statements(st.els) }),
		})
	case *forStmt:
		s.expressions(st.iter)
	case *withStmt:
		s.expressions(st.values...)
	case *macroStmt:
		s.store(st.def.name)
	case *callBlock:
		if st.call != nil {
			s.expressions(st.call)
		}
	case *filterBlock:
		s.expressions(st.filter)
	}
}

func (s *symbols) expressions(es ...expr) {
	walk(es, func(e expr) {
		if n, ok := e.(*nameExpr); ok {
			s.load(n.name)
		}
	})
}

func (s *symbols) target(e expr) {
	switch e := e.(type) {
	case *nameExpr:
		s.store(e.name)
	case *nsRef:
		s.load(e.name.name)
	case *tupleExpr:
		for _, item := range e.items {
			s.target(item)
		}
	}
}

func (s *symbols) parameters(e expr) {
	switch e := e.(type) {
	case *nameExpr:
		s.parameter(e.name)
	case *tupleExpr:
		for _, item := range e.items {
			s.parameters(item)
		}
	}
}

// children gives the expressions that an expression is made of.
func children(e expr) []expr {
	switch e := e.(type) {
	case *tupleExpr:
		return e.items
	case *listExpr:
		return e.items
	case *dictExpr:
		return append(slices.Clone(e.keys), e.vals...)
	case *unary:
		return []expr{e.x}
	case *binary:
		return []expr{e.l, e.r}
	case *concat:
		return e.parts
	case *compare:
		return append([]expr{e.first}, e.rest...)
	case *condition:
		return []expr{e.test, e.yes, e.no}
	case *getAttr:
		return []expr{e.x}
	case *getItem:
		return []expr{e.x, e.key}
	case *getSlice:
		return []expr{e.x, e.start, e.stop, e.step}
	case *callExpr:
		return e.callArgs.all(e.fn)
	case *filterCall:
		return e.callArgs.all(e.x)
	case *testCall:
		return e.callArgs.all(e.x)
	}
	return nil
}

func (a *callArgs) all(first expr) []expr {
	es := append([]expr{first}, a.args...)
	es = append(es, a.named...)
	return append(es, a.dynArgs, a.dynKwargs)
}

// walk visits expressions and all they are made of; a nil *filterCall or expression is skipped.
func walk(es []expr, visit func(expr)) { walkAt(es, visit, 0) }

func walkAt(es []expr, visit func(expr), depth int) {
	for _, e := range es {
		if f, ok := e.(*filterCall); e == nil || ok && f == nil {
			continue
		}
		if depth > maxDepth {
			fail(e.at(), "an expression is nested or chained deeper than %d", maxDepth)
		}
		visit(e)
		walkAt(children(e), visit, depth+1)
	}
}

// mentions reports which of names the body reads before it assigns them, at any depth but not inside blocks.
func mentions(body []stmt, names ...string) map[string]bool {
	wanted := map[string]bool{}
	for _, n := range names {
		wanted[n] = true
	}
	found := map[string]bool{}
	read := func(es ...expr) {
		walk(es, func(e expr) {
			if n, ok := e.(*nameExpr); ok && wanted[n.name] {
				found[n.name] = true
			}
		})
	}
	var written func(e expr)
	written = func(e expr) {
		switch e := e.(type) {
		case *nameExpr:
			delete(wanted, e.name)
		case *tupleExpr:
			for _, item := range e.items {
				written(item)
			}
		}
	}
	var visit func(body []stmt)
	function := func(d *macroDef) {
		for _, p := range d.params {
			written(p)
		}
		read(d.defaults...)
		visit(d.body)
	}
	visit = func(body []stmt) {
		for _, st := range body {
			switch st := st.(type) {
			case *output:
				read(st.parts...)
			case *assign:
				written(st.target)
				read(st.value)
			case *assignBlock:
				written(st.target)
				read(st.filter)
				visit(st.body)
			case *ifStmt:
				read(st.test)
				visit(st.body)
				for _, e := range st.elif {
					visit([]stmt{e})
				}
				visit(st.els)
			case *forStmt:
				written(st.target)
				read(st.iter)
				visit(st.body)
				visit(st.els)
				read(st.test)
			case *withStmt:
				for _, t := range st.targets {
					written(t)
				}
				read(st.values...)
				visit(st.body)
			case *macroStmt:
				function(st.def)
			case *callBlock:
				if st.call != nil {
					read(st.call)
				}
				function(st.def)
			case *filterBlock:
				visit(st.body)
				read(st.filter)
			}
		}
	}
	visit(body)
	return found
}
