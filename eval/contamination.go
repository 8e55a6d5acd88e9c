package eval

// Items that stand in training data: those that have n words in a row with a document in common, n = 13 as in the
// report on GPT-3 (Brown et al. 2020, appendix C). Words are lower-case letters and digits; what lies between them does
// not count. In scripts that put no space between words every letter counts as a word, and n is 20 for Chinese and
// Japanese, 39 for Thai, Lao, Khmer and Burmese, which 13 words take there or more. Items that are shorter than n can
// not be told and are counted as short.

import (
	"context"
	"hash/maphash"
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	wordGram  = 13
	hanGram   = 20
	thaiGram  = 39
	gramSizes = 3
)

var sizes = [gramSizes]int{wordGram, hanGram, thaiGram}

// Contamination is what was found of a set.
type Contamination struct {
	Items int      `json:"items"` // that were long enough to be looked for
	Short int      `json:"short"`
	Found int      `json:"found"`
	IDs   []string `json:"ids,omitempty"`
}

// Contaminated looks for the items of sets in documents. An item is its question and its right answer. next is true for
// a document that goes on where the one before it ended.
func Contaminated(ctx context.Context, sets []*Set, documents iter.Seq2[Text, error]) ([]Contamination, error) {
	x := newIndex(sets)
	var state rollers
	for d, err := range documents {
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !d.GoesOn {
			state = rollers{}
		}
		for w := range words(d.Text) {
			x.see(&state, x.hash(w))
		}
	}
	return x.result(sets), nil
}

// Text is a document, or a part of one.
type Text struct {
	Text   string
	GoesOn bool // it is the continuation of the one before
}

// place is an item of a set.
type place struct{ set, item int32 }

// index knows the grams of all items, by size.
type index struct {
	seed  maphash.Seed
	grams [gramSizes]map[uint64][]place
	short []int
	found map[place]bool
}

func newIndex(sets []*Set) *index {
	x := &index{seed: maphash.MakeSeed(), short: make([]int, len(sets)), found: map[place]bool{}}
	for i := range x.grams {
		x.grams[i] = map[uint64][]place{}
	}
	for s, set := range sets {
		for i := range set.Items {
			x.add(place{int32(s), int32(i)}, set.Items[i].Text)
		}
	}
	return x
}

func (x *index) hash(word string) uint64 { return maphash.String(x.seed, word) | 1 }

// add adds the grams of one item.
func (x *index) add(p place, text string) {
	var r roller
	k := gramOf(text)
	grams := x.grams[k]
	n := 0
	for w := range words(text) {
		if h, ok := r.push(x.hash(w), k); ok {
			if at := grams[h]; len(at) == 0 || at[len(at)-1] != p {
				grams[h] = append(at, p)
			}
		}
		n++
	}
	if n < sizes[k] {
		x.short[p.set]++
	}
}

// see goes on by a word of a document.
func (x *index) see(s *rollers, word uint64) {
	for k := range s {
		if len(x.grams[k]) == 0 {
			continue
		}
		if h, ok := s[k].push(word, k); ok {
			for _, p := range x.grams[k][h] {
				x.found[p] = true
			}
		}
	}
}

func (x *index) result(sets []*Set) []Contamination {
	out := make([]Contamination, len(sets))
	for s, set := range sets {
		c := &out[s]
		c.Short = x.short[s]
		c.Items = len(set.Items) - c.Short
		for i := range set.Items {
			if x.found[place{int32(s), int32(i)}] {
				c.Found++
				c.IDs = append(c.IDs, set.Items[i].ID)
			}
		}
	}
	return out
}

// roller hashes the last words, as many as a gram has: Σ word·base^age modulo 2⁶⁴.
type roller struct {
	last [thaiGram]uint64
	at   int
	n    int
	sum  uint64
}

type rollers [gramSizes]roller

const base = 0x9E3779B97F4A7C15

var powers = func() (p [gramSizes]uint64) { // base^size
	for k, n := range sizes {
		p[k] = 1
		for range n {
			p[k] *= base
		}
	}
	return p
}()

// push goes on by a word; ok says that the gram is full.
func (r *roller) push(word uint64, k int) (sum uint64, ok bool) {
	r.sum = r.sum*base + word - r.last[r.at]*powers[k]
	r.last[r.at] = word
	if r.at++; r.at == sizes[k] {
		r.at = 0
	}
	r.n++
	return r.sum, r.n >= sizes[k]
}

// gramOf says which size of gram suits a text: by the script of most of its words.
func gramOf(text string) int {
	var spaced, han, thai int
	for w := range words(text) {
		c, _ := utf8.DecodeRuneInString(w)
		switch unspaced(c) {
		case 0:
			spaced++
		case 1:
			han++
		default:
			thai++
		}
	}
	switch {
	case thai > spaced && thai > han:
		return 2
	case han > spaced:
		return 1
	}
	return 0
}

// unspaced is the place of a letter's script among the sizes, 0 where words have spaces between them.
func unspaced(c rune) int {
	switch {
	case c < 0x0E00:
		return 0
	case unicode.In(c, unicode.Han, unicode.Hiragana, unicode.Katakana):
		return 1
	case unicode.In(c, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar):
		return 2
	}
	return 0
}

// words are the words of a text in lower case.
func words(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		begin := -1
		flush := func(end int) bool {
			if begin < 0 {
				return true
			}
			w := strings.ToLower(text[begin:end])
			begin = -1
			return yield(w)
		}
		for i, c := range text {
			switch {
			case !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.IsMark(c):
				if !flush(i) {
					return
				}
			case unspaced(c) > 0:
				if !flush(i) || !unicode.IsMark(c) && !yield(string(c)) {
					return
				}
			case begin < 0:
				begin = i
			}
		}
		flush(len(text))
	}
}
