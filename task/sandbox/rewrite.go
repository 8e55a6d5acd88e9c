package sandbox

// Puts the meter into a program: the syntax tree is changed before it is compiled, so that each operation whose cost
// is not bounded by one step asks the meter first. The names of what is called are no identifiers: programs can
// neither call nor hide them.
//
//	x op y      binary op(x, y)
//	x op= y     x op= augment op(x, y)       in place, as the language has it
//	x.name      attribute(x, "name")         methods are wrapped
//	x[i]        x[key(i)]                    hashing a tuple takes its whole tree
//	x[a:b]      copied(x)[a:b]
//	f(*x)       f(*copied(x))
//	{k: v}      {key(k): v}

import (
	"errors"
	"fmt"
	"sync"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

var options = &syntax.FileOptions{Set: true, While: true, Recursion: true, TopLevelControl: true}

const (
	nameKey       = "key()"
	nameCopied    = "copied()"
	nameAttribute = "attribute()"
)

// compile reads a program and puts the meter in. predeclared are names besides those of the language.
func compile(path string, source []byte, predeclared starlark.StringDict) (*starlark.Program, starlark.StringDict, error) {
	f, err := options.Parse(path, source, 0)
	if err != nil {
		return nil, nil, err
	}
	r := &rewriter{}
	r.stmts(f.Stmts)
	if r.err != nil {
		return nil, nil, r.err
	}
	env := starlark.StringDict{}
	for name, v := range metered() {
		env[name] = v
	}
	for name, v := range predeclared {
		env[name] = v
	}
	p, err := starlark.FileProgram(f, env.Has)
	return p, env, err
}

type rewriter struct{ err error }

func (r *rewriter) fail(at syntax.Position, format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%s: %s", at, fmt.Sprintf(format, args...))
	}
}

func call(at syntax.Position, name string, args ...syntax.Expr) syntax.Expr {
	return &syntax.CallExpr{Fn: &syntax.Ident{NamePos: at, Name: name}, Lparen: at, Args: args, Rparen: at}
}

func (r *rewriter) stmts(list []syntax.Stmt) {
	for _, s := range list {
		r.stmt(s)
	}
}

func (r *rewriter) stmt(s syntax.Stmt) {
	switch s := s.(type) {
	case *syntax.AssignStmt:
		r.assign(s)
	case *syntax.DefStmt:
		r.params(s.Params)
		r.stmts(s.Body)
	case *syntax.ExprStmt:
		r.expr(&s.X)
	case *syntax.IfStmt:
		r.expr(&s.Cond)
		r.stmts(s.True)
		r.stmts(s.False)
	case *syntax.ForStmt:
		r.target(s.Vars)
		r.expr(&s.X)
		r.stmts(s.Body)
	case *syntax.WhileStmt:
		r.expr(&s.Cond)
		r.stmts(s.Body)
	case *syntax.ReturnStmt:
		if s.Result != nil {
			r.expr(&s.Result)
		}
	case *syntax.LoadStmt:
		r.fail(s.Load, "load: a task is one file")
	}
}

// binaryOf gives the operator of an augmented assignment.
var binaryOf = map[syntax.Token]syntax.Token{
	syntax.PLUS_EQ: syntax.PLUS, syntax.MINUS_EQ: syntax.MINUS, syntax.STAR_EQ: syntax.STAR, syntax.SLASH_EQ: syntax.SLASH,
	syntax.SLASHSLASH_EQ: syntax.SLASHSLASH, syntax.PERCENT_EQ: syntax.PERCENT, syntax.AMP_EQ: syntax.AMP, syntax.PIPE_EQ: syntax.PIPE,
	syntax.CIRCUMFLEX_EQ: syntax.CIRCUMFLEX, syntax.LTLT_EQ: syntax.LTLT, syntax.GTGT_EQ: syntax.GTGT,
}

func (r *rewriter) assign(s *syntax.AssignStmt) {
	r.expr(&s.RHS)
	if op, ok := binaryOf[s.Op]; ok {
		again, simple := repeatable(s.LHS)
		if !simple {
			r.fail(s.OpPos, "%s: the left side must be made of names, numbers, texts and [ ] only: give its parts names first", s.Op)
			return
		}
		r.expr(&again)
		s.RHS = call(s.OpPos, "augment "+op.String(), again, s.RHS)
	}
	r.target(s.LHS)
}

