package tokenizer

// The deepseek-v3 pre-tokenizer: V3, R1, V3.1, V3.2, V4 and the models made here.
//
// Three expressions, each applied to the pieces of the one before, matches and gaps both kept:
//
//	1  \p{N}{1,3}
//	2  [一-龥぀-ゟ゠-ヿ]+
//	3  [!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+
//	   |[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
//
// A vowel sign or tone mark (\p{M}) stays with its letters, so Thai, Khmer, Burmese and Indic words are not torn.
//
// One pass does the three: a number is stage 1; a change between stage 2's characters and others, or a number, ends the
// text that stage 3 sees. Source: the tokenizer.json of DeepSeek-V3.

// nextV3 gives the end of the piece that starts at s[i].
func (c *classes) nextV3(s string, i int) int {
	k, w := c.at(s, i)
	if k&number != 0 {
		return c.digits(s, i+w, 2)
	}
	const segment = han | number
	in := k & han // bits under segment of every character that stage 3 sees beside this one
	if k&punct != 0 && w == 1 && s[i] < 0x80 {
		j := i + 1
		for j < len(s) && isASCIILetter(s[j]) {
			j++
		}
		if j > i+1 {
			return j
		}
	}
	if k&(letter|mark) != 0 {
		return c.run(s, i+w, letter|mark, segment, in)
	}
	if k&punct != 0 {
		return c.punctuation(s, i+w, in)
	}
	if i+w < len(s) {
		next, nw := c.at(s, i+w)
		if next&segment == in {
			if next&(letter|mark) != 0 && k&newline == 0 {
				return c.run(s, i+w+nw, letter|mark, segment, in)
			}
			if next&punct != 0 && s[i] == ' ' {
				return c.punctuation(s, i+w+nw, in)
			}
		}
	}
	if k&space != 0 {
		return c.spaces(s, i, true, segment)
	}
	return c.gapV3(s, i+w, in)
}

// punctuation ends [\p{P}\p{S}]+[\r\n]* whose first character ends at i.
func (c *classes) punctuation(s string, i int, in uint8) int {
	i = c.run(s, i, punct, han|number, in)
	if in == 0 {
		for i < len(s) && (s[i] == '\r' || s[i] == '\n') {
			i++
		}
	}
	return i
}

// gapV3 ends a run of characters that stage 3 does not match (controls, format characters, unassigned), the first of
// which ends at i: up to the next match, which may begin with such a character when a letter follows it.
func (c *classes) gapV3(s string, i int, in uint8) int {
	for i < len(s) {
		k, w := c.at(s, i)
		if k&(han|number) != in || k&(letter|mark|punct|space) != 0 {
			return i
		}
		if i+w < len(s) {
			if next, _ := c.at(s, i+w); next&(han|number) == in && next&(letter|mark) != 0 {
				return i
			}
		}
		i += w
	}
	return i
}

// digits ends a run of numbers of at most n more.
func (c *classes) digits(s string, i, n int) int {
	for ; n > 0 && i < len(s); n-- {
		k, w := c.at(s, i)
		if k&number == 0 {
			break
		}
		i += w
	}
	return i
}

func isASCIILetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }
