package grammar

// Objects and arrays of a schema.

import (
	"slices"
	"strconv"
	"unicode/utf8"
)

// member is a property of an object.
type member struct {
	name     string
	value    []*jsonValue // the schemas of its value; none: any
	required bool
	expr     *expr // key and value
}

// object writes objects: the properties in the order in which the schemas name them, those that are not required or not,
// then any number of others where they are allowed.
func (s *schemas) object(plain []*jsonValue, _ types, depth int) (*expr, error) {
	members, others, closed, err := s.membersOf(plain)
	if err != nil {
		return nil, err
	}
	least, most, err := counts(plain, "minProperties", "maxProperties")
	if err != nil {
		return nil, err
	}
	for i := range members {
		v, err := s.all(members[i].value, depth)
		if err != nil {
			return nil, err
		}
		members[i].expr = seq(lit(quote(members[i].name)), s.j.colon, v)
	}
	var other *expr
	if !closed {
		v, err := s.all(others, depth)
		if err != nil {
			return nil, err
		}
		if len(members) == 0 && len(others) == 0 && least == 0 && most < 0 {
			return s.j.object, nil
		}
		other = seq(s.freeKey(members), s.j.colon, v)
	}
	if len(members) == 0 && other != nil {
		return s.j.enclosed("{", other, least, most, "}"), nil
	}
	if err := s.checkMembers(plain, members, closed, least, most); err != nil {
		return nil, err
	}
	return s.inOrder(members, other), nil
}

// checkMembers refuses counts of properties that demand counting named ones.
func (s *schemas) checkMembers(plain []*jsonValue, members []member, closed bool, least, most int) error {
	required := 0
	for _, m := range members {
		if m.required {
			required++
		}
	}
	for _, v := range plain {
		if least > required && v.get("minProperties") != nil {
			return s.unsupported(v, "minProperties", "it is not supported beside properties, beyond the %d that are required", required)
		}
		if most >= 0 && !(closed && most >= len(members)) && v.get("maxProperties") != nil {
			return s.unsupported(v, "maxProperties", "it is not supported beside properties, but where these are all and no more than it")
		}
	}
	return nil
}

// all is a value that satisfies all of a list of schemas; any value for none.
func (s *schemas) all(conj []*jsonValue, depth int) (*expr, error) {
	if len(conj) == 0 {
		return s.j.value, nil
	}
	return s.rule(conj, depth+1)
}

// membersOf lists the properties of all schemas with the schemas of their values, the schemas of other properties, and
// whether there may be none.
func (s *schemas) membersOf(plain []*jsonValue) (members []member, others []*jsonValue, closed bool, err error) {
	at := map[string]int{}
	add := func(name string) *member {
		i, known := at[name]
		if !known {
			i = len(members)
			at[name] = i
			members = append(members, member{name: name})
		}
		return &members[i]
	}
	for _, v := range plain {
		if p := v.get("properties"); p != nil {
			if p.kind != objectValue {
				return nil, nil, false, wrong(v, "properties", "it is an object of schemas, not %s", p.kind)
			}
			for _, name := range p.keys {
				add(name)
			}
		}
		if r := v.get("required"); r != nil {
			if r.kind != arrayValue {
				return nil, nil, false, wrong(v, "required", "it is a list of names, not %s", r.kind)
			}
			for _, name := range r.values {
				if name.kind != stringValue {
					return nil, nil, false, wrong(v, "required", "it is a list of names: %s is none", name.kind)
				}
				add(name.text).required = true
			}
		}
		if a := v.get("additionalProperties"); a != nil && a.kind != trueValue {
			others = append(others, a)
			closed = closed || a.kind == falseValue
		}
	}
	for i := range members {
		m := &members[i]
		for _, v := range plain {
			var here *jsonValue
			if p := v.get("properties"); p != nil {
				here = p.get(m.name)
			}
			if here == nil {
				here = v.get("additionalProperties")
			}
			if here != nil {
				m.value = append(m.value, here)
			}
		}
	}
	return members, others, closed, nil
}

