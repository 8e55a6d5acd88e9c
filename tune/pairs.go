package tune

// This file reads preference pairs, JSONL, in two shapes:
//
//	{"prompt": …, "chosen": …, "rejected": …}     each a text, a message or a list of messages; without "prompt", chosen and
//	                                              rejected are whole conversations that differ in the last answer
//	{"input": {"messages": […], "tools": […]}, "preferred_output": […], "non_preferred_output": […]}     OpenAI's
//
// and gives them to train.Run.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/haenyeo/haenyeo/chat"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/tokenizer"
)

// Pair is one line: two conversations that differ in their last answer, which alone is learned.
type Pair struct{ Chosen, Rejected Conversation }

// ReadPairs reads the pairs of the files, in order.
func ReadPairs(ctx context.Context, paths []string) (all []Pair, files []File, err error) {
	for _, path := range paths {
		f, err := eachLine(ctx, path, func(line int, raw []byte) error {
			p, err := parsePair(raw)
			if err != nil {
				return at(path, line, "%w", err)
			}
			for _, c := range []*Conversation{&p.Chosen, &p.Rejected} {
				c.Path, c.Line = path, line
			}
			all = append(all, p)
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
		files = append(files, f)
	}
	return all, files, nil
}

func parsePair(raw []byte) (p Pair, err error) {
	fields, err := fieldsOf(raw)
	if err != nil {
		return p, err
	}
	names := [3]string{"prompt", "chosen", "rejected"}
	if input := fields["input"]; input != nil {
		inner, err := fieldsOf(input)
		if err != nil {
			return p, fmt.Errorf("input: %w", err)
		}
		names = [3]string{"input", "preferred_output", "non_preferred_output"}
		fields["input"], fields["tools"] = inner["messages"], inner["tools"]
	}
	tools, err := toolsOf(fields)
	if err != nil {
		return p, err
	}
	prompt, err := speech(names[0], fields[names[0]], chat.User)
	if err != nil {
		return p, err
	}
	for i, c := range []*Conversation{&p.Chosen, &p.Rejected} {
		name := names[i+1]
		said, err := speech(name, fields[name], chat.Assistant)
		switch {
		case err != nil:
			return p, err
		case len(said) == 0:
			return p, fmt.Errorf("%s: missing or empty", name)
		case said[len(said)-1].Role != chat.Assistant:
			return p, fmt.Errorf("%s: its last message is not an answer of the assistant", name)
		}
		c.Tools, c.Messages = tools, append(prompt[:len(prompt):len(prompt)], said...)
		if err := c.check(); err != nil {
			return p, fmt.Errorf("%s: with the prompt before it: %w", name, err)
		}
		c.Silent = make([]bool, len(c.Messages))
		for j := range c.Silent {
			c.Silent[j] = j < len(c.Messages)-1
		}
	}
	a, b := p.Chosen.Messages, p.Rejected.Messages
	switch {
	case len(a) != len(b) || !reflect.DeepEqual(a[:len(a)-1], b[:len(b)-1]):
		return p, fmt.Errorf("%s and %s differ before their last answer: they must answer the same", names[1], names[2])
	case reflect.DeepEqual(a, b):
		return p, fmt.Errorf("%s and %s are equal: there is nothing to prefer", names[1], names[2])
	}
	return p, nil
}

// speech is a text of that role, a message, or a list of messages.
func speech(name string, raw json.RawMessage, role chat.Role) ([]chat.Message, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	switch raw[0] {
	case '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return []chat.Message{{Role: role, Content: s}}, nil
	case '{':
		raw = append(append([]byte{'['}, raw...), ']')
	}
	list, _, err := messagesOf(name, raw)
	return list, err
}

// encodePairs makes two examples of every pair: 2k is chosen, 2k+1 rejected.
func encodePairs(ctx context.Context, tok *tokenizer.Tokenizer, f *chat.Format, all []Pair, most int) (list []Example, err error) {
	for _, p := range all {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for _, c := range []*Conversation{&p.Chosen, &p.Rejected} {
			e, err := Encode(tok, f, c)
			if err == nil && len(e) != 1 {
				err = errors.New("its last answer has no tokens")
			}
			if err != nil {
				return nil, at(c.Path, c.Line, "%w", err)
			}
			if n := len(e[0].Tokens); n > most {
				return nil, at(c.Path, c.Line, "the conversation has %d tokens, and a row holds %d: give longer rows (--seq), or leave it out", n, most)
			}
			list = append(list, e[0])
		}
	}
	return list, nil
}

// PairSource gives pairs to train.Run: rows 2k and 2k+1 of a batch are the chosen and the rejected answer of one pair. Rows are
// as long as the longest of their batch.
type PairSource struct {
	*order
	examples []Example
	pairs    int // of a batch
	print    string
}

func newPairSource(examples []Example, pairs int, seed uint64) *PairSource {
	return &PairSource{
		order: newOrder(len(examples)/2, seed), examples: examples, pairs: pairs,
		print: fmt.Sprintf("pairs-%s-%d-%d", fingerprint(examples), pairs, seed),
	}
}

// Next fills b with the next pairs.
func (s *PairSource) Next(b *model.Batch) error {
	numbers, longest := make([]int32, s.pairs), 0
	for i := range numbers {
		numbers[i] = s.next()
		for _, e := range s.examples[2*numbers[i]:][:2] {
			longest = max(longest, len(e.Tokens))
		}
	}
	makeBatch(b, 2*s.pairs, longest-1)
	for i, k := range numbers {
		fill(b, 2*i, s.examples, []int32{2 * k})
		fill(b, 2*i+1, s.examples, []int32{2*k + 1})
	}
	return nil
}

// Fingerprint names the pairs and their order.
func (s *PairSource) Fingerprint() string { return s.print }
