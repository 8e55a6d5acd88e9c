package jinja

// One rendering: its limits and its state.

import (
	"context"
	"strings"
	"time"
)

// Options bounds one rendering. The zero value is the default everywhere.
type Options struct {
	// Steps is the most work done, in expressions, loop passes and elements looked at; also every 64 bytes of text
	// made count as one. Default 20 million, a few seconds.
	Steps int
	// Memory is the most that the rendering may allocate in all, in bytes: text and lists it makes, dropped or not.
	// What the caller handed in does not count. Default 256 MiB.
	Memory int
	// Marks are those that stand in the variables. Default none.
	Marks *Marks
	// Now is what strftime_now prints, in the time zone it carries. Default the present local time.
	Now time.Time
}

const (
	defaultSteps  = 20_000_000
	defaultMemory = 256 << 20

	bytesPerStep = 64
	valueSize    = 16 // bytes that one element of a list takes

	// maxCalls bounds macros that call each other. Python stops at about 200.
	maxCalls = 400
)

// Render runs the template with the variables given, as transformers' apply_chat_template does with Jinja2, and
// returns the text. The variables may be Values or what From takes; they are never changed.
//
// It fails when the template does (raise_exception, an undefined variable used, a type that does not fit), when ctx
// ends, and with ErrLimit when the limits are reached.
func (t *Template) Render(ctx context.Context, vars map[string]any, o Options) (out string, err error) {
	r := &renderer{ctx: ctx, check: checkEvery, out: &strings.Builder{}, marks: o.Marks}
	defer caught(&err, false, &r.line, o.Marks)
	if o.Steps == 0 {
		o.Steps = defaultSteps
	}
	if o.Memory == 0 {
		o.Memory = defaultMemory
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	c := &environment{parent: make(map[string]value, len(vars)), vars: map[string]value{}}
	for name, v := range vars {
		given, err := From(v)
		if err != nil {
			return "", err
		}
		c.parent[name] = given.v
	}
	r.o = o
	act := &activation{vars: make([]value, t.frame.fn.vars), ctx: c}
	r.enter(t.frame, act)
	r.statements(t.body, act)
	return r.out.String(), nil
}

type renderer struct {
	ctx    context.Context
	o      Options
	marks  *Marks
	steps  int
	memory int
	check  int // steps until ctx is looked at again
	line   int // of the statement or expression that was begun last
	calls  int
	depth  int              // of statements, expressions and iterators inside each other
	out    *strings.Builder // where output goes
}

const checkEvery = 1000

// step counts n units of work.
func (r *renderer) step(n int) {
	if r == nil { // data that the caller hands in
		return
	}
	r.steps += n
	if r.steps > r.o.Steps || r.steps < 0 {
		fail(0, "%w: the template took more than %d steps", ErrLimit, r.o.Steps)
	}
	if r.check -= n; r.check <= 0 {
		r.check = checkEvery
		if err := r.ctx.Err(); err != nil {
			fail(0, "stopped: %w", err)
		}
	}
}

// allocate counts n bytes that are about to be made, or were made in small parts.
func (r *renderer) allocate(n int) {
	if n > r.o.Memory-r.memory {
		fail(0, "%w: the template made more than %d bytes of text and lists", ErrLimit, r.o.Memory)
	}
	r.memory += n
	r.step(n / bytesPerStep)
}

// repeat gives n copies of s.
func (r *renderer) repeat(s string, n int64) string {
	if n <= 0 || s == "" {
		return ""
	}
	if n > int64(r.o.Memory/len(s)) {
		r.allocate(r.o.Memory)
		r.allocate(1)
	}
	r.allocate(int(n) * len(s))
	return strings.Repeat(s, int(n))
}

// write appends to the output.
func (r *renderer) write(s string) {
	r.allocate(len(s))
	r.out.WriteString(s)
}

// capture runs f and returns what it wrote.
func (r *renderer) capture(f func()) string {
	outer := r.out
	r.out = &strings.Builder{}
	f()
	s := r.out.String()
	r.out = outer
	return s
}

// environment is what names mean that no scope of the template assigns: the caller's variables, then the functions of
// the environment. Blocks also see what the template assigned at its top, in vars.
type environment struct{ vars, parent map[string]value }

func (c *environment) resolve(name string) value {
	if v, ok := c.vars[name]; ok {
		return v
	}
	if v, ok := c.parent[name]; ok {
		return v
	}
	return global(name)
}

// activation holds the variables of one call of a function.
type activation struct {
	vars []value
	up   *activation
	ctx  *environment
}

func (r *renderer) call(f *frame, up *activation) *activation {
	r.allocate(valueSize * f.fn.vars)
	a := &activation{vars: make([]value, f.fn.vars)}
	if up != nil {
		a.up, a.ctx = up, up.ctx
	}
	return a
}

func (a *activation) at(b binding) *value {
	for range b.up {
		a = a.up
	}
	return &a.vars[b.slot]
}

// enter gives the variables of a scope their first values.
func (r *renderer) enter(f *frame, act *activation) {
	for _, i := range f.init {
		switch i.kind {
		case loadContext:
			act.vars[i.slot] = act.ctx.resolve(i.name)
		case loadAlias:
			act.vars[i.slot] = *act.at(i.from)
		case loadMissing:
			act.vars[i.slot] = nil
		}
	}
}

// Deepest nesting of statements, expressions and iterators at one time.
const maxRunDepth = 20_000

// deeper counts one level of nesting; the caller takes it back with r.depth--. A failure ends the rendering, so nothing
// is taken back then.
func (r *renderer) deeper() {
	if r.depth++; r.depth > maxRunDepth {
		fail(0, "%w: nested deeper than %d", ErrLimit, maxRunDepth)
	}
}

// generator makes an iterator that computes its elements when they are asked for.
func (r *renderer) generator(kind string, next func() (value, bool)) *iterator {
	return &iterator{kind: kind, next: func() (value, bool) {
		r.deeper()
		v, ok := next()
		r.depth--
		return v, ok
	}}
}
