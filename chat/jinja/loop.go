package jinja

// For loops and their variable loop.

type loop struct {
	r      *renderer
	source value
	it     *iterator
	index0 int // -1 before the first element

	after, current, before value // nil: none
	size                   int   // -1: not known yet
	changed                []value
	depth0                 int
	recurse                func(v value, depth int) string // nil if the loop is not recursive
}

// forStatement runs a loop. Its else part runs if no pass reached the end of the body: as in Jinja also when every
// pass was left by continue or break.
func (r *renderer) forStatement(st *forStmt, act *activation) flow {
	source := r.eval(st.iter, act)
	if !st.recursive {
		return r.runLoop(st, act, act, source, 0, nil)
	}
	var recurse func(v value, depth int) string
	recurse = func(v value, depth int) string {
		var text string
		r.nested(func() {
			text = r.capture(func() { r.runLoop(st, act, r.call(st.frame, act), v, depth, recurse) })
		})
		return text
	}
	r.write(recurse(source, 0))
	return flowNext
}

// runLoop runs the body in act; the test of the loop was written in outer.
func (r *renderer) runLoop(st *forStmt, outer, act *activation, source value, depth int, recurse func(value, int) string) flow {
	if st.test != nil {
		source = r.filtered(st, outer, source)
	}
	l := &loop{r: r, source: source, it: r.mustIterate(source), index0: -1, size: -1, depth0: depth, recurse: recurse}
	ended := false
	for {
		item, ok := l.advance()
		if !ok {
			break
		}
		r.step(1)
		r.assign(st.target, item, act)
		act.vars[st.loop.slot] = l
		r.enter(st.frame, act)
		f := r.statements(st.body, act)
		if f == flowBreak {
			break
		}
		if f == flowNext {
			ended = true
		}
	}
	if !ended && len(st.els) > 0 {
		r.enter(st.elseFrame, act)
		return r.statements(st.els, act)
	}
	return flowNext
}

// filtered gives the elements for which the test of the loop holds, each tested when it is asked for.
func (r *renderer) filtered(st *forStmt, outer *activation, source value) value {
	it := r.mustIterate(source)
	act := r.call(st.testFrame, outer)
	r.enter(st.testFrame, act)
	return r.generator("generator", func() (value, bool) {
		for {
			item, ok := it.next()
			if !ok {
				return nil, false
			}
			r.assign(st.testTarget, item, act)
			if truth(r.eval(st.test, act)) {
				return item, true
			}
		}
	})
}

func (l *loop) advance() (value, bool) {
	v := l.after
	l.after = nil
	if v == nil {
		var ok bool
		if v, ok = l.it.next(); !ok {
			return nil, false
		}
	}
	l.index0++
	l.before, l.current = l.current, v
	return v, true
}

// peek gives the next element, nil if there is none.
func (l *loop) peek() value {
	if l.after == nil {
		l.after, _ = l.it.next()
	}
	return l.after
}

func (l *loop) length() int {
	if l.size >= 0 {
		return l.size
	}
	if n, ok := length(l.source); ok {
		l.size = n
		return n
	}
	rest := l.r.collect(l.it) // a generator: run to its end
	l.it, _ = l.r.iterate(&list{rest})
	l.size = len(rest) + l.index0 + 1
	if l.after != nil {
		l.size++
	}
	return l.size
}

// attr gives an attribute of the variable loop, nil if there is none of that name.
func (l *loop) attr(name string) value {
	switch name {
	case "index":
		return int64(l.index0 + 1)
	case "index0":
		return int64(l.index0)
	case "revindex":
		return int64(l.length() - l.index0)
	case "revindex0":
		return int64(l.length() - l.index0 - 1)
	case "first":
		return l.index0 == 0
	case "last":
		return l.peek() == nil
	case "length":
		return int64(l.length())
	case "depth":
		return int64(l.depth0 + 1)
	case "depth0":
		return int64(l.depth0)
	case "previtem":
		if l.index0 == 0 {
			return &undefined{why: "there is no previous item"}
		}
		return l.before
	case "nextitem":
		if v := l.peek(); v != nil {
			return v
		}
		return &undefined{why: "there is no next item"}
	case "cycle":
		return &builtin{name: name, self: l, call: func(r *renderer, a args) value {
			a.noNames("cycle")
			if len(a.pos) == 0 {
				fail(0, "loop.cycle needs at least one value")
			}
			return a.pos[l.index0%len(a.pos)]
		}}
	case "changed":
		return &builtin{name: name, self: l, call: func(r *renderer, a args) value {
			a.noNames("changed")
			if l.changed != nil && r.equalItems(l.changed, a.pos, 0) {
				return false
			}
			l.changed = append(make([]value, 0, 1), a.pos...)
			return true
		}}
	}
	return nil
}
