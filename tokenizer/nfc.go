package tokenizer

// Normalisation form C, which Qwen's tokenizers ask for.
//
// golang.org/x/text does it, with two differences from `tokenizers`. It breaks up more than 30 combining marks in a row
// with U+034F (the stream-safe form): texts with such runs go through the definition, step by step. And it knows marks
// that `tokenizers`, whose tables are those of Unicode 9, takes for letters that combine with nothing.
// Source: Unicode Standard Annex 15.

import (
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// nfc gives s in normalisation form C: s itself where it is that already, which most text is.
func nfc(s string) string {
	if norm.NFC.IsNormalString(s) {
		return s
	}
	var b strings.Builder
	done := 0
	for i, r := range s {
		if r >= laterMarks[0].lo && isLaterMark(r) {
			b.WriteString(nfcOf(s[done:i]))
			b.WriteRune(r)
			done = i + utf8.RuneLen(r)
		}
	}
	if done == 0 {
		return nfcOf(s)
	}
	b.WriteString(nfcOf(s[done:]))
	return b.String()
}

// nfcOf normalises a text without later marks.
func nfcOf(s string) string {
	if longestMarks(s) <= 8 { // each may decompose to three
		return norm.NFC.String(s)
	}
	return nfcByDefinition(s)
}

// laterMarks are the combining marks that came after Unicode 9, in order.
var laterMarks = [...]struct{ lo, hi rune }{
	{0x7FD, 0x7FD}, {0x898, 0x89F}, {0x8CA, 0x8D3}, {0x9FE, 0x9FE}, {0xC3C, 0xC3C}, {0xD3B, 0xD3C}, {0xEBA, 0xEBA},
	{0xECE, 0xECE}, {0x1715, 0x1715}, {0x1ABF, 0x1ACE}, {0x1DF6, 0x1DFA}, {0xA82C, 0xA82C}, {0x10D24, 0x10D27},
	{0x10EAB, 0x10EAC}, {0x10EFD, 0x10EFF}, {0x10F46, 0x10F50}, {0x10F82, 0x10F85}, {0x11070, 0x11070},
	{0x1133B, 0x1133B}, {0x1145E, 0x1145E}, {0x11839, 0x1183A}, {0x11930, 0x11930}, {0x1193D, 0x1193E},
	{0x11943, 0x11943}, {0x119E0, 0x119E0}, {0x11A34, 0x11A34}, {0x11A47, 0x11A47}, {0x11A99, 0x11A99},
	{0x11D42, 0x11D42}, {0x11D44, 0x11D45}, {0x11D97, 0x11D97}, {0x11F41, 0x11F42}, {0x16FF0, 0x16FF1},
	{0x1E08F, 0x1E08F}, {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF},
}

func isLaterMark(r rune) bool {
	i, _ := slices.BinarySearchFunc(laterMarks[:], r, func(m struct{ lo, hi rune }, r rune) int { return int(m.hi - r) })
	return i < len(laterMarks) && laterMarks[i].lo <= r
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
