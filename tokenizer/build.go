package tokenizer

// Building a tokenizer from parts: what Parse, Train and a GGUF reader have in common, with all checks of a vocabulary.

import (
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"unicode/utf8"
)

// Parts is a tokenizer taken apart, as GGUF stores it.
type Parts struct {
	Pre    string      // a name that Tokenizer.Pre gives, or another that GGUF files use for the same; empty or "default" where a file does not say
	Tokens []string    // by id: symbol spelling of ordinary tokens, plain text of added ones
	Types  []TokenType // by id; empty means all Normal
	Merges []string    // "left right" in symbol spelling, by rank
	Config Config
}

// New builds a tokenizer from the parts that a GGUF file stores. Tokens of type Control and UserDefined are its added
// tokens. The format has no place for a normaliser: one that splits as Qwen does normalises to NFC, as Qwen's do, no other.
func New(p Parts) (*Tokenizer, error) {
	if len(p.Types) != 0 && len(p.Types) != len(p.Tokens) {
		return nil, fmt.Errorf("tokenizer: %d token types for %d tokens", len(p.Types), len(p.Tokens))
	}
	if len(p.Tokens) > maxTokens {
		return nil, fmt.Errorf("tokenizer: %d tokens, at most %d are supported", len(p.Tokens), maxTokens)
	}
	if p.Pre == "" || p.Pre == "default" {
		named := p.Pre
		if p.Pre = PreOf(p.Tokens); p.Pre == "" {
			return nil, fmt.Errorf("tokenizer: the file does not name its pre-tokenizer (%q), and its vocabulary is none of the DeepSeek family; known are %s",
				named, knownScanners())
		}
	}
	scan, ok := scannerNamed(p.Pre)
	if !ok {
		return nil, fmt.Errorf("tokenizer: pre-tokenizer %q is not supported; known are %s", p.Pre, knownScanners())
	}
	b := newBuilder(len(p.Tokens))
	b.scan, b.ignoreMerges, b.nfc = scan, scan == llamaBPE, scan == qwen2
	for id, s := range p.Tokens {
		if len(p.Types) != 0 && (p.Types[id] == Control || p.Types[id] == UserDefined) {
			b.added = append(b.added, AddedToken{ID: int32(id), Content: s, Special: p.Types[id] == Control})
			continue
		}
		if err := b.token([]byte(s), id); err != nil {
			return nil, fmt.Errorf("tokenizer: %w", err)
		}
	}
	if err := b.closeVocabulary(); err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	for i, s := range p.Merges {
		left, right, ok := strings.Cut(s, " ")
		if !ok {
			return nil, fmt.Errorf("tokenizer: merge %d is %q, not two tokens with a space between", i, s)
		}
		if err := b.merge([]byte(left), []byte(right)); err != nil {
			return nil, fmt.Errorf("tokenizer: %w", err)
		}
	}
	t, err := b.build()
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	if err := t.setConfig(p.Config); err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return t, nil
}

// builder collects a vocabulary, then merges, then checks and builds.
type builder struct {
	Tokenizer
	entries []entry // in the order they came
	text    []byte  // spellings of entries, one after the other
	results []uint32
	scratch []byte
}

type entry struct {
	id, end int // end of its spelling in text
}

func newBuilder(tokens int) *builder {
	return &builder{Tokenizer: Tokenizer{bos: -1, eos: -1, pad: -1}, entries: make([]entry, 0, tokens)}
}

// token adds an entry of the model's vocabulary, in symbol spelling.
func (b *builder) token(spelling []byte, id int) error {
	if id > maxTokens {
		return fmt.Errorf("token %q has id %d, at most %d is supported", spelling, id, maxTokens)
	}
	if len(spelling) == 0 {
		return fmt.Errorf("the token with id %d is empty", id)
	}
	b.text = append(b.text, spelling...)
	b.entries = append(b.entries, entry{id, len(b.text)})
	return nil
}

// closeVocabulary checks that the ids of entries and added tokens fill 0 to n-1, each once, and lays tokens out by id.
func (b *builder) closeVocabulary() error {
	count := len(b.entries)
	addedAt := make(map[string]int, len(b.added))
	for i, a := range b.added {
		if a.Content == "" {
			return fmt.Errorf("added token %d is empty", a.ID)
		}
		if !utf8.ValidString(a.Content) {
			return fmt.Errorf("added token %d, %q, is not UTF-8", a.ID, a.Content)
		}
		if j, dup := addedAt[a.Content]; dup {
			return fmt.Errorf("added token %q is listed twice, with ids %d and %d", a.Content, b.added[j].ID, a.ID)
		}
		addedAt[a.Content] = i
	}
	size := count + len(b.added) // an upper bound: an added token may be an entry too
	owner := make([]int32, size) // by id: entry+1, or -(added+1)
	place := func(id, who int, name string) error {
		if id < 0 || id >= size {
			return fmt.Errorf("token %q has id %d, but there are only %d tokens: ids must go from 0 up without holes", name, id, size)
		}
		if owner[id] != 0 {
			return fmt.Errorf("id %d belongs to two tokens, %q and %q", id, b.nameOf(owner[id]), name)
		}
		owner[id] = int32(who)
		return nil
	}
	from := 0
	for i, e := range b.entries {
		if err := place(e.id, i+1, string(b.text[from:e.end])); err != nil {
			return err
		}
		from = e.end
	}
	for i, a := range b.added {
		if id := int(a.ID); id >= 0 && id < size && owner[id] > 0 && b.nameOf(owner[id]) == a.Content {
			owner[id] = -int32(i + 1)
			continue
		}
		if err := place(int(a.ID), -(i + 1), a.Content); err != nil {
			return err
		}
		count++
	}
	for id, who := range owner[:count] {
		if who == 0 {
			return fmt.Errorf("no token has id %d, though there are %d tokens: ids must go from 0 up without holes", id, count)
		}
	}
	return b.layOut(owner[:count])
}