// repeatable copies an expression that may be computed twice: it has no effects.
func repeatable(e syntax.Expr) (syntax.Expr, bool) {
	switch e := e.(type) {
	case *syntax.Ident:
		return &syntax.Ident{NamePos: e.NamePos, Name: e.Name}, true
	case *syntax.Literal:
		return e, true
	case *syntax.ParenExpr:
		return repeatable(e.X)
	case *syntax.IndexExpr:
		x, okX := repeatable(e.X)
		y, okY := repeatable(e.Y)
		return &syntax.IndexExpr{X: x, Lbrack: e.Lbrack, Y: y, Rbrack: e.Rbrack}, okX && okY
	case *syntax.BinaryExpr:
		x, okX := repeatable(e.X)
		y, okY := repeatable(e.Y)
		return &syntax.BinaryExpr{X: x, OpPos: e.OpPos, Op: e.Op, Y: y}, okX && okY
	}
	return nil, false
}

// target goes through the left side of an assignment, which must stay what it is.
func (r *rewriter) target(e syntax.Expr) {
	switch e := e.(type) {
	case *syntax.IndexExpr:
		r.expr(&e.X)
		r.key(&e.Y)
	case *syntax.DotExpr:
		r.expr(&e.X)
	case *syntax.ParenExpr:
		r.target(e.X)
	case *syntax.TupleExpr:
		for _, x := range e.List {
			r.target(x)
		}
	case *syntax.ListExpr:
		for _, x := range e.List {
			r.target(x)
		}
	}
}

func (r *rewriter) params(ps []syntax.Expr) {
	for _, p := range ps {
		if b, ok := p.(*syntax.BinaryExpr); ok { // name = default
			r.expr(&b.Y)
		}
	}
}

func (r *rewriter) list(es []syntax.Expr) {
	for i := range es {
		r.expr(&es[i])
	}
}

func (r *rewriter) key(e *syntax.Expr) {
	r.expr(e)
	if _, ok := (*e).(*syntax.Literal); !ok {
		*e = call(syntax.Start(*e), nameKey, *e)
	}
}

func (r *rewriter) expr(e *syntax.Expr) {
	switch x := (*e).(type) {
	case *syntax.ParenExpr:
		r.expr(&x.X)
	case *syntax.CallExpr:
		r.expr(&x.Fn)
		r.args(x.Args)
	case *syntax.DotExpr:
		r.expr(&x.X)
		name := &syntax.Literal{Token: syntax.STRING, TokenPos: x.NamePos, Raw: x.Name.Name, Value: x.Name.Name}
		*e = call(x.Dot, nameAttribute, x.X, name)
	case *syntax.Comprehension:
		r.comprehension(x)
	case *syntax.DictExpr:
		for _, entry := range x.List {
			r.entry(entry.(*syntax.DictEntry))
		}
	case *syntax.DictEntry:
		r.entry(x)
	case *syntax.LambdaExpr:
		r.params(x.Params)
		r.expr(&x.Body)
	case *syntax.ListExpr:
		r.list(x.List)
	case *syntax.TupleExpr:
		r.list(x.List)
	case *syntax.CondExpr:
		r.expr(&x.Cond)
		r.expr(&x.True)
		r.expr(&x.False)
	case *syntax.UnaryExpr:
		if x.X != nil {
			r.expr(&x.X)
		}
	case *syntax.BinaryExpr:
		r.expr(&x.X)
		r.expr(&x.Y)
		if x.Op != syntax.AND && x.Op != syntax.OR {
			*e = call(x.OpPos, "binary "+x.Op.String(), x.X, x.Y)
		}
	case *syntax.SliceExpr:
		r.slice(x)
	case *syntax.IndexExpr:
		r.expr(&x.X)
		r.key(&x.Y)
	}
}

func (r *rewriter) args(args []syntax.Expr) {
	for i := range args {
		switch a := args[i].(type) {
		case *syntax.BinaryExpr:
			if a.Op == syntax.EQ { // name = value
				r.expr(&a.Y)
				continue
			}
		case *syntax.UnaryExpr:
			if a.Op == syntax.STAR || a.Op == syntax.STARSTAR {
				r.expr(&a.X)
				a.X = call(a.OpPos, nameCopied, a.X)
				continue
			}
		}
		r.expr(&args[i])
	}
}

