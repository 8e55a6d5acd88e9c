package train

// This file keeps the tokens of a run in its directory: mapped, so that much text does not stay in
// memory, and there again when the run goes on.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/haenyeo/haenyeo/corpus"
)

// TokensName is the name of the file of tokens in the output directory, until the run is finished.
const TokensName = "tokens.bin"

// Tokens are the training tokens of a run.
type Tokens struct {
	*corpus.Tokens
	dir  string // "": they are in memory
	made bool   // dir was not there
}

// Tokenize turns docs into the tokens of the run in dir, which is made, or takes those that are there.
// opt.Fingerprint must name docs and tokenizer. Without a directory they are in memory.
func Tokenize(ctx context.Context, dir string, docs iter.Seq2[corpus.Document, error], opt corpus.TokenOptions) (*Tokens, error) {
	t := &Tokens{dir: dir}
	if dir != "" {
		_, err := os.Stat(dir)
		t.made = errors.Is(err, fs.ErrNotExist)
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return nil, fmt.Errorf("train: output directory: %w: choose another --out", err)
		}
		opt.Path = t.path()
	}
	var err error
	if t.Tokens, err = corpus.Tokenize(ctx, docs, opt); err != nil {
		t.leave()
		return nil, err
	}
	return t, nil
}

func (t *Tokens) path() string { return filepath.Join(t.dir, TokensName) }

// Release closes the tokens, and removes their file unless there is a run to resume that needs it.
func (t *Tokens) Release(finished bool) error {
	err := t.Close()
	if t.dir == "" || !finished && HasRun(t.dir) {
		return err
	}
	if removed := os.Remove(t.path()); err == nil && !errors.Is(removed, fs.ErrNotExist) {
		err = removed
	}
	t.leave()
	return err
}

// leave removes a directory that was made for nothing.
func (t *Tokens) leave() {
	if t.made {
		os.Remove(t.dir) // unless something is in it
	}
}
