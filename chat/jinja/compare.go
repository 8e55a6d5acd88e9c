package jinja

// Equality, order, hashing and membership as Python defines them.

import (
	"cmp"
	"math"
	"math/big"
	"strings"
)

// equal is Python's a == b.
func (r *renderer) equal(a, b value) bool { return r.equalAt(a, b, 0) }

func (r *renderer) equalAt(a, b value, depth int) bool {
	r.step(1)
	if depth > maxNesting {
		fail(0, "%w: comparing data nested deeper than %d", ErrLimit, maxNesting)
	}
	if isNumber(a) && isNumber(b) {
		c, ordered := compareNumbers(a, b)
		return ordered && c == 0
	}
	if x, ok := text(a); ok {
		y, ok := text(b)
		r.step(min(len(x), len(y)) / bytesPerStep)
		return ok && r.sameText(x, y)
	}
	switch a := a.(type) {
	case none:
		_, ok := b.(none)
		return ok
	case *undefined:
		_, ok := b.(*undefined)
		return ok
	case *list:
		b, ok := b.(*list)
		return ok && (a == b || r.equalItems(a.items, b.items, depth))
	case *tuple:
		b, ok := b.(*tuple)
		return ok && (a == b || r.equalItems(a.items, b.items, depth))
	case *dict:
		b, ok := b.(*dict)
		if !ok || len(a.keys) != len(b.keys) {
			return false
		}
		if a == b {
			return true
		}
		for i, k := range a.keys {
			v, ok := b.get(r, k)
			if !ok || !r.equalAt(a.vals[i], v, depth+1) {
				return false
			}
		}
		return true
	case *span:
		b, ok := b.(*span)
		return ok && a.n == b.n && (a.n == 0 || a.start == b.start && (a.n == 1 || a.step == b.step))
	case *view:
		b, ok := b.(*view)
		if !ok || a.kind == "values" || b.kind == "values" {
			return ok && a == b
		}
		if len(a.d.keys) != len(b.d.keys) {
			return false
		}
		for i := range a.d.keys {
			if !b.has(r, a.at(i), depth) {
				return false
			}
		}
		return true
	case *builtin:
		b, ok := b.(*builtin)
		return ok && (a == b || a.self != nil && b.self != nil && a.name == b.name && identical(a.self, b.self))
	case nil:
		return b == nil
	}
	return a == b
}

func (r *renderer) equalItems(a, b []value, depth int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !r.equalAt(a[i], b[i], depth+1) {
			return false
		}
	}
	return true
}

// has is `k in view` for views of keys and items.
func (v *view) has(r *renderer, k value, depth int) bool {
	if v.kind == "keys" {
		_, ok := v.d.get(r, k)
		return ok
	}
	t, ok := k.(*tuple)
	if !ok || len(t.items) != 2 {
		return false
	}
	found, ok := v.d.get(r, t.items[0])
	return ok && r.equalAt(found, t.items[1], depth+1)
}

// identical is Python's a is b, as far as values without identity have one here: equal and of one type.
func identical(a, b value) bool {
	switch a.(type) {
	case none, bool, int64, float64, string, markup:
		return a == b
	case *big.Int, nil:
		return false
	}
	return a == b
}

func isNumber(v value) bool {
	switch v.(type) {
	case bool, int64, *big.Int, float64:
		return true
	}
	return false
}

// bigOf gives an int or bool as a big integer.
func bigOf(v value) *big.Int {
	if b, ok := v.(*big.Int); ok {
		return b
	}
	n, _ := integer(v)
	return big.NewInt(n)
}

// compareNumbers compares exactly, also integers with floats; ordered is false if one is not a number (NaN).
func compareNumbers(a, b value) (c int, ordered bool) {
	x, xf := a.(float64)
	y, yf := b.(float64)
	switch {
	case xf && yf:
		return cmp.Compare(x, y), !math.IsNaN(x) && !math.IsNaN(y)
	case xf:
		c, ordered = compareNumbers(b, a)
		return -c, ordered
	case yf:
		switch {
		case math.IsNaN(y):
			return 0, false
		case math.IsInf(y, 0):
			return -int(math.Copysign(1, y)), true
		}
		return new(big.Rat).SetInt(bigOf(a)).Cmp(new(big.Rat).SetFloat64(y)), true
	}
	if i, ok := a.(int64); ok {
		if j, ok := b.(int64); ok {
			return cmp.Compare(i, j), true
		}
	}
	return bigOf(a).Cmp(bigOf(b)), true
}

