package task

// Rung 8: reach a number from 2 or 3 others, each used once, with + - * / and brackets. Any expression that does is
// right. The scratch work of a demonstration is a solver's trace: what was tried, and what it gave.

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
)

type countdown struct {
	Numbers []int64 `json:"numbers"`
	Target  int64   `json:"target"`
}

func drawCountdown(r *rand.Rand) question {
	c := countdown{Numbers: make([]int64, 2+r.IntN(2))}
	for i := range c.Numbers {
		c.Numbers[i] = int64(1 + r.IntN(50))
	}
	all := expressions(c.Numbers)
	pick := all[r.IntN(len(all))]
	for pick.value < 1 || pick.value > 200 { // the sum of all is among them and often in range: draw on until one is
		pick = all[r.IntN(len(all))]
	}
	c.Target = pick.value
	sorted := slices.Sorted(slices.Values(c.Numbers))
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var work []string
	answer := pick.text
	for _, e := range all[:min(3, len(all))] { // some that fail, then one that reaches the target
		if e.value == c.Target {
			answer = e.text
			break
		}
		work = append(work, fmt.Sprintf("%s = %d no", e.text, e.value))
	}
	work = append(work, fmt.Sprintf("%s = %d yes", answer, c.Target))
	return question{
		key:    fmt.Sprint(sorted, c.Target),
		prompt: fmt.Sprintf("make %d from %s", c.Target, strings.Trim(fmt.Sprint(c.Numbers), "[]")),
		work:   strings.Join(work, "\n"),
		answer: answer,
		data:   c,
	}
}

type expression struct {
	value int64
	text  string
}

// expressions lists what 2 or 3 numbers can make with whole results, each number used once.
func expressions(xs []int64) []expression {
	parts := make([]expression, len(xs))
	for i, x := range xs {
		parts[i] = expression{x, fmt.Sprint(x)}
	}
	return combine(parts)
}

func combine(parts []expression) []expression {
	if len(parts) == 1 {
		return parts
	}
	var all []expression
	for i, a := range parts {
		for j, b := range parts {
			if i == j {
				continue
			}
			var rest []expression
			for k, c := range parts {
				if k != i && k != j {
					rest = append(rest, c)
				}
			}
			for _, e := range pairs(a, b, i < j) {
				all = append(all, combine(append(slices.Clone(rest), e))...)
			}
		}
	}
	return all
}

// pairs joins two expressions; the commutative joins only in one order.
func pairs(a, b expression, ordered bool) []expression {
	es := []expression{}
	text := func(op string) string { return bracket(a.text) + " " + op + " " + bracket(b.text) }
	if ordered {
		es = append(es, expression{a.value + b.value, text("+")}, expression{a.value * b.value, text("*")})
	}
	es = append(es, expression{a.value - b.value, text("-")})
	if b.value != 0 && a.value%b.value == 0 {
		es = append(es, expression{a.value / b.value, text("/")})
	}
	return es
}

func bracket(s string) string {
	if strings.Contains(s, " ") {
		return "( " + s + " )"
	}
	return s
}

func reachesTarget(it Item, answer string) (bool, string) {
	var c countdown
	if err := json.Unmarshal(it.Data, &c); err != nil {
		return false, "the data of the question cannot be read: " + err.Error()
	}
	value, used, err := evaluate(answer)
	if err != nil {
		return false, err.Error()
	}
	want := slices.Sorted(slices.Values(c.Numbers))
	slices.Sort(used)
	if !slices.Equal(want, used) {
		return false, fmt.Sprintf("it uses %v, not each of %v once", used, want)
	}
	if value.Cmp(new(big.Rat).SetInt64(c.Target)) != 0 {
		return false, fmt.Sprintf("it makes %s, not %d", value.RatString(), c.Target)
	}
	return true, ""
}

// Bounds of an expression that is evaluated.
const (
	maxExpression = 200
	maxDepth      = 20
)

// evaluate computes an expression over whole numbers below 10000 exactly, and lists the numbers in it.
//
//	sum     = product { ("+" | "-") product }
//	product = value { ("*" | "/") value }
//	value   = number | "(" sum ")"
func evaluate(s string) (*big.Rat, []int64, error) {
	if len(s) > maxExpression {
		return nil, nil, fmt.Errorf("the expression is longer than %d bytes", maxExpression)
	}
	e := &evaluator{rest: s}
	v, err := e.sum(0)
	if err != nil {
		return nil, nil, err
	}
	if e.next(); e.rest != "" {
		return nil, nil, fmt.Errorf("%q follows the expression", e.rest)
	}
	return v, e.used, nil
}

type evaluator struct {
	rest string
	used []int64
}

// next is the next byte that is not a space, 0 at the end.
func (e *evaluator) next() byte {
	e.rest = strings.TrimLeft(e.rest, " ")
	if e.rest == "" {
		return 0
	}
	return e.rest[0]
}

func (e *evaluator) sum(depth int) (*big.Rat, error) {
	v, err := e.product(depth)
	for err == nil {
		op := e.next()
		if op != '+' && op != '-' {
			return v, nil
		}
		e.rest = e.rest[1:]
		var w *big.Rat
		if w, err = e.product(depth); err != nil {
			break
		}
		if op == '+' {
			v.Add(v, w)
		} else {
			v.Sub(v, w)
		}
	}
	return nil, err
}

func (e *evaluator) product(depth int) (*big.Rat, error) {
	v, err := e.value(depth)
	for err == nil {
		op := e.next()
		if op != '*' && op != '/' {
			return v, nil
		}
		e.rest = e.rest[1:]
		var w *big.Rat
		if w, err = e.value(depth); err != nil {
			break
		}
		if op == '*' {
			v.Mul(v, w)
		} else if w.Sign() == 0 {
			err = errors.New("division by zero")
		} else {
			v.Quo(v, w)
		}
	}
	return nil, err
}

func (e *evaluator) value(depth int) (*big.Rat, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("brackets are nested deeper than %d", maxDepth)
	}
	b := e.next()
	if b == '(' {
		e.rest = e.rest[1:]
		v, err := e.sum(depth + 1)
		if err != nil {
			return nil, err
		}
		if e.next() != ')' {
			return nil, errors.New("a bracket is not closed")
		}
		e.rest = e.rest[1:]
		return v, nil
	}
	n, x := 0, int64(0)
	for n < len(e.rest) && e.rest[n] >= '0' && e.rest[n] <= '9' {
		if x = x*10 + int64(e.rest[n]-'0'); x >= 10000 {
			return nil, errors.New("a number is too large")
		}
		n++
	}
	if n == 0 {
		return nil, fmt.Errorf("a number is missing before %q", e.rest)
	}
	e.rest = e.rest[n:]
	e.used = append(e.used, x)
	return new(big.Rat).SetInt64(x), nil
}
