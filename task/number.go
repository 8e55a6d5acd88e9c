package task

// Exact numbers as people and models write them: 42, -3/4, 0.125, 1,234,567, 12 %, 1.5e3, \frac{1}{2}, \frac12,
// 1\frac{1}{2}, \boxed{7}, $8$. Nothing is rounded: 0.333 is not 1/3. A percent is a hundredth: 50% is 1/2, not 50.
//
//	number  = sign amount [ "%" ]
//	amount  = decimal [ "/" decimal | fraction ] | fraction
//	fraction = "\frac" part part            also \dfrac, \tfrac, \cfrac
//	part    = "{" sign decimal "}" | digit
//	decimal = digits with groups of three, [ "." digits ], [ "e" digits or "\times 10^" exponent ]

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// Bounds of what is read: the numerator and denominator of a result have at most some thousand digits.
const (
	maxNumber   = 512 // bytes
	maxExponent = 400
)

// ParseNumber reads one number, and refuses text with anything besides.
func ParseNumber(s string) (*big.Rat, error) {
	if len(s) > maxNumber {
		return nil, fmt.Errorf("a number of more than %d bytes", maxNumber)
	}
	p := &numberParser{rest: plain(s)}
	x, err := p.number()
	if err != nil {
		return nil, fmt.Errorf("%q is not a number: %w", s, err)
	}
	return x, nil
}

// EqualMath says whether two mathematical answers are the same: numbers by value; what is no number by its text, with
// spaces, \left and \right, and the three spellings of \frac made one.
func EqualMath(want, got string) bool {
	a, errA := ParseNumber(want)
	b, errB := ParseNumber(got)
	if errA == nil && errB == nil {
		return a.Cmp(b) == 0
	}
	if errA == nil || errB == nil || len(want) > maxNumber || len(got) > maxNumber {
		return false
	}
	textA, textB := strings.Join(strings.Fields(plain(want)), ""), strings.Join(strings.Fields(plain(got)), "")
	return textA != "" && textA == textB
}

// plain removes what LaTeX writes around a number, and spaces.
func plain(s string) string {
	s = strings.TrimSpace(s)
	for {
		inner := s
		if n := len(s); n > 1 && s[0] == '$' && s[n-1] == '$' {
			inner = s[1 : n-1]
		} else if b, ok := Boxed(s); ok && strings.HasPrefix(s, `\boxed{`) && strings.TrimSpace(s[len(`\boxed{`):len(s)-1]) == b {
			inner = b
		}
		if inner = strings.TrimSpace(inner); inner == s {
			break
		}
		s = inner
	}
	s = strings.TrimSuffix(s, ".")
	for _, dollar := range []string{`\$`, "$"} {
		s = strings.TrimPrefix(s, dollar)
	}
	return latex.Replace(s)
}

var latex = strings.NewReplacer(
	`\dfrac`, `\frac`, `\tfrac`, `\frac`, `\cfrac`, `\frac`,
	`\left`, "", `\right`, "", `\%`, "%", `{,}`, ",", `\,`, "\u2009", `\!`, "",
	"\u2212", "-", "\u00a0", "\u2009", "\u202f", "\u2009", `\cdot`, `\times`,
)

type numberParser struct{ rest string }

func (p *numberParser) skip() { p.rest = strings.TrimLeft(p.rest, " \t\n\u2009") }

func (p *numberParser) take(prefix string) bool {
	p.skip()
	rest, ok := strings.CutPrefix(p.rest, prefix)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *numberParser) sign() bool {
	if p.take("-") {
		return true
	}
	p.take("+")
	return false
}

func (p *numberParser) number() (*big.Rat, error) {
	negative := p.sign()
	x, err := p.amount()
	if err != nil {
		return nil, err
	}
	if negative {
		x.Neg(x)
	}
	if p.take("%") {
		x.Quo(x, big.NewRat(100, 1))
	}
	if p.skip(); p.rest != "" {
		return nil, fmt.Errorf("%q follows", p.rest)
	}
	return x, nil
}