// inOrder is an object of members in order and then others. A rule stands for every place between members, before the
// first one that is written and after it.
func (s *schemas) inOrder(members []member, other *expr) *expr {
	j := s.j
	rest := lit("")
	first := never()
	mayEnd := true
	if other != nil {
		more := seq(j.comma(), other)
		rest = star(more)
		first = seq(other, star(more))
	}
	for _, m := range slices.Backward(members) {
		m.expr = j.define("member", m.expr)
		rest = j.define("rest", rest)
		next := seq(m.expr, rest)
		if m.required {
			first, rest = next, seq(j.comma(), next)
			mayEnd = false
		} else {
			first, rest = oneOf(next, j.define("first", first)), oneOf(seq(j.comma(), next), rest)
		}
	}
	full := seq(lit("{"), j.space, first, j.space, lit("}"))
	if mayEnd {
		return oneOf(lit("{}"), full)
	}
	return full
}

// freeKey is the key of a property that is none of members. It is written without escapes.
func (s *schemas) freeKey(members []member) *expr {
	if len(members) == 0 {
		return s.j.text
	}
	var names []string
	for _, m := range members {
		if quote(m.name) == `"`+m.name+`"` {
			names = append(names, m.name)
		}
	}
	slices.Sort(names)
	s.keys++
	end := s.j.define("key"+strconv.Itoa(s.keys), seq(star(set(jsonPlain)), lit(`"`)))
	return seq(lit(`"`), otherThan(slices.Compact(names), 0, end))
}

// otherThan is the rest of a key of plain characters that is none of names, which are sorted and have their first from
// bytes in common. end is any rest.
func otherThan(names []string, from int, end *expr) *expr {
	var ways []*expr
	var taken []rune
	ended := false
	for i := 0; i < len(names); {
		if len(names[i]) == from {
			ended = true
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(names[i][from:])
		k := i
		for k < len(names) && len(names[k]) >= from+size && names[k][from:from+size] == names[i][from:from+size] {
			k++
		}
		taken = append(taken, r, r)
		ways = append(ways, seq(chars(r, r), otherThan(names[i:k], from+size, end)))
		i = k
	}
	ways = append(ways, seq(set(without(jsonPlain, normalSet(taken))), end))
	if !ended {
		ways = append(ways, lit(`"`))
	}
	return oneOf(ways...)
}

// array writes arrays: the items of prefixItems, then any number of items.
func (s *schemas) array(plain []*jsonValue, _ types, depth int) (*expr, error) {
	least, most, err := counts(plain, "minItems", "maxItems")
	if err != nil {
		return nil, err
	}
	if most >= 0 && least > most {
		return never(), nil
	}
	first, rest, err := s.itemsOf(plain)
	if err != nil {
		return nil, err
	}
	item, err := s.all(rest, depth)
	if err != nil {
		return nil, err
	}
	if len(first) == 0 {
		return s.j.list(item, least, most), nil
	}
	fixed := len(first)
	if most >= 0 {
		fixed = min(fixed, most)
	}
	// From the last item that has a place of its own back to the first: what may follow, when so many stand before it.
	after := lit("")
	if more := most - fixed; most < 0 || more > 0 {
		if most < 0 {
			more = -1
		}
		after = times(seq(s.j.comma(), item), max(0, least-fixed), more)
	}
	for i := fixed - 1; i >= 0; i-- {
		e, err := s.all(first[i], depth)
		if err != nil {
			return nil, err
		}
		after = seq(e, after)
		if i > 0 {
			after = seq(s.j.comma(), after)
			if least <= i {
				after = optional(after)
			}
		}
	}
	full := seq(lit("["), s.j.space, after, s.j.space, lit("]"))
	switch {
	case fixed == 0:
		return lit("[]"), nil
	case least == 0:
		return oneOf(lit("[]"), full), nil
	}
	return full, nil
}

// itemsOf lists the schemas of the first items one by one, and those of the others.
func (s *schemas) itemsOf(plain []*jsonValue) (first [][]*jsonValue, rest []*jsonValue, err error) {
	longest := 0
	for _, v := range plain {
		if p := v.get("prefixItems"); p != nil {
			if p.kind != arrayValue {
				return nil, nil, wrong(v, "prefixItems", "it is a list of schemas, not %s", p.kind)
			}
			longest = max(longest, len(p.values))
		}
		if i := v.get("items"); i != nil {
			if i.kind == arrayValue {
				return nil, nil, wrong(v, "items", "it is one schema; schemas of the first items stand in prefixItems")
			}
			rest = append(rest, i)
		}
	}
	for i := range longest {
		var here []*jsonValue
		for _, v := range plain {
			if p := v.get("prefixItems"); p != nil && i < len(p.values) {
				here = append(here, p.values[i])
			} else if items := v.get("items"); items != nil {
				here = append(here, items)
			}
		}
		first = append(first, here)
	}
	return first, rest, nil
}
