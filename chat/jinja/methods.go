package jinja

// The methods of dicts, lists, tuples, ranges and numbers that templates may call, and the functions of the environment.

import (
	"math"
	"math/big"
	"strings"
)

// method is a method: self is the object it is called on.
type method func(r *renderer, self value, a args) value

// set makes a set of the words of s.
func set(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

// positional binds arguments that Python takes by position only; the first need of them must be given.
func (a args) positional(function string, need, most int) []value {
	a.noNames(function)
	if len(a.pos) < need || len(a.pos) > most {
		fail(0, "%s takes %d to %d arguments, not %d", function, need, most, len(a.pos))
	}
	p := make([]value, most)
	copy(p, a.pos)
	return p
}

var dictMethods = map[string]method{
	"get": func(r *renderer, self value, a args) value {
		p := a.positional("get", 1, 2)
		d := self.(*dict)
		if _, ok := r.hash(p[0], 0); !ok {
			fail(0, "a %s cannot be the key of a dict", typeName(p[0]))
		}
		if v, ok := d.get(r, p[0]); ok {
			return v
		}
		if p[1] != nil {
			return p[1]
		}
		return none{}
	},
	"items":  dictView("items"),
	"keys":   dictView("keys"),
	"values": dictView("values"),
	"copy": func(r *renderer, self value, a args) value {
		a.positional("copy", 0, 0)
		return self // dicts never change
	},
	"fromkeys": func(r *renderer, self value, a args) value { return fromKeys(r, a) },
}

func dictView(kind string) method {
	return func(r *renderer, self value, a args) value {
		a.positional(kind, 0, 0)
		return &view{self.(*dict), kind}
	}
}

func fromKeys(r *renderer, a args) value {
	p := a.positional("fromkeys", 1, 2)
	if p[1] == nil {
		p[1] = none{}
	}
	d := newDict(0)
	it := r.mustIterate(p[0])
	for k, ok := it.next(); ok; k, ok = it.next() {
		r.allocate(2 * valueSize)
		d.set(r, k, p[1])
	}
	return d
}

// sequenceMethods are those of lists, tuples and ranges.
var sequenceMethods = map[string]method{
	"count": func(r *renderer, self value, a args) value {
		p := a.positional("count", 1, 1)
		n := int64(0)
		it := r.mustIterate(self)
		for v, ok := it.next(); ok; v, ok = it.next() {
			if r.equal(v, p[0]) {
				n++
			}
		}
		return n
	},
	"index": func(r *renderer, self value, a args) value {
		most := 3
		if _, ok := self.(*span); ok {
			most = 1
		}
		p := a.positional("index", 1, most)
		items := r.collect(self)
		lo, hi := 0, len(items)
		if most == 3 {
			lo, hi = bounds(p[1], p[2], len(items))
		}
		for i := lo; i < hi; i++ {
			if r.equal(items[i], p[0]) {
				return int64(i)
			}
		}
		fail(0, "%s is not in the %s", r.repr(p[0]), typeName(self))
		return nil
	},
}

// bounds gives the part of a sequence of n elements that start and stop (nil: not given) name, as text.find takes
// them. lo may be greater than hi.
func bounds(start, stop value, n int) (lo, hi int) {
	at := func(v value, missing int) int {
		if v == nil || v == (none{}) {
			return missing
		}
		i, ok := integer(v)
		if !ok {
			fail(0, "an index must be an integer or none, not %s", typeName(v))
		}
		if i < 0 {
			i = max(0, i+int64(n))
		}
		return int(min(i, int64(n)+1))
	}
	lo, hi = at(start, 0), at(stop, n)
	return lo, min(hi, n)
}

var numberMethods = map[string]method{
	"bit_length": func(r *renderer, self value, a args) value {
		a.positional("bit_length", 0, 0)
		if _, ok := self.(float64); ok {
			fail(0, "a float has no bit_length")
		}
		return int64(bigOf(self).BitLen())
	},
	"is_integer": func(r *renderer, self value, a args) value {
		a.positional("is_integer", 0, 0)
		f, ok := self.(float64)
		return !ok || f == math.Trunc(f) && !math.IsInf(f, 0)
	},
}

var dictFunction = &builtin{name: "dict", call: func(r *renderer, a args) value { return dictOf(r, "dict", a) }}

var dictFromKeys = &builtin{name: "fromkeys", call: fromKeys}

// maxRange is the longest range that the sandbox of Jinja allows.
const maxRange = 100_000

// global gives a function of the environment, nil if there is none of that name.
func global(name string) value {
	function := func(call func(r *renderer, a args) value) value { return &builtin{name: name, call: call} }
	switch name {
	case "dict":
		return dictFunction
	case "range":
		return function(func(r *renderer, a args) value {
			p := a.positional("range", 1, 3)
			var n [3]int64
			for i, v := range p {
				if v == nil {
					continue
				}
				if _, large := v.(*big.Int); large {
					fail(0, "%w: a range is limited to %d elements", ErrLimit, maxRange)
				}
				var ok bool
				if n[i], ok = integer(v); !ok {
					fail(0, "range takes integers, not %s", typeName(v))
				}
			}
			var s *span
			switch len(a.pos) {
			case 1:
				s = newSpan(0, n[0], 1)
			case 2:
				s = newSpan(n[0], n[1], 1)
			default:
				if n[2] == 0 {
					fail(0, "the step of a range cannot be zero")
				}
				s = newSpan(n[0], n[1], n[2])
			}
			if s.n > maxRange || s.n < 0 {
				fail(0, "%w: a range is limited to %d elements", ErrLimit, maxRange)
			}
			return s
		})
	case "namespace":
		return function(func(r *renderer, a args) value {
			ns := &namespace{newDict(0)}
			d := dictOf(r, "namespace", a)
			for i, k := range d.keys {
				if name, ok := text(k); ok {
					ns.set(r, r.plain(name), d.vals[i])
				} else {
					ns.attrs.set(r, k, d.vals[i])
				}
			}
			return ns
		})
	case "cycler":
		return function(func(r *renderer, a args) value {
			a.noNames("cycler")
			if len(a.pos) == 0 {
				fail(0, "cycler needs at least one value")
			}
			return &cycler{items: a.pos}
		})
	case "joiner":
		return function(func(r *renderer, a args) value {
			p := a.bind("joiner", "sep")
			if p[0] == nil {
				p[0] = ", "
			}
			return &joiner{sep: p[0]}
		})
	case "lipsum":
		return function(func(r *renderer, a args) value {
			fail(0, "lipsum is not supported: its text is random")
			return nil
		})
	case "raise_exception":
		return function(func(r *renderer, a args) value {
			p := a.bind("raise_exception", "message")
			if p[0] == nil {
				fail(0, "raise_exception needs a message")
			}
			fail(0, "the template says: %s", r.str(p[0]))
			return nil
		})
	case "strftime_now":
		return function(func(r *renderer, a args) value {
			p := a.bind("strftime_now", "format")
			f, ok := text(p[0])
			if !ok {
				fail(0, "strftime_now needs a format")
			}
			return r.strftime(r.plain(f))
		})
	}
	return nil
}

// dictOf is Python's dict(...): from a dict or pairs, and named values.
func dictOf(r *renderer, function string, a args) *dict {
	if len(a.pos) > 1 {
		fail(0, "%s takes at most one argument beside named ones", function)
	}
	d := newDict(len(a.named))
	if len(a.pos) == 1 {
		if from, ok := a.pos[0].(*dict); ok {
			for i, k := range from.keys {
				r.allocate(2 * valueSize)
				d.set(r, k, from.vals[i])
			}
		} else {
			it := r.mustIterate(a.pos[0])
			for pair, ok := it.next(); ok; pair, ok = it.next() {
				kv := r.collect(pair)
				if len(kv) != 2 {
					fail(0, "%s needs pairs, not %d elements", function, len(kv))
				}
				d.set(r, kv[0], kv[1])
			}
		}
	}
	for _, n := range a.named {
		d.set(r, n.name, n.v)
	}
	return d
}
