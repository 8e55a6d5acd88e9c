package jinja

// Upper, lower and title case with the full mappings of Unicode, which can give several characters for one.

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// upperSpecial and titleSpecial hold the characters whose mapping is longer than one character, each followed by it
// and a space. Source: SpecialCasing.txt of Unicode, the part without conditions.
const upperSpecial = "ßSS ŉʼN ǰJ̌ ΐΪ́ ΰΫ́ ևԵՒ ẖH̱ ẗT̈ ẘW̊ ẙY̊ ẚAʾ ὐΥ̓ ὒΥ̓̀ ὔΥ̓́ ὖΥ̓͂ " +
	"ᾶΑ͂ ῆΗ͂ ῒΪ̀ ῖΙ͂ ῗΪ͂ ῢΫ̀ ῤΡ̓ ῦΥ͂ ῧΫ͂ ῶΩ͂ ﬀFF ﬁFI ﬂFL ﬃFFI ﬄFFL ﬅST ﬆST ﬓՄՆ ﬔՄԵ ﬕՄԻ ﬖՎՆ ﬗՄԽ " +
	"ᾀἈΙ ᾁἉΙ ᾂἊΙ ᾃἋΙ ᾄἌΙ ᾅἍΙ ᾆἎΙ ᾇἏΙ ᾈἈΙ ᾉἉΙ ᾊἊΙ ᾋἋΙ ᾌἌΙ ᾍἍΙ ᾎἎΙ ᾏἏΙ " +
	"ᾐἨΙ ᾑἩΙ ᾒἪΙ ᾓἫΙ ᾔἬΙ ᾕἭΙ ᾖἮΙ ᾗἯΙ ᾘἨΙ ᾙἩΙ ᾚἪΙ ᾛἫΙ ᾜἬΙ ᾝἭΙ ᾞἮΙ ᾟἯΙ " +
	"ᾠὨΙ ᾡὩΙ ᾢὪΙ ᾣὫΙ ᾤὬΙ ᾥὭΙ ᾦὮΙ ᾧὯΙ ᾨὨΙ ᾩὩΙ ᾪὪΙ ᾫὫΙ ᾬὬΙ ᾭὭΙ ᾮὮΙ ᾯὯΙ " +
	"ᾳΑΙ ᾼΑΙ ῃΗΙ ῌΗΙ ῳΩΙ ῼΩΙ ᾲᾺΙ ᾴΆΙ ᾷΑ͂Ι ῂῊΙ ῄΉΙ ῇΗ͂Ι ῲῺΙ ῴΏΙ ῷΩ͂Ι "

const titleSpecial = "ßSs ŉʼN ǰJ̌ ΐΪ́ ΰΫ́ ևԵւ ẖH̱ ẗT̈ ẘW̊ ẙY̊ ẚAʾ ὐΥ̓ ὒΥ̓̀ ὔΥ̓́ ὖΥ̓͂ " +
	"ᾶΑ͂ ῆΗ͂ ῒΪ̀ ῖΙ͂ ῗΪ͂ ῢΫ̀ ῤΡ̓ ῦΥ͂ ῧΫ͂ ῶΩ͂ ﬀFf ﬁFi ﬂFl ﬃFfi ﬄFfl ﬅSt ﬆSt ﬓՄն ﬔՄե ﬕՄի ﬖՎն ﬗՄխ " +
	"ᾲᾺͅ ᾴΆͅ ᾷᾼ͂ ῂῊͅ ῄΉͅ ῇῌ͂ ῲῺͅ ῴΏͅ ῷῼ͂ "

// special looks one character up in upperSpecial or titleSpecial.
func special(table string, c rune) (string, bool) {
	if c < 0xdf {
		return "", false
	}
	key := string(c)
	for at := 0; ; {
		i := strings.Index(table[at:], key)
		if i < 0 {
			return "", false
		}
		i += at
		if i == 0 || table[i-1] == ' ' {
			mapped, _, _ := strings.Cut(table[i+len(key):], " ")
			return mapped, true
		}
		at = i + len(key)
	}
}

func upper(s string) string { return mapped(s, upperSpecial, unicode.ToUpper) }

func mapped(s, table string, simple func(rune) rune) string {
	var b strings.Builder
	for _, c := range s {
		if m, ok := special(table, c); ok {
			b.WriteString(m)
		} else {
			b.WriteRune(simple(c))
		}
	}
	return b.String()
}

// lower gives final sigmas their own form, as Python does.
func lower(s string) string {
	var b strings.Builder
	for i, c := range s {
		switch {
		case c == 'İ':
			b.WriteString("i̇")
		case c == 'Σ' && finalSigma(s, i):
			b.WriteRune('ς')
		default:
			b.WriteRune(unicode.ToLower(c))
		}
	}
	return b.String()
}

// finalSigma reports that the sigma at byte i ends a word: a letter before it and none after, marks left out.
func finalSigma(s string, i int) bool {
	ignorable := func(c rune) bool {
		return unicode.IsMark(c) || unicode.In(c, unicode.Lm, unicode.Sk, unicode.Cf) || strings.ContainsRune("'.:·’", c)
	}
	cased := func(c rune) bool { return isLower(c) || isUpper(c) || unicode.IsTitle(c) }
	before := strings.TrimRightFunc(s[:i], ignorable)
	after := strings.TrimLeftFunc(s[i+len("Σ"):], ignorable)
	last, _ := utf8.DecodeLastRuneInString(before)
	next, _ := utf8.DecodeRuneInString(after)
	return before != "" && cased(last) && !(after != "" && cased(next))
}

// titleFirst gives the first character in title case and the rest in lower case.
func titleFirst(s string) string {
	if s == "" {
		return ""
	}
	n := runeLen(s)
	return mapped(s[:n], titleSpecial, unicode.ToTitle) + lower(s)[len(lower(s[:n])):]
}

// cased applies one of the methods of str that change case.
func cased(name, s string) string {
	switch name {
	case "upper":
		return upper(s)
	case "lower":
		return lower(s)
	case "casefold":
		return strings.ReplaceAll(strings.ReplaceAll(lower(s), "ß", "ss"), "ς", "σ")
	case "capitalize":
		return titleFirst(s)
	case "swapcase":
		var b strings.Builder
		for _, c := range s {
			switch {
			case isUpper(c):
				b.WriteString(lower(string(c)))
			case isLower(c):
				b.WriteString(upper(string(c)))
			default:
				b.WriteRune(c)
			}
		}
		return b.String()
	}
	// title: every run of cased characters begins in title case
	var b strings.Builder
	from := -1
	for i, c := range s {
		if isLower(c) || isUpper(c) || unicode.IsTitle(c) {
			if from < 0 {
				from = i
			}
			continue
		}
		if from >= 0 {
			b.WriteString(titleFirst(s[from:i]))
			from = -1
		}
		b.WriteRune(c)
	}
	if from >= 0 {
		b.WriteString(titleFirst(s[from:]))
	}
	return b.String()
}
