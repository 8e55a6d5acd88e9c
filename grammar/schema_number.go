package grammar

// Numbers of a schema: ranges of decimal numbers as expressions over their digits.

import (
	"fmt"
	"strings"
)

// decimal is a number as its digits, without zeros before the first or behind the last.
type decimal struct {
	negative        bool
	whole, fraction string // whole is "0" for less than 1
}

// parseDecimal reads a JSON number exactly.
func parseDecimal(text string) (d decimal, err error) {
	rest, negative := strings.CutPrefix(text, "-")
	mantissa, exp, _ := strings.Cut(strings.ToLower(rest), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	shift := 0
	if exp != "" {
		if _, err := fmt.Sscanf(exp, "%d", &shift); err != nil || shift < -maxShift || shift > maxShift {
			return d, fmt.Errorf("the number %s is too large or too small to be used here", quoted(text))
		}
	}
	if len(mantissa) > 4*maxShift {
		return d, fmt.Errorf("the number %s has too many digits", quoted(text))
	}
	if shift > 0 {
		fraction += strings.Repeat("0", max(0, shift-len(fraction)))
		whole, fraction = whole+fraction[:shift], fraction[shift:]
	} else if shift < 0 {
		whole = strings.Repeat("0", max(0, -shift-len(whole))) + whole
		whole, fraction = whole[:len(whole)+shift], whole[len(whole)+shift:]+fraction
	}
	if whole = strings.TrimLeft(whole, "0"); whole == "" {
		whole = "0"
	}
	fraction = strings.TrimRight(fraction, "0")
	return decimal{negative && (whole != "0" || fraction != ""), whole, fraction}, nil
}

// maxShift bounds exponents of the numbers in a schema.
const maxShift = 64

func (d decimal) compare(e decimal) int {
	if d.negative != e.negative {
		if d.negative {
			return -1
		}
		return 1
	}
	c := d.magnitude(e)
	if d.negative {
		return -c
	}
	return c
}

// magnitude compares without signs.
func (d decimal) magnitude(e decimal) int {
	if len(d.whole) != len(e.whole) {
		return len(d.whole) - len(e.whole)
	}
	if c := strings.Compare(d.whole, e.whole); c != 0 {
		return c
	}
	return strings.Compare(d.fraction, e.fraction)
}

// bound is one end of a range.
type bound struct {
	decimal
	open bool // the bound itself is outside
}

// boundsOf finds the narrowest range that the schemas allow. nil is no bound.
func boundsOf(plain []*jsonValue) (low, high *bound, err error) {
	for _, v := range plain {
		for _, k := range [...]struct {
			key         string
			lower, open bool
		}{{"minimum", true, false}, {"exclusiveMinimum", true, true}, {"maximum", false, false}, {"exclusiveMaximum", false, true}} {
			x := v.get(k.key)
			if x == nil {
				continue
			}
			if x.kind != numberValue {
				return nil, nil, wrong(v, k.key, "it is a number, not %s", x.kind)
			}
			d, err := parseDecimal(x.text)
			if err != nil {
				return nil, nil, wrong(v, k.key, "%v", err)
			}
			b := &bound{d, k.open}
			if k.lower {
				if low == nil || low.compare(d) < 0 || low.compare(d) == 0 && k.open {
					low = b
				}
			} else if high == nil || high.compare(d) > 0 || high.compare(d) == 0 && k.open {
				high = b
			}
		}
	}
	return low, high, nil
}

func allowsNumber(plain []*jsonValue, text string) (bool, error) {
	low, high, err := boundsOf(plain)
	if err != nil {
		return false, err
	}
	d, err := parseDecimal(text)
	if err != nil {
		return false, err
	}
	inside := func(b *bound, c int) bool { return b == nil || c > 0 || c == 0 && !b.open }
	var fromLow, fromHigh int
	if low != nil {
		fromLow = d.compare(low.decimal)
	}
	if high != nil {
		fromHigh = -d.compare(high.decimal)
	}
	return inside(low, fromLow) && inside(high, fromHigh), nil
}

// number writes numbers, in a range without exponents.
func (s *schemas) number(plain []*jsonValue, allowed types, _ int) (*expr, error) {
	low, high, err := boundsOf(plain)
	if err != nil {
		return nil, err
	}
	whole := allowed&fractionType == 0
	switch {
	case low == nil && high == nil && whole:
		return s.j.integer, nil
	case low == nil && high == nil:
		return s.j.number, nil
	}
	var ways []*expr
	zero := decimal{whole: "0"}
	if low == nil || low.compare(zero) < 0 { // negative numbers: the range of their magnitudes, which begins above 0
		from, to := &bound{zero, true}, flipped(low)
		if high != nil && high.compare(zero) < 0 {
			from = flipped(high)
		}
		ways = append(ways, seq(lit("-"), magnitudes(from, to, whole)))
	}
	if high == nil || high.compare(zero) > 0 || high.compare(zero) == 0 && !high.open {
		from := &bound{zero, false}
		if low != nil && low.compare(zero) >= 0 {
			from = low
		}
		ways = append(ways, magnitudes(from, high, whole))
	}
	return oneOf(ways...), nil
}

// flipped is a bound of magnitudes of negative numbers.
func flipped(b *bound) *bound {
	if b == nil {
		return nil
	}
	c := *b
	c.negative = false
	return &c
}

// magnitudes is the numbers without sign from low, 0 or more, to high, nil for no bound.
func magnitudes(low, high *bound, whole bool) *expr {
	if whole {
		return integers(low, high)
	}
	var ways []*expr
	sameWhole := high != nil && low.whole == high.whole
	if sameWhole {
		return seq(lit(low.whole), fractions(low, high))
	}
	ways = append(ways, seq(lit(low.whole), fractions(low, nil)))
	above := increment(low.whole)
	if high == nil {
		ways = append(ways, seq(integersFrom(above), optional(seq(lit("."), digits(1, maxDigits)))))
	} else {
		if between := decrement(high.whole); larger(between, above) >= 0 {
			ways = append(ways, seq(integersBetween(above, between), optional(seq(lit("."), digits(1, maxDigits)))))
		}
		if larger(high.whole, above) >= 0 {
			ways = append(ways, seq(lit(high.whole), fractions(nil, high)))
		}
	}
	return oneOf(ways...)
}

// integers is the whole numbers in a range.
func integers(low, high *bound) *expr {
	from := low.whole
	if low.fraction != "" || low.open {
		from = increment(from)
	}
	if high == nil {
		return integersFrom(from)
	}
	to := high.whole
	if high.fraction == "" && high.open {
		if to == "0" {
			return never()
		}
		to = decrement(to)
	}
	if larger(to, from) < 0 {
		return never()
	}
	return integersBetween(from, to)
}

// larger compares whole numbers.
func larger(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

func increment(n string) string {
	b := []byte(n)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]++; b[i] <= '9' {
			return string(b)
		}
		b[i] = '0'
	}
	return "1" + string(b)
}

