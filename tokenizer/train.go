package tokenizer

// Training: text in, a vocabulary out.
//
// In order: the options; Train, which counts pieces (count.go), merges (learn.go) and assembles; the special tokens that
// models made here have.
//
// The rules, which give the merges of the `tokenizers` library:
//
//  1. Every document is cut by the deepseek-v3 pre-tokenizer; equal pieces are counted; no piece spans two documents.
//  2. Symbols 0-255 are the bytes in the order of their printable spelling; a new symbol gets the next number.
//  3. Adjacent pairs are counted over all pieces, times the count of the piece; overlapping pairs count (aaa has two).
//  4. The pair with the largest count is next; of equals, the one with the smaller left symbol, then the smaller right.
//  5. It is replaced from left to right, without overlap. If the joined string is a symbol already, that one is used.

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
)

// TrainOptions says what to learn. The zero value of a field means its default.
type TrainOptions struct {
	VocabSize     int          // tokens in all, special ones and the 256 bytes included; required
	MinFrequency  int          // pairs that occur less often are not merged; 2 by default
	SpecialTokens []AddedToken // Content and Special are read; nil means DefaultSpecialTokens, an empty slice none
	SpecialsLast  bool         // give special tokens the last ids instead of the first
	BOS, EOS, Pad string       // by default the begin, end and pad tokens of DefaultSpecialTokens, if SpecialTokens has them
	ChatTemplate  string       // for tokenizer_config.json

	// MaxPieceRunes caps what is counted, never what is encoded: a longer piece (a paragraph of Thai, a line of base64)
	// counts as several, cut where no vowel sign is torn from its letter. By default 512, beyond any word of natural text.
	MaxPieceRunes int

	// MaxMemory bounds the bytes that counts and merging take. When the distinct pieces exceed it, the rarest are
	// forgotten, after every 16 MiB of text, so that the result does not depend on Threads. By default 1 GiB.
	MaxMemory int64

	Threads int // goroutines that count; by default one per processor

	// Progress is called now and then: while text is counted with its bytes so far and total 0, then with merges done
	// and wanted.
	Progress func(done, total int64)
}

// DefaultSpecialTokens are those of models made here, spelled as in DeepSeek-V3. The user, assistant and thinking tokens
// are not special: decoding keeps them. They are found before merging all the same.
func DefaultSpecialTokens() []AddedToken {
	return []AddedToken{
		{Content: "<｜begin▁of▁sentence｜>", Special: true},
		{Content: "<｜end▁of▁sentence｜>", Special: true},
		{Content: "<｜▁pad▁｜>", Special: true},
		{Content: "<｜User｜>"},
		{Content: "<｜Assistant｜>"},
		{Content: "<think>"},
		{Content: "</think>"},
	}
}

// ShortVocabularyError says that the text does not support the vocabulary that was asked for. The smaller one that it
// does support comes with it.
type ShortVocabularyError struct {
	Asked, Got   int
	MinFrequency int
	Tokenizer    *Tokenizer
}

// Error says how many tokens the text supports.
func (e *ShortVocabularyError) Error() string {
	return fmt.Sprintf("tokenizer: a vocabulary of %d is larger than the text supports: after %d tokens no pair occurs %d times; ask for at most %d or give more text",
		e.Asked, e.Got, e.MinFrequency, e.Got)
}

// Train learns a byte-level BPE vocabulary with the deepseek-v3 pre-tokenizer from documents. The result depends on the
// documents, not on their order (but for MaxMemory) or on Threads. An error of docs ends it. When the text supports only a
// smaller vocabulary the error is a *[ShortVocabularyError].
func Train(ctx context.Context, docs iter.Seq2[string, error], opt TrainOptions) (*Tokenizer, error) {
	if err := opt.fill(); err != nil {
		return nil, err
	}
	pieces, err := countPieces(ctx, docs, &opt)
	if err != nil {
		return nil, err
	}
	symbols := opt.VocabSize - len(opt.SpecialTokens)
	learned, err := learn(ctx, pieces, symbols, int64(opt.MinFrequency), opt.Progress)
	if err != nil {
		return nil, err
	}
	t, err := assemble(learned, &opt)
	if err != nil {
		return nil, err
	}
	if got := t.VocabSize(); got < opt.VocabSize {
		return nil, &ShortVocabularyError{Asked: opt.VocabSize, Got: got, MinFrequency: opt.MinFrequency, Tokenizer: t}
	}
	return t, nil
}

