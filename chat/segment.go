package chat

// A prompt as the formats write it, and the way to ids.

import (
	"strings"

	"github.com/haenyeo/haenyeo/tokenizer"
)

// Segment is a part of a prompt.
type Segment struct {
	Text    string
	Control bool // written by the format: tokens that it spells are meant. The words of others are not Control.
}

// Encode turns a prompt into ids. Control tokens come from Control segments alone; everything else, on both sides of a
// border between segments, merges as in the whole string. It adds no BOS: the formats write it.
func Encode(tok *tokenizer.Tokenizer, prompt []Segment) []int32 {
	spans := make([]tokenizer.Span, len(prompt))
	for i, s := range prompt {
		spans[i] = tokenizer.Span{Text: s.Text, Trusted: s.Control}
	}
	return tok.EncodeSpans(nil, spans)
}

// Text gives the prompt as one string, for people to look at. Encoding it would let words become control tokens.
func Text(prompt []Segment) string {
	var b strings.Builder
	for _, s := range prompt {
		b.WriteString(s.Text)
	}
	return b.String()
}

// writer collects a prompt; neighbours of a kind become one segment.
type writer struct{ prompt []Segment }

// control writes the format's own text.
func (w *writer) control(parts ...string) {
	for _, s := range parts {
		w.add(s, true)
	}
}

// text writes the words of others.
func (w *writer) text(s string) { w.add(s, false) }

func (w *writer) add(s string, control bool) {
	if s == "" {
		return
	}
	if n := len(w.prompt); n > 0 && w.prompt[n-1].Control == control {
		w.prompt[n-1].Text += s
		return
	}
	w.prompt = append(w.prompt, Segment{s, control})
}
