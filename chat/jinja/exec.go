package jinja

// Statements.

// flow is how a statement ended.
type flow uint8

const (
	flowNext flow = iota
	flowBreak
	flowContinue
)

func (r *renderer) statements(body []stmt, act *activation) flow {
	r.deeper()
	defer func() { r.depth-- }()
	for _, st := range body {
		if f := r.statement(st, act); f != flowNext {
			return f
		}
	}
	return flowNext
}

func (r *renderer) statement(st stmt, act *activation) flow {
	r.step(1)
	r.line = st.at()
	switch st := st.(type) {
	case *output:
		for _, e := range st.parts {
			r.write(r.str(r.eval(e, act)))
		}
	case *assign:
		r.checkNamespaces(st.target, act)
		r.assign(st.target, r.eval(st.value, act), act)
		r.export(st.export, st.target, act)
	case *assignBlock:
		r.enter(st.frame, act)
		text, f := r.captured(st.body, act)
		if f != flowNext {
			return f
		}
		var v value = text
		if st.filter != nil {
			v = r.filter(st.filter, act, text)
		}
		r.checkNamespaces(st.target, act)
		r.assign(st.target, v, act)
		r.export(st.export, st.target, act)
	case *ifStmt:
		if truth(r.eval(st.test, act)) {
			return r.statements(st.body, act)
		}
		for _, e := range st.elif {
			if truth(r.eval(e.test, act)) {
				return r.statements(e.body, act)
			}
		}
		return r.statements(st.els, act)
	case *forStmt:
		return r.forStatement(st, act)
	case *withStmt:
		values := make([]value, len(st.values))
		for i, e := range st.values {
			values[i] = r.eval(e, act)
		}
		r.enter(st.frame, act)
		for i, t := range st.targets {
			r.assign(t, values[i], act)
		}
		return r.statements(st.body, act)
	case *macroStmt:
		*act.at(st.target.ref) = &macro{def: st.def, act: act}
		r.export(st.export, st.target, act)
	case *callBlock:
		caller := &macro{def: st.def, act: act}
		if st.call == nil {
			r.write(r.callMacro(caller, args{}))
			break
		}
		fn := r.eval(st.call.fn, act)
		a := r.arguments(&st.call.callArgs, act)
		for _, n := range a.named {
			if n.name == "caller" {
				fail(0, "the argument caller is given twice")
			}
		}
		a.named = append(a.named, named{"caller", caller})
		r.writeText("{% call %}", r.invoke(fn, a))
	case *filterBlock:
		r.enter(st.frame, act)
		text, f := r.captured(st.body, act)
		if f != flowNext {
			return f
		}
		r.writeText("{% filter %}", r.filter(st.filter, act, text))
	case *block:
		r.block(st, act)
	case *loopControl:
		if st.brk {
			return flowBreak
		}
		return flowContinue
	case *refused:
		fail(0, "{%% %s %%} cannot be used: a chat template is one text", st.tag)
	}
	return flowNext
}

// writeText writes what a block gives; as in Jinja, it must be text already.
func (r *renderer) writeText(block string, v value) {
	s, ok := text(v)
	if !ok {
		fail(0, "%s must give text, not %s", block, typeName(v))
	}
	r.write(s)
}

// captured runs a body whose output goes to a string.
func (r *renderer) captured(body []stmt, act *activation) (s string, f flow) {
	s = r.capture(func() { f = r.statements(body, act) })
	return s, f
}

// checkNamespaces fails if a target ns.attr is not of a namespace; Jinja checks before it computes the value.
func (r *renderer) checkNamespaces(target expr, act *activation) {
	switch t := target.(type) {
	case *nsRef:
		if _, ok := (*act.at(t.name.ref)).(*namespace); !ok {
			fail(0, "%s.%s cannot be assigned to: %s is not a namespace", t.name.name, t.attr, t.name.name)
		}
	case *tupleExpr:
		for _, item := range t.items {
			r.checkNamespaces(item, act)
		}
	}
}

