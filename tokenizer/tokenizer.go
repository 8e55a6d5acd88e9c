package tokenizer

// The tokenizer in memory and what it can be asked.

import (
	"fmt"
	"hash/maphash"
	"sync"
)

// Tokenizer is a byte-level BPE vocabulary with its pre-tokenizer. It does not change after it is built, but for
// [Tokenizer.SetConfig], and may be used by many goroutines.
type Tokenizer struct {
	scan         scanner
	nfc          bool
	ignoreMerges bool
	merges       *merger
	pairs        [][2]uint32 // by rank
	vocab        vocabulary
	added        []AddedToken // by id
	raw, normal  *matcher     // added tokens matched before and after normalisation; nil where there are none
	incomplete   bool         // some bytes are not in the vocabulary
	absent       [256]bool    // which

	rawHarmless, normalHarmless *matcher // those of them that are matched in untrusted text
	mergesControl               bool     // merges make an added token: see withoutControl

	prefix   []int32 // what AddSpecial puts before and after a text
	suffix   []int32
	bos, eos int32 // -1 where there is none
	pad      int32
	config   Config
	file     fileParts // what Save writes back unread

	seed   maphash.Seed
	mu     sync.Mutex
	idle   []*encoder // scratch of encoders that finished
	maxRun int        // longest ordinary token in bytes
}

// TokenType is what GGUF stores beside each token.
type TokenType int32

// The types that byte-level vocabularies use; the numbers are GGUF's.
const (
	Normal      TokenType = 1
	Control     TokenType = 3 // a special added token: dropped by Decode with skipSpecial
	UserDefined TokenType = 4 // any other added token
)

// AddedToken is a string that is found in a text before it is cut into pieces.
type AddedToken struct {
	ID         int32
	Content    string
	Special    bool // dropped by Decode with skipSpecial
	SingleWord bool // matches only between characters that are not of a word
	LStrip     bool // takes the white space before it
	RStrip     bool // takes the white space after it
	Normalized bool // is looked for after normalisation
}

// VocabSize is the number of ids, added tokens included: ids go from 0 to VocabSize-1.
func (t *Tokenizer) VocabSize() int { return len(t.vocab.ends) }

// CheckRows compares the vocabulary with a model's rows of embeddings. A model may have more rows, which no text reaches;
// one that has fewer is not that of this tokenizer.
func (t *Tokenizer) CheckRows(rows int) error {
	if t.VocabSize() > rows {
		return fmt.Errorf("tokenizer: it has %d tokens, but the model only %d rows: they do not belong together; take the tokenizer that came with the model",
			t.VocabSize(), rows)
	}
	return nil
}

// Pre names the pre-tokenizer as GGUF's tokenizer.ggml.pre does: deepseek-v3, deepseek-llm, qwen2...
func (t *Tokenizer) Pre() string { return t.scan.String() }

// TokenID finds an added token by its text or an ordinary one by its symbol spelling ("Ġthe"). Resolve special tokens
// with it, never by number: their ids differ between generations.
func (t *Tokenizer) TokenID(s string) (id int32, ok bool) {
	for _, a := range t.added {
		if a.Content == s {
			return a.ID, true
		}
	}
	raw, ok := appendBytesOfSymbols(nil, s)
	if !ok {
		return t.vocab.findPlain(s)
	}
	return t.vocab.find(raw)
}

// TokenBytes gives the bytes a token stands for, possibly a part of a character; nil for an id out of range. The caller
// must not change them.
func (t *Tokenizer) TokenBytes(id int32) []byte {
	if id < 0 || int(id) >= t.VocabSize() {
		return nil
	}
	return t.vocab.of(id)
}

// TokenType gives the type that GGUF stores for a token; 0 for an id out of range.
func (t *Tokenizer) TokenType(id int32) TokenType {
	if id < 0 || int(id) >= t.VocabSize() {
		return 0
	}
	switch t.vocab.kind[id] {
	case specialKind:
		return Control
	case addedKind:
		return UserDefined
	}
	return Normal
}

// Vocab lists the tokens by id: ordinary ones in symbol spelling, added ones as their text.
func (t *Tokenizer) Vocab() []string {
	list := make([]string, t.VocabSize())
	var buf []byte
	for id := range list {
		buf = t.vocab.appendSpelling(buf[:0], int32(id))
		list[id] = string(buf)
	}
	return list
}

// Merges lists the merges by rank as "left right" in symbol spelling.
func (t *Tokenizer) Merges() []string {
	list := make([]string, len(t.pairs))
	var buf []byte
	for i, p := range t.pairs {
		buf = t.vocab.appendSpelling(buf[:0], int32(p[0]))
		buf = append(buf, ' ')
		buf = t.vocab.appendSpelling(buf, int32(p[1]))
		list[i] = string(buf)
	}
	return list
}

// AddedTokens lists the added tokens by id.
func (t *Tokenizer) AddedTokens() []AddedToken { return append([]AddedToken(nil), t.added...) }

// BOS gives the token that begins a text; false where the tokenizer names none.
func (t *Tokenizer) BOS() (int32, bool) { return t.bos, t.bos >= 0 }

// EOS gives the token that ends a text; false where the tokenizer names none.
func (t *Tokenizer) EOS() (int32, bool) { return t.eos, t.eos >= 0 }

// Pad gives the padding token; false where the tokenizer names none.
func (t *Tokenizer) Pad() (int32, bool) { return t.pad, t.pad >= 0 }
