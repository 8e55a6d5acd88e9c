package jinja

// The values that expressions compute with, named after Python's types. All of them but namespaces and iterators are
// immutable, so what a caller hands in can never be changed by a template.

import (
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strings"
)

// Value is data for a template: null, a boolean, a number, a string, a list, or a map that keeps the order of its keys.
// Make one with FromJSON or From. The zero Value is null.
type Value struct{ v value }

// value is one of
//
//	none       None            *list    list           *undefined  what a missing name or key gives
//	bool       bool            *tuple   tuple          *namespace  namespace(...)
//	int64      int             *dict    dict           *macro      a macro or caller
//	*big.Int   int (large)     *span    range          *builtin    a function or a method bound to its object
//	float64    float           *view    dict views     *iterator   what map, select, reverse, items give
//	string     str                                     *loop       the variable loop
//	markup     Markup                                  *cycler, *joiner
//
// The nil value is no value: a variable that was never set.
type value any

type none struct{}

// markup is text that escaped or safe made: adding plain text to it escapes that text.
type markup string

type list struct{ items []value }

type tuple struct{ items []value }

// dict is a map in order of insertion. Keys equal in Python (1, 1.0, True) are one key.
type dict struct {
	keys  []value
	vals  []value
	index map[any]int // hashed key to position
}

// span is Python's range.
type span struct{ start, stop, step, n int64 }

// view is dict.keys(), values() or items().
type view struct {
	d    *dict
	kind string // "keys", "values" or "items"
}

// undefined is the result of a missing name, key or attribute: it prints as nothing, is false and has no elements;
// anything else done to it is the error why.
type undefined struct{ why string }

// namespace is the one thing whose attributes a template may set.
type namespace struct{ attrs *dict }

// iterator gives elements once, as a Python generator does.
type iterator struct {
	kind string // for messages and for printing
	next func() (value, bool)
}

type cycler struct {
	items []value
	at    int
}

type joiner struct {
	sep  value
	used bool
}

// builtin is a function of the environment, or a method bound to its object.
type builtin struct {
	name string
	call func(r *renderer, a args) value
	self value // the object of a bound method; nil for a function
}

// args are the arguments of one call.
type args struct {
	pos   []value
	named []named
}

type named struct {
	name string
	v    value
}

func newDict(size int) *dict { return &dict{index: make(map[any]int, size)} }

func (d *dict) get(r *renderer, key value) (value, bool) {
	h, ok := r.hash(key, 0)
	if !ok {
		return nil, false
	}
	i, ok := d.index[h]
	if !ok {
		return nil, false
	}
	return d.vals[i], true
}

// set adds a key or replaces the value of one. It fails on a key that cannot be hashed.
func (d *dict) set(r *renderer, key, v value) {
	h, ok := r.hash(key, 0)
	if !ok {
		fail(0, "a %s cannot be the key of a dict", typeName(key))
	}
	if i, ok := d.index[h]; ok {
		d.vals[i] = v
		return
	}
	d.index[h] = len(d.keys)
	d.keys = append(d.keys, key)
	d.vals = append(d.vals, v)
}

func (d *dict) item(i int) value { return &tuple{[]value{d.keys[i], d.vals[i]}} }

func (v *view) at(i int) value {
	switch v.kind {
	case "keys":
		return v.d.keys[i]
	case "values":
		return v.d.vals[i]
	}
	return v.d.item(i)
}

func (s *span) at(i int64) int64 { return s.start + i*s.step }

// typeName gives Python's name of the value's type.
func typeName(v value) string {
	switch v := v.(type) {
	case none:
		return "NoneType"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case markup:
		return "Markup"
	case *list:
		return "list"
	case *tuple:
		return "tuple"
	case *dict:
		return "dict"
	case *span:
		return "range"
	case *view:
		return "dict_" + v.kind
	case *undefined:
		return "Undefined"
	case *namespace:
		return "namespace"
	case *macro:
		return "macro"
	case *loop:
		return "loop"
	case *cycler:
		return "cycler"
	case *joiner:
		return "joiner"
	case *iterator:
		return v.kind
	case *builtin:
		return "function"
	}
	return "value"
}

// truth is Python's bool(v).
func truth(v value) bool {
	switch v := v.(type) {
	case nil, none, *undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case *big.Int:
		return v.Sign() != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case markup:
		return v != ""
	}
	if n, ok := length(v); ok {
		return n > 0
	}
	return true
}

// length is Python's len(v); ok is false where v has none. Strings count characters.
func length(v value) (n int, ok bool) {
	switch v := v.(type) {
	case string:
		return runeCount(v), true
	case markup:
		return runeCount(string(v)), true
	case *list:
		return len(v.items), true
	case *tuple:
		return len(v.items), true
	case *dict:
		return len(v.keys), true
	case *view:
		return len(v.d.keys), true
	case *span:
		return int(v.n), true
	case *undefined:
		return 0, true
	case *loop:
		return v.length(), true
	}
	return 0, false
}

