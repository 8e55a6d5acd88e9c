package jinja

// Attributes, keys and slices: x.name prefers Python's attributes and methods, x[key] the elements.

import "math/big"

// getAttr is x.name. As in Jinja, d.items is the method also if the dict has a key "items".
func (r *renderer) getAttr(x value, name string) value {
	checkDefined(x)
	if v, unsafe := r.attribute(x, name); unsafe {
		return &undefined{why: "the attribute " + quoted(name) + " of " + typeName(x) + " must not be used by a template"}
	} else if v != nil {
		return v
	}
	if d, ok := x.(*dict); ok {
		if v, ok := d.get(r, name); ok {
			return v
		}
	}
	return missing(x, name)
}

// getItem is x[key].
func (r *renderer) getItem(x, key value) value {
	checkDefined(x)
	if v := r.element(x, key); v != nil {
		return v
	}
	if name, ok := text(key); ok {
		name = r.plain(name)
		if v, unsafe := r.attribute(x, name); unsafe {
			return &undefined{why: "the attribute " + quoted(name) + " of " + typeName(x) + " must not be used by a template"}
		} else if v != nil {
			return v
		}
		return missing(x, name)
	}
	return &undefined{why: "a " + typeName(x) + " has no element " + r.repr(key)}
}

func quoted(s string) string { return "'" + s + "'" }

func missing(x value, name string) value {
	return &undefined{why: "a " + typeName(x) + " has no attribute " + quoted(name)}
}

// element is Python's x[key] where it works, else nil.
func (r *renderer) element(x, key value) value {
	if d, ok := x.(*dict); ok {
		v, _ := d.get(r, key)
		return v
	}
	i, ok := integer(key)
	if !ok {
		return nil
	}
	switch x := x.(type) {
	case string, markup:
		s, _ := text(x)
		n := int64(len(s))
		if i >= n || i < -n {
			return nil
		}
		r.step(len(s) / bytesPerStep)
		if i < 0 {
			i += int64(runeCount(s))
		}
		if i < 0 {
			return nil
		}
		at := byteOffset(s, int(i))
		if at == len(s) {
			return nil
		}
		return like(x, s[at:at+runeLen(s[at:])])
	case *list:
		return pick(x.items, i)
	case *tuple:
		return pick(x.items, i)
	case *span:
		if i < 0 {
			i += x.n
		}
		if i < 0 || i >= x.n {
			return nil
		}
		return x.at(i)
	}
	return nil
}

func pick(items []value, i int64) value {
	if i < 0 {
		i += int64(len(items))
	}
	if i < 0 || i >= int64(len(items)) {
		return nil
	}
	return items[i]
}

// slice is x[start:stop:step]; none stands for a bound that is left out.
func (r *renderer) slice(x, start, stop, step value) value {
	checkDefined(x)
	s, _ := text(x)
	r.step(len(s) / bytesPerStep)
	n, ok := length(x)
	switch x.(type) {
	case string, markup, *list, *tuple, *span:
	default:
		ok = false
	}
	if !ok {
		fail(0, "a %s cannot be sliced", typeName(x))
	}
	by := int64(1)
	if step != (none{}) {
		by = r.sliceIndex(step)
		if by == 0 {
			fail(0, "the step of a slice cannot be zero")
		}
	}
	// Bounds as CPython's PySlice_AdjustIndices.
	bound := func(v value, missing int64) int64 {
		if v == (none{}) {
			return missing
		}
		i := r.sliceIndex(v)
		if i < 0 {
			if i += int64(n); i < 0 {
				if by < 0 {
					return -1
				}
				return 0
			}
			return i
		}
		if i >= int64(n) {
			if by < 0 {
				return int64(n) - 1
			}
			return int64(n)
		}
		return i
	}
	var lo, hi int64
	if by > 0 {
		lo, hi = bound(start, 0), bound(stop, int64(n))
	} else {
		lo, hi = bound(start, int64(n)-1), bound(stop, -1)
	}
	count := int64(0)
	if by > 0 && lo < hi {
		count = (hi-lo-1)/by + 1
	} else if by < 0 && lo > hi {
		if by == -1<<63 {
			by++
		}
		count = (lo-hi-1)/-by + 1
	}
	switch x := x.(type) {
	case string, markup:
		return like(x, r.sliceText(s, n, lo, by, count))
	case *list:
		return &list{r.sliceItems(x.items, lo, by, count)}
	case *tuple:
		return &tuple{r.sliceItems(x.items, lo, by, count)}
	case *span:
		return newSpan(x.start+lo*x.step, x.start+hi*x.step, x.step*by)
	}
	return nil
}

func (r *renderer) sliceIndex(v value) int64 {
	i, ok := integer(v)
	if !ok {
		fail(0, "the bounds of a slice must be integers or none, not %s", typeName(v))
	}
	return i
}

func (r *renderer) sliceItems(items []value, lo, by, count int64) []value {
	if by == 1 {
		r.step(1)
		return items[lo : lo+count : lo+count] // lists never change, so they can share
	}
	r.allocate(valueSize * int(count))
	cut := make([]value, count)
	for i := range cut {
		cut[i] = items[lo+int64(i)*by]
	}
	return cut
}