// nameOf gives the spelling that owner, as in closeVocabulary, stands for.
func (b *builder) nameOf(owner int32) string {
	if owner < 0 {
		return b.added[-owner-1].Content
	}
	return string(b.spelling(int(owner - 1)))
}

func (b *builder) spelling(i int) []byte {
	from := 0
	if i > 0 {
		from = b.entries[i-1].end
	}
	return b.text[from:b.entries[i].end]
}

func (b *builder) layOut(owner []int32) error {
	v := &b.vocab
	v.kind = make([]tokenKind, len(owner))
	v.ends = make([]uint32, len(owner))
	v.bytes = make([]byte, 0, len(b.text))
	for id, who := range owner {
		if who < 0 {
			a := b.added[-who-1]
			v.kind[id] = addedKind
			if a.Special {
				v.kind[id] = specialKind
			}
			v.bytes = append(v.bytes, a.Content...)
		} else {
			spelling := b.spelling(int(who - 1))
			raw, ok := appendBytesOfSymbols(v.bytes, string(spelling))
			if !ok {
				v.kind[id] = plainKind
				raw = append(v.bytes, spelling...)
			} else if n := len(raw) - len(v.bytes); n > b.maxRun {
				b.maxRun = n
			}
			v.bytes = raw
		}
		if len(v.bytes) > 1<<31 {
			return errors.New("the vocabulary is larger than 2 GB")
		}
		v.ends[id] = uint32(len(v.bytes))
	}
	b.entries, b.text = nil, nil
	sortByID(b.added)
	return v.index()
}

// merge adds the next merge, in symbol spelling; its tokens and their join must be in the vocabulary.
func (b *builder) merge(left, right []byte) error {
	rank := len(b.pairs)
	if rank > maxMerges {
		return fmt.Errorf("more than %d merges", maxMerges)
	}
	l, ok := b.mergeSide(left)
	if !ok {
		return fmt.Errorf("merge %d: its left side %q is not in the vocabulary", rank, left)
	}
	r, ok := b.mergeSide(right)
	if !ok {
		return fmt.Errorf("merge %d: its right side %q is not in the vocabulary", rank, right)
	}
	b.scratch = append(append(b.scratch[:0], b.vocab.of(l)...), b.vocab.of(r)...)
	joined, ok := b.vocab.find(b.scratch)
	if !ok {
		return fmt.Errorf("merge %d: %q and %q are in the vocabulary, but what they join to is not", rank, left, right)
	}
	b.pairs = append(b.pairs, [2]uint32{uint32(l), uint32(r)})
	b.results = append(b.results, uint32(joined))
	return nil
}

func (b *builder) mergeSide(spelling []byte) (id int32, ok bool) {
	if b.scratch, ok = appendBytesOfSymbols(b.scratch[:0], string(spelling)); !ok {
		return 0, false
	}
	return b.vocab.find(b.scratch)
}

// build checks that every byte has a token and makes the tokenizer.
func (b *builder) build() (*Tokenizer, error) {
	var byteID [256]uint32
	incomplete, absent := false, [256]bool{}
	for x := range byteID {
		id, ok := b.vocab.find([]byte{byte(x)})
		if !ok && mayLack(byte(x)) {
			incomplete, absent[x] = true, true
			continue
		}
		if !ok {
			return nil, fmt.Errorf("the vocabulary has no token for byte %d (%q): it is not a byte-level vocabulary", x, symbolOfByte[x])
		}
		byteID[x] = uint32(id)
	}
	t := &Tokenizer{
		scan: b.scan, nfc: b.nfc, ignoreMerges: b.ignoreMerges, vocab: b.vocab, added: b.added, pairs: b.pairs,
		merges: newMerger(byteID, b.pairs, b.results), prefix: b.prefix, suffix: b.suffix, bos: b.bos, eos: b.eos,
		pad: b.pad, file: b.file, maxRun: b.maxRun, seed: maphash.MakeSeed(),
		incomplete: incomplete, absent: absent,
	}
	t.raw, t.normal = newMatchers(t.added, t.nfc, func(*AddedToken) bool { return true })
	t.rawHarmless, t.normalHarmless = newMatchers(t.added, t.nfc, (*AddedToken).Harmless)
	for _, id := range b.results {
		if t.controls(int32(id)) {
			t.mergesControl = true
		}
	}
	return t, nil
}

// neverUTF8 tells whether no UTF-8 text has a byte. The vocabularies of deepseek-llm and deepseek-coder have no tokens for
// them.
func neverUTF8(b byte) bool { return b == 0xC0 || b == 0xC1 || b >= 0xF5 }

// mayLack tells whether a vocabulary can do without a byte: one that no text has, or hardly any. SmolLM's lacks some
// controls and the first bytes of unassigned planes.
func mayLack(b byte) bool {
	return neverUTF8(b) || b < ' ' && b != '\t' && b != '\n' && b != '\r' || b == 0x7F || b >= 0xF0
}
