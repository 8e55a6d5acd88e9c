package grammar

// From expressions to an automaton: every rule becomes states whose edges read a byte, read nothing, call another
// rule, or run a counted loop. What can never come to an end is taken out, so that whatever is reached can be finished.

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxStates bounds the automaton: about 100 MB.
const maxStates = 1 << 20

// unrolled is how many states a repetition may have when it is written out instead of counted.
const unrolled = 64

type edge struct {
	lo, hi byte
	to     int32
}

type callEdge struct{ rule, to int32 }

type state struct {
	edges  []edge
	skips  []int32 // states that are reached without a byte
	calls  []callEdge
	loops  []int32 // counted loops that begin here
	accept bool    // the rule may end here
}

// loop is a body that runs min to max times; max -1: without end. Its count stands on the stack.
type loop struct {
	start    int32 // of the body
	min, max int32
	to       int32
	charwise bool // the body is one character, whose end is always plain
}

// Grammar is a set of texts, compiled. It does not change and may be used by many goroutines.
type Grammar struct {
	states   []state
	starts   []int32 // by rule
	loops    []loop
	last     []bool   // by state: nothing is left of its rule but the end, so that what it calls need not come back
	controls []string // control tokens that it needs
	rules    *rules   // it was made of

	class   [256]uint8 // bytes that no state tells apart
	classes int
	byteOf  [256]byte // one of a class
}

type compiler struct {
	g        *Grammar
	r        *rules
	nullable []bool // by rule
	err      error
}

var errTooLarge = fmt.Errorf("the grammar needs more than %d states: make it smaller, or shorten its counts and lists", maxStates)

// compile makes the automaton of rules.
func compile(r *rules) (*Grammar, error) {
	c := &compiler{g: &Grammar{rules: r}, r: r}
	c.findNullable()
	for range r.exprs {
		c.g.starts = append(c.g.starts, c.state())
	}
	for i, e := range r.exprs {
		end := c.expr(e, c.g.starts[i])
		c.g.states[end].accept = true
	}
	if c.err != nil {
		return nil, c.err
	}
	if err := c.refuseLeftRecursion(); err != nil {
		return nil, err
	}
	if !c.prune() {
		return nil, errors.New("no text is ever complete: every way through the grammar needs itself again, or something that cannot be")
	}
	c.g.classify()
	c.g.findLast()
	c.g.findControls()
	return c.g, nil
}

// findNullable finds the rules that match the empty string, by repeating until nothing changes.
func (c *compiler) findNullable() {
	c.nullable = make([]bool, len(c.r.exprs))
	for changed := true; changed; {
		changed = false
		for i, e := range c.r.exprs {
			if !c.nullable[i] && c.isNullable(e) {
				c.nullable[i], changed = true, true
			}
		}
	}
}

func (c *compiler) isNullable(e *expr) bool {
	switch e.op {
	case literal:
		return e.text == ""
	case span, runes, unit, needed:
		return false
	case sequence:
		for _, s := range e.subs {
			if !c.isNullable(s) {
				return false
			}
		}
		return true
	case either:
		for _, s := range e.subs {
			if c.isNullable(s) {
				return true
			}
		}
		return false
	case repeat:
		return e.min == 0 || c.isNullable(e.subs[0])
	}
	return c.nullable[e.rule]
}

func (c *compiler) state() int32 {
	if len(c.g.states) >= maxStates {
		c.err = errTooLarge
		return 0
	}
	c.g.states = append(c.g.states, state{})
	return int32(len(c.g.states) - 1)
}

func (c *compiler) at(s int32) *state { return &c.g.states[s] }

func (c *compiler) skip(from, to int32) { c.at(from).skips = append(c.at(from).skips, to) }

func (c *compiler) read(from int32, lo, hi byte) int32 {
	to := c.state()
	c.at(from).edges = append(c.at(from).edges, edge{lo, hi, to})
	return to
}

// expr adds e behind a state and returns the state after it.
func (c *compiler) expr(e *expr, from int32) int32 {
	if c.err != nil {
		return from
	}
	switch e.op {
	case literal:
		return c.text(e.text, from)
	case needed:
		return c.text(spellControl(e.text), from)
	case span:
		return c.read(from, byte(e.set[0]), byte(e.set[1]))
	case runes:
		return c.set(e.set, from)
	case sequence:
		for _, s := range e.subs {
			from = c.expr(s, from)
		}
		return from
	case either, unit:
		end := c.state()
		for _, s := range e.subs {
			c.skip(c.expr(s, from), end)
		}
		return end
	case repeat:
		return c.repeat(e, from)
	}
	end := c.state()
	c.at(from).calls = append(c.at(from).calls, callEdge{int32(e.rule), end})
	return end
}

// text adds bytes.
func (c *compiler) text(s string, from int32) int32 {
	for i := range len(s) {
		from = c.read(from, s[i], s[i])
	}
	return from
}