// decrement is n-1, 0 for 0.
func decrement(n string) string {
	if n == "0" {
		return n
	}
	b := []byte(n)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]--; b[i] >= '0' {
			break
		}
		b[i] = '9'
	}
	if b[0] == '0' && len(b) > 1 {
		b = b[1:]
	}
	return string(b)
}

// integersFrom is the whole numbers of at least n, up to maxDigits digits, or as many as n has.
func integersFrom(n string) *expr {
	same := integersBetween(n, strings.Repeat("9", len(n)))
	if len(n) >= maxDigits {
		return same
	}
	return oneOf(same, seq(set([]rune{'1', '9'}), digits(len(n), maxDigits-1)))
}

// integersBetween is the whole numbers from a to b, a not above b.
func integersBetween(a, b string) *expr {
	var ways []*expr
	for len(a) < len(b) {
		ways = append(ways, sameLength(a, strings.Repeat("9", len(a))))
		a = "1" + strings.Repeat("0", len(a))
	}
	return oneOf(append(ways, sameLength(a, b))...)
}

// sameLength is the digit strings from a to b, which have the same length.
func sameLength(a, b string) *expr {
	n := 0
	for n < len(a) && a[n] == b[n] {
		n++
	}
	if n == len(a) {
		return lit(a)
	}
	head, a, b := lit(a[:n]), a[n:], b[n:]
	rest := len(a) - 1
	if rest == 0 {
		return seq(head, digit(a[0], b[0]))
	}
	low, high := a[0], b[0]
	var ways []*expr
	if strings.Trim(a[1:], "0") != "" {
		ways = append(ways, seq(digit(low, low), sameLength(a[1:], strings.Repeat("9", rest))))
		low++
	}
	last := strings.Trim(b[1:], "9") != ""
	if last {
		high--
	}
	if low <= high {
		ways = append(ways, seq(digit(low, high), digits(rest, rest)))
	}
	if last {
		ways = append(ways, seq(digit(b[0], b[0]), sameLength(strings.Repeat("0", rest), b[1:])))
	}
	return seq(head, oneOf(ways...))
}

