package bench

import (
	"context"

	"github.com/haenyeo/haenyeo/corpus"
	"github.com/haenyeo/haenyeo/tokenizer"
)

// Tokenizing says what to measure a tokenizer on.
type Tokenizing struct {
	Texts     []string
	Vocab     int                  // to learn
	Tokenizer *tokenizer.Tokenizer // to encode and decode with; nil: the one that was learned
	Threads   int                  // of learning; encoding is measured on one
	Runs      int
}

// Texts reads the text at paths, or that inside the program, at most limit bytes of it.
func Texts(ctx context.Context, paths []string, limit int) ([]string, error) {
	open := func() (*corpus.Corpus, error) {
		if len(paths) == 0 {
			return corpus.Embedded(ctx, corpus.Options{ValidationShare: -1})
		}
		return corpus.Open(ctx, paths, corpus.Options{ValidationShare: -1})
	}
	c, err := open()
	if err != nil {
		return nil, err
	}
	var texts []string
	for d, err := range c.Documents(ctx, corpus.Train) {
		if err != nil {
			return nil, err
		}
		if limit -= len(d.Text); limit < 0 {
			break
		}
		texts = append(texts, d.Text)
	}
	return texts, nil
}

// Tokenizer measures MB/s of learning a vocabulary, of encoding and of decoding.
func Tokenizer(ctx context.Context, t Tokenizing) ([]Result, error) {
	docs := func(yield func(string, error) bool) {
		for _, s := range t.Texts {
			if !yield(s, nil) {
				return
			}
		}
	}
	var bytes float64
	for _, s := range t.Texts {
		bytes += float64(len(s))
	}
	var learned *tokenizer.Tokenizer
	rates, err := repeat(ctx, t.Runs, bytes/1e6, func() (err error) {
		learned, err = tokenizer.Train(ctx, docs, tokenizer.TrainOptions{VocabSize: t.Vocab, Threads: t.Threads})
		return err
	})
	if err != nil {
		return nil, err
	}
	results := []Result{result("tokenizer train", "MB/s", rates, 0, t.Threads)}

	tok := t.Tokenizer
	if tok == nil {
		tok = learned
	}
	ids := make([][]int32, len(t.Texts))
	rates, err = repeat(ctx, t.Runs, bytes/1e6, func() error {
		for i, s := range t.Texts {
			ids[i] = tok.Encode(ids[i][:0], s, tokenizer.EncodeOptions{NoAddedTokens: true})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	results = append(results, result("tokenizer encode", "MB/s", rates, 0, 1))

	var text []byte
	rates, err = repeat(ctx, t.Runs, bytes/1e6, func() error {
		for _, x := range ids {
			text = tok.AppendDecode(text[:0], x, false)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return append(results, result("tokenizer decode", "MB/s", rates, 0, 1)), nil
}