// set adds one character. Sequences that begin alike share their first states.
func (c *compiler) set(s []rune, from int32) int32 {
	end := c.state()
	var path []byteRange // of the states in at
	var at [4]int32
	at[0] = from
	for i := 0; i < len(s); i += 2 {
		utf8Ranges(s[i], s[i+1], func(seq []byteRange) {
			same := 0
			for same < len(path) && same < len(seq)-1 && path[same] == seq[same] {
				same++
			}
			path = path[:same]
			for _, b := range seq[same : len(seq)-1] {
				at[len(path)+1] = c.read(at[len(path)], b.lo, b.hi)
				path = append(path, b)
			}
			last, b := c.at(at[len(path)]), seq[len(seq)-1]
			last.edges = append(last.edges, edge{b.lo, b.hi, end})
		})
	}
	return end
}

// repeat writes a repetition out where it is short, and else counts it.
func (c *compiler) repeat(e *expr, from int32) int32 {
	body := e.subs[0]
	if e.max == 0 {
		return from
	}
	copies := max(e.min, e.max)
	size := c.size(body, unrolled)
	counted := copies > 1 && copies > unrolled/size
	if counted && c.isNullable(body) {
		if copies > unrolled {
			c.err = fmt.Errorf("a repetition of %d to %d times repeats what may be empty: let what is repeated have at least one character", e.min, e.max)
			return from
		}
		counted = false
	}
	if !counted {
		for range e.min {
			from = c.expr(body, from)
		}
		if e.max < 0 {
			return c.star(body, from)
		}
		end := c.state()
		for range e.max - e.min {
			c.skip(from, end)
			from = c.expr(body, from)
		}
		c.skip(from, end)
		return end
	}
	l := loop{start: c.state(), min: int32(e.min), max: int32(e.max), to: c.state(), charwise: body.op == runes || body.op == unit}
	c.at(c.expr(body, l.start)).accept = true
	c.g.loops = append(c.g.loops, l)
	c.at(from).loops = append(c.at(from).loops, int32(len(c.g.loops)-1))
	return l.to
}

// star repeats a body without end. The state between two of them is one of its own, so that the loop is entered there
// alone.
func (c *compiler) star(body *expr, from int32) int32 {
	again, end := c.state(), c.state()
	c.skip(from, again)
	c.skip(again, end)
	c.skip(c.expr(body, again), again)
	return end
}

// size counts the states of e, up to a limit.
func (c *compiler) size(e *expr, limit int) int {
	n := 0
	switch e.op {
	case literal, needed:
		return min(limit, len(e.text)+2)
	case runes:
		for i := 0; i < len(e.set) && n < limit; i += 2 {
			utf8Ranges(e.set[i], e.set[i+1], func(s []byteRange) { n += len(s) - 1 })
		}
		return min(limit, n+1)
	case call, span:
		return 1
	case repeat:
		return min(limit, 2+c.size(e.subs[0], limit)*max(1, e.min, e.max))
	case either, unit:
		n = 1 + len(e.subs)
	}
	for _, s := range e.subs {
		if n >= limit {
			break
		}
		n += c.size(s, limit)
	}
	return min(limit, n)
}

// leads calls f with every rule that state s may call before a byte is read, and with the states on the way.
func (c *compiler) leads(s int32, seen map[int32]bool, f func(rule int32)) {
	if seen[s] {
		return
	}
	seen[s] = true
	for work := []int32{s}; len(work) > 0; {
		st := c.at(work[len(work)-1])
		work = work[:len(work)-1]
		visit := func(t int32) {
			if !seen[t] {
				seen[t] = true
				work = append(work, t)
			}
		}
		for _, t := range st.skips {
			visit(t)
		}
		for _, e := range st.calls {
			f(e.rule)
			if c.nullable[e.rule] {
				visit(e.to)
			}
		}
		for _, l := range st.loops {
			l := &c.g.loops[l]
			visit(l.start) // what it calls comes before any byte too; its end is not nullable
			if l.min == 0 {
				visit(l.to)
			}
		}
	}
}

// refuseLeftRecursion finds rules that call themselves before they have read anything.
func (c *compiler) refuseLeftRecursion() error {
	n := len(c.g.starts)
	first := make([][]int32, n)
	for i, s := range c.g.starts {
		c.leads(s, map[int32]bool{}, func(rule int32) { first[i] = append(first[i], rule) })
	}
	const open, closed = 1, 2
	mark := make([]uint8, n)
	var path []int32
	next := make([]int, n)
	for root := range n {
		if mark[root] != 0 {
			continue
		}
		path = append(path[:0], int32(root))
		mark[root] = open
		for len(path) > 0 {
			r := path[len(path)-1]
			if next[r] == len(first[r]) {
				mark[r] = closed
				path = path[:len(path)-1]
				continue
			}
			q := first[r][next[r]]
			next[r]++
			switch mark[q] {
			case 0:
				mark[q] = open
				path = append(path, q)
			case open:
				return fmt.Errorf("rule %q calls itself before it has read anything (%s): write it so that something comes first",
					quoted(c.r.names[q]), c.showCycle(path, q))
			}
		}
	}
	return nil
}