func (r *renderer) assign(target expr, v value, act *activation) {
	switch t := target.(type) {
	case *nameExpr:
		*act.at(t.ref) = v
	case *nsRef:
		ns := (*act.at(t.name.ref)).(*namespace)
		ns.set(r, t.attr, v)
	case *tupleExpr:
		it := r.mustIterate(v)
		items := make([]value, 0, len(t.items))
		for {
			item, ok := it.next()
			if !ok {
				break
			}
			if len(items) == len(t.items) {
				fail(0, "too many values to unpack into %d variables", len(t.items))
			}
			items = append(items, item)
		}
		if len(items) < len(t.items) {
			fail(0, "only %d values to unpack into %d variables", len(items), len(t.items))
		}
		for i, item := range t.items {
			r.assign(item, items[i], act)
		}
	}
}

// set sets an attribute; names with an underscore in front are refused, as transformers does.
func (ns *namespace) set(r *renderer, name string, v value) {
	if name != "" && name[0] == '_' {
		fail(0, "a namespace cannot have the attribute %q: rename it without the underscore in front", name)
	}
	ns.attrs.set(r, name, v)
}

// export shows a variable assigned at the top of the template to blocks.
func (r *renderer) export(wanted bool, target expr, act *activation) {
	if !wanted {
		return
	}
	switch t := target.(type) {
	case *nameExpr:
		act.ctx.vars[t.name] = *act.at(t.ref)
	case *tupleExpr:
		for _, item := range t.items {
			r.export(true, item, act)
		}
	}
}

func (r *renderer) block(st *block, act *activation) {
	if st.required {
		fail(0, "the required block %q is not filled in: a chat template is one text", st.name)
	}
	in := r.call(st.frame, nil)
	in.ctx = act.ctx
	if st.scoped {
		in.ctx = &environment{vars: map[string]value{}, parent: map[string]value{}}
		for _, from := range []map[string]value{act.ctx.parent, act.ctx.vars} {
			for name, v := range from {
				in.ctx.parent[name] = v
			}
		}
		for name, b := range st.visible {
			if v := *act.at(b); v != nil {
				in.ctx.parent[name] = v
			}
		}
	}
	r.nested(func() {
		r.enter(st.frame, in)
		r.statements(st.body, in)
	})
}

// nested runs f one call deeper.
func (r *renderer) nested(f func()) {
	if r.calls++; r.calls > maxCalls {
		fail(0, "%w: calls are nested deeper than %d", ErrLimit, maxCalls)
	}
	f()
	r.calls--
}

// macro is a macro or a call block with the variables around its definition.
type macro struct {
	def *macroDef
	act *activation
}

// callMacro binds the arguments as Jinja's Macro does and renders the body.
func (r *renderer) callMacro(m *macro, a args) string {
	d := m.def
	act := r.call(d.frame, m.act)
	r.enter(d.frame, act)
	for _, p := range d.params {
		*act.at(p.ref) = nil
	}
	take := func(name string) value {
		for i, n := range a.named {
			if n.name == name {
				a.named = append(append([]named{}, a.named[:i]...), a.named[i+1:]...)
				return n.v
			}
		}
		return nil
	}
	n := min(len(a.pos), len(d.params))
	foundCaller := n == len(d.params) && d.explicitCaller
	for i, p := range d.params {
		if i < n {
			*act.at(p.ref) = a.pos[i]
			continue
		}
		*act.at(p.ref) = take(p.name)
		foundCaller = foundCaller || p.name == "caller"
	}
	if d.caller != nil && !foundCaller {
		v := take("caller")
		if v == nil {
			v = &undefined{why: "caller is undefined: the macro was not called with {% call %}"}
		}
		act.vars[d.caller.slot] = v
	}
	if d.kwargs != nil {
		k := newDict(len(a.named))
		for _, n := range a.named {
			k.set(r, n.name, n.v)
		}
		act.vars[d.kwargs.slot] = k
	} else if len(a.named) > 0 {
		fail(0, "macro %q takes no argument %q", d.name, a.named[0].name)
	}
	if d.varargs != nil {
		act.vars[d.varargs.slot] = &tuple{a.pos[n:]}
	} else if len(a.pos) > len(d.params) {
		fail(0, "macro %q takes at most %d arguments, not %d", d.name, len(d.params), len(a.pos))
	}
	var text string
	r.nested(func() {
		text = r.capture(func() {
			for i, p := range d.params {
				if v := act.at(p.ref); *v == nil {
					if k := i - (len(d.params) - len(d.defaults)); k >= 0 {
						*v = r.eval(d.defaults[k], act)
					} else {
						*v = &undefined{why: "parameter " + p.name + " was not given"}
					}
				}
			}
			r.statements(d.body, act)
		})
	})
	return text
}
