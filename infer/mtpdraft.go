package infer

// Guesses of the multi-token prediction layer. It reads what the main model leaves of every token together with the
// token that came after; fed with its own output it guesses further ahead.

import (
	"context"

	"github.com/haenyeo/haenyeo/forward"
)

// mtpDraft keeps the layer up with an answer.
//
// Of the tokens that the main model read, the layer has read the first held. states [rows,S·D] are what was left of
// the next ones, next the tokens behind them: rows of them or, while the token behind the last row is not known yet,
// one fewer.
type mtpDraft struct {
	net    *forward.Net
	draft  *forward.Draft
	target *sampler // of the answer
	sample *sampler // of guesses: the same cuts, no rules
	held   int
	rows   int
	states []float32
	next   []int32
}

// behind is how many rows may wait: reading them together costs less than one by one.
const behind = 32

func newMTPDraft(net *forward.Net, room int, target *sampler) (*mtpDraft, error) {
	draft, err := net.NewDraft(room)
	if err != nil {
		return nil, err
	}
	s := target.Sampling
	return &mtpDraft{net: net, draft: draft, target: target,
		sample: newSampler(Sampling{Temperature: s.Temperature, TopK: s.TopK, TopP: s.TopP, MinP: s.MinP, TypicalP: s.TypicalP}, nil, nil)}, nil
}

// room is room for the states of n more tokens.
func (m *mtpDraft) room(n int) []float32 {
	size := m.net.StateSize()
	need := (m.rows + n) * size
	if need > len(m.states) {
		states := make([]float32, need)
		copy(states, m.states[:m.rows*size])
		m.states = states
	}
	return m.states[m.rows*size : need]
}

// read takes note of tokens whose states were written to room.
func (m *mtpDraft) read(ctx context.Context, tokens []int32) error {
	if m.rows == len(m.next) {
		m.next = append(m.next, tokens[1:]...)
	} else {
		m.next = append(m.next, tokens...)
	}
	if m.rows += len(tokens); m.rows <= behind {
		return nil
	}
	_, err := m.follow(ctx, m.rows-1)
	return err
}

// follow gives the first rows to the layer.
func (m *mtpDraft) follow(ctx context.Context, rows int) ([]float32, error) {
	size := m.net.StateSize()
	m.held = m.draft.Truncate(m.held)
	logits, err := m.net.Follow(ctx, m.draft, m.states[:rows*size], m.next[:rows])
	if err != nil {
		return nil, err
	}
	m.held = m.draft.Len()
	copy(m.states, m.states[rows*size:m.rows*size])
	m.next = append(m.next[:0], m.next[rows:]...)
	m.rows -= rows
	return logits, nil
}

// guess appends k guesses of the tokens after last.
func (m *mtpDraft) guess(ctx context.Context, guesses []int32, last int32, k int) ([]int32, error) {
	if m.rows == 0 {
		return guesses, nil // the main model has read nothing since
	}
	m.next = append(m.next, last)
	logits, err := m.follow(ctx, m.rows)
	*m.sample.source = *m.target.source
	for {
		if err != nil {
			return nil, err
		}
		id, err := m.sample.next(logits)
		if err != nil {
			return nil, err
		}
		if guesses = append(guesses, id); len(guesses) == k {
			return guesses, nil
		}
		if logits, err = m.net.Guess(ctx, m.draft, id); err != nil {
			return nil, err
		}
	}
}
