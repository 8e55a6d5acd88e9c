package tokenizer

// Added tokens: found in a text before it is cut into pieces, leftmost first, the longest of those.
//
// Tokens that are not "normalized" are looked for in the text as it came; the others in what is left between them, after
// normalisation. The order matters: a token of the first kind wins over one of the second that begins before it. The
// rules for single_word, lstrip and rstrip are those of `tokenizers`.

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// matcher finds a set of added tokens: a trie over their bytes.
type matcher struct {
	tokens []AddedToken
	edges  map[uint64]uint32 // node<<8 | byte to node; 0 is the root
	ends   map[uint32]int    // node to index in tokens
	first  [256]bool
	lone   int // the only first byte, -1 when there are several
}

// newMatchers makes the matchers of the tokens that keep says yes to; nil where there are none.
func newMatchers(added []AddedToken, normalise bool, keep func(*AddedToken) bool) (raw, normal *matcher) {
	for _, a := range added {
		if !keep(&a) {
			continue
		}
		m := &raw
		if a.Normalized {
			m = &normal
			if normalise {
				a.Content = nfc(a.Content)
			}
		}
		if *m == nil {
			*m = &matcher{edges: map[uint64]uint32{}, ends: map[uint32]int{}, lone: -1}
		}
		(*m).add(a)
	}
	return raw, normal
}

func (m *matcher) add(a AddedToken) {
	if b := a.Content[0]; !m.first[b] {
		m.first[b] = true
		if m.lone = int(b); len(m.tokens) > 0 {
			m.lone = -1
		}
	}
	node := uint32(0)
	for i := 0; i < len(a.Content); i++ {
		key := uint64(node)<<8 | uint64(a.Content[i])
		to, ok := m.edges[key]
		if !ok {
			to = uint32(len(m.edges) + 1)
			m.edges[key] = to
		}
		node = to
	}
	if _, taken := m.ends[node]; !taken {
		m.ends[node] = len(m.tokens)
	}
	m.tokens = append(m.tokens, a)
}

// find gives the first match that begins at from or later, and the longest there.
func (m *matcher) find(s string, from int) (start, end int, token *AddedToken) {
	for i := from; i < len(s); i++ {
		if m.lone >= 0 {
			skip := strings.IndexByte(s[i:], byte(m.lone))
			if skip < 0 {
				break
			}
			i += skip
		} else if !m.first[s[i]] {
			continue
		}
		node := uint32(0)
		for j := i; j < len(s); {
			to, ok := m.edges[uint64(node)<<8|uint64(s[j])]
			if !ok {
				break
			}
			node = to
			j++
			if t, ok := m.ends[node]; ok {
				end, token = j, &m.tokens[t]
			}
		}
		if token != nil {
			return i, end, token
		}
	}
	return 0, 0, nil
}

// cuts walks the matches of a text.
type cuts struct {
	m    *matcher
	text string
	from int // where the next match may begin
	done int // end of what was given out

	ranges   []trustRange // of the text; nil when all of it is trusted
	harmless *matcher     // matches where it is not
	start    int          // of ranges[0]
}

// find gives the next match: of m in trusted text, of harmless elsewhere. Either may be nil.
func (c *cuts) find() (start, end int, token *AddedToken) {
	if c.ranges == nil {
		return c.m.find(c.text, c.from)
	}
	for len(c.ranges) > 0 {
		r, m := c.ranges[0], c.m
		if !r.trusted {
			m = c.harmless
		}
		if m != nil && c.from < r.end {
			if start, end, token = m.find(c.text[:r.end], max(c.from, c.start)); token != nil {
				return start, end, token
			}
		}
		c.start = r.end
		c.ranges = c.ranges[1:]
	}
	return 0, 0, nil
}

// next gives the text before the next match, and the token matched; nil with the text that remains when there is none.
func (c *cuts) next() (before string, token *AddedToken) {
	for {
		start, end, a := c.find()
		if a == nil {
			return c.text[min(c.done, len(c.text)):], nil
		}
		c.from = end
		if a.SingleWord && (endsInWord(c.text[:start]) || beginsWithWord(c.text[end:])) {
			continue
		}
		if a.LStrip {
			start = max(len(strings.TrimRightFunc(c.text[:start], unicode.IsSpace)), c.done)
		}
		if a.RStrip {
			end = len(c.text) - len(strings.TrimLeftFunc(c.text[end:], unicode.IsSpace))
		}
		if c.done < start {
			before = c.text[c.done:start]
		}
		c.done = end
		return before, a
	}
}

func endsInWord(s string) bool {
	r, w := utf8.DecodeLastRuneInString(s)
	return w > 0 && isWord(r)
}

func beginsWithWord(s string) bool {
	r, w := utf8.DecodeRuneInString(s)
	return w > 0 && isWord(r)
}

// isWord is \w of Unicode Technical Standard 18.
func isWord(r rune) bool {
	return unicodeClasses()[r]&(letter|mark) != 0 ||
		unicode.In(r, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control)
}