func (c *compiler) showCycle(path []int32, to int32) string {
	at := len(path) - 1
	for path[at] != to {
		at--
	}
	var names []string
	for _, r := range path[at:] {
		if len(names) == 8 {
			names = append(names, "...")
			break
		}
		names = append(names, quoted(c.r.names[r]))
	}
	return strings.Join(append(names, quoted(c.r.names[to])), " → ")
}

// prune takes out all edges from which no end can be reached. It says whether an end is left for the first rule.
//
// A state is alive if it accepts, or if an edge leads on to a state that is alive; a call and a loop besides need
// that the start of what they run is alive. Found backwards, from the states that accept.
func (c *compiler) prune() bool {
	g := c.g
	n := len(g.states)
	into := make([][]int32, n) // states that look at this one
	for s := range g.states {
		st := &g.states[s]
		watch := func(t int32) { into[t] = append(into[t], int32(s)) }
		for _, e := range st.edges {
			watch(e.to)
		}
		for _, t := range st.skips {
			watch(t)
		}
		for _, e := range st.calls {
			watch(e.to)
			watch(g.starts[e.rule])
		}
		for _, l := range st.loops {
			watch(g.loops[l].to)
			watch(g.loops[l].start)
		}
	}
	alive := make([]bool, n)
	var work []int32
	for s := range g.states {
		if g.states[s].accept {
			alive[s] = true
			work = append(work, int32(s))
		}
	}
	calls := func(e callEdge) bool { return alive[e.to] && alive[g.starts[e.rule]] }
	loops := func(l int32) bool {
		return alive[g.loops[l].to] && (g.loops[l].min == 0 || alive[g.loops[l].start])
	}
	for len(work) > 0 {
		t := work[len(work)-1]
		work = work[:len(work)-1]
		for _, s := range into[t] {
			if alive[s] {
				continue
			}
			st := &g.states[s]
			ok := false
			for _, e := range st.edges {
				ok = ok || alive[e.to]
			}
			for _, k := range st.skips {
				ok = ok || alive[k]
			}
			for _, e := range st.calls {
				ok = ok || calls(e)
			}
			for _, l := range st.loops {
				ok = ok || loops(l)
			}
			if ok {
				alive[s] = true
				work = append(work, s)
			}
		}
	}
	for s := range g.states {
		st := &g.states[s]
		st.edges = keepIf(st.edges, func(e edge) bool { return alive[e.to] })
		st.skips = keepIf(st.skips, func(t int32) bool { return alive[t] })
		st.calls = keepIf(st.calls, calls)
		st.loops = keepIf(st.loops, loops)
	}
	for i := range g.loops {
		if l := &g.loops[i]; !alive[l.start] {
			l.max = 0 // it can only be passed
		}
	}
	return alive[g.starts[0]]
}

func keepIf[T any](s []T, keep func(T) bool) []T {
	return slices.DeleteFunc(s, func(x T) bool { return !keep(x) })
}

// classify finds the bytes that no edge tells apart.
func (g *Grammar) classify() {
	var cut [257]bool // a class begins here
	cut[0] = true
	for s := range g.states {
		for _, e := range g.states[s].edges {
			cut[e.lo], cut[int(e.hi)+1] = true, true
		}
	}
	n := -1
	for b := range 256 {
		if cut[b] {
			n++
			g.byteOf[n] = byte(b)
		}
		g.class[b] = uint8(n)
	}
	g.classes = n + 1
}

// findLast finds the states that only lead to an end. A chain of them that it misses costs memory and nothing else.
func (g *Grammar) findLast() {
	g.last = make([]bool, len(g.states))
	for range 3 {
		for s := len(g.states) - 1; s >= 0; s-- {
			st := &g.states[s]
			only := len(st.edges)+len(st.calls)+len(st.loops) == 0
			for _, t := range st.skips {
				only = only && g.last[t]
			}
			g.last[s] = only
		}
	}
}

// findControls lists the control tokens that the rules need.
func (g *Grammar) findControls() {
	seen := map[*expr]bool{}
	named := map[string]bool{}
	var visit func(e *expr)
	visit = func(e *expr) {
		if seen[e] {
			return
		}
		seen[e] = true
		if e.op == needed && !named[e.text] {
			named[e.text] = true
			g.controls = append(g.controls, e.text)
		}
		for _, s := range e.subs {
			visit(s)
		}
	}
	for _, e := range g.rules.exprs {
		visit(e)
	}
}
