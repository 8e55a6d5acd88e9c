package jinja

// The filters on sequences.

import (
	"slices"
	"strconv"
	"strings"
)

// sequenceFilter gives a filter on sequences, nil if there is none of that name.
func sequenceFilter(name string) filterFunc {
	switch name {
	case "list":
		return func(r *renderer, x value, a args) value {
			a.bind(name)
			return &list{r.collect(x)}
		}
	case "first":
		return func(r *renderer, x value, a args) value {
			a.bind(name)
			if v, ok := r.mustIterate(x).next(); ok {
				return v
			}
			return &undefined{why: "no first item, the sequence was empty"}
		}
	case "last":
		return func(r *renderer, x value, a args) value {
			a.bind(name)
			it := r.reversed(x)
			if it == nil {
				fail(0, "a %s has no last item; make it a list first", typeName(x))
			}
			if v, ok := it.next(); ok {
				return v
			}
			return &undefined{why: "no last item, the sequence was empty"}
		}
	case "reverse":
		return func(r *renderer, x value, a args) value {
			a.bind(name)
			if s, ok := text(x); ok {
				r.step(len(s) / bytesPerStep)
				n := runeCount(s)
				return like(x, r.sliceText(s, n, int64(n)-1, -1, int64(n)))
			}
			if it := r.reversed(x); it != nil {
				return it
			}
			items := r.collect(x)
			slices.Reverse(items)
			return &list{items}
		}
	case "join":
		return func(r *renderer, x value, a args) value {
			p := a.bind(name, "d", "attribute")
			get := r.getter(p[1])
			sep := ""
			if p[0] != nil {
				sep = r.str(p[0])
			}
			var b strings.Builder
			it := r.mustIterate(x)
			for i := 0; ; i++ {
				v, ok := it.next()
				if !ok {
					return b.String()
				}
				s := r.str(get(v))
				if i > 0 {
					s = sep + s
				}
				r.allocate(len(s))
				b.WriteString(s)
			}
		}
	case "items":
		return func(r *renderer, x value, a args) value {
			a.bind(name)
			var it *iterator
			return r.generator("generator", func() (value, bool) {
				if it == nil {
					switch x := x.(type) {
					case *undefined:
						it, _ = r.iterate(x)
					case *dict:
						it, _ = r.iterate(&view{x, "items"})
					default:
						fail(0, "items needs a dict, not %s", typeName(x))
					}
				}
				return it.next()
			})
		}
	case "dictsort":
		return dictSort
	case "sort":
		return func(r *renderer, x value, a args) value {
			p := a.bind(name, "reverse", "case_sensitive", "attribute")
			return &list{r.sorted(r.collect(x), r.sortKey(p[2], truth(p[1])), truth(p[0]))}
		}
	case "unique":
		return func(r *renderer, x value, a args) value {
			p := a.bind(name, "case_sensitive", "attribute")
			key := r.keyOf(p[1], truth(p[0]))
			it := r.mustIterate(x)
			seen := newDict(0)
			return r.generator("generator", func() (value, bool) {
				for {
					v, ok := it.next()
					if !ok {
						return nil, false
					}
					k := key(v)
					if _, known := seen.get(r, k); !known {
						r.allocate(2 * valueSize)
						seen.set(r, k, none{})
						return v, true
					}
				}
			})
		}
	case "min", "max":
		return func(r *renderer, x value, a args) value {
			p := a.bind(name, "case_sensitive", "attribute")
			key := r.keyOf(p[1], truth(p[0]))
			it := r.mustIterate(x)
			best, ok := it.next()
			if !ok {
				return &undefined{why: "no aggregated item, the sequence was empty"}
			}
			k := key(best)
			for v, ok := it.next(); ok; v, ok = it.next() {
				other := key(v)
				if name == "min" && r.less(other, k) || name == "max" && r.order(other, k, ">", 0) {
					best, k = v, other
				}
			}
			return best
		}
	case "sum":
		return func(r *renderer, x value, a args) value {
			p := a.bind(name, "attribute", "start")
			get := r.getter(p[0])
			var total value = int64(0)
			if p[1] != nil {
				total = p[1]
			}
			if _, ok := text(total); ok {
				fail(0, "sum cannot add strings; use join")
			}
			it := r.mustIterate(x)
			for v, ok := it.next(); ok; v, ok = it.next() {
				total = r.arithmetic("+", total, get(v))
			}
			return total
		}
	case "map":
		return mapFilter
	case "select", "reject", "selectattr", "rejectattr":
		return func(r *renderer, x value, a args) value { return r.selected(name, x, a) }
	case "groupby":
		return groupBy
	case "batch":
		return batch
	case "slice":
		return sliceFilter
	}
	return nil
}

