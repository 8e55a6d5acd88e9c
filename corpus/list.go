// This file turns the PATHs of the command line into a list of files: List, then the walk. Order is
// that of the arguments, and lexical inside a directory or a glob, so that a corpus is the same on
// every machine.

package corpus

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// Format is how a file holds its documents.
type Format int

const (
	Text  Format = iota // text or Markdown, cut into parts
	JSONL               // one JSON object a line, with a "text" field
)

// entry is one file of a corpus.
type entry struct {
	Path   string
	Format Format
	// Compression is "", "gzip" or "zstd", by the name's ending.
	Compression string
	// Source names the file's documents that do not name their own: the directory that was given,
	// or the file.
	Source string
}

// Errors that a caller can tell apart.
var (
	// ErrNoText: the paths hold nothing to learn from or to measure on.
	ErrNoText = errors.New("no text")
	// ErrTooLittle: there is text, but not enough of it.
	ErrTooLittle = errors.New("too little text")
)

// describe names the format by the file's name. ok is false for names that are known not to be
// text; everything else is decided by content.
func describe(path string) (f entry, reason string) {
	f.Path = path
	name := strings.ToLower(filepath.Base(path))
	switch ext := filepath.Ext(name); ext {
	case ".gz":
		f.Compression, name = "gzip", strings.TrimSuffix(name, ext)
	case ".zst":
		f.Compression, name = "zstd", strings.TrimSuffix(name, ext)
	}
	switch filepath.Ext(name) {
	case ".jsonl", ".ndjson":
		f.Format = JSONL
	case ".json":
		// Many data sets call JSONL files .json; training on the raw JSON would be silent harm.
		return f, "a .json file: if it holds one object a line, name it .jsonl"
	}
	return f, ""
}

// lister collects files, each real file once.
type lister struct {
	ctx   context.Context
	files []entry
	skip  []Skip
	dirs  []string        // real paths of the directories
	seen  map[string]bool // real paths of files and directories
	root  string          // directory being walked, as given
}

// list expands paths. A path that does not exist or matches nothing is an error; files inside
// directories that are not text by name are skipped and reported.
func list(ctx context.Context, paths []string) ([]entry, []Skip, error) {
	l := &lister{ctx: ctx, seen: map[string]bool{}}
	for _, p := range paths {
		if err := l.argument(p); err != nil {
			return nil, nil, err
		}
	}
	return l.files, l.skip, nil
}

func (l *lister) argument(p string) error {
	if p == "" {
		return errEmptyPath
	}
	if _, err := os.Lstat(p); err == nil {
		return l.add(p)
	} else if !strings.ContainsAny(p, "*?[") {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("corpus: %q: no such file or directory: give a file, a directory or a glob of text", p)
		}
		return fmt.Errorf("corpus: %q: %w", p, err)
	}
	found, err := filepath.Glob(p)
	if err != nil {
		return fmt.Errorf("corpus: pattern %q: %w: close its brackets, or write a file's own [ as \\[", p, err)
	}
	if len(found) == 0 {
		return fmt.Errorf("corpus: pattern %q matches nothing: give a file, a directory or a glob of text", p)
	}
	sort.Strings(found)
	for _, m := range found {
		if hidden(m) && !hidden(p) {
			continue
		}
		if err := l.add(m); err != nil {
			return err
		}
	}
	return nil
}

// hidden: by the convention of Unix, which also covers .git.
func hidden(path string) bool {
	base := filepath.Base(path)
	return strings.HasPrefix(base, ".") && base != "." && base != ".."
}

// add takes a file or walks a directory. Links are followed; a real path is visited once, which
// also ends loops of links.
func (l *lister) add(p string) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(p)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("corpus: %q is a link to nothing: repair it or leave it out", p)
	}
	if info, lstat := os.Lstat(p); err != nil && lstat == nil && info.Mode()&fs.ModeSymlink != 0 {
		return fmt.Errorf("corpus: %q is a link that leads nowhere (%w): repair it or leave it out", p, err)
	}
	if err != nil {
		return fmt.Errorf("corpus: %q: %w", p, err)
	}
	if real, err = filepath.Abs(real); err != nil {
		return fmt.Errorf("corpus: %w", err)
	}
	info, err := os.Stat(real)
	if err != nil {
		return fmt.Errorf("corpus: %w", err)
	}
	if l.seen[real] {
		return nil
	}
	l.seen[real] = true
	if info.IsDir() {
		if l.root == "" {
			l.root = filepath.Base(real)
			defer func() { l.root = "" }()
		}
		l.dirs = append(l.dirs, real)
		return l.directory(p)
	}
	if !info.Mode().IsRegular() {
		l.skip = append(l.skip, Skip{Path: p, Reason: "not a regular file"})
		return nil
	}
	f, reason := describe(p)
	if reason != "" {
		l.skip = append(l.skip, Skip{Path: p, Reason: reason})
		return nil
	}
	f.Source = l.root
	if f.Source == "" {
		f.Source = filepath.Base(p)
	}
	l.files = append(l.files, f)
	return nil
}

func (l *lister) directory(dir string) error {
	entries, err := os.ReadDir(dir) // sorted by name
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("corpus: %w: make it readable or leave it out", err)
	}
	if err != nil {
		return fmt.Errorf("corpus: %w", err)
	}
	for _, e := range entries {
		p := filepath.Join(dir, e.Name())
		if hidden(p) {
			continue
		}
		if e.Type()&fs.ModeSymlink != 0 {
			if _, err := os.Stat(p); err != nil {
				// A dangling link, or a loop of links: nothing is behind it, so nothing is lost.
				l.skip = append(l.skip, Skip{Path: p, Reason: "a link to nothing"})
				continue
			}
		}
		if err := l.add(p); err != nil {
			return err
		}
	}
	return nil
}