func digit(lo, hi byte) *expr { return set([]rune{rune(lo), rune(hi)}) }

// fractions is what may stand behind the whole part of a number that has the whole part of the bounds, nil for none: a
// point and digits, or nothing.
func fractions(low, high *bound) *expr {
	f := fractionRange{maxLen: maxDigits}
	if low != nil {
		f.low, f.hasLow, f.lowOpen = low.fraction, true, low.open
	}
	if high != nil {
		f.high, f.hasHigh, f.highOpen = high.fraction, true, high.open
	}
	f.maxLen = max(maxDigits, len(f.low)+1, len(f.high)+1)
	some := seq(lit("."), f.digits(0, f.hasLow, f.hasHigh, false))
	if f.empty() {
		return optional(some)
	}
	return some
}

// fractionRange is a range of digits behind a point.
type fractionRange struct {
	low, high         string
	hasLow, hasHigh   bool
	lowOpen, highOpen bool
	maxLen            int
}

// empty says whether no digits, which are zeros, are in the range.
func (f *fractionRange) empty() bool { return f.mayEnd(0, f.hasLow, f.hasHigh) }

// mayEnd says whether the first n digits, and zeros after them, are in the range; onLow and onHigh say that they are
// those of the bound.
func (f *fractionRange) mayEnd(n int, onLow, onHigh bool) bool {
	if onLow && (n < len(f.low) || f.lowOpen) {
		return false // a bound has no zeros at its end: digits that stop before it are below it
	}
	return !(onHigh && n >= len(f.high) && f.highOpen)
}

// digits is the digits from the n-th on. some says that one stands there already.
func (f *fractionRange) digits(n int, onLow, onHigh, some bool) *expr {
	ways := []*expr{}
	if some && f.mayEnd(n, onLow, onHigh) {
		ways = append(ways, lit(""))
	}
	if n == f.maxLen {
		return oneOf(ways...)
	}
	if !onLow && !onHigh {
		return digits(1-len(ways), f.maxLen-n)
	}
	low, high := byte('0'), byte('9')
	if onLow {
		low = digitAt(f.low, n)
	}
	if onHigh {
		high = digitAt(f.high, n)
	}
	switch {
	case low > high:
	case low == high:
		ways = append(ways, seq(digit(low, low), f.digits(n+1, onLow, onHigh, true)))
	default:
		if onLow {
			ways = append(ways, seq(digit(low, low), f.digits(n+1, true, false, true)))
			low++
		}
		if onHigh {
			ways = append(ways, seq(digit(high, high), f.digits(n+1, false, true, true)))
			high--
		}
		if low <= high {
			ways = append(ways, seq(digit(low, high), f.digits(n+1, false, false, true)))
		}
	}
	return oneOf(ways...)
}

func digitAt(s string, n int) byte {
	if n < len(s) {
		return s[n]
	}
	return '0'
}
