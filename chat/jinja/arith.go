package jinja

// Arithmetic as Python's: integers of any size, floor division, text and lists under + * %.

import (
	"math"
	"math/big"
)

func (r *renderer) negative(x value) value {
	switch x := x.(type) {
	case float64:
		return -x
	case bool, int64, *big.Int:
		return normal(new(big.Int).Neg(bigOf(x)))
	}
	checkDefined(x)
	fail(0, "a %s has no negative", typeName(x))
	return nil
}

func (r *renderer) positive(x value) value {
	switch x := x.(type) {
	case float64, int64, *big.Int:
		return x
	case bool:
		return normal(bigOf(x))
	}
	checkDefined(x)
	fail(0, "unary + does not apply to a %s", typeName(x))
	return nil
}

func (r *renderer) arithmetic(op string, a, b value) value {
	checkDefined(a)
	if _, isText := text(a); !isText || op != "%" {
		checkDefined(b) // "%s" % undefined is fine
	}
	if isNumber(a) && isNumber(b) {
		_, af := a.(float64)
		_, bf := b.(float64)
		if af || bf || op == "/" {
			return r.floats(op, a, b)
		}
		return r.integers(op, a, b)
	}
	switch op {
	case "+":
		if v := r.join(a, b); v != nil {
			return v
		}
	case "*":
		if n, ok := integer(b); ok {
			if v := r.times(a, n); v != nil {
				return v
			}
		}
		if n, ok := integer(a); ok {
			if v := r.times(b, n); v != nil {
				return v
			}
		}
	case "%":
		if s, ok := text(a); ok {
			return r.percent(a, s, b)
		}
	}
	fail(0, "%q does not apply to %s and %s", op, typeName(a), typeName(b))
	return nil
}

// join is a + b for text, lists and tuples, nil for anything else.
func (r *renderer) join(a, b value) value {
	if x, ok := text(a); ok {
		y, ok := text(b)
		if !ok {
			return nil
		}
		_, am := a.(markup)
		_, bm := b.(markup)
		if am || bm {
			x, y = string(r.escape(a)), string(r.escape(b))
		}
		r.allocate(len(x) + len(y))
		if am || bm {
			return markup(x + y)
		}
		return x + y
	}
	x, y, ok := sequences(a, b)
	if !ok {
		return nil
	}
	r.allocate(valueSize * (len(x) + len(y)))
	joined := append(append(make([]value, 0, len(x)+len(y)), x...), y...)
	if _, ok := a.(*tuple); ok {
		return &tuple{joined}
	}
	return &list{joined}
}

// times is v * n for text, lists and tuples, nil for anything else.
func (r *renderer) times(v value, n int64) value {
	if s, ok := text(v); ok {
		return like(v, r.repeat(s, n))
	}
	var items []value
	switch v := v.(type) {
	case *list:
		items = v.items
	case *tuple:
		items = v.items
	default:
		return nil
	}
	var all []value
	if n > 0 && len(items) > 0 {
		if n > int64(r.o.Memory/valueSize/len(items)) {
			n = int64(r.o.Memory/valueSize/len(items)) + 1
		}
		r.allocate(int(n) * valueSize * len(items))
		for range n {
			all = append(all, items...)
		}
	}
	if _, ok := v.(*tuple); ok {
		return &tuple{all}
	}
	return &list{all}
}

// float gives a number as a float; it fails on integers out of range.
func float(v value) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case int64:
		return float64(v)
	}
	f, _ := new(big.Float).SetInt(bigOf(v)).Float64()
	if math.IsInf(f, 0) {
		fail(0, "the integer is too large for a float")
	}
	return f
}

func (r *renderer) floats(op string, a, b value) value {
	if op == "/" {
		_, af := a.(float64)
		_, bf := b.(float64)
		if !af && !bf { // exact, then rounded once
			d := bigOf(b)
			if d.Sign() == 0 {
				fail(0, "division by zero")
			}
			f, _ := new(big.Rat).SetFrac(bigOf(a), d).Float64()
			if math.IsInf(f, 0) {
				fail(0, "the quotient is too large for a float")
			}
			return f
		}
	}
	x, y := float(a), float(b)
	switch op {
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return x * y
	case "/":
		if y == 0 {
			fail(0, "division by zero")
		}
		return x / y
	case "//", "%":
		if y == 0 {
			fail(0, "division by zero")
		}
		q, m := floorDivide(x, y)
		if op == "%" {
			return m
		}
		return q
	}
	p := math.Pow(x, y)
	switch {
	case x == 0 && y < 0:
		fail(0, "zero cannot be raised to a negative power")
	case x < 0 && y != math.Trunc(y) && !math.IsInf(x, 0):
		fail(0, "complex numbers are not supported: a negative number to a fractional power")
	case math.IsInf(p, 0) && !math.IsInf(x, 0) && !math.IsInf(y, 0):
		fail(0, "the power is too large for a float")
	}
	return p
}

// floorDivide is Python's divmod for floats.
func floorDivide(x, y float64) (q, m float64) {
	m = math.Mod(x, y)
	d := (x - m) / y
	if m != 0 {
		if (y < 0) != (m < 0) {
			m += y
			d--
		}
	} else {
		m = math.Copysign(0, y)
	}
	if d == 0 {
		return math.Copysign(0, x/y), m
	}
	q = math.Floor(d)
	if d-q > 0.5 {
		q++
	}
	return q, m
}

func (r *renderer) integers(op string, a, b value) value {
	x, y := bigOf(a), bigOf(b)
	r.step((x.BitLen() + y.BitLen()) / 64)
	z := new(big.Int)
	switch op {
	case "+":
		z.Add(x, y)
	case "-":
		z.Sub(x, y)
	case "*":
		z.Mul(x, y)
	case "//", "%":
		if y.Sign() == 0 {
			fail(0, "division by zero")
		}
		q, m := new(big.Int).QuoRem(x, y, new(big.Int))
		if m.Sign() != 0 && m.Sign() != y.Sign() {
			m.Add(m, y)
			q.Sub(q, big.NewInt(1))
		}
		z = q
		if op == "%" {
			z = m
		}
	case "**":
		if y.Sign() < 0 {
			if x.Sign() == 0 {
				fail(0, "zero cannot be raised to a negative power")
			}
			return math.Pow(float(a), float(b))
		}
		if x.BitLen() > 1 && (!y.IsInt64() || y.Int64() > maxIntegerBits) {
			fail(0, "%w: the power has more than %d digits", ErrLimit, maxIntegerDigits)
		}
		if n := int64(x.BitLen()-1) * y.Int64(); x.BitLen() > 1 && n > maxIntegerBits {
			fail(0, "%w: the power has more than %d digits", ErrLimit, maxIntegerDigits)
		}
		if x.BitLen() <= 1 && y.Sign() > 0 { // 0, 1 and -1: only odd or even matters
			y = big.NewInt(2 - int64(y.Bit(0)))
		}
		z.Exp(x, y, nil)
	}
	if z.BitLen() > maxIntegerBits {
		fail(0, "%w: an integer has more than %d digits", ErrLimit, maxIntegerDigits)
	}
	return normal(z)
}