func (o *TrainOptions) fill() error {
	if o.SpecialTokens == nil {
		o.SpecialTokens = DefaultSpecialTokens()
	}
	seen := map[string]bool{}
	for _, s := range o.SpecialTokens {
		if s.Content == "" || seen[s.Content] {
			return fmt.Errorf("tokenizer: special token %q is empty or listed twice", s.Content)
		}
		seen[s.Content] = true
	}
	def := DefaultSpecialTokens()
	for i, name := range []*string{&o.BOS, &o.EOS, &o.Pad} {
		if *name == "" && seen[def[i].Content] {
			*name = def[i].Content
		}
	}
	if least := 256 + len(o.SpecialTokens); o.VocabSize < least {
		return fmt.Errorf("tokenizer: a vocabulary of %d is too small: 256 bytes and %d special tokens need %d", o.VocabSize, len(o.SpecialTokens), least)
	}
	if o.VocabSize > maxTokens {
		return fmt.Errorf("tokenizer: a vocabulary of %d is too large: at most %d are supported", o.VocabSize, maxTokens)
	}
	setDefault := func(field *int, value int) {
		if *field <= 0 {
			*field = value
		}
	}
	setDefault(&o.MinFrequency, 2)
	setDefault(&o.MaxPieceRunes, 512)
	setDefault(&o.Threads, runtime.GOMAXPROCS(0))
	if o.MaxMemory <= 0 {
		o.MaxMemory = 1 << 30
	}
	if o.Progress == nil {
		o.Progress = func(done, total int64) {}
	}
	return nil
}

// bytesInOrder gives the bytes in the order of symbols 0-255.
func bytesInOrder() []byte {
	order := make([]byte, 256)
	for i := range order {
		order[i] = byte(i)
	}
	slices.SortFunc(order, func(a, b byte) int { return int(symbolOfByte[a] - symbolOfByte[b]) })
	return order
}

// assemble gives the learned symbols their ids.
func assemble(l *learned, opt *TrainOptions) (*Tokenizer, error) {
	b := newBuilder(len(l.symbols))
	b.scan = deepseekV3
	shift, special := len(opt.SpecialTokens), 0
	if opt.SpecialsLast {
		shift, special = 0, len(l.symbols)
	}
	var spelling []byte
	for i, raw := range l.symbols {
		spelling = appendSymbols(spelling[:0], []byte(raw))
		for _, s := range opt.SpecialTokens {
			if s.Content == string(spelling) {
				return nil, fmt.Errorf("tokenizer: special token %q is an ordinary token of this text too: choose a string that text does not hold", s.Content)
			}
		}
		if err := b.token(spelling, i+shift); err != nil {
			return nil, fmt.Errorf("tokenizer: %w", err)
		}
	}
	for i, s := range opt.SpecialTokens {
		b.added = append(b.added, AddedToken{ID: int32(i + special), Content: s.Content, Special: s.Special})
	}
	err := b.closeVocabulary()
	for _, m := range l.merges {
		b.pairs = append(b.pairs, [2]uint32{m.left + uint32(shift), m.right + uint32(shift)})
		b.results = append(b.results, m.result+uint32(shift))
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	t, err := b.build()
	if err == nil {
		err = t.setConfig(Config{BOS: opt.BOS, EOS: opt.EOS, Pad: opt.Pad, AddBOS: opt.BOS != "", ChatTemplate: opt.ChatTemplate})
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return t, nil
}
