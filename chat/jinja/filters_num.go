package jinja

// The filters that make and round numbers.

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// toInt is int(x, base), then int(float(x)), then the default.
func toInt(r *renderer, x value, a args) value {
	p := a.bind("int", "default", "base")
	base := int64(10)
	if p[1] != nil {
		base = needInteger("int", p[1])
	}
	checkDefined(x)
	if s, ok := text(x); ok {
		if v := parseInteger(r.plain(s), int(base)); v != nil {
			return v
		}
	} else if isNumber(x) {
		if f, ok := x.(float64); !ok {
			return normal(bigOf(x))
		} else if !math.IsNaN(f) && !math.IsInf(f, 0) {
			return truncate(f)
		} else if math.IsInf(f, 0) {
			fail(0, "an infinity cannot be made an integer")
		}
	}
	if f, ok := r.parseFloat(x); ok && !math.IsNaN(f) && !math.IsInf(f, 0) {
		return truncate(f)
	}
	if p[0] != nil {
		return p[0]
	}
	return int64(0)
}

// parseInteger is Python's int(s, base), nil where that fails.
func parseInteger(s string, base int) value {
	s = strings.TrimFunc(s, isSpace)
	sign := ""
	if s != "" && (s[0] == '-' || s[0] == '+') {
		sign, s = s[:1], s[1:]
	}
	if base != 0 && (base < 2 || base > 36) || s == "" || len(s) > maxIntegerDigits {
		return nil
	}
	found := base
	if len(s) > 2 && s[0] == '0' {
		b := map[byte]int{'x': 16, 'X': 16, 'o': 8, 'O': 8, 'b': 2, 'B': 2}[s[1]]
		if b != 0 && (base == 0 || base == b) {
			found = b
			s = strings.TrimPrefix(s[2:], "_")
		}
	}
	if found == 0 {
		if found = 10; s[0] == '0' && strings.Trim(s, "0_") != "" {
			return nil
		}
	}
	if digits(s, found) != len(s) {
		return nil
	}
	b, ok := new(big.Int).SetString(sign+strings.ReplaceAll(s, "_", ""), found)
	if !ok {
		return nil
	}
	return normal(b)
}

// parseFloat is Python's float(x); ok is false where that fails.
func (r *renderer) parseFloat(x value) (float64, bool) {
	checkDefined(x)
	if isNumber(x) {
		return float(x), true
	}
	s, ok := text(x)
	if !ok {
		return 0, false
	}
	s = strings.TrimFunc(r.plain(s), isSpace)
	switch strings.ToLower(strings.TrimLeft(s, "+-")) {
	case "inf", "infinity", "nan":
		f, err := strconv.ParseFloat(s, 64)
		return f, err == nil
	}
	for i := range len(s) { // digits, with single underscores between them, and what a float has beside
		c := s[i]
		switch {
		case c == '_' && (i == 0 || i == len(s)-1 || !isASCIIDigit(s[i-1]) || !isASCIIDigit(s[i+1])):
			return 0, false
		case !isASCIIDigit(c) && !strings.ContainsRune("+-.eE_", rune(c)):
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

func isASCIIDigit(c byte) bool { return c >= '0' && c <= '9' }

func round(r *renderer, x value, a args) value {
	p := a.bind("round", "precision", "method")
	precision, method := int64(0), "common"
	if p[0] != nil {
		precision = needInteger("round", p[0])
	}
	if p[1] != nil {
		method, _ = text(p[1])
	}
	checkDefined(x)
	if !isNumber(x) {
		fail(0, "round needs a number, not %s", typeName(x))
	}
	f, isFloat := x.(float64)
	switch method {
	case "common":
		if !isFloat {
			return roundInteger(bigOf(x), precision)
		}
		return roundFloat(f, precision)
	case "ceil", "floor":
		scale := r.arithmetic("**", int64(10), precision)
		scaled := float(r.arithmetic("*", x, scale))
		if method == "ceil" {
			scaled = math.Ceil(scaled)
		} else {
			scaled = math.Floor(scaled)
		}
		return r.arithmetic("/", truncate(scaled), scale)
	}
	fail(0, "the method of round must be common, ceil or floor")
	return nil
}

// roundInteger rounds to a multiple of 10^-precision, halves to even.
func roundInteger(b *big.Int, precision int64) value {
	if precision >= 0 {
		return normal(b)
	}
	if -precision > maxIntegerDigits {
		return int64(0)
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(-precision), nil)
	q, m := new(big.Int).DivMod(b, unit, new(big.Int))
	switch c := new(big.Int).Lsh(m, 1).Cmp(unit); {
	case c > 0, c == 0 && q.Bit(0) == 1:
		q.Add(q, big.NewInt(1))
	}
	return normal(q.Mul(q, unit))
}

// roundFloat rounds the exact value of f to so many decimals, halves to even.
func roundFloat(f float64, precision int64) value {
	switch {
	case math.IsNaN(f), math.IsInf(f, 0), precision > 323:
		return f
	case precision < -308:
		return math.Copysign(0, f)
	case precision >= 0:
		g, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', int(precision), 64), 64)
		return g
	}
	exact := new(big.Rat).SetFloat64(f)
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(-precision), nil)
	n := new(big.Int).Mul(exact.Denom(), unit)
	q, m := new(big.Int).DivMod(exact.Num(), n, new(big.Int))
	if c := new(big.Int).Lsh(m, 1).Cmp(n); c > 0 || c == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(1))
	}
	g, _ := new(big.Rat).SetInt(q.Mul(q, unit)).Float64()
	return math.Copysign(g, f)
}
