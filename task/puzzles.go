package task

// Rung 6: remainders, brackets, weekdays, other bases.

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// drawModular goes digit by digit: the remainder so far times ten plus the next digit.
func drawModular(r *rand.Rand) question {
	a, m := withDigits(r, 2+r.IntN(3)), 2+r.IntN(11)
	var work []string
	rest := 0
	for _, d := range fmt.Sprint(a) {
		x := rest*10 + int(d-'0')
		rest = x % m
		work = append(work, fmt.Sprintf("%s mod %s = %s", digits(x), digits(m), digits(rest)))
	}
	return question{
		key:    fmt.Sprintf("%d mod %d", a, m),
		prompt: fmt.Sprintf("%s mod %s", digits(a), digits(m)),
		work:   strings.Join(work, "\n"),
		answer: digits(a % m),
	}
}

var closing = map[byte]byte{'(': ')', '[': ']', '{': '}'}

// drawBrackets makes a balanced row and, half of the time, spoils one bracket. The scratch work writes the open
// brackets after each step.
func drawBrackets(r *rand.Rand) question {
	row := []byte(balanced(r, 2+r.IntN(4)))
	if r.IntN(2) == 0 {
		row[r.IntN(len(row))] = "()[]{}"[r.IntN(6)]
	}
	var open []byte
	var work []string
	ok := true
	for _, b := range row {
		if closing[b] != 0 {
			open = append(open, b)
		} else if n := len(open); n > 0 && closing[open[n-1]] == b {
			open = open[:n-1]
		} else {
			work = append(work, fmt.Sprintf("%c: wrong", b))
			ok = false
			break
		}
		work = append(work, strings.TrimSpace(fmt.Sprintf("%c: %s", b, spaced(string(open)))))
	}
	answer := "no"
	if ok && len(open) == 0 {
		answer = "yes"
	}
	return question{
		key:    string(row),
		prompt: "balanced? " + spaced(string(row)),
		work:   strings.Join(work, "\n"),
		answer: answer,
	}
}

// balanced draws a balanced row of n pairs.
func balanced(r *rand.Rand, n int) string {
	if n == 0 {
		return ""
	}
	inside := r.IntN(n)
	b := "([{"[r.IntN(3)]
	return string(b) + balanced(r, inside) + string(closing[b]) + balanced(r, n-1-inside)
}

var weekdays = []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}

// drawCalendar takes whole weeks off, then counts the rest.
func drawCalendar(r *rand.Rand) question {
	day, n := r.IntN(7), 1+r.IntN(500)
	sign, word := 1, "after"
	if r.IntN(2) == 0 {
		sign, word = -1, "before"
	}
	work := []string{fmt.Sprintf("%s mod 7 = %d", digits(n), n%7)}
	d := day
	for i := range n % 7 {
		d = (d + 7 + sign) % 7
		work = append(work, fmt.Sprintf("%d %s", i+1, weekdays[d]))
	}
	return question{
		key:    fmt.Sprintf("%d%+d", day, sign*n),
		prompt: fmt.Sprintf("%s days %s %s", digits(n), word, weekdays[day]),
		work:   strings.Join(work, "\n"),
		answer: weekdays[d],
	}
}

// drawBase divides by the base until nothing is left; the remainders, last first, are the digits.
func drawBase(r *rand.Rand) question {
	base, x := 2+r.IntN(8), 1+r.IntN(999)
	var work []string
	for y := x; y > 0; y /= base {
		work = append(work, fmt.Sprintf("%s / %d = %s rest %d", digits(y), base, digits(y/base), y%base))
	}
	return question{
		key:    fmt.Sprintf("%d in %d", x, base),
		prompt: fmt.Sprintf("%s in base %d", digits(x), base),
		work:   strings.Join(work, "\n"),
		answer: spaced(strconv.FormatInt(int64(x), base)),
	}
}
