package tokenizer

// The pre-tokenizers of the first generations: deepseek-llm (LLM, Math, MoE-16B, V2, V2.5, Coder-V2) and deepseek-coder
// (Coder v1). Stages are applied in sequence, each to the pieces of the one before, matches and gaps both kept:
//
//	          deepseek-llm                         deepseek-coder
//	newlines  [\r\n]                               [\r\n]
//	words     \s?[A-Za-zµÀ-ÖØ-ö…]+  cased letters  \s?\p{L}+
//	signs     \s?[!-/:-~！-／：-～‘-‟　-。]+        \s?\p{P}+
//	tails     \s+$
//	wide      [一-龥ࠀ-一가-퟿]+                      the same
//	digits    each number alone                    the same
//
// One pass does them all. A stage also cuts what earlier stages matched, and three cuts are less plain than they look:
// the signs of deepseek-llm hold the letters A to Z (the range :-~ does), so "été" is three pieces; wide holds white
// space (U+1680, U+2000 to U+200A and others), so a word is torn from such a space; and the ideographic space U+3000 is
// white space, a sign and wide at once.
//
// What neither words nor signs match is a gap, whole with the white space inside: "ع 1" is "ع " and "1".
//
// Source: the tokenizer.json of deepseek-llm-7b-base and deepseek-coder-6.7b-base.

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// Class bits of the staged pre-tokenizers; newline, space and number are those of classes.
const (
	stagedWord = 1 << iota
	stagedSign
	stagedWide
	stagedSpace
	stagedNewline
	stagedNumber
)

// staged is one of the two pre-tokenizers: the bits of every code point, and whether it has the stage "tails".
type staged struct {
	bits  [unicode.MaxRune + 1]uint8
	tails bool
}

var (
	deepseekLLMStages   = sync.OnceValue(func() *staged { return newStaged(true) })
	deepseekCoderStages = sync.OnceValue(func() *staged { return newStaged(false) })
)

func newStaged(llm bool) *staged {
	t := &staged{tails: llm}
	for r, k := range unicodeClasses() {
		for _, b := range [...]struct{ from, to uint8 }{
			{space, stagedSpace}, {newline, stagedNewline}, {number, stagedNumber}} {
			if k&b.from != 0 {
				t.bits[r] |= b.to
			}
		}
		if !llm && k&letter != 0 {
			t.bits[r] |= stagedWord
		}
		if !llm && k&punct != 0 && isPunctuation(rune(r)) {
			t.bits[r] |= stagedSign
		}
	}
	mark := func(bit uint8, ranges [][2]rune) {
		for _, a := range ranges {
			for r := a[0]; r <= a[1]; r++ {
				t.bits[r] |= bit
			}
		}
	}
	mark(stagedWide, wideRanges)
	if llm {
		mark(stagedWord, casedLetters)
		mark(stagedSign, llmSigns)
	}
	return t
}

// isPunctuation is \p{P} of Unicode 16; classes do not hold it apart from \p{S}.
func isPunctuation(r rune) bool {
	for _, a := range punctuation16 {
		if r >= a[0] && r <= a[1] {
			return true
		}
	}
	return unicode.Is(unicode.P, r)
}

func (t *staged) at(s string, i int) (bits uint8, width int) {
	if b := s[i]; b < utf8.RuneSelf {
		return t.bits[b], 1
	}
	r, w := utf8.DecodeRuneInString(s[i:])
	return t.bits[r], w
}

// next gives the end of the piece that starts at s[i].
func (t *staged) next(s string, i int) int {
	k, w := t.at(s, i)
	j := i + w
	switch {
	case k&(stagedNewline|stagedNumber) != 0:
		return j
	case k&stagedWord != 0:
		return t.word(s, j, k)
	case k&stagedSpace != 0 && j < len(s):
		n, nw := t.at(s, j)
		if n&stagedWord != 0 {
			if k&stagedSign != 0 || (k^n)&stagedWide != 0 {
				return j
			}
			return t.word(s, j+nw, n)
		}
		if k&stagedSign == 0 && t.isSign(s, j) {
			if (k^n)&stagedWide != 0 {
				return j
			}
			return t.signs(s, i, j)
		}
	}
	if k&stagedSign != 0 {
		return t.signs(s, i, i)
	}
	return t.gap(s, i)
}

// word ends a run of letters, the first of which has the bits k; i is after it.
func (t *staged) word(s string, i int, k uint8) int {
	const same = stagedWord | stagedSign | stagedWide
	for i < len(s) {
		n, w := t.at(s, i)
		if n&same != k&same {
			break
		}
		i += w
	}
	return i
}

// isSign tells whether the stage "signs" sees a sign at i: letters were taken by "words", and so was a white space that
// a letter follows.
func (t *staged) isSign(s string, i int) bool {
	k, w := t.at(s, i)
	return k&(stagedSign|stagedWord) == stagedSign && !t.leadsWord(s, k, i+w)
}

// leadsWord tells whether a character of bits k is the white space before the word at i.
func (t *staged) leadsWord(s string, k uint8, i int) bool {
	if k&stagedSpace == 0 || i >= len(s) {
		return false
	}
	n, _ := t.at(s, i)
	return n&stagedWord != 0
}

// signs ends the piece from i whose signs start at j: up to a change of width. White space at its end, which only
// U+3000 can be, is cut off by "tails".
func (t *staged) signs(s string, i, j int) int {
	first, _ := t.at(s, j)
	solid, tail := false, -1
	for j < len(s) && t.isSign(s, j) {
		k, w := t.at(s, j)
		if (k^first)&stagedWide != 0 {
			return j
		}
		if k&stagedSpace == 0 {
			solid, tail = true, -1
		} else if solid && tail < 0 {
			tail = j
		}
		j += w
	}
	if t.tails && tail >= 0 {
		return tail
	}
	return j
}

// gap ends a piece from i of what is neither word nor sign: up to a change of width, a number, or white space that ends
// the gap.
func (t *staged) gap(s string, i int) int {
	first, _ := t.at(s, i)
	solid, tail, j := false, -1, i
	for j < len(s) && !t.endsGap(s, j) {
		k, w := t.at(s, j)
		if k&stagedNumber != 0 {
			return j
		}
		if (k^first)&stagedWide != 0 {
			if t.tails && tail >= 0 && t.blankToEnd(s, j) {
				return tail
			}
			return j
		}
		if k&stagedSpace == 0 {
			solid, tail = true, -1
		} else if solid && tail < 0 {
			tail = j
		}
		j += w
	}
	if t.tails && tail >= 0 {
		return tail
	}
	return j
}

// endsGap tells whether a gap ends before the character at i: a newline, a word or a sign, or white space before one.
func (t *staged) endsGap(s string, i int) bool {
	k, w := t.at(s, i)
	if k&(stagedNewline|stagedWord|stagedSign) != 0 {
		return true
	}
	return k&stagedSpace != 0 && i+w < len(s) && (t.leadsWord(s, k, i+w) || t.isSign(s, i+w))
}

// blankToEnd tells whether nothing but white space stands between i and the end of the gap.
func (t *staged) blankToEnd(s string, i int) bool {
	for i < len(s) && !t.endsGap(s, i) {
		k, w := t.at(s, i)
		if k&stagedSpace == 0 {
			return false
		}
		i += w
	}
	return true
}
