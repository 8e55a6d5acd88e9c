package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/haenyeo/haenyeo/corpus"
	"github.com/haenyeo/haenyeo/tokenizer"
)

type tokenizerTrainCmd struct {
	Vocab        int      `required:"" placeholder:"N" help:"Tokens to learn, the 256 bytes included; special tokens come on top."`
	Out          string   `required:"" placeholder:"DIR" help:"Directory to write tokenizer.json and tokenizer_config.json to."`
	Special      string   `enum:"last,first,none" default:"last" placeholder:"PLACE" help:"Where the ids of the special tokens are: last (from N on), first (the others move up) or none (there are no special tokens). Default: ${default}."`
	MinFrequency int      `default:"2" placeholder:"N" help:"Merge no pair that occurs less often. Default: ${default}."`
	Paths        []string `arg:"" name:"path" help:"Files, directories or globs: text, Markdown, JSONL, also .gz and .zst."`
}

func (tokenizerTrainCmd) Help() string {
	return "Ids 0 to 255 are the bytes, those up to N-1 the merges in the order in which they are learned. Special tokens, such as the begin and the end of a text, follow; a model needs room for them too. " +
		"The result depends on the text alone, not on threads or the order of files.\n\nExample:\n\n\thaenyeo tokenizer train --vocab 8192 --out my-tokenizer books/ notes.jsonl.zst"
}

func (c *tokenizerTrainCmd) Run(a *app) error {
	special := tokenizer.DefaultSpecialTokens()
	if c.Special == "none" {
		special = []tokenizer.AddedToken{}
	}
	switch {
	case c.Vocab < 256:
		return misuse("--vocab %d: the bytes alone are 256 tokens", c.Vocab)
	case c.MinFrequency < 1:
		return misuse("--min-frequency %d: give 1 or more", c.MinFrequency)
	}
	started := time.Now()
	if err := corpus.Apart(a.ctx, c.Out, c.Paths); err != nil {
		return err
	}
	if err := vacant(filepath.Join(c.Out, "tokenizer.json")); err != nil {
		return fmt.Errorf("tokenizer: %w", err)
	}
	undo, err := writableDir(c.Out)
	if err != nil {
		return fmt.Errorf("tokenizer: %w", err)
	}
	defer undo()
	text, err := corpus.Open(a.ctx, c.Paths, corpus.Options{ValidationShare: -1})
	if err != nil {
		return err
	}
	r := text.Report()
	if skips := r.Skips(); skips != "" {
		a.log.Warn(skips)
	}
	docs := func(yield func(string, error) bool) {
		for d, err := range text.Documents(a.ctx, corpus.Train) {
			if !yield(d.Text, err) {
				return
			}
		}
	}
	t, err := tokenizer.Train(a.ctx, docs, tokenizer.TrainOptions{
		VocabSize: c.Vocab + len(special), MinFrequency: c.MinFrequency, SpecialTokens: special, SpecialsLast: c.Special == "last", Threads: a.Threads,
		Progress: func(done, total int64) {
			if total == 0 {
				a.bar.update(float64(done)/float64(max(1, r.Bytes))/2, "counting "+size(done))
			} else {
				a.bar.update(0.5+float64(done)/float64(total)/2, fmt.Sprintf("%d of %d merges", done, total))
			}
		},
	})
	if short := new(tokenizer.ShortVocabularyError); errors.As(err, &short) {
		return misuse("--vocab %d is more than the text supports: after %[2]d tokens no pair occurs %[3]d times; ask for at most %[2]d or give more text",
			c.Vocab, short.Got-len(special), short.MinFrequency)
	}
	if err != nil {
		return err
	}
	if err := t.Save(c.Out); err != nil {
		return err
	}
	seconds := time.Since(started).Seconds()
	if a.JSON {
		return a.emit(struct {
			Out     string  `json:"out"`
			Vocab   int     `json:"vocab"`
			Bytes   int64   `json:"bytes"` // of text
			Seconds float64 `json:"seconds"`
		}{c.Out, t.VocabSize(), r.Bytes, seconds})
	}
	return a.print("%s: %d tokens, %d of them special, from %s of text in %.1fs", c.Out, t.VocabSize(), len(special), size(r.Bytes), seconds)
}
