package jinja

// Expressions.

import (
	"fmt"
	"strings"
)

func (r *renderer) eval(e expr, act *activation) value {
	r.step(1)
	r.deeper()
	r.line = e.at()
	v := r.evaluate(e, act)
	r.depth--
	return v
}

func (r *renderer) evaluate(e expr, act *activation) value {
	switch e := e.(type) {
	case *constant:
		return e.v
	case *nameExpr:
		if v := *act.at(e.ref); v != nil {
			return v
		}
		return &undefined{why: "'" + e.name + "' is undefined"}
	case *tupleExpr:
		return &tuple{r.all(e.items, act)}
	case *listExpr:
		return &list{r.all(e.items, act)}
	case *dictExpr:
		d := newDict(len(e.keys))
		r.allocate(2 * valueSize * len(e.keys))
		for i, k := range e.keys {
			key := r.eval(k, act)
			d.set(r, key, r.eval(e.vals[i], act))
		}
		return d
	case *unary:
		x := r.eval(e.x, act)
		switch e.op {
		case "not":
			return !truth(x)
		case "-":
			return r.negative(x)
		}
		return r.positive(x)
	case *binary:
		l := r.eval(e.l, act)
		switch e.op {
		case "and":
			if !truth(l) {
				return l
			}
			return r.eval(e.r, act)
		case "or":
			if truth(l) {
				return l
			}
			return r.eval(e.r, act)
		}
		return r.arithmetic(e.op, l, r.eval(e.r, act))
	case *concat:
		var b strings.Builder
		for _, p := range e.parts {
			s := r.str(r.eval(p, act))
			r.allocate(len(s))
			b.WriteString(s)
		}
		return b.String()
	case *compare:
		return r.comparison(e, act)
	case *condition:
		if truth(r.eval(e.test, act)) {
			return r.eval(e.yes, act)
		}
		if e.no != nil {
			return r.eval(e.no, act)
		}
		return &undefined{why: fmt.Sprintf("the inline if on line %d was false and has no else", e.at())}
	case *getAttr:
		return r.getAttr(r.eval(e.x, act), e.name)
	case *getItem:
		x := r.eval(e.x, act)
		return r.getItem(x, r.eval(e.key, act))
	case *getSlice:
		x := r.eval(e.x, act)
		part := func(e expr) value {
			if e == nil {
				return none{}
			}
			return r.eval(e, act)
		}
		return r.slice(x, part(e.start), part(e.stop), part(e.step))
	case *callExpr:
		fn := r.eval(e.fn, act)
		return r.invoke(fn, r.arguments(&e.callArgs, act))
	case *filterCall:
		return r.filter(e, act, nil)
	case *testCall:
		x := r.eval(e.x, act)
		return r.test(e.name, x, r.arguments(&e.callArgs, act))
	}
	panic(fmt.Sprintf("jinja: no evaluation of %T", e))
}

func (r *renderer) all(es []expr, act *activation) []value {
	r.allocate(valueSize * len(es))
	vs := make([]value, len(es))
	for i, e := range es {
		vs[i] = r.eval(e, act)
	}
	return vs
}

// comparison evaluates a chain as Python does: a < b < c is a < b and b < c, and stops at the first that fails.
func (r *renderer) comparison(e *compare, act *activation) value {
	l := r.eval(e.first, act)
	for i, op := range e.ops {
		x := r.eval(e.rest[i], act)
		holds := false
		switch op {
		case "==":
			holds = r.equal(l, x)
		case "!=":
			holds = !r.equal(l, x)
		case "in":
			holds = r.contains(x, l)
		case "not in":
			holds = !r.contains(x, l)
		default:
			holds = r.order(l, x, op, 0)
		}
		if !holds {
			return false
		}
		l = x
	}
	return true
}

// filter applies a filter; the innermost of a chain without input gets text.
func (r *renderer) filter(f *filterCall, act *activation, text value) value {
	x := text
	if inner, ok := f.x.(*filterCall); ok && text != nil {
		x = r.filter(inner, act, text)
	} else if f.x != nil {
		x = r.eval(f.x, act)
	}
	return r.applyFilter(f.name, x, r.arguments(&f.callArgs, act))
}

func (r *renderer) applyFilter(name string, x value, a args) value {
	f := filterOf(name)
	if f == nil {
		fail(0, "%s", noFilter(name))
	}
	return f(r, x, a)
}

func (r *renderer) test(name string, x value, a args) value {
	f := testOf(name)
	if f == nil {
		fail(0, "%s", noTest(name))
	}
	return f(r, x, a)
}

func noFilter(name string) string {
	if unsupportedFilters[name] {
		return fmt.Sprintf("the filter %q of Jinja is not supported", name)
	}
	return fmt.Sprintf("there is no filter %q", name)
}

func noTest(name string) string { return fmt.Sprintf("there is no test %q", name) }

// arguments evaluates the arguments of a call.
func (r *renderer) arguments(c *callArgs, act *activation) args {
	var a args
	if len(c.args) > 0 {
		a.pos = r.all(c.args, act)
	}
	for i, e := range c.named {
		a.named = append(a.named, named{c.names[i], r.eval(e, act)})
	}
	if c.dynArgs != nil {
		a.pos = append(a.pos, r.collect(r.eval(c.dynArgs, act))...)
	}
	if c.dynKwargs != nil {
		v := r.eval(c.dynKwargs, act)
		d, ok := v.(*dict)
		if !ok {
			fail(0, "the argument after ** must be a dict, not %s", typeName(v))
		}
		for i, k := range d.keys {
			name, ok := text(k)
			name = r.plain(name)
			if !ok {
				fail(0, "names of arguments must be strings, not %s", typeName(k))
			}
			for _, n := range a.named {
				if n.name == name {
					fail(0, "argument %q is given twice", name)
				}
			}
			r.step(1 + len(a.named))
			a.named = append(a.named, named{name, d.vals[i]})
		}
	}
	return a
}

// invoke calls a function, method, macro or recursive loop.
func (r *renderer) invoke(fn value, a args) value {
	switch fn := fn.(type) {
	case *builtin:
		return fn.call(r, a)
	case *macro:
		return r.callMacro(fn, a)
	case *joiner:
		a.noNames("joiner")
		if len(a.pos) > 0 {
			fail(0, "a joiner takes no arguments")
		}
		if !fn.used {
			fn.used = true
			return ""
		}
		return fn.sep
	case *loop:
		p := a.bind("loop", "iterable")
		if p[0] == nil {
			fail(0, "loop() needs what to loop over")
		}
		if fn.recurse == nil {
			fail(0, "the loop must be marked recursive to be called")
		}
		return fn.recurse(p[0], fn.depth0+1)
	}
	checkDefined(fn)
	fail(0, "a %s cannot be called", typeName(fn))
	return nil
}

// bind puts the arguments of a call in the order of the names; nil stands for one that was not given.
func (a args) bind(function string, names ...string) []value {
	if len(a.pos) > len(names) {
		fail(0, "%s takes at most %d arguments, not %d", function, len(names), len(a.pos))
	}
	p := make([]value, len(names))
	copy(p, a.pos)
next:
	for _, n := range a.named {
		for i, name := range names {
			if name == n.name {
				if p[i] != nil {
					fail(0, "%s: argument %q is given twice", function, name)
				}
				p[i] = n.v
				continue next
			}
		}
		fail(0, "%s takes no argument %q", function, n.name)
	}
	return p
}

// noNames fails if there are named arguments.
func (a args) noNames(function string) {
	if len(a.named) > 0 {
		fail(0, "%s takes no argument %q", function, a.named[0].name)
	}
}
