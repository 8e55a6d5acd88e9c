package tokenizer

// The pre-tokenizers of one expression: GPT-2, Llama 3 and Qwen; and SmolLM's, GPT-2's after a stage \p{N}.
//
//	gpt-2      's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//	llama-bpe  (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
//	qwen2      the same with \p{N}
//
// Every character is matched, so there are no gaps. Source: the tokenizer.json of Llama 3 and Qwen 2; openai/gpt-2, encoder.py.

// nextGPT2 gives the end of the piece that starts at s[i]. With digits 1 numbers were cut out one by one before, and are
// ends of texts; else digits is as many as there may be.
func (c *classes) nextGPT2(s string, i, digits int) int {
	if j := contraction(s, i, false); j > i {
		return j
	}
	k, w := c.at(s, i)
	first, j, end := k, i+w, uint8(0)
	if digits == 1 {
		end = number
	}
	if s[i] == ' ' && j < len(s) {
		if next, nw := c.at(s, j); next&(space|end) == 0 {
			first, j = next, j+nw
		}
	}
	switch {
	case first&letter != 0:
		return c.run(s, j, letter, 0, 0)
	case first&number != 0:
		return c.digits(s, j, digits-1)
	case first&space == 0:
		return c.others(s, j)
	}
	return c.spaces(s, i, false, end)
}

// nextLlama gives the end of the piece that starts at s[i]; digits is how many numbers one piece may hold.
func (c *classes) nextLlama(s string, i, digits int) int {
	if j := contraction(s, i, true); j > i {
		return j
	}
	k, w := c.at(s, i)
	switch {
	case k&letter != 0:
		return c.run(s, i+w, letter, 0, 0)
	case k&number != 0:
		return c.digits(s, i+w, digits-1)
	}
	j, other := i+w, k&space == 0
	if j < len(s) {
		next, nw := c.at(s, j)
		if next&letter != 0 && k&newline == 0 {
			return c.run(s, j+nw, letter, 0, 0)
		}
		if s[i] == ' ' && next&(space|letter|number) == 0 {
			j, other = j+nw, true
		}
	}
	if !other {
		return c.spaces(s, i, true, 0)
	}
	j = c.others(s, j)
	for j < len(s) && (s[j] == '\r' || s[j] == '\n') {
		j++
	}
	return j
}

// others ends a run of [^\s\p{L}\p{N}].
func (c *classes) others(s string, i int) int {
	for i < len(s) {
		k, w := c.at(s, i)
		if k&(space|letter|number) != 0 {
			break
		}
		i += w
	}
	return i
}

// contraction gives the end of 's 't 're 've 'm 'll 'd at i, or i. Folding case, the long s (U+017F) is an s.
func contraction(s string, i int, fold bool) int {
	if s[i] != '\'' || i+1 >= len(s) {
		return i
	}
	lower := func(b byte) byte {
		if fold && b >= 'A' && b <= 'Z' {
			return b + 'a' - 'A'
		}
		return b
	}
	switch b := lower(s[i+1]); b {
	case 's', 't', 'm', 'd':
		return i + 2
	case 'r', 'v', 'l':
		want := byte('e')
		if b == 'l' {
			want = 'l'
		}
		if i+2 < len(s) && lower(s[i+2]) == want {
			return i + 3
		}
	case 0xC5:
		if fold && i+2 < len(s) && s[i+2] == 0xBF {
			return i + 3
		}
	}
	return i
}
