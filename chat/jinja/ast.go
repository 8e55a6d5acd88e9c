package jinja

// The tree of a template: statements and expressions. The parser builds it, scope.go binds its names, exec.go and
// eval.go walk it.

// Statements.
type (
	stmt interface{ at() int } // the line

	pos int // embedded in every node

	// output writes text and values.
	output struct {
		pos
		parts []expr
	}

	assign struct {
		pos
		target expr
		value  expr
		export bool // blocks see the variable
	}

	// assignBlock is {% set x %}...{% endset %}, with filters.
	assignBlock struct {
		pos
		target expr
		export bool
		filter *filterCall // its innermost input is nil
		body   []stmt
		frame  *frame
	}

	ifStmt struct {
		pos
		test expr
		body []stmt
		elif []*ifStmt
		els  []stmt
	}

	forStmt struct {
		pos
		target     expr
		iter       expr
		test       expr
		testTarget expr // target once more, bound to the variables that test sees
		recursive  bool
		body, els  []stmt

		loop             *variable
		frame, elseFrame *frame
		testFrame        *frame // the test is a function of its own; so is a recursive loop
	}

	withStmt struct {
		pos
		targets []expr
		values  []expr
		body    []stmt
		frame   *frame
	}

	macroStmt struct {
		pos
		def    *macroDef
		target *nameExpr
		export bool
	}

	// callBlock is {% call(args) f() %}body{% endcall %} and, with call nil, {% generation %}.
	callBlock struct {
		pos
		def  *macroDef
		call *callExpr
	}

	filterBlock struct {
		pos
		filter *filterCall
		body   []stmt
		frame  *frame
	}

	block struct {
		pos
		name     string
		scoped   bool
		required bool
		body     []stmt
		frame    *frame
		visible  map[string]binding // what a scoped block sees of the scopes around it
	}

	loopControl struct {
		pos
		brk bool
	}

	// refused is a statement that only makes sense with other templates around.
	refused struct {
		pos
		tag string
	}

	// macroDef is the body of a macro or of a call block.
	macroDef struct {
		name     string // "" for a call block
		params   []*nameExpr
		defaults []expr // of the last parameters
		body     []stmt
		frame    *frame

		caller, kwargs, varargs *variable // nil where the body does not ask for them
		explicitCaller          bool
	}
)

// Expressions.
type (
	expr interface{ at() int }

	constant struct {
		pos
		v value
	}

	nameExpr struct {
		pos
		name string
		ref  binding
	}

	// nsRef is a target ns.attr.
	nsRef struct {
		pos
		name *nameExpr
		attr string
	}

	tupleExpr struct {
		pos
		items []expr
	}

	listExpr struct {
		pos
		items []expr
	}

	dictExpr struct {
		pos
		keys, vals []expr
	}

	unary struct {
		pos
		op string // "not", "-", "+"
		x  expr
	}

	binary struct {
		pos
		op   string // "and", "or" and the arithmetic
		l, r expr
	}

	concat struct {
		pos
		parts []expr
	}

	compare struct {
		pos
		first expr
		ops   []string
		rest  []expr
	}

	condition struct {
		pos
		test, yes, no expr // no may be nil
	}

	getAttr struct {
		pos
		x    expr
		name string
	}

	getItem struct {
		pos
		x, key expr
	}

	getSlice struct {
		pos
		x                 expr
		start, stop, step expr // each may be nil
	}

	callExpr struct {
		pos
		fn expr
		callArgs
	}

	filterCall struct {
		pos
		x    expr // nil: the text of the block
		name string
		callArgs
	}

	testCall struct {
		pos
		x    expr
		name string
		callArgs
	}

	callArgs struct {
		args      []expr
		names     []string
		named     []expr
		dynArgs   expr // *x
		dynKwargs expr // **x
	}
)

func (p pos) at() int { return int(p) }
