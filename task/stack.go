package task

// Rung 9: write a program for a small stack machine that computes a formula. Any program that does is right: it is run
// on several inputs, some of them large, so that one that only fits the example fails.
//
// A program is words between spaces, run from left to right:
//
//	0 … 999              push the number
//	x y                  push an input
//	add sub mul          pop b, pop a, push a op b
//	dup drop swap over   as in Forth
//
// It is right when exactly one number is left, the value of the formula. There are no jumps, so it ends.

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

type formula struct {
	Program string `json:"program"` // one that is right
}

// Bounds of a program that is run.
const (
	maxWords = 64
	maxStack = 32
)

func drawStack(r *rand.Rand) question {
	text, program, trace := drawFormula(r, 2+r.IntN(2))
	if !strings.Contains(program, "x") && !strings.Contains(program, "y") {
		text, program = "( "+text+" ) + x", program+" x add"
		trace = append(trace, "x add")
	}
	return question{
		key:    program,
		prompt: "stack program for " + text,
		work:   strings.Join(trace, "\n"),
		answer: program,
		data:   formula{program},
	}
}

// drawFormula draws a formula with n operations: as people write it, as a program, and the program in its steps.
func drawFormula(r *rand.Rand, n int) (text, program string, trace []string) {
	if n == 0 {
		leaf := []string{"x", "y", fmt.Sprint(1 + r.IntN(9))}[r.IntN(3)]
		return leaf, leaf, []string{leaf}
	}
	k := r.IntN(3)
	left := r.IntN(n)
	ta, pa, wa := drawFormula(r, left)
	tb, pb, wb := drawFormula(r, n-1-left)
	op := []string{"add", "sub", "mul"}[k]
	text = bracket(ta) + " " + []string{"+", "-", "*"}[k] + " " + bracket(tb)
	return text, pa + " " + pb + " " + op, append(append(wa, wb...), op)
}

// probes are the inputs on which a program is compared. Formulas have degree 4 at most and coefficients far below the
// last inputs, so that two that agree here are the same.
var probes = [][2]int64{{0, 0}, {1, 2}, {-3, 5}, {7, -4}, {10, 10}, {1009, 31}, {-997, 2003}, {3001, -5003}}

func programPasses(it Item, answer string) (bool, string) {
	var f formula
	if err := json.Unmarshal(it.Data, &f); err != nil {
		return false, "the data of the question cannot be read: " + err.Error()
	}
	for _, in := range probes {
		want, err := RunStack(f.Program, in[0], in[1])
		if err != nil {
			return false, "the program of the question fails: " + err.Error()
		}
		got, err := RunStack(answer, in[0], in[1])
		if err != nil {
			return false, err.Error()
		}
		if got != want {
			return false, fmt.Sprintf("for x = %d, y = %d it gives %d, not %d", in[0], in[1], got, want)
		}
	}
	return true, ""
}

// RunStack runs a program and returns the one number it leaves.
func RunStack(program string, x, y int64) (int64, error) {
	if len(program) > maxWords*8 {
		return 0, fmt.Errorf("the program has more than %d bytes", maxWords*8)
	}
	words := strings.Fields(program)
	if len(words) > maxWords {
		return 0, fmt.Errorf("the program has more than %d words", maxWords)
	}
	m := &machine{x: x, y: y}
	for i, w := range words {
		if err := m.step(w); err != nil {
			return 0, fmt.Errorf("word %d, %q: %w", i+1, w, err)
		}
	}
	if len(m.stack) != 1 {
		return 0, fmt.Errorf("%d numbers are left, not 1", len(m.stack))
	}
	return m.stack[0], nil
}

type machine struct {
	x, y  int64
	stack []int64
}

// limit keeps every value exact: no product of two overflows. Larger values are an error.
const limit = 1 << 62

var errEmpty = errors.New("the stack has too few numbers")

func (m *machine) step(word string) error {
	switch word {
	case "x":
		return m.push(m.x)
	case "y":
		return m.push(m.y)
	case "dup", "drop":
		if len(m.stack) < 1 {
			return errEmpty
		}
		top := m.stack[len(m.stack)-1]
		if word == "dup" {
			return m.push(top)
		}
		m.stack = m.stack[:len(m.stack)-1]
		return nil
	case "add", "sub", "mul", "swap", "over":
		return m.two(word)
	}
	n, err := strconv.ParseUint(word, 10, 16)
	if err != nil || n > 999 || word[0] == '+' {
		return errors.New("no such word")
	}
	return m.push(int64(n))
}

func (m *machine) push(v int64) error {
	if len(m.stack) == maxStack {
		return fmt.Errorf("more than %d numbers on the stack", maxStack)
	}
	m.stack = append(m.stack, v)
	return nil
}

// two runs the words that need two numbers.
func (m *machine) two(word string) error {
	n := len(m.stack)
	if n < 2 {
		return errEmpty
	}
	a, b := m.stack[n-2], m.stack[n-1]
	switch word {
	case "swap":
		m.stack[n-2], m.stack[n-1] = b, a
		return nil
	case "over":
		return m.push(a)
	}
	v, ok := arithmetic(word, a, b)
	if !ok {
		return errors.New("the value is too large")
	}
	m.stack = append(m.stack[:n-2], v)
	return nil
}

// arithmetic computes exactly, and says when a result is not below limit.
func arithmetic(op string, a, b int64) (v int64, ok bool) {
	switch op {
	case "add":
		v = a + b
	case "sub":
		v = a - b
	default:
		if a != 0 && b != 0 && (abs(a) > limit/abs(b)) {
			return 0, false
		}
		v = a * b
	}
	return v, abs(v) < limit
}

func abs(x int64) int64 { return max(x, -x) }
