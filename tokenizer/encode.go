package tokenizer

// The path of a text to ids.

import (
	"hash/maphash"
	"runtime"
	"strings"
	"unicode/utf8"
)

// EncodeOptions says what Encode does beside merging. The zero value matches added tokens and adds none of its own.
type EncodeOptions struct {
	AddSpecial    bool // begin and end the text with the tokens that the tokenizer's files ask for (BOS, rarely EOS)
	NoAddedTokens bool // do not look for added tokens in the text: for text that a stranger wrote
}

// Encode appends the ids of text to dst. It allocates nothing in steady state but what dst needs to grow, and, in
// tokenizers with a normaliser, what text that is not normalised takes.
func (t *Tokenizer) Encode(dst []int32, text string, opt EncodeOptions) []int32 {
	if t.incomplete {
		text = t.patch(text)
	}
	e := t.borrow()
	if opt.AddSpecial {
		dst = append(dst, t.prefix...)
	}
	if opt.NoAddedTokens {
		dst = e.withoutControl(dst, e.normalise(text))
	} else {
		dst = e.withAdded(dst, text)
	}
	if opt.AddSpecial {
		dst = append(dst, t.suffix...)
	}
	t.giveBack(e)
	return dst
}

// encoder is the scratch of one Encode at a time.
type encoder struct {
	*Tokenizer
	classes *classes
	merging mergeScratch
	cache   []cachedPiece
}

// cachedPiece is one line of the direct-mapped cache, 64 bytes: a short piece and its ids.
type cachedPiece struct {
	length, count uint8
	piece         [30]byte
	ids           [8]int32
}

const cacheLines = 1 << 14 // 1 MB for each Encode that runs at the same time

// borrow takes an idle encoder or makes one; as many are kept as there are processors.
func (t *Tokenizer) borrow() *encoder {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.idle); n > 0 {
		e := t.idle[n-1]
		t.idle = t.idle[:n-1]
		return e
	}
	return &encoder{Tokenizer: t, classes: unicodeClasses(), cache: make([]cachedPiece, cacheLines)}
}

func (t *Tokenizer) giveBack(e *encoder) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle) < runtime.GOMAXPROCS(0) {
		t.idle = append(t.idle, e)
	}
}

// patch replaces bytes that are not UTF-8 and have no token by U+FFFD.
func (t *Tokenizer) patch(s string) string {
	for i := 0; i < len(s); i++ {
		if t.absent[s[i]] && neverUTF8(s[i]) {
			return strings.ToValidUTF8(s, string(utf8.RuneError))
		}
	}
	return s
}

func (t *Tokenizer) normalise(s string) string {
	if t.nfc {
		return nfc(s)
	}
	return s
}

// withAdded encodes s, taking added tokens out first.
func (e *encoder) withAdded(dst []int32, s string) []int32 {
	if e.raw == nil {
		return e.withNormalized(dst, s)
	}
	for c := (cuts{m: e.raw, text: s}); ; {
		before, token := c.next()
		dst = e.withNormalized(dst, before)
		if token == nil {
			return dst
		}
		dst = append(dst, token.ID)
	}
}

// withNormalized normalises s and takes the added tokens out that are looked for after that.
func (e *encoder) withNormalized(dst []int32, s string) []int32 {
	s = e.normalise(s)
	if e.normal == nil {
		return e.plain(dst, s)
	}
	for c := (cuts{m: e.normal, text: s}); ; {
		before, token := c.next()
		dst = e.plain(dst, before)
		if token == nil {
			return dst
		}
		dst = append(dst, token.ID)
	}
}

// plain encodes s without looking for added tokens.
func (e *encoder) plain(dst []int32, s string) []int32 {
	c := e.classes
	switch e.scan {
	case deepseekV3:
		for i := 0; i < len(s); {
			j := c.nextV3(s, i)
			dst = e.piece(dst, s[i:j])
			i = j
		}
	case deepseekLLM, deepseekCoder:
		stages := deepseekLLMStages
		if e.scan == deepseekCoder {
			stages = deepseekCoderStages
		}
		for t, i := stages(), 0; i < len(s); {
			j := t.next(s, i)
			dst = e.piece(dst, s[i:j])
			i = j
		}
	default:
		for i := 0; i < len(s); {
			j := c.next(e.scan, s, i)
			dst = e.piece(dst, s[i:j])
			i = j
		}
	}
	return dst
}

// piece encodes one piece, from the cache where it can.
func (e *encoder) piece(dst []int32, p string) []int32 {
	var line *cachedPiece
	if len(p) <= len(line.piece) {
		line = &e.cache[maphash.String(e.seed, p)%cacheLines]
		if int(line.length) == len(p) && string(line.piece[:line.length]) == p {
			return append(dst, line.ids[:line.count]...)
		}
	}
	from := len(dst)
	if id, whole := int32(0), false; e.ignoreMerges && len(p) <= e.maxRun {
		if id, whole = e.vocab.findOrdinary(p); whole {
			dst = append(dst, id)
		} else {
			dst = e.merge(dst, p)
		}
	} else {
		dst = e.merge(dst, p)
	}
	if n := len(dst) - from; line != nil && n <= len(line.ids) {
		line.length, line.count = uint8(len(p)), uint8(n)
		copy(line.piece[:], p)
		copy(line.ids[:], dst[from:])
	}
	return dst
}

// merge merges a piece. Bytes that the vocabulary lacks give nothing, and keep what stands on their two sides apart.
func (e *encoder) merge(dst []int32, p string) []int32 {
	if e.incomplete {
		for i := 0; i < len(p); i++ {
			if e.absent[p[i]] {
				dst = e.merges.merge(dst, p[:i], &e.merging, e.vocab.length)
				p, i = p[i+1:], -1
			}
		}
	}
	return e.merges.merge(dst, p, &e.merging, e.vocab.length)
}
