package grammar

// Strings of a schema, and the check of values that enum and const list.

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// formats are the formats of strings that are enforced, as regular expressions. They are narrower than the standards
// where these are loose: what they accept is accepted by all readers.
var formats = map[string]string{
	"date":      day,
	"time":      clock,
	"date-time": day + "T" + clock,
	"duration":  `P([0-9]{1,4}W|([0-9]{1,4}Y)?([0-9]{1,4}M)?[0-9]{1,4}D(T[0-9]{1,4}H)?|T([0-9]{1,4}H)?([0-9]{1,4}M)?[0-9]{1,4}S)`,
	"email":     `[A-Za-z0-9_+-]{1,32}(\.[A-Za-z0-9_+-]{1,32})?@` + host + `\.[A-Za-z]{2,24}`,
	"hostname":  host,
	"ipv4":      `(` + octet + `\.){3}` + octet,
	"ipv6":      `([0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}|([0-9A-Fa-f]{1,4}:){1,6}(:[0-9A-Fa-f]{1,4})|::1|::`,
	"uuid":      `[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}`,
	"uri":       `[a-z][a-z0-9+.-]{0,15}://` + host + `(:[0-9]{1,4})?(/[A-Za-z0-9._~!$&'()*+,;=:@-]{0,64}){0,16}(\?[A-Za-z0-9._~!$&'()*+,;=:@/?-]{0,256})?(#[A-Za-z0-9._~!$&'()*+,;=:@/?-]{0,64})?`,
}

const (
	day   = `(?:[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|` + leap + `)`
	leap  = `(?:([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)`
	clock = `([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])`
	label = `[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?`
	host  = label + `(\.` + label + `){0,3}`
	octet = `(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])`
)

// text writes strings.
func (s *schemas) text(plain []*jsonValue, _ types, _ int) (*expr, error) {
	least, most, err := counts(plain, "minLength", "maxLength")
	if err != nil {
		return nil, err
	}
	var inside *expr
	var holder *jsonValue
	var from string // the keyword and its value
	for _, v := range plain {
		for _, key := range [...]string{"pattern", "format"} {
			x := v.get(key)
			if x == nil {
				continue
			}
			if x.kind != stringValue {
				return nil, wrong(v, key, "it is a string, not %s", x.kind)
			}
			e, err := s.shaped(v, key, x.text)
			if err != nil {
				return nil, err
			}
			if e == nil || key+x.text == from {
				continue
			}
			if inside != nil {
				if err := s.unsupported(v, key, "a second pattern or format for the same string is not supported: join them in one"); err != nil {
					return nil, err
				}
				continue
			}
			inside, holder, from = e, v, key+x.text
		}
	}
	switch {
	case most >= 0 && least > most:
		return never(), nil
	case inside == nil && least == 0 && most < 0:
		return s.j.text, nil
	case inside == nil:
		return seq(lit(`"`), times(jsonChar(), least, most), lit(`"`)), nil
	case least > 0 || most >= 0:
		if err := s.unsupported(holder, "", "a length beside a pattern or format is not supported: write the length into the pattern"); err != nil {
			return nil, err
		}
	}
	return seq(lit(`"`), inside, lit(`"`)), nil
}

// shaped is what a pattern or format leaves between quotation marks, nil if nothing is enforced.
func (s *schemas) shaped(v *jsonValue, key, x string) (*expr, error) {
	at, pad := ends{true, true}, ends{true, true}
	if key == "format" {
		f, known := formats[x]
		if !known {
			return nil, s.unsupported(v, key, "format %q is not supported: there are date, time, date-time, duration, email, hostname, ipv4, ipv6, uuid and uri", quoted(x))
		}
		x, pad = f, ends{}
	}
	re, err := parsePattern(ecma(x))
	var e *expr
	if err == nil {
		e, err = regexpExpr(anchored(re, at, pad), jsonRunes, 0)
	}
	if err != nil {
		return nil, s.unsupported(v, key, "%q cannot be used: %v", quoted(x), err)
	}
	return e, nil
}

// ecma rewrites what JavaScript writes otherwise than RE2: \uXXXX and \cX.
func ecma(re string) string {
	if !strings.Contains(re, `\`) {
		return re
	}
	var b strings.Builder
	for i := 0; i < len(re); i++ {
		switch {
		case re[i] != '\\' || i+1 == len(re):
			b.WriteByte(re[i])
		case re[i+1] == 'u' && i+6 <= len(re) && isHex(re[i+2:i+6]):
			b.WriteString(`\x{` + re[i+2:i+6] + `}`)
			i += 5
		default:
			b.WriteString(re[i : i+2])
			i++
		}
	}
	return b.String()
}

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

// allows says whether a value satisfies the plain keywords, enum and const aside.
func (s *schemas) allows(plain []*jsonValue, allowed types, x *jsonValue) (bool, error) {
	t := map[valueKind]types{objectValue: objectType, arrayValue: arrayType, stringValue: stringType, trueValue: booleanType, falseValue: booleanType, nullValue: nullType}[x.kind]
	if x.kind == numberValue {
		d, err := parseDecimal(x.text)
		if err != nil {
			return false, &SchemaError{x.pointer, err.Error()}
		}
		if t = integerType; d.fraction != "" {
			t = fractionType
		}
	}
	if allowed&t == 0 {
		return false, nil
	}
	for _, v := range plain {
		for _, key := range v.keys {
			if about[key]&t == 0 {
				continue
			}
			if t == objectType || t == arrayType {
				return false, wrong(v, key, "it is not supported beside an enum or const that lists %s", x.kind)
			}
		}
	}
	switch t {
	case stringType:
		return s.allowsText(plain, x.text)
	case integerType, fractionType:
		return allowsNumber(plain, x.text)
	}
	return true, nil
}

func (s *schemas) allowsText(plain []*jsonValue, text string) (bool, error) {
	least, most, err := counts(plain, "minLength", "maxLength")
	n := utf8.RuneCountInString(text)
	if err != nil || n < least || most >= 0 && n > most {
		return false, err
	}
	for _, v := range plain {
		for _, key := range [...]string{"pattern", "format"} {
			x := v.get(key)
			if x == nil {
				continue
			}
			re := ecma(x.text)
			if key == "format" {
				f, known := formats[x.text]
				if !known {
					continue
				}
				re = `^(?:` + f + `)$`
			}
			c, err := regexp.Compile(re)
			if err != nil || x.kind != stringValue || len(re) > maxPattern {
				return false, wrong(v, key, "%q cannot be used: %v", quoted(x.text), err)
			}
			if !c.MatchString(text) {
				return false, nil
			}
		}
	}
	return true, nil
}
