package task

// Rungs 3 to 5: sums and products, digit by digit.

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// withDigits draws a number of exactly n digits.
func withDigits(r *rand.Rand, n int) int {
	low := 1
	for range n - 1 {
		low *= 10
	}
	if n == 1 {
		return r.IntN(10)
	}
	return low + r.IntN(9*low)
}

func digits(x int) string { return spaced(fmt.Sprint(x)) }

// drawAdd writes the sum backwards, so that every digit depends on digits that stand before it.
func drawAdd(r *rand.Rand) question {
	a, b := withDigits(r, 1+r.IntN(3)), withDigits(r, 1+r.IntN(3))
	sum := []byte(fmt.Sprint(a + b))
	slices.Reverse(sum)
	return question{
		key:    fmt.Sprintf("%d+%d", min(a, b), max(a, b)),
		prompt: fmt.Sprintf("add, last digit first: %s + %s", digits(a), digits(b)),
		answer: spaced(string(sum)),
	}
}

// drawLongAdd adds or subtracts; the scratch work goes from the last digit to the first with its carry.
func drawLongAdd(r *rand.Rand) question {
	a, b := withDigits(r, 4+r.IntN(3)), withDigits(r, 4+r.IntN(3))
	if r.IntN(2) == 0 {
		return question{
			key:    fmt.Sprintf("%d+%d", min(a, b), max(a, b)),
			prompt: fmt.Sprintf("%s + %s", digits(a), digits(b)),
			work:   columns(a, b, 1),
			answer: digits(a + b),
		}
	}
	a, b = max(a, b), min(a, b)
	return question{
		key:    fmt.Sprintf("%d-%d", a, b),
		prompt: fmt.Sprintf("%s - %s", digits(a), digits(b)),
		work:   columns(a, b, -1),
		answer: digits(a - b),
	}
}

// columns works through a + b (sign 1) or a - b (sign -1, a ≥ b): per column its digits, the result and the carry.
func columns(a, b, sign int) string {
	var w []string
	op := "+"
	if sign < 0 {
		op = "-"
	}
	for carry := 0; a > 0 || b > 0 || carry != 0; {
		x := a%10 + sign*b%10 + sign*carry
		next := 0
		if x > 9 || x < 0 {
			next = 1
			x -= sign * 10
		}
		w = append(w, fmt.Sprintf("%d %s %d %s %d = %d carry %d", a%10, op, b%10, op, carry, x, next))
		a, b, carry = a/10, b/10, next
	}
	return strings.Join(w, "\n")
}

// drawMultiply splits the second number into its digits and adds the parts.
func drawMultiply(r *rand.Rand) question {
	a, b := withDigits(r, 2), withDigits(r, 1)
	if r.IntN(4) > 0 { // there are nine times as many of these
		b = withDigits(r, 2)
	}
	work := fmt.Sprintf("%s * %d = %s", digits(a), b%10, digits(a*(b%10)))
	if b > 9 {
		tens := b / 10 * 10
		work += fmt.Sprintf("\n%s * %s = %s\n%s + %s = %s", digits(a), digits(tens), digits(a*tens), digits(a*(b%10)), digits(a*tens), digits(a*b))
	}
	return question{
		key:    fmt.Sprintf("%d*%d", min(a, b), max(a, b)),
		prompt: fmt.Sprintf("%s * %s", digits(a), digits(b)),
		work:   work,
		answer: digits(a * b),
	}
}
