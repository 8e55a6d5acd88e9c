package sandbox

// What a Starlark program may use. Steps are counted by the interpreter; memory by this meter, which adds up what is
// allocated in all, not what is alive: simple, the same everywhere, and an upper bound.

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Limits bound one call. Zero fields take the values of DefaultLimits.
type Limits struct {
	Steps  uint64        // of Starlark
	Memory int64         // bytes: allocated in all by Starlark; of the linear memory of WebAssembly
	Time   time.Duration // of a WebAssembly program, of a command's answer
	Output int           // bytes written by a program, or in one line of a command
}

// DefaultLimits are enough for the tasks of a small model.
var DefaultLimits = Limits{Steps: 1_000_000, Memory: 64 << 20, Time: 5 * time.Second, Output: 64 << 10}

func (l Limits) filled() Limits {
	if l.Steps == 0 {
		l.Steps = DefaultLimits.Steps
	}
	if l.Memory == 0 {
		l.Memory = DefaultLimits.Memory
	}
	if l.Time == 0 {
		l.Time = DefaultLimits.Time
	}
	if l.Output == 0 {
		l.Output = DefaultLimits.Output
	}
	return l
}

const (
	maxCalls   = 256     // calls deep
	maxNesting = 64      // lists in lists
	maxBits    = 1 << 14 // of an integer
	checkEvery = 500     // steps
)

type meter struct {
	left int64 // bytes
}

const meterKey = "meter"

func meterOf(t *starlark.Thread) *meter { return t.Local(meterKey).(*meter) }

// newThread makes a thread that ends with its context, its steps, its memory or its depth.
func newThread(ctx context.Context, name string, lim Limits) *starlark.Thread {
	t := &starlark.Thread{Name: name, Print: func(*starlark.Thread, string) {}}
	t.SetLocal(meterKey, &meter{left: lim.Memory})
	t.SetMaxExecutionSteps(checkEvery)
	t.OnMaxSteps = func(t *starlark.Thread) {
		switch {
		case t.Steps >= lim.Steps:
			t.Cancel(fmt.Sprintf("more than %d steps", lim.Steps))
		case t.CallStackDepth() > maxCalls:
			t.Cancel(fmt.Sprintf("calls are more than %d deep", maxCalls))
		case ctx.Err() != nil:
			t.Cancel(ctx.Err().Error())
		default:
			t.SetMaxExecutionSteps(min(lim.Steps, t.Steps+checkEvery))
		}
	}
	return t
}

var errMemory = errors.New("more memory than a call may use")

func (m *meter) charge(n int64) error {
	if n < 0 || n > m.left {
		m.left = 0
		return errMemory
	}
	m.left -= n
	return nil
}

// shallow is what a copy of a value takes, its elements not copied.
func shallow(v starlark.Value) int64 {
	switch v := v.(type) {
	case starlark.String:
		return 16 + int64(len(v))
	case starlark.Bytes:
		return 16 + int64(len(v))
	case starlark.Int:
		return 16 + int64(v.BigInt().BitLen()/8)
	case starlark.Sequence:
		return 16 + 64*int64(v.Len())
	case interface{ Len() int }:
		return 16 + 64*int64(v.Len())
	}
	return 16
}

// deep is what writing a value out, hashing or comparing it may take: shared parts count as often as they are met.
func (m *meter) deep(v starlark.Value) (int64, error) { return deep(v, m.left, 0) }

func deep(v starlark.Value, left int64, depth int) (int64, error) {
	if depth > maxNesting {
		return 0, fmt.Errorf("values are nested deeper than %d", maxNesting)
	}
	sum := shallow(v)
	add := func(e starlark.Value) error {
		n, err := deep(e, left-sum, depth+1)
		sum += n
		if err == nil && sum > left {
			err = errMemory
		}
		return err
	}
	if sum > left {
		return 0, errMemory
	}
	switch v := v.(type) {
	case *starlark.List:
		for i := range v.Len() {
			if err := add(v.Index(i)); err != nil {
				return 0, err
			}
		}
	case starlark.Tuple:
		for _, e := range v {
			if err := add(e); err != nil {
				return 0, err
			}
		}
	case *starlark.Dict:
		for k, e := range v.Entries() {
			if err := errors.Join(add(k), add(e)); err != nil {
				return 0, err
			}
		}
	case *starlark.Set:
		for e := range v.Elements() {
			if err := add(e); err != nil {
				return 0, err
			}
		}
	}
	return sum, nil
}