// less is Python's a < b. It fails on types that have no order between them.
func (r *renderer) less(a, b value) bool { return r.order(a, b, "<", 0) }

// order is a op b for op one of < <= > >=.
func (r *renderer) order(a, b value, op string, depth int) bool {
	if depth > maxNesting {
		fail(0, "%w: comparing data nested deeper than %d", ErrLimit, maxNesting)
	}
	holds := func(c int) bool {
		switch op {
		case "<":
			return c < 0
		case "<=":
			return c <= 0
		case ">":
			return c > 0
		}
		return c >= 0
	}
	if isNumber(a) && isNumber(b) {
		c, ordered := compareNumbers(a, b)
		return ordered && holds(c)
	}
	if x, ok := text(a); ok {
		if y, ok := text(b); ok {
			r.step(min(len(x), len(y)) / bytesPerStep)
			return holds(strings.Compare(r.plain(x), r.plain(y))) // UTF-8 keeps the order of code points
		}
	}
	x, y, ok := sequences(a, b)
	if !ok {
		checkDefined(a)
		checkDefined(b)
		fail(0, "%q is not defined between %s and %s", op, typeName(a), typeName(b))
	}
	for i := range min(len(x), len(y)) {
		if !r.equalAt(x[i], y[i], depth+1) {
			return r.order(x[i], y[i], op, depth+1)
		}
	}
	return holds(cmp.Compare(len(x), len(y)))
}

// sequences gives the items of two lists or of two tuples.
func sequences(a, b value) (x, y []value, ok bool) {
	switch a := a.(type) {
	case *list:
		if b, ok := b.(*list); ok {
			return a.items, b.items, true
		}
	case *tuple:
		if b, ok := b.(*tuple); ok {
			return a.items, b.items, true
		}
	}
	return nil, nil, false
}

// checkDefined fails if v is undefined, with what was missing.
func checkDefined(v value) {
	if u, ok := v.(*undefined); ok {
		fail(0, "%s", u.why)
	}
}

type hashedBig string
type hashedTuple string

// hash gives the key under which a dict finds v: equal values have equal hashes. ok is false for lists and dicts.
func (r *renderer) hash(v value, depth int) (h any, ok bool) {
	if depth > maxNesting {
		fail(0, "%w: a key nested deeper than %d", ErrLimit, maxNesting)
	}
	r.step(1)
	switch v := v.(type) {
	case string:
		r.step(len(v) / bytesPerStep)
		return r.plain(v), true
	case markup:
		return r.hash(string(v), depth)
	case bool:
		n, _ := integer(v)
		return n, true
	case *big.Int:
		return hashedBig(v.String()), true
	case float64:
		if v == math.Trunc(v) && !math.IsInf(v, 0) {
			b, _ := big.NewFloat(v).Int(nil)
			return r.hash(normal(b), depth+1)
		}
		return v, true
	case *undefined:
		return undefined{}, true
	case *tuple:
		var b strings.Builder
		for _, item := range v.items {
			h, ok := r.hash(item, depth+1)
			if !ok {
				return nil, false
			}
			writeHash(&b, h)
		}
		r.allocate(b.Len())
		return hashedTuple(b.String()), true
	case *span:
		return *v, true
	case *list, *dict, *view:
		return nil, false
	}
	return v, true
}

// contains is Python's `v in container`.
func (r *renderer) contains(container, v value) bool {
	switch c := container.(type) {
	case string, markup:
		s, _ := text(c)
		part, ok := text(v)
		if !ok {
			fail(0, "'in <string>' requires a string on its left, not %s", typeName(v))
		}
		r.step(len(s) / bytesPerStep)
		return strings.Contains(r.plain(s), r.plain(part))
	case *dict:
		if _, ok := r.hash(v, 0); !ok {
			fail(0, "a %s cannot be the key of a dict", typeName(v))
		}
		_, ok := c.get(r, v)
		return ok
	case *view:
		if c.kind != "values" {
			return c.has(r, v, 0)
		}
	case *span:
		if n, ok := v.(int64); ok {
			return c.index(n) >= 0
		}
	}
	it, ok := r.iterate(container)
	if !ok {
		fail(0, "a %s cannot be searched with 'in'", typeName(container))
	}
	for {
		item, ok := it.next()
		if !ok {
			return false
		}
		if r.equal(item, v) {
			return true
		}
	}
}

// index gives the position of n in the range, -1 if it is not in it.
func (s *span) index(n int64) int64 {
	d := n - s.start
	if s.n == 0 || d%s.step != 0 || d/s.step < 0 || d/s.step >= s.n {
		return -1
	}
	return d / s.step
}