// reversed gives the elements from the end, nil where Python's reversed() fails.
func (r *renderer) reversed(x value) *iterator {
	n, ok := length(x)
	if !ok {
		return nil
	}
	var at func(i int) value
	switch x := x.(type) {
	case string, markup:
		s, _ := text(x)
		return &iterator{kind: "reversed", next: func() (value, bool) {
			if s == "" {
				return nil, false
			}
			r.step(1)
			from := len(s) - 1
			for from > 0 && s[from]&0xc0 == 0x80 {
				from--
			}
			c := s[from:]
			s = s[:from]
			return like(x, c), true
		}}
	case *list:
		at = func(i int) value { return x.items[i] }
	case *tuple:
		at = func(i int) value { return x.items[i] }
	case *dict:
		at = func(i int) value { return x.keys[i] }
	case *view:
		at = x.at
	case *span:
		at = func(i int) value { return x.at(int64(i)) }
	case *undefined:
	default:
		return nil
	}
	return &iterator{kind: "reversed", next: func() (value, bool) {
		if n == 0 {
			return nil, false
		}
		r.step(1)
		n--
		return at(n), true
	}}
}

// getter looks up attribute, a path such as "function.name" or "items.0"; nil or none is the element itself.
func (r *renderer) getter(attribute value) func(value) value { return r.getterOr(attribute, nil) }

// getterOr puts fallback, if there is one, where a part of the path is undefined.
func (r *renderer) getterOr(attribute, fallback value) func(value) value {
	if attribute == nil || attribute == (none{}) {
		return func(v value) value { return v }
	}
	parts := []value{attribute}
	if path, ok := text(attribute); ok {
		path = r.plain(path)
		parts = nil
		for _, part := range strings.Split(path, ".") {
			if n, err := strconv.ParseInt(part, 10, 64); err == nil && part[0] != '-' && part[0] != '+' {
				parts = append(parts, n)
			} else {
				parts = append(parts, part)
			}
		}
	}
	return func(v value) value {
		for _, part := range parts {
			r.step(1)
			v = r.getItem(v, part)
			if _, missing := v.(*undefined); missing && fallback != nil && fallback != (none{}) {
				v = fallback
			}
		}
		return v
	}
}

// keyOf is a getter for comparing: strings in lower case unless caseSensitive.
func (r *renderer) keyOf(attribute value, caseSensitive bool) func(value) value {
	get := r.getter(attribute)
	return func(v value) value { return r.folded(get(v), caseSensitive) }
}

func (r *renderer) folded(v value, caseSensitive bool) value {
	if s, ok := text(v); ok && !caseSensitive {
		r.allocate(len(s))
		return like(v, lower(r.plain(s)))
	}
	return v
}

// sortKey is the key of sort, whose attribute may be several with commas between them.
func (r *renderer) sortKey(attribute value, caseSensitive bool) func(value) value {
	var gets []func(value) value
	if path, ok := text(attribute); ok {
		for _, part := range strings.Split(path, ",") {
			gets = append(gets, r.keyOf(part, caseSensitive))
		}
	} else {
		gets = append(gets, r.keyOf(attribute, caseSensitive))
	}
	return func(v value) value {
		r.allocate(valueSize * len(gets))
		l := &list{}
		for _, get := range gets {
			l.items = append(l.items, get(v))
		}
		return l
	}
}

// sorted sorts by key, equal elements in their order, also in reverse.
func (r *renderer) sorted(items []value, key func(value) value, reverse bool) []value {
	type keyed struct{ k, v value }
	all := make([]keyed, len(items))
	r.allocate(2 * valueSize * len(items))
	for i, v := range items {
		all[i] = keyed{key(v), v}
	}
	slices.SortStableFunc(all, func(a, b keyed) int {
		r.step(1)
		x, y := a.k, b.k
		if reverse {
			x, y = y, x
		}
		switch {
		case r.less(x, y):
			return -1
		case r.less(y, x):
			return 1
		}
		return 0
	})
	for i, e := range all {
		items[i] = e.v
	}
	return items
}

func dictSort(r *renderer, x value, a args) value {
	p := a.bind("dictsort", "case_sensitive", "by", "reverse")
	d, ok := x.(*dict)
	if !ok {
		checkDefined(x)
		fail(0, "dictsort needs a dict, not %s", typeName(x))
	}
	at := 0
	if p[1] != nil {
		switch by, _ := text(p[1]); by {
		case "key":
		case "value":
			at = 1
		default:
			fail(0, `dictsort sorts by "key" or "value"`)
		}
	}
	items := r.collect(&view{d, "items"})
	return &list{r.sorted(items, func(v value) value {
		return r.folded(v.(*tuple).items[at], truth(p[0]))
	}, truth(p[2]))}
}