// text gives the characters of a str or Markup.
func text(v value) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case markup:
		return string(v), true
	}
	return "", false
}

// normal turns a big integer that fits into an int64 into one, so that equal integers have one form.
func normal(b *big.Int) value {
	if b.IsInt64() {
		return b.Int64()
	}
	return b
}

// Deepest nesting of the data that FromJSON and From take, and of the values that a template builds wherever they are
// printed, compared or encoded. Python stops at about the same depth.
const maxNesting = 900

// From makes a Value of Go data: nil, bool, integers, floats, strings, slices, maps with string keys (sorted, since Go
// gives them no order), Values, and pointers to any of them. Text that is not UTF-8 has its bad bytes replaced by
// U+FFFD. For maps in a given order use FromJSON.
func From(v any) (Value, error) {
	c, err := fromGo(reflect.ValueOf(v), 0)
	return Value{c}, err
}

var valueType = reflect.TypeFor[Value]()

func fromGo(v reflect.Value, depth int) (value, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("jinja: data is nested deeper than %d", maxNesting)
	}
	switch v.Kind() {
	case reflect.Invalid:
		return none{}, nil
	case reflect.Bool:
		return v.Bool(), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int(), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return normal(new(big.Int).SetUint64(v.Uint())), nil
	case reflect.Float32, reflect.Float64:
		return v.Float(), nil
	case reflect.String:
		return strings.ToValidUTF8(v.String(), "\uFFFD"), nil
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return none{}, nil
		}
		return fromGo(v.Elem(), depth+1)
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && v.IsNil() {
			return none{}, nil
		}
		l := &list{items: make([]value, v.Len())}
		for i := range l.items {
			item, err := fromGo(v.Index(i), depth+1)
			if err != nil {
				return nil, err
			}
			l.items[i] = item
		}
		return l, nil
	case reflect.Map:
		if v.IsNil() {
			return none{}, nil
		}
		if v.Type().Key().Kind() != reflect.String {
			break
		}
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		d := newDict(len(keys))
		for _, k := range keys {
			item, err := fromGo(v.MapIndex(k), depth+1)
			if err != nil {
				return nil, err
			}
			d.set(nil, strings.ToValidUTF8(k.String(), "\uFFFD"), item)
		}
		return d, nil
	case reflect.Struct:
		if v.Type() == valueType {
			if inner := v.Interface().(Value).v; inner != nil {
				return inner, nil
			}
			return none{}, nil
		}
	}
	return nil, fmt.Errorf("jinja: data of Go type %s: only null, booleans, numbers, strings, slices and maps with string keys can be given to a template; encode it with encoding/json and use FromJSON", v.Type())
}

// iterate gives the elements of v one after another, or ok false where Python cannot iterate over it.
func (r *renderer) iterate(v value) (it *iterator, ok bool) {
	each := func(n int, at func(i int) value) (*iterator, bool) {
		i := 0
		return &iterator{kind: "iterator", next: func() (value, bool) {
			if i >= n {
				return nil, false
			}
			r.step(1)
			i++
			return at(i - 1), true
		}}, true
	}
	switch v := v.(type) {
	case *iterator:
		return v, true
	case *list:
		return each(len(v.items), func(i int) value { return v.items[i] })
	case *tuple:
		return each(len(v.items), func(i int) value { return v.items[i] })
	case *dict:
		return each(len(v.keys), func(i int) value { return v.keys[i] })
	case *view:
		return each(len(v.d.keys), v.at)
	case *span:
		return each(int(v.n), func(i int) value { return v.at(int64(i)) })
	case *undefined:
		return each(0, nil)
	case *loop:
		return &iterator{kind: "loop", next: func() (value, bool) {
			item, ok := v.advance()
			if !ok {
				return nil, false
			}
			return &tuple{[]value{item, v}}, true
		}}, true
	case string, markup: // the characters of Markup are plain
		s, _ := text(v)
		return &iterator{kind: "iterator", next: func() (value, bool) {
			if s == "" {
				return nil, false
			}
			r.step(1)
			n := runeLen(s)
			c := s[:n]
			s = s[n:]
			return c, true
		}}, true
	}
	return nil, false
}

// mustIterate is iterate that fails where v has no elements to give.
func (r *renderer) mustIterate(v value) *iterator {
	it, ok := r.iterate(v)
	if !ok {
		fail(0, "a %s cannot be iterated over", typeName(v))
	}
	return it
}

// collect gives all elements of v as a new slice.
func (r *renderer) collect(v value) []value {
	it := r.mustIterate(v)
	var items []value
	for {
		item, ok := it.next()
		if !ok {
			return items
		}
		r.allocate(valueSize)
		items = append(items, item)
	}
}

// integer gives v as Python's operator.index does: an int or a bool. Large integers are cut to the range of int64,
// which is what indices need.
func integer(v value) (n int64, ok bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case int64:
		return v, true
	case *big.Int:
		if v.Sign() < 0 {
			return math.MinInt64, true
		}
		return math.MaxInt64, true
	}
	return 0, false
}
