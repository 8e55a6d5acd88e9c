package tokenizer

// Normalisation form C, which Qwen's tokenizers ask for.
//
// golang.org/x/text does it, but for one thing: it breaks up more than 30 combining marks in a row with U+034F (the
// stream-safe form), and `tokenizers` does not. Texts with such runs go through the definition, step by step.
// Source: Unicode Standard Annex 15.

import (
	"slices"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// nfc gives s in normalisation form C: s itself where it is that already, which most text is.
func nfc(s string) string {
	if norm.NFC.IsNormalString(s) {
		return s
	}
	if longestMarks(s) <= 8 { // each may decompose to three
		return norm.NFC.String(s)
	}
	return nfcByDefinition(s)
}

// longestMarks counts the longest run of characters that decompose to something that begins with a combining mark.
func longestMarks(s string) (longest int) {
	run := 0
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			run = 0
			i++
			continue
		}
		p := norm.NFD.PropertiesString(s[i:])
		if p.LeadCCC() == 0 {
			run = 0
		} else if run++; run > longest {
			longest = run
		}
		i += max(p.Size(), 1)
	}
	return longest
}

// nfcByDefinition decomposes, sorts marks by combining class, and composes.
func nfcByDefinition(s string) string {
	type char struct {
		r     rune
		class uint8
	}
	var text []char
	add := func(s string) {
		for i, r := range s {
			text = append(text, char{r, norm.NFD.PropertiesString(s[i:]).CCC()})
		}
	}
	for i := 0; i < len(s); {
		_, w := utf8.DecodeRuneInString(s[i:])
		if d := norm.NFD.PropertiesString(s[i:]).Decomposition(); d != nil {
			add(string(d))
		} else {
			add(s[i : i+w])
		}
		i += w
	}
	for i := 0; i < len(text); {
		j := i
		for j < len(text) && text[j].class != 0 {
			j++
		}
		slices.SortStableFunc(text[i:j], func(a, b char) int { return int(a.class) - int(b.class) })
		i = max(j, i+1)
	}
	var out []char
	starter := -1 // in out
	for _, c := range text {
		if starter >= 0 {
			// c is blocked when something between it and the starter has no lower class.
			last := out[len(out)-1]
			adjacent := len(out)-1 == starter
			if adjacent || last.class != 0 && last.class < c.class {
				if r, ok := compose(out[starter].r, c.r); ok {
					out[starter].r = r
					continue
				}
			}
		}
		if c.class == 0 {
			starter = len(out)
		}
		out = append(out, c)
	}
	var b []byte
	for _, c := range out {
		b = utf8.AppendRune(b, c.r)
	}
	return string(b)
}

// compose gives the primary composite of two characters.
func compose(a, b rune) (rune, bool) {
	pair := append(utf8.AppendRune(nil, a), string(b)...)
	joined := norm.NFC.Bytes(pair)
	r, w := utf8.DecodeRune(joined)
	return r, w == len(joined)
}