// sliceText cuts count characters out of s, which has n.
func (r *renderer) sliceText(s string, n int, lo, by, count int64) string {
	if count == 0 {
		return ""
	}
	if by == 1 {
		if n == len(s) { // one byte a character
			return s[lo : lo+count]
		}
		from := byteOffset(s, int(lo))
		return s[from : from+byteOffset(s[from:], int(count))]
	}
	r.allocate(4 * (n + int(count)))
	runes := []rune(s)
	cut := make([]rune, count)
	for i := range cut {
		cut[i] = runes[lo+int64(i)*by]
	}
	return string(cut)
}

// newSpan makes a range; step is not 0.
func newSpan(start, stop, step int64) *span {
	s := &span{start: start, stop: stop, step: step}
	if step > 0 && start < stop {
		s.n = int64((uint64(stop)-uint64(start)-1)/uint64(step)) + 1
	} else if step < 0 && start > stop {
		s.n = int64((uint64(start)-uint64(stop)-1)/(-uint64(step))) + 1
	}
	return s
}

// attribute gives a Python attribute or method of x, nil if there is none. unsafe tells that the sandbox hides it: it
// would change x, or is internal to Python.
func (r *renderer) attribute(x value, name string) (v value, unsafe bool) {
	if pythonInternal[name] {
		switch x.(type) {
		case *namespace:
		default:
			return nil, true
		}
	}
	bound := func(call method) value {
		if call == nil {
			return nil
		}
		return &builtin{name: name, self: x, call: func(r *renderer, a args) value { return call(r, x, a) }}
	}
	switch x := x.(type) {
	case string, markup:
		return bound(textMethod(name)), false
	case *dict:
		if dictChanges[name] {
			return nil, true
		}
		return bound(dictMethods[name]), false
	case *list:
		if listChanges[name] {
			return nil, true
		}
		if name == "copy" {
			return bound(func(r *renderer, self value, a args) value { a.bind("copy"); return self }), false
		}
		return bound(sequenceMethods[name]), false
	case *tuple:
		return bound(sequenceMethods[name]), false
	case *span:
		switch name {
		case "start":
			return x.start, false
		case "stop":
			return x.stop, false
		case "step":
			return x.step, false
		}
		return bound(sequenceMethods[name]), false
	case *view:
		if name == "mapping" {
			return x.d, false
		}
	case *namespace:
		v, _ := x.attrs.get(r, name)
		return v, false
	case *loop:
		return x.attr(name), false
	case *macro:
		return x.attr(name), false
	case *cycler:
		return x.attr(name), false
	case *joiner:
		switch name {
		case "sep":
			return x.sep, false
		case "used":
			return x.used, false
		}
	case *builtin:
		if x == dictFunction && name == "fromkeys" {
			return dictFromKeys, false
		}
	case bool, int64, *big.Int, float64:
		switch _, isFloat := x.(float64); {
		case name == "real", name == "numerator" && !isFloat:
			return r.positive(x), false
		case name == "imag" && isFloat:
			return 0.0, false
		case name == "imag":
			return int64(0), false
		case name == "denominator" && !isFloat:
			return int64(1), false
		}
		return bound(numberMethods[name]), false
	}
	return nil, false
}

// pythonInternal are attributes that every Python object has and the sandbox hides.
var pythonInternal = set("__class__ __delattr__ __dict__ __dir__ __doc__ __eq__ __format__ __ge__ __getattribute__ " +
	"__getstate__ __gt__ __hash__ __init__ __init_subclass__ __le__ __lt__ __ne__ __new__ __reduce__ __reduce_ex__ " +
	"__repr__ __setattr__ __sizeof__ __str__ __subclasshook__")

var dictChanges = set("clear pop popitem setdefault update")

var listChanges = set("append clear extend insert pop remove reverse sort")

func (m *macro) attr(name string) value {
	switch name {
	case "name":
		if m.def.name == "" {
			return none{}
		}
		return m.def.name
	case "arguments":
		t := &tuple{}
		for _, p := range m.def.params {
			t.items = append(t.items, p.name)
		}
		return t
	case "catch_kwargs":
		return m.def.kwargs != nil
	case "catch_varargs":
		return m.def.varargs != nil
	case "caller":
		return m.def.caller != nil
	case "explicit_caller":
		return m.def.explicitCaller
	}
	return nil
}

func (c *cycler) attr(name string) value {
	method := func(call func() value) value {
		return &builtin{name: name, self: c, call: func(r *renderer, a args) value {
			a.bind(name)
			return call()
		}}
	}
	switch name {
	case "current":
		return c.items[c.at]
	case "items":
		return &tuple{c.items}
	case "pos":
		return int64(c.at)
	case "next":
		return method(func() value {
			v := c.items[c.at]
			c.at = (c.at + 1) % len(c.items)
			return v
		})
	case "reset":
		return method(func() value {
			c.at = 0
			return none{}
		})
	}
	return nil
}
