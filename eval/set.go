package eval

// A Set is a file of questions: JSON objects, one a line, as they are or compressed (.zst, .gz).

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"github.com/haenyeo/haenyeo/internal/regular"
)

// Kind is how a set is scored.
type Kind string

const (
	Choice     Kind = "choice"     // which of several continuations is the most probable
	Completion Kind = "completion" // is the continuation what the model would write, and how probable is it
	Answer     Kind = "answer"     // does the text that the model writes hold the right answer
)

// Item is one question.
type Item struct {
	ID   string
	Lang string
	Text string // what is asked and answered, without the words of a prompt: what is looked for in training data

	Contexts []string // one for all choices, or one for each
	Choices  []string // what follows a context after one space; one in a Completion, none in an Answer
	Gold     int      // the right choice
	Target   string   // the right answer with its reasons, as an example shows it
	Answer   string   // the right answer

	verify func(ctx context.Context, text string) (right, lenient bool) // nil: Answer is compared
}

// Set is a file of questions.
type Set struct {
	Name   string
	Path   string
	SHA256 string // of the file as it is
	Shape  string // of its records
	Kind   Kind
	Items  []Item
	Stop   []string // texts that end an answer
}

const (
	maxFile = 1 << 30 // bytes of a file of questions, without compression
	maxLine = 16 << 20
)

// Load reads the file at path. Its name says the language of sets that have one file a language (xcopa/th.test.jsonl).
func Load(ctx context.Context, name, path string) (*Set, error) {
	f, _, err := regular.Open(path)
	if err != nil {
		return nil, fmt.Errorf("eval: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	raw := io.TeeReader(f, sum)
	r := raw
	switch strings.ToLower(filepath.Ext(path)) {
	case ".gz":
		z, err := gzip.NewReader(raw)
		if err != nil {
			return nil, fmt.Errorf("eval: %q: %w", path, err)
		}
		r = z
	case ".zst":
		z, err := zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return nil, fmt.Errorf("eval: %q: %w", path, err)
		}
		defer z.Close()
		r = z
	}
	s := &Set{Name: name, Path: path}
	if err := s.read(ctx, io.LimitReader(r, maxFile+1), language(path)); err != nil {
		return nil, fmt.Errorf("eval: %q: %w", path, err)
	}
	if _, err := io.Copy(io.Discard, raw); err != nil {
		return nil, fmt.Errorf("eval: %q: %w", path, err)
	}
	s.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return s, nil
}

// Parse reads questions from r. lang is the language of those that do not say theirs, "" for none.
func Parse(ctx context.Context, name string, r io.Reader, lang string) (*Set, error) {
	s := &Set{Name: name}
	if err := s.read(ctx, r, lang); err != nil {
		return nil, fmt.Errorf("eval: set %q: %w", name, err)
	}
	return s, nil
}

func (s *Set) read(ctx context.Context, r io.Reader, lang string) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	read := 0
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if read += len(lines.Bytes()) + 1; read > maxFile {
			return fmt.Errorf("more than %d bytes: cut it into several files", maxFile)
		}
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if len(line) == 0 {
			continue
		}
		if err := s.add(line, lang); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if it := &s.Items[len(s.Items)-1]; it.ID == "" {
			it.ID = fmt.Sprintf("line-%d", n)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if len(s.Items) == 0 {
		return fmt.Errorf("no questions: every line is to be a JSON object")
	}
	return nil
}

// add makes an item of a line.
func (s *Set) add(line []byte, lang string) error {
	if !utf8.Valid(line) {
		return fmt.Errorf("not UTF-8: convert the file")
	}
	rec := record{lang: lang}
	if err := json.Unmarshal(line, &rec.fields); err != nil {
		return fmt.Errorf("no JSON object: %w", err)
	}
	if own := rec.text("lang"); own != "" {
		rec.lang = own
	}
	rec.err = nil // lang may be missing
	shape := recognise(&rec)
	if shape == nil {
		return fmt.Errorf("fields %s: no known set has these; known are %s", strings.Join(rec.names(), ", "), shapeNames())
	}
	if s.Shape != "" && s.Shape != shape.name {
		return fmt.Errorf("a record of %s among those of %s: put them into files of their own", shape.name, s.Shape)
	}
	it := shape.make(&rec)
	it.Lang = rec.lang
	if has(&rec, "id") {
		it.ID = rec.text("id")
	}
	if rec.err == nil {
		rec.err = it.check(shape.kind)
	}
	if rec.err != nil {
		return fmt.Errorf("%s: %w", shape.name, rec.err)
	}
	s.Shape, s.Kind, s.Stop = shape.name, shape.kind, shape.stop
	s.Items = append(s.Items, it)
	return nil
}

// check finds what no scoring could make sense of.
func (it *Item) check(kind Kind) error {
	switch {
	case kind == Answer && it.Answer == "":
		return fmt.Errorf("the answer is empty")
	case kind == Answer:
		return nil
	case kind == Choice && len(it.Choices) < 2:
		return fmt.Errorf("%d choices: give at least 2", len(it.Choices))
	case it.Gold < 0 || it.Gold >= len(it.Choices):
		return fmt.Errorf("the right answer is number %d of %d choices, counted from 0", it.Gold, len(it.Choices))
	}
	for i, c := range it.Choices {
		if c == "" {
			return fmt.Errorf("choice %d is empty", i)
		}
	}
	return nil
}

// context is what choice i follows.
func (it *Item) context(i int) string {
	if len(it.Contexts) == 1 {
		return it.Contexts[0]
	}
	return it.Contexts[i]
}

// language is what the name of a file says: the first part that is the tag of a known language.
func language(path string) string {
	for _, part := range strings.Split(filepath.Base(path), ".") {
		if _, known := connectors[part]; known || part == "es" || part == "ja" || part == "ko" || part == "ar" {
			return part
		}
	}
	if strings.Contains(strings.ToLower(path), "kobest") {
		return "ko"
	}
	return ""
}
