// This file keeps what a run writes apart from what it reads.

package corpus

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Apart refuses an output directory inside the text at paths: who reads the text again, to resume for
// one, would find there what was not there before. It also refuses an empty path, which names nothing.
func Apart(ctx context.Context, out string, paths []string) error {
	to, err := resolved(out)
	if err != nil {
		return fmt.Errorf("corpus: output directory: %w", err)
	}
	for _, p := range paths {
		if p == "" {
			return errEmptyPath
		}
		in, err := resolved(p)
		if err != nil {
			return fmt.Errorf("corpus: data: %w", err)
		}
		inside := fmt.Errorf("corpus: the output directory %q lies inside the data %q: choose an --out elsewhere", out, p)
		// A pattern matches directories too, and what is in them is read.
		if atOrAbove(to, func(dir string) bool {
			match, err := filepath.Match(in, dir)
			return dir == in || err == nil && match
		}) {
			return inside
		}
		// Links inside lead to further directories.
		l := &lister{ctx: ctx, seen: map[string]bool{}}
		if l.argument(p) != nil {
			continue // who reads it will say so
		}
		if atOrAbove(to, func(dir string) bool { return slices.Contains(l.dirs, dir) }) {
			return inside
		}
	}
	return ctx.Err()
}

var errEmptyPath = errors.New(`corpus: one of the paths of the data is empty (""): give a file, a directory or a glob of text`)

// atOrAbove says whether path or a directory above it is one of those that is asks for.
func atOrAbove(path string, is func(dir string) bool) bool {
	for !is(path) {
		above := filepath.Dir(path)
		if above == path {
			return false
		}
		path = above
	}
	return true
}

// resolved is path without links, as far as it exists.
func resolved(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	rest := ""
	for at := abs; ; at = filepath.Dir(at) {
		if found, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(found, rest), nil
		}
		if at == filepath.Dir(at) {
			return abs, nil
		}
		rest = strings.TrimSuffix(filepath.Join(filepath.Base(at), rest), string(filepath.Separator))
	}
}
