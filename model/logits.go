// This file holds Logits and MTPLogits: the model read as a whole. Generation, with a cache, is what package
// forward does.

package model

import (
	"errors"
	"fmt"
)

// Logits returns the logits [T,V] of all positions of one sequence.
func (m *Model) Logits(tokens []int32) ([]float32, error) {
	p, err := m.read(tokens)
	if err != nil {
		return nil, err
	}
	d, v := m.cfg.HiddenSize, m.cfg.VocabSize
	out := make([]float32, p.n*v)
	m.head.forward(p, out, v, p.h, d, p.n, false)
	return out, nil
}

// MTPLogits returns the logits [T-1,V] of the MTP layer: row i predicts token i+2.
func (m *Model) MTPLogits(tokens []int32) ([]float32, error) {
	if m.mtp == nil {
		return nil, errors.New("model: MTP logits asked of a model without an MTP layer: open it with Options.MTP")
	}
	if len(tokens) < 2 {
		return nil, errors.New("model: MTP logits need at least two tokens")
	}
	p, err := m.read(tokens)
	if err != nil {
		return nil, err
	}
	copy(p.next, tokens[1:])
	p.next[p.n-1] = 0 // its row is not returned, and no other sees it
	d, v := m.cfg.HiddenSize, m.cfg.VocabSize
	m.mtp.forward(p, &p.mtp, m.embed, p.s.xn, m.state(p))
	out := make([]float32, (p.n-1)*v)
	m.head.forward(p, out, v, p.s.xn, d, p.n-1, false)
	return out, nil
}

// States writes the states that the head reads for every position of b; HeadLogits makes logits of some of
// them. A teacher's states of a batch take a small part of the room of its logits.
//
//	h [B,T,D] written
//
// Source: DeepSeek-V4 report, on-policy distillation.
func (m *Model) States(b *Batch, h []float32) error {
	if err := m.checkBatch(b); err != nil {
		return err
	}
	d := m.cfg.HiddenSize
	if len(h) != b.B*b.T*d {
		return fmt.Errorf("model: room for %d floats of states, the batch has %d×%d positions of %d", len(h), b.B, b.T, d)
	}
	rows := m.rowsPerPass(b)
	for lo := 0; lo < b.B; lo += rows {
		p := m.passFor(min(rows, b.B-lo), b.T)
		m.fill(p, b, lo)
		m.forward(p)
		copy(h[lo*b.T*d:], p.h[:p.n*d])
	}
	return nil
}

// HeadLogits computes the logits of rows states.
//
//	logits [rows,V] written   h [rows,D] read
func (m *Model) HeadLogits(logits, h []float32, rows int) {
	if rows > 0 {
		m.head.forward(m.passFor(1, rows), logits, m.cfg.VocabSize, h, m.cfg.HiddenSize, rows, false)
	}
}

// read runs the main model over one sequence.
func (m *Model) read(tokens []int32) (*pass, error) {
	if len(tokens) == 0 || len(tokens) > maxSize {
		return nil, fmt.Errorf("model: a sequence of %d tokens is impossible", len(tokens))
	}
	if err := m.checkTokens(tokens); err != nil {
		return nil, err
	}
	p := m.passFor(1, len(tokens))
	copy(p.tokens, tokens)
	m.forward(p)
	return p, nil
}