// mapFilter is the filter map: an attribute of every element, or a filter applied to it.
func mapFilter(r *renderer, x value, a args) value {
	if !truth(x) {
		return r.generator("generator", func() (value, bool) { return nil, false })
	}
	var it *iterator
	var f func(value) value
	return r.generator("generator", func() (value, bool) {
		if it == nil {
			f = r.mapping(a)
			it = r.mustIterate(x)
		}
		v, ok := it.next()
		if !ok {
			return nil, false
		}
		return f(v), true
	})
}

func (r *renderer) mapping(a args) func(value) value {
	for _, n := range a.named {
		if n.name == "attribute" && len(a.pos) == 0 {
			p := a.bind("map", "attribute", "default")
			return r.getterOr(p[0], p[1])
		}
	}
	if len(a.pos) == 0 {
		fail(0, "map needs a filter or an attribute")
	}
	name := r.calledName("filter", a.pos[0])
	rest := args{a.pos[1:], a.named}
	return func(v value) value { return r.applyFilter(name, v, rest) }
}

// calledName gives the name of a filter or test that another filter applies.
func (r *renderer) calledName(kind string, v value) string {
	name, ok := text(v)
	if !ok {
		checkDefined(v)
		fail(0, "there is no %s %s", kind, r.repr(v))
	}
	return name
}

// selected is select, reject, selectattr and rejectattr.
func (r *renderer) selected(filter string, x value, a args) value {
	if !truth(x) {
		return r.generator("generator", func() (value, bool) { return nil, false })
	}
	want := strings.HasPrefix(filter, "select")
	var it *iterator
	var holds func(value) bool
	return r.generator("generator", func() (value, bool) {
		if it == nil {
			rest := a
			get := func(v value) value { return v }
			if strings.HasSuffix(filter, "attr") {
				if len(a.pos) == 0 {
					fail(0, "%s needs an attribute", filter)
				}
				get = r.getter(a.pos[0])
				rest.pos = rest.pos[1:]
			}
			holds = func(v value) bool { return truth(get(v)) }
			if len(rest.pos) > 0 {
				name := r.calledName("test", rest.pos[0])
				rest.pos = rest.pos[1:]
				holds = func(v value) bool { return truth(r.test(name, get(v), rest)) }
			}
			it = r.mustIterate(x)
		}
		for {
			v, ok := it.next()
			if !ok || holds(v) == want {
				return v, ok
			}
		}
	})
}

// groupBy sorts by an attribute and gives (value, elements) for each of its values.
func groupBy(r *renderer, x value, a args) value {
	p := a.need("groupby", 1, "attribute", "default", "case_sensitive")
	get := r.getterOr(p[0], p[1])
	caseSensitive := truth(p[2])
	key := func(v value) value { return r.folded(get(v), caseSensitive) }
	groups := &list{}
	var last value
	for _, v := range r.sorted(r.collect(x), key, false) {
		k := key(v)
		if len(groups.items) == 0 || !r.equal(k, last) {
			r.allocate(4 * valueSize)
			groups.items = append(groups.items, &tuple{[]value{get(v), &list{}}})
			last = k
		}
		l := groups.items[len(groups.items)-1].(*tuple).items[1].(*list)
		l.items = append(l.items, v)
	}
	return groups
}

func batch(r *renderer, x value, a args) value {
	p := a.need("batch", 1, "linecount", "fill_with")
	it := r.mustIterate(x)
	size := needInteger("batch", p[0])
	var pending value
	return r.generator("generator", func() (value, bool) {
		var row []value
		if pending != nil {
			row = append(row, pending)
			pending = nil
		}
		for {
			v, ok := it.next()
			if !ok {
				break
			}
			if int64(len(row)) == size {
				pending = v
				return &list{row}, true
			}
			r.allocate(valueSize)
			row = append(row, v)
		}
		if len(row) == 0 {
			return nil, false
		}
		for p[1] != nil && p[1] != (none{}) && int64(len(row)) < size {
			r.allocate(valueSize)
			row = append(row, p[1])
		}
		return &list{row}, true
	})
}

// sliceFilter is the filter slice: the elements in so many lists.
func sliceFilter(r *renderer, x value, a args) value {
	p := a.need("slice", 1, "slices", "fill_with")
	items := r.collect(x)
	count := needInteger("slice", p[0])
	if count == 0 {
		fail(0, "slice cannot make zero lists")
	}
	i, from := int64(0), int64(0)
	return r.generator("generator", func() (value, bool) {
		if i >= count {
			return nil, false
		}
		r.step(1)
		n := int64(len(items)) / count
		long := i < int64(len(items))%count
		if long {
			n++
		}
		row := slices.Clone(items[from : from+n])
		r.allocate(valueSize * int(n))
		if !long && p[1] != nil && p[1] != (none{}) {
			row = append(row, p[1])
		}
		from += n
		i++
		return &list{row}, true
	})
}
