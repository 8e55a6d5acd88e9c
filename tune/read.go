package tune

// This file reads JSONL: one conversation a line.

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/haenyeo/haenyeo/chat"
)

// MaxLine is the longest line in bytes.
const MaxLine = 16 << 20

// Conversation is one line of the data.
type Conversation struct {
	Path     string
	Line     int // from 1
	Messages []chat.Message
	Tools    []chat.Tool
	Silent   []bool // of Messages: no loss on this answer; nil: on all
}

// at makes an error that says where.
func at(path string, line int, format string, args ...any) error {
	return fmt.Errorf("tune: %q line %d: %w", path, line, fmt.Errorf(format, args...))
}

// File is what was read, for the model card.
type File struct {
	Path    string `json:"path"`
	Bytes   int64  `json:"bytes"`
	SHA256  string `json:"sha256"`
	Records int    `json:"records"`
}

// Read reads the conversations of the files, in order.
func Read(ctx context.Context, paths []string) (all []Conversation, files []File, err error) {
	for _, path := range paths {
		f, err := eachLine(ctx, path, func(line int, raw []byte) error {
			c, err := parseConversation(raw)
			if err == nil {
				err = c.check()
			}
			if err != nil {
				return at(path, line, "%w", err)
			}
			c.Path, c.Line = path, line
			all = append(all, c)
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
		files = append(files, f)
	}
	return all, files, nil
}

// eachLine calls each with every line of the file that is not empty.
func eachLine(ctx context.Context, path string, each func(line int, raw []byte) error) (File, error) {
	f, err := os.Open(path)
	if err != nil {
		return File{}, fmt.Errorf("tune: data: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.IsDir() {
		return File{}, fmt.Errorf("tune: %q is a directory: name the JSONL files in it", path)
	}
	got, h := File{Path: path, Bytes: info.Size()}, sha256.New()
	s := bufio.NewScanner(io.TeeReader(f, h))
	s.Buffer(make([]byte, 1<<16), MaxLine)
	line := 0
	for s.Scan() {
		if err := ctx.Err(); err != nil {
			return File{}, err
		}
		line++
		raw := s.Bytes()
		if line == 1 {
			raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
		}
		if raw = bytes.TrimSpace(raw); len(raw) == 0 {
			continue
		}
		if err := each(line, raw); err != nil {
			return File{}, err
		}
		got.Records++
	}
	switch err := s.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return File{}, at(path, line+1, "longer than %d MiB: put one conversation on a line", MaxLine>>20)
	case err != nil:
		return File{}, fmt.Errorf("tune: %q: %w", path, err)
	case got.Records == 0:
		return File{}, fmt.Errorf("tune: %q holds no conversation: give JSONL, one object with \"messages\" a line", path)
	}
	got.SHA256 = hex.EncodeToString(h.Sum(nil))
	return got, nil
}

// fieldsOf reads the line's object.
func fieldsOf(raw []byte) (map[string]json.RawMessage, error) {
	var fields map[string]json.RawMessage
	err := json.Unmarshal(raw, &fields)
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind):
		return nil, fmt.Errorf("a JSON %s, where an object is wanted", kind.Value)
	case err != nil:
		return nil, fmt.Errorf("broken JSON: %w", err)
	case fields == nil:
		return nil, errors.New("null, where an object is wanted")
	}
	return fields, nil
}
