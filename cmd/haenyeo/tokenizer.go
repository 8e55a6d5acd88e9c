package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/haenyeo/haenyeo/tokenizer"
)

type tokenizerCmd struct {
	Train  tokenizerTrainCmd  `cmd:"" help:"Learn a byte-level BPE vocabulary from text."`
	Encode tokenizerEncodeCmd `cmd:"" help:"Turn the text on stdin into token ids."`
	Decode tokenizerDecodeCmd `cmd:"" help:"Turn the token ids on stdin into text."`
}

func (tokenizerCmd) Help() string {
	return "Train writes a tokenizer.json; encode and decode work with any model's.\n\nExample:\n\n\thaenyeo tokenizer train --vocab 8192 --out my-tokenizer books/"
}

const (
	maxLine = tokenizer.MaxUncut // bytes of a line with --lines
	maxIDs  = 64 << 20           // bytes of a list of ids
)

type tokenizerEncodeCmd struct {
	Dir     string `arg:"" help:"Directory with tokenizer.json."`
	Lines   bool   `help:"Each line of stdin is a JSON string and one text."`
	Special bool   `help:"Add what the tokenizer adds to a text, such as a begin token."`
}

func (tokenizerEncodeCmd) Help() string {
	return "Prints ids separated by commas, as --tokens of other commands takes them.\n\nExample:\n\n\techo \"Good morning\" | haenyeo tokenizer encode my-model"
}

func (c *tokenizerEncodeCmd) Run(a *app) error {
	t, err := tokenizer.Load(c.Dir)
	if err != nil {
		return err
	}
	options := tokenizer.EncodeOptions{AddSpecial: c.Special}
	if !c.Lines {
		return c.whole(a, t, options)
	}
	var ids []int32
	for text, err := range texts(a.stdin) {
		if err == nil {
			err = a.ctx.Err()
		}
		if err != nil {
			return err
		}
		ids = t.Encode(ids[:0], text, options)
		if a.JSON {
			err = a.emit(struct {
				IDs []int32 `json:"ids"`
			}{append([]int32{}, ids...)})
		} else {
			err = a.print("%s", joinIDs(ids))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// whole encodes all of stdin as one text, of which the ids are printed as they come.
func (c *tokenizerEncodeCmd) whole(a *app, t *tokenizer.Tokenizer, options tokenizer.EncodeOptions) error {
	before, between, after := "", ",", ""
	if a.JSON {
		before, after = `{"ids":[`, "]}"
	}
	a.stdout.WriteString(before)
	first := true
	err := t.EncodeReader(a.stdin, options, func(ids []int32) error {
		for _, id := range ids {
			if !first {
				a.stdout.WriteString(between)
			}
			first = false
			a.stdout.WriteString(strconv.Itoa(int(id)))
		}
		return a.stdout.Flush()
	})
	if err != nil {
		return fmt.Errorf("stdin: %w", err)
	}
	return a.print("%s", after)
}

// texts yields the JSON string of every line of r.
func texts(r io.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for line, err := range inputs(r, true) {
			var text string
			if err == nil && !strings.HasPrefix(strings.TrimSpace(line.text), `"`) {
				err = fmt.Errorf("stdin, line %d is not a JSON string", line.number) // null would pass for one
			} else if err == nil {
				if jerr := json.Unmarshal([]byte(line.text), &text); jerr != nil {
					err = fmt.Errorf("stdin, line %d is not a JSON string: %w", line.number, jerr)
				}
			}
			if !yield(text, err) || err != nil {
				return
			}
		}
	}
}

type inputLine struct {
	number int
	text   string
}

// inputs yields all of r at once, or its lines without their ends, empty ones left out.
func inputs(r io.Reader, lines bool) iter.Seq2[inputLine, error] {
	return func(yield func(inputLine, error) bool) {
		if !lines {
			b, err := io.ReadAll(io.LimitReader(r, maxIDs+1))
			if err == nil && len(b) > maxIDs {
				err = fmt.Errorf("stdin has more than %d MB: give a list a line and use --lines", maxIDs>>20)
			}
			yield(inputLine{1, string(b)}, err)
			return
		}
		s := bufio.NewScanner(r)
		s.Buffer(nil, maxLine)
		n := 0
		for s.Scan() {
			if n++; strings.TrimSpace(s.Text()) != "" && !yield(inputLine{n, s.Text()}, nil) {
				return
			}
		}
		if err := s.Err(); errors.Is(err, bufio.ErrTooLong) {
			yield(inputLine{}, fmt.Errorf("stdin, line %d is longer than %d MB: split it", n+1, maxLine>>20))
		} else if err != nil {
			yield(inputLine{}, fmt.Errorf("stdin: %w", err))
		}
	}
}

type tokenizerDecodeCmd struct {
	Dir         string `arg:"" help:"Directory with tokenizer.json."`
	Lines       bool   `help:"Each line of stdin is one list of ids; plain text is then printed as JSON strings."`
	SkipSpecial bool   `help:"Leave out special tokens such as the end of text."`
}

func (tokenizerDecodeCmd) Help() string {
	return "Reads ids separated by commas or white space, or what encode --json printed.\n\nExample:\n\n\techo 17,42 | haenyeo tokenizer decode my-model"
}

func (c *tokenizerDecodeCmd) Run(a *app) error {
	t, err := tokenizer.Load(c.Dir)
	if err != nil {
		return err
	}
	for line, err := range inputs(a.stdin, c.Lines) {
		if err == nil {
			err = a.ctx.Err()
		}
		if err != nil {
			return err
		}
		ids, err := parseIDs(line.text, t.VocabSize())
		if err != nil {
			return fmt.Errorf("stdin, line %d: %w", line.number, err)
		}
		text := t.Decode(ids, c.SkipSpecial)
		switch {
		case a.JSON:
			err = a.emit(struct {
				Text string `json:"text"`
			}{text})
		case c.Lines:
			err = a.emit(text)
		default:
			err = a.print("%s", text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// parseIDs reads ids that lie below vocab.
func parseIDs(s string, vocab int) ([]int32, error) {
	ids, err := readIDs(s)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if id < 0 || int(id) >= vocab {
			return nil, fmt.Errorf("token %d: the tokenizer has ids 0 to %d", id, vocab-1)
		}
	}
	return ids, nil
}

// idList is the value of --tokens.
type idList []int32

// UnmarshalText reads a flag.
func (l *idList) UnmarshalText(text []byte) error {
	ids, err := readIDs(string(text))
	if err == nil && len(ids) == 0 {
		err = errors.New("give at least one token id")
	}
	*l = ids
	return err
}

// readIDs reads "1,2 3", "[1,2,3]" or {"ids":[1,2,3]}.
func readIDs(s string) ([]int32, error) {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "{") {
		var o map[string]json.RawMessage // a struct would take "IDS" too
		if err := json.Unmarshal([]byte(s), &o); err != nil {
			return nil, fmt.Errorf("not an object with \"ids\": %w", err)
		}
		list, ok := o["ids"]
		if s = string(list); !ok || len(o) != 1 || !strings.HasPrefix(s, "[") {
			return nil, errors.New(`not an object with "ids", a list, and nothing else`)
		}
	}
	if strings.HasPrefix(s, "[") {
		if !json.Valid([]byte(s)) {
			return nil, errors.New("not a list of ids: the JSON is broken")
		}
		s = s[1 : len(s)-1]
	}
	var ids []int32
	for f := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r' }) {
		id, err := strconv.ParseInt(f, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%q is not a token id", f)
		}
		ids = append(ids, int32(id))
	}
	return ids, nil
}
