// This file holds generation: Logits without a cache, Decode with one, and what the cached attention of
// mla.go and gqa.go shares.

package model

import (
	"errors"
	"fmt"
	"math"

	"github.com/haenyeo/haenyeo/kernel"
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

// Decode reads tokens after those in c and returns the logits [V] after the last. The slice is valid
// until the next call on the model.
func (m *Model) Decode(c *Cache, tokens []int32) ([]float32, error) {
	if len(tokens) == 0 {
		return nil, errors.New("model: no tokens to read")
	}
	if len(c.layers) != len(m.blocks) {
		return nil, errors.New("model: the cache belongs to another model")
	}
	if err := m.checkTokens(tokens); err != nil {
		return nil, err
	}
	if err := c.reserve(m, len(tokens)); err != nil {
		return nil, err
	}
	d := m.cfg.HiddenSize
	for {
		n := min(len(tokens), m.opt.MaxTokens)
		p := m.passFor(1, n)
		p.cache = c
		m.rope.grow(c.n + n)
		for i := range n {
			p.pos[i] = int32(c.n + i)
		}
		copy(p.tokens, tokens[:n])
		m.embed.forward(p, p.layers[0].x, p.tokens[:n])
		for i, b := range m.blocks {
			k := &p.layers[i]
			b.decode(p, k, &c.layers[i])
		}
		c.n += n
		if tokens = tokens[n:]; len(tokens) > 0 {
			continue
		}
		m.norm.forward(p, p.h, d, p.rstd, m.last(p)[(n-1)*d:], d, 1)
		m.head.forward(p, p.logits, m.cfg.VocabSize, p.h, d, 1, false)
		p.cache = nil
		return p.logits[:m.cfg.VocabSize], nil
	}
}

// cacheWork is what attention over a cache needs; it grows with the cache.
type cacheWork struct {
	q, u     []float32 // MLA: absorbed queries [S,H,R+P], attended latents [S,H,R]
	score    []float32 // [S,H,T]
	products []kernel.Product
	softmax  softmaxTask
}

// scoreFloats bounds the scores that are alive at once, unless a single query needs more.
const scoreFloats = 1 << 20

// queriesAtOnce is how many queries of a pass attend together to t cached tokens.
func queriesAtOnce(heads, t int) int { return max(1, scoreFloats/(heads*t)) }

func sized(x []float32, n int) []float32 {
	if cap(x) < n {
		return make([]float32, n+n/4)
	}
	return x[:cap(x)]
}

// softmaxTask turns scores [S,H,T] into probabilities; query i sees the first seen+i+1 tokens.
type softmaxTask struct {
	score []float32
	h, t  int
	seen  int
}

func (s *softmaxTask) run(p *pass, score []float32, rows, h, t, seen int) {
	*s = softmaxTask{score, h, t, seen}
	p.e.Pool().Run(rows, s)
}

// Do handles one query.
func (s *softmaxTask) Do(_, i int) {
	visible := s.seen + i + 1
	for h := range s.h {
		row := s.score[(i*s.h+h)*s.t:][:s.t]
		clear(row[visible:])
		row = row[:visible]
		top := row[0]
		for _, v := range row {
			top = max(top, v)
		}
		var sum float64
		for j, v := range row {
			e := math.Exp(float64(v - top))
			row[j] = float32(e)
			sum += e
		}
		f := float32(1 / sum)
		for j := range row {
			row[j] *= f
		}
	}
}
