package jinja

// The tests that follow "is", after jinja2/tests.py.

import (
	"math/big"
)

type testFunc func(r *renderer, x value, a args) value

// testOf gives a test, nil if there is none of that name.
func testOf(name string) testFunc {
	if is := simpleTest(name); is != nil {
		return func(r *renderer, x value, a args) value {
			a.positional(name, 0, 0)
			return is(r, x)
		}
	}
	compare := func(holds func(r *renderer, a, b value) bool) testFunc {
		return func(r *renderer, x value, a args) value {
			return holds(r, x, a.positional(name, 1, 1)[0])
		}
	}
	switch name {
	case "==", "eq", "equalto":
		return compare((*renderer).equal)
	case "!=", "ne":
		return compare(func(r *renderer, a, b value) bool { return !r.equal(a, b) })
	case "<", "lt", "lessthan":
		return compare((*renderer).less)
	case "<=", "le":
		return compare(func(r *renderer, a, b value) bool { return r.order(a, b, "<=", 0) })
	case ">", "gt", "greaterthan":
		return compare(func(r *renderer, a, b value) bool { return r.order(a, b, ">", 0) })
	case ">=", "ge":
		return compare(func(r *renderer, a, b value) bool { return r.order(a, b, ">=", 0) })
	case "in":
		return func(r *renderer, x value, a args) value {
			return r.contains(a.need(name, 1, "seq")[0], x)
		}
	case "sameas":
		return func(r *renderer, x value, a args) value {
			return identical(x, a.need(name, 1, "other")[0])
		}
	case "divisibleby":
		return func(r *renderer, x value, a args) value {
			return r.equal(r.arithmetic("%", x, a.need(name, 1, "num")[0]), int64(0))
		}
	}
	return nil
}

// simpleTest gives a test without arguments, nil if there is none of that name.
func simpleTest(name string) func(r *renderer, x value) bool {
	remainder := func(want int64) func(r *renderer, x value) bool {
		return func(r *renderer, x value) bool {
			return r.equal(r.arithmetic("%", x, int64(2)), want)
		}
	}
	switch name {
	case "defined":
		return func(r *renderer, x value) bool { _, missing := x.(*undefined); return !missing }
	case "undefined":
		return func(r *renderer, x value) bool { _, missing := x.(*undefined); return missing }
	case "none":
		return func(r *renderer, x value) bool { return x == none{} }
	case "boolean":
		return func(r *renderer, x value) bool { _, ok := x.(bool); return ok }
	case "true":
		return func(r *renderer, x value) bool { return x == true }
	case "false":
		return func(r *renderer, x value) bool { return x == false }
	case "integer":
		return func(r *renderer, x value) bool {
			switch x.(type) {
			case int64, *big.Int:
				return true
			}
			return false
		}
	case "float":
		return func(r *renderer, x value) bool { _, ok := x.(float64); return ok }
	case "number":
		return func(r *renderer, x value) bool { return isNumber(x) }
	case "string":
		return func(r *renderer, x value) bool { _, ok := text(x); return ok }
	case "mapping":
		return func(r *renderer, x value) bool { _, ok := x.(*dict); return ok }
	case "sequence":
		return func(r *renderer, x value) bool {
			switch x.(type) {
			case string, markup, *list, *tuple, *dict, *span, *undefined:
				return true
			}
			return false
		}
	case "iterable":
		return func(r *renderer, x value) bool { _, ok := r.iterate(x); return ok }
	case "callable":
		return func(r *renderer, x value) bool {
			switch x.(type) {
			case *builtin, *macro, *joiner, *loop, *undefined:
				return true
			}
			return false
		}
	case "escaped":
		return func(r *renderer, x value) bool { _, ok := x.(markup); return ok }
	case "lower", "upper":
		is := textTest("is" + name)
		return func(r *renderer, x value) bool {
			s := r.str(x)
			r.step(len(s) / bytesPerStep)
			return is(r.plain(s))
		}
	case "odd":
		return remainder(1)
	case "even":
		return remainder(0)
	case "filter":
		return func(r *renderer, x value) bool {
			name, ok := text(x)
			return ok && filterOf(r.plain(name)) != nil
		}
	case "test":
		return func(r *renderer, x value) bool {
			name, ok := text(x)
			return ok && testOf(r.plain(name)) != nil
		}
	}
	return nil
}