func (r *rewriter) entry(d *syntax.DictEntry) {
	r.key(&d.Key)
	r.expr(&d.Value)
}

func (r *rewriter) comprehension(c *syntax.Comprehension) {
	r.expr(&c.Body)
	if _, isEntry := c.Body.(*syntax.DictEntry); c.Curly && !isEntry { // a set
		c.Body = call(syntax.Start(c.Body), nameKey, c.Body)
	}
	for _, clause := range c.Clauses {
		switch clause := clause.(type) {
		case *syntax.ForClause:
			r.target(clause.Vars)
			r.expr(&clause.X)
		case *syntax.IfClause:
			r.expr(&clause.Cond)
		}
	}
}

func (r *rewriter) slice(x *syntax.SliceExpr) {
	r.expr(&x.X)
	for _, part := range []*syntax.Expr{&x.Lo, &x.Hi, &x.Step} {
		if *part != nil {
			r.expr(part)
		}
	}
	x.X = call(x.Lbrack, nameCopied, x.X)
}

// metered are the functions of the language with the meter before them, and those that rewritten programs call.
var metered = sync.OnceValue(meteredUniverse)

func meteredUniverse() starlark.StringDict {
	env := starlark.StringDict{}
	for name, v := range starlark.Universe {
		if b, ok := v.(*starlark.Builtin); ok {
			env[name] = meterBuiltin(b, nil)
		}
	}
	env["getattr"] = starlark.NewBuiltin("getattr", getattr)
	env[nameAttribute] = starlark.NewBuiltin("attribute", getattr)
	env[nameKey] = starlark.NewBuiltin("key", func(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		return args[0], meterOf(t).chargeDeep(16, args[0])
	})
	env[nameCopied] = starlark.NewBuiltin("copied", func(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		return args[0], meterOf(t).charge(shallow(args[0]))
	})
	for op := syntax.PLUS; op <= syntax.NOT_IN; op++ {
		env["binary "+op.String()] = binaryFunction(op)
	}
	env["binary in"], env["binary not in"] = binaryFunction(syntax.IN), binaryFunction(syntax.NOT_IN)
	for _, op := range binaryOf {
		env["augment "+op.String()] = starlark.NewBuiltin(op.String(), func(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
			return args[1], meterOf(t).binary(op, args[0], args[1])
		})
	}
	env.Freeze()
	return env
}

func binaryFunction(op syntax.Token) *starlark.Builtin {
	return starlark.NewBuiltin(op.String(), func(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		x, y := args[0], args[1]
		if err := meterOf(t).binary(op, x, y); err != nil {
			return nil, err
		}
		switch op {
		case syntax.EQL, syntax.NEQ, syntax.LT, syntax.LE, syntax.GT, syntax.GE:
			ok, err := starlark.Compare(op, x, y)
			return starlark.Bool(ok), err
		}
		return starlark.Binary(op, x, y)
	})
}

// meterBuiltin charges a function before it is called; recv is what a method belongs to.
func meterBuiltin(b *starlark.Builtin, recv starlark.Value) *starlark.Builtin {
	return starlark.NewBuiltin(b.Name(), func(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		if err := meterOf(t).builtin(b.Name(), recv, args, kwargs); err != nil {
			return nil, err
		}
		return b.CallInternal(t, args, kwargs)
	})
}

func getattr(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var x, dflt starlark.Value
	var name string
	if err := starlark.UnpackPositionalArgs("getattr", args, kwargs, 2, &x, &name, &dflt); err != nil {
		return nil, err
	}
	if h, ok := x.(starlark.HasAttrs); ok {
		v, err := h.Attr(name)
		if b, isMethod := v.(*starlark.Builtin); isMethod && err == nil {
			return meterBuiltin(b, x), nil
		}
		var missing starlark.NoSuchAttrError
		if v != nil || err != nil && !errors.As(err, &missing) {
			return v, err
		}
	}
	if dflt != nil {
		return dflt, nil
	}
	return nil, fmt.Errorf("%s has no .%s", x.Type(), name)
}
