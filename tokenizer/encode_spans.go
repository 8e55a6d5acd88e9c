package tokenizer

// The path to ids of a text that is partly trusted, as a prompt is: the frame is ours, the words are a stranger's.

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Span is a part of a text.
type Span struct {
	Text    string
	Trusted bool // its added tokens are matched; elsewhere their spelling is text like any other
}

// EncodeSpans appends the ids of the text that the spans make together. They are those of [Tokenizer.Encode], but for
// added tokens that do not lie within trusted text: those are not matched, be they spelled in one untrusted span, across
// several, or across a border. Merges do go across borders, so a trusted "User: " before an untrusted "Hi" gives the
// ids of "User: Hi".
//
// Added tokens that control nothing are matched everywhere, as a reader of the whole string would: those of a single
// character that are not special, with which the vocabularies of deepseek-llm and deepseek-coder complete their alphabet,
// and those of white space alone.
func (t *Tokenizer) EncodeSpans(dst []int32, spans []Span) []int32 {
	text, ranges := join(spans)
	if t.incomplete {
		text, ranges = t.patchSpans(spans)
	}
	e := t.borrow()
	c := cuts{m: e.raw, harmless: e.rawHarmless, text: text, ranges: ranges}
	for {
		from := c.done
		before, token := c.next()
		dst = e.normalizedSpans(dst, before, within(ranges, from, from+len(before)))
		if token == nil {
			break
		}
		dst = append(dst, token.ID)
	}
	t.giveBack(e)
	return dst
}

// trustRange says how far a text is trusted, or not, from where the one before ends.
type trustRange struct {
	end     int
	trusted bool
}

func join(spans []Span) (string, []trustRange) {
	var text strings.Builder
	ranges := make([]trustRange, 0, len(spans)) // not nil, which would mean that all is trusted
	for _, s := range spans {
		if s.Text == "" {
			continue
		}
		text.WriteString(s.Text)
		if n := len(ranges); n > 0 && ranges[n-1].trusted == s.Trusted {
			ranges[n-1].end = text.Len()
		} else {
			ranges = append(ranges, trustRange{text.Len(), s.Trusted})
		}
	}
	return text.String(), ranges
}

// within gives the ranges of the part of a text from lo to hi.
func within(ranges []trustRange, lo, hi int) []trustRange {
	part := []trustRange{}
	for _, r := range ranges {
		if r.end > lo {
			part = append(part, trustRange{min(r.end, hi) - lo, r.trusted})
		}
		if r.end >= hi {
			break
		}
	}
	return part
}

// normalizedSpans is withNormalized for a text with ranges.
func (e *encoder) normalizedSpans(dst []int32, s string, ranges []trustRange) []int32 {
	if e.normal == nil {
		return e.withoutControl(dst, e.normalise(s))
	}
	if e.nfc && nfc(s) != s {
		// Each part by itself, so that it stays known which is trusted.
		parts, from := make([]Span, len(ranges)), 0
		for i, r := range ranges {
			parts[i] = Span{nfc(s[from:r.end]), r.trusted}
			from = r.end
		}
		s, ranges = join(parts)
	}
	for c := (cuts{m: e.normal, harmless: e.normalHarmless, text: s, ranges: ranges}); ; {
		before, token := c.next()
		dst = e.withoutControl(dst, e.normalise(before))
		if token == nil {
			return dst
		}
		dst = append(dst, token.ID)
	}
}

// withoutControl is plain for text that must not become a control token by any way. Merges that make one are in no
// published vocabulary; where they are, its bytes stand for it.
func (e *encoder) withoutControl(dst []int32, s string) []int32 {
	from := len(dst)
	dst = e.plain(dst, s)
	if !e.mergesControl {
		return dst
	}
	ids := append([]int32(nil), dst[from:]...)
	dst = dst[:from]
	for _, id := range ids {
		if !e.controls(id) {
			dst = append(dst, id)
			continue
		}
		for _, b := range e.vocab.of(id) {
			if !e.absent[b] {
				dst = append(dst, int32(e.merges.byteID[b]))
			}
		}
	}
	return dst
}

// controls tells whether a token is an added one that is not harmless.
func (t *Tokenizer) controls(id int32) bool {
	if t.vocab.kind[id] < addedKind {
		return false
	}
	i, found := slices.BinarySearchFunc(t.added, id, func(a AddedToken, id int32) int { return int(a.ID) - int(id) })
	return found && !t.added[i].Harmless()
}

func (t *Tokenizer) patchSpans(spans []Span) (string, []trustRange) {
	patched := make([]Span, len(spans))
	for i, s := range spans {
		patched[i] = Span{t.patch(s.Text), s.Trusted}
	}
	return join(patched)
}

// Harmless tells whether an added token controls nothing and is matched in untrusted text too.
func (a *AddedToken) Harmless() bool {
	return !a.Special && (utf8.RuneCountInString(a.Content) == 1 || strings.TrimFunc(a.Content, unicode.IsSpace) == "")
}