func (p *numberParser) amount() (*big.Rat, error) {
	if p.take(`\frac`) {
		return p.fraction()
	}
	x, whole, err := p.decimal()
	if err != nil {
		return nil, err
	}
	if p.take("/") {
		y, _, err := p.decimal()
		if err != nil {
			return nil, err
		}
		return quotient(x, y)
	}
	if whole && p.take(`\frac`) { // a mixed number
		f, err := p.fraction()
		if err != nil {
			return nil, err
		}
		return x.Add(x, f), nil
	}
	return x, nil
}

func quotient(x, y *big.Rat) (*big.Rat, error) {
	if y.Sign() == 0 {
		return nil, errors.New("division by zero")
	}
	return x.Quo(x, y), nil
}

func (p *numberParser) fraction() (*big.Rat, error) {
	x, err := p.part()
	if err != nil {
		return nil, err
	}
	y, err := p.part()
	if err != nil {
		return nil, err
	}
	return quotient(x, y)
}

func (p *numberParser) part() (*big.Rat, error) {
	if !p.take("{") {
		if p.rest == "" || !isDigit(p.rest[0]) {
			return nil, errors.New(`\frac lacks a part`)
		}
		x := big.NewRat(int64(p.rest[0]-'0'), 1)
		p.rest = p.rest[1:]
		return x, nil
	}
	negative := p.sign()
	x, _, err := p.decimal()
	if err != nil {
		return nil, err
	}
	if !p.take("}") {
		return nil, errors.New("a } is missing")
	}
	if negative {
		x.Neg(x)
	}
	return x, nil
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

func (p *numberParser) digits() string {
	n := 0
	for n < len(p.rest) && isDigit(p.rest[n]) {
		n++
	}
	d := p.rest[:n]
	p.rest = p.rest[n:]
	return d
}

// separators stand between groups of three digits; one number uses one of them.
var separators = []string{",", "_", "\u2009", "'", "\u2019"}

// decimal reads digits; whole says that there is no point and no exponent.
func (p *numberParser) decimal() (x *big.Rat, whole bool, err error) {
	p.skip()
	text := p.digits()
	if text, err = p.groups(text); err != nil {
		return nil, false, err
	}
	whole = true
	if rest, ok := strings.CutPrefix(p.rest, "."); ok {
		p.rest = rest
		frac := p.digits()
		if frac == "" {
			return nil, false, errors.New("no digit after the point")
		}
		text, whole = text+"."+frac, false
	}
	if text == "" {
		return nil, false, errors.New("no digit")
	}
	if text[0] == '.' {
		text = "0" + text
	}
	x, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil, false, errors.New("no digit")
	}
	scaled, err := p.exponent(x)
	return x, whole && !scaled, err
}

// groups reads separated groups of three digits after the first one.
func (p *numberParser) groups(text string) (string, error) {
	if len(text) == 0 || len(text) > 3 {
		return text, nil
	}
	for _, sep := range separators {
		if !strings.HasPrefix(p.rest, sep) {
			continue
		}
		for {
			rest, ok := strings.CutPrefix(p.rest, sep)
			if !ok {
				return text, nil
			}
			p.rest = rest
			group := p.digits()
			if len(group) != 3 {
				return "", fmt.Errorf("%q separates groups of three digits, and here are %d", sep, len(group))
			}
			text += group
		}
	}
	return text, nil
}

func (p *numberParser) exponent(x *big.Rat) (bool, error) {
	switch {
	case strings.HasPrefix(p.rest, "e"), strings.HasPrefix(p.rest, "E"):
		p.rest = p.rest[1:]
	case p.take(`\times`), p.take("×"):
		if !p.take("10^") {
			return false, errors.New(`only 10^ may follow \times`)
		}
	default:
		return false, nil
	}
	braced := p.take("{")
	negative := p.sign()
	n, err := strconv.Atoi(p.digits())
	if err != nil || n > maxExponent {
		return false, fmt.Errorf("the exponent is missing or larger than %d", maxExponent)
	}
	if braced && !p.take("}") {
		return false, errors.New("a } is missing")
	}
	scale := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil))
	if negative {
		scale.Inv(scale)
	}
	x.Mul(x, scale)
	return true, nil
}
