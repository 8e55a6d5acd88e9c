package tune

// This file turns conversations into tokens with a mask.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/haenyeo/haenyeo/chat"
	"github.com/haenyeo/haenyeo/tokenizer"
)

// Example is one sequence.
type Example struct {
	Tokens []int32
	Answer []bool // of Tokens: written by the assistant, learned
}

// answers is the number of tokens that are learned.
func (e *Example) answers() (n int) {
	for _, a := range e.Answer {
		if a {
			n++
		}
	}
	return n
}

// Encode makes the sequences of a conversation in a format: one, where the generation shows earlier turns as they were written.
func Encode(tok *tokenizer.Tokenizer, f *chat.Format, c *Conversation) (list []Example, err error) {
	var e Example // under construction
	for i, m := range c.Messages {
		if m.Role != chat.Assistant {
			continue
		}
		prompt, reply, err := f.Reply(c.Messages[:i+1], chat.Options{Tools: c.Tools})
		if err != nil {
			return nil, fmt.Errorf("messages[%d]: %s", i, strings.TrimPrefix(err.Error(), "chat: "))
		}
		// Apart, as in use: the prompt is given, the answer is drawn token by token.
		asked, said := chat.Encode(tok, prompt), chat.Encode(tok, reply)
		if len(asked) == 0 {
			return nil, fmt.Errorf("messages[%d]: the format %q gives an empty prompt", i, f.Name())
		}
		if len(e.Tokens) > len(asked) || !slices.Equal(e.Tokens, asked[:len(e.Tokens)]) {
			list, e = append(list, e), Example{}
		}
		learn := c.Silent == nil || !c.Silent[i]
		e.add(asked[len(e.Tokens):], false)
		e.add(said, learn)
	}
	list = append(list, e)
	return slices.DeleteFunc(list, func(e Example) bool { return e.answers() == 0 }), nil
}

func (e *Example) add(tokens []int32, answer bool) {
	e.Tokens = append(e.Tokens, tokens...)
	for range tokens {
		e.Answer = append(e.Answer, answer)
	}
}

// encodeAll makes the examples of all conversations, of at most most tokens each. A longer one is an error, or loses its end
// with truncate; then it may have nothing left to be learned and is left out.
func encodeAll(ctx context.Context, tok *tokenizer.Tokenizer, f *chat.Format, all []Conversation, most int, truncate bool, log *slog.Logger) (list []Example, err error) {
	cut, lost := 0, 0
	for i := range all {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c := &all[i]
		examples, err := Encode(tok, f, c)
		if err != nil {
			return nil, at(c.Path, c.Line, "%w", err)
		}
		for _, e := range examples {
			if n := len(e.Tokens); n > most {
				if !truncate {
					return nil, at(c.Path, c.Line, "the conversation has %d tokens, and a row holds %d: give longer rows (--seq), leave it out, or have its end cut off (--truncate)", n, most)
				}
				cut++
				e.Tokens, e.Answer = e.Tokens[:most], e.Answer[:most]
				if e.answers() == 0 {
					lost++
					continue
				}
			}
			list = append(list, e)
		}
	}
	if cut > 0 {
		cmp.Or(log, slog.Default()).Warn("tune: conversations that are longer than a row lost their end", "cut", cut, "without_answer_then", lost)
	}
	if len(list) == 0 {
		return nil, errors.New("tune: nothing is left to learn: every conversation was cut before its first answer: give longer rows (--seq)")
	}
	return list, nil
}