// chargeDeep charges a share of the deep size: 1 for what is written out, 16 for what is only looked at.
func (m *meter) chargeDeep(share int64, vs ...starlark.Value) error {
	for _, v := range vs {
		n, err := m.deep(v)
		if err == nil {
			err = m.charge(n / share)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// binary charges what x op y takes.
func (m *meter) binary(op syntax.Token, x, y starlark.Value) error {
	switch op {
	case syntax.STAR:
		return m.product(x, y)
	case syntax.PERCENT:
		if _, ok := x.(starlark.Int); !ok {
			return m.charge2(shallow(x), m.chargeDeep(1, y))
		}
	case syntax.EQL, syntax.NEQ, syntax.LT, syntax.LE, syntax.GT, syntax.GE:
		return m.chargeDeep(16, x, y)
	case syntax.IN, syntax.NOT_IN:
		switch y.(type) {
		case *starlark.Dict, *starlark.Set:
			return m.chargeDeep(16, x)
		}
		return m.chargeDeep(16, x, y)
	case syntax.LTLT:
		if n, ok := x.(starlark.Int); ok && n.BigInt().BitLen() > maxBits {
			return errBits
		}
	}
	return m.charge(shallow(x) + shallow(y))
}

func (m *meter) charge2(n int64, err error) error {
	if err != nil {
		return err
	}
	return m.charge(n)
}

var errBits = fmt.Errorf("an integer of more than %d bits", maxBits)

// product charges x * y: two integers, or a sequence and how often.
func (m *meter) product(x, y starlark.Value) error {
	a, okA := x.(starlark.Int)
	b, okB := y.(starlark.Int)
	switch {
	case okA && okB:
		if a.BigInt().BitLen()+b.BigInt().BitLen() > maxBits {
			return errBits
		}
		return nil
	case okA:
		return m.repeat(y, a)
	case okB:
		return m.repeat(x, b)
	}
	return m.charge(shallow(x) + shallow(y))
}

func (m *meter) repeat(v starlark.Value, times starlark.Int) error {
	n, ok := times.Int64()
	if !ok || n > m.left {
		return errMemory
	}
	size := shallow(v)
	if n > 0 && size > m.left/n {
		return errMemory
	}
	return m.charge(max(n, 1) * size)
}

// light are functions that look at the first level of their arguments at most.
var light = map[string]bool{
	"append": true, "len": true, "type": true, "bool": true, "any": true, "all": true, "list": true, "tuple": true, "range": true,
	"enumerate": true, "reversed": true, "zip": true, "extend": true, "insert": true, "clear": true, "items": true, "keys": true, "values": true,
	"abs": true, "popitem": true, "float": true, "chr": true, "ord": true,
}

// constant are methods whose cost does not grow with what they belong to.
var constant = map[string]bool{"append": true, "pop": true, "get": true, "setdefault": true, "popitem": true, "insert": true, "extend": true, "update": true, "add": true, "elems": true}

// builtin charges a call of a function or method of the language.
func (m *meter) builtin(name string, recv starlark.Value, args starlark.Tuple, kwargs []starlark.Tuple) error {
	var sum int64 = 32
	for _, kv := range kwargs {
		args = append(args[:len(args):len(args)], kv[1])
	}
	for _, a := range args {
		n := shallow(a)
		if !light[name] {
			var err error
			if n, err = m.deep(a); err != nil {
				return err
			}
		}
		sum += n
	}
	if name == "int" && sum > maxBits/2 {
		return errBits
	}
	if recv == nil {
		return m.charge(2 * sum)
	}
	own := int64(16)
	if !constant[name] {
		own = shallow(recv)
	}
	switch name {
	case "join", "format", "replace": // what stands in recv may be written, or write, many times
		if own > 0 && sum > m.left/own {
			return errMemory
		}
		return m.charge(m.amplified(name, own, sum, args))
	case "split", "rsplit", "splitlines", "partition", "rpartition":
		own *= 16
	case "index", "remove", "count":
		return m.chargeDeep(16, recv)
	case "union", "intersection", "difference", "symmetric_difference", "issubset", "issuperset":
		return m.charge2(sum, m.chargeDeep(1, recv))
	}
	return m.charge(own + sum)
}

// amplified bounds the length of a join, format or replace.
func (m *meter) amplified(name string, own, sum int64, args starlark.Tuple) int64 {
	switch name {
	case "join":
		if len(args) == 1 {
			return sum + shallow(args[0])/64*own
		}
	case "replace":
		if len(args) > 1 {
			return own + own*shallow(args[1])
		}
	case "format":
		return own + (own/2+1)*sum
	}
	return own + sum
}
