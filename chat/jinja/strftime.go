package jinja

// strftime_now: the C library's strftime in its default locale.

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

func (r *renderer) strftime(format string) string {
	var b strings.Builder
	for i := 0; i < len(format); {
		r.step(1)
		k := strings.IndexByte(format[i:], '%')
		if k < 0 || i+k+1 >= len(format) {
			b.WriteString(format[i:])
			break
		}
		b.WriteString(format[i : i+k])
		from := i + k
		i = from + 1
		flag := byte(0)
		for i < len(format)-1 && strings.IndexByte("-_0^#", format[i]) >= 0 {
			flag = format[i]
			i++
		}
		verb, n := utf8.DecodeRuneInString(format[i:])
		i += n
		s, ok := r.dateField(verb, flag)
		if !ok {
			s = format[from:i]
		}
		b.WriteString(s)
	}
	r.allocate(b.Len())
	return b.String()
}

// dateField writes one field; flag is 0 or one of - (no padding), _ (spaces), 0 (zeros), ^ and # (upper case).
func (r *renderer) dateField(verb rune, flag byte) (string, bool) {
	t := r.o.Now
	number := func(n, width int, pad byte) string {
		switch flag {
		case '-':
			return strconv.Itoa(n)
		case '_':
			pad = ' '
		case '0':
			pad = '0'
		}
		s := strconv.Itoa(n)
		return strings.Repeat(string(pad), max(0, width-len(s))) + s
	}
	name := func(layout string) string {
		s := t.Format(layout)
		if flag == '^' || flag == '#' {
			s = strings.ToUpper(s)
		}
		return s
	}
	hour12 := (t.Hour()+11)%12 + 1
	isoYear, isoWeek := t.ISOWeek()
	switch verb {
	case 'a':
		return name("Mon"), true
	case 'A':
		return name("Monday"), true
	case 'b', 'h':
		return name("Jan"), true
	case 'B':
		return name("January"), true
	case 'p':
		if flag == '#' {
			return t.Format("pm"), true
		}
		return t.Format("PM"), true
	case 'P':
		return name("pm"), true
	case 'd':
		return number(t.Day(), 2, '0'), true
	case 'e':
		return number(t.Day(), 2, ' '), true
	case 'm':
		return number(int(t.Month()), 2, '0'), true
	case 'y':
		return number(t.Year()%100, 2, '0'), true
	case 'Y':
		return number(t.Year(), 1, '0'), true
	case 'C':
		return number(t.Year()/100, 2, '0'), true
	case 'G':
		return number(isoYear, 1, '0'), true
	case 'g':
		return number(isoYear%100, 2, '0'), true
	case 'V':
		return number(isoWeek, 2, '0'), true
	case 'H':
		return number(t.Hour(), 2, '0'), true
	case 'k':
		return number(t.Hour(), 2, ' '), true
	case 'I':
		return number(hour12, 2, '0'), true
	case 'l':
		return number(hour12, 2, ' '), true
	case 'M':
		return number(t.Minute(), 2, '0'), true
	case 'S':
		return number(t.Second(), 2, '0'), true
	case 'f':
		return fmt.Sprintf("%06d", t.Nanosecond()/1000), true
	case 'j':
		return number(t.YearDay(), 3, '0'), true
	case 'u':
		return number((int(t.Weekday())+6)%7+1, 1, '0'), true
	case 'w':
		return number(int(t.Weekday()), 1, '0'), true
	case 'U':
		return number((t.YearDay()+6-int(t.Weekday()))/7, 2, '0'), true
	case 'W':
		return number((t.YearDay()+6-(int(t.Weekday())+6)%7)/7, 2, '0'), true
	case 's':
		return strconv.FormatInt(t.Unix(), 10), true
	case 'z', 'Z': // the time that Python formats has no zone
		return "", true
	case 'c':
		return t.Format("Mon Jan _2 15:04:05 2006"), true
	case 'D', 'x':
		return t.Format("01/02/06"), true
	case 'F':
		return t.Format("2006-01-02"), true
	case 'R':
		return t.Format("15:04"), true
	case 'r':
		return t.Format("03:04:05 PM"), true
	case 'T', 'X':
		return t.Format("15:04:05"), true
	case 'n':
		return "\n", true
	case 't':
		return "\t", true
	case '%':
		return "%", true
	}
	return "", false
}
