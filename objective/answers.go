package objective

// This file says which positions of a batch are answers and which sequence each belongs to, and holds the
// softmax of one row.

import (
	"fmt"
	"math"

	"github.com/haenyeo/haenyeo/model"
)

// sequences are the answers of a batch.
type sequences struct {
	of      []int32 // [B,T] sequence of a position with a target; −1 without
	lengths []int   // positions of each sequence
	tokens  int
}

// sequencesOf counts. seq [B,T] numbers the sequences; nil: each row is one.
func sequencesOf(b *model.Batch, seq []int32) (*sequences, error) {
	n := b.B * b.T
	switch {
	case n <= 0 || b.Targets == nil && len(b.Tokens) != n+b.B || b.Targets != nil && len(b.Targets) != n:
		return nil, fmt.Errorf("objective: a batch of %d rows of %d with %d tokens and %d targets is impossible", b.B, b.T, len(b.Tokens), len(b.Targets))
	case seq != nil && len(seq) != n:
		return nil, fmt.Errorf("objective: sequences of %d positions given, the batch has %d", len(seq), n)
	}
	s := &sequences{of: make([]int32, n)}
	for i := range n {
		target := int32(0)
		if b.Targets != nil {
			target = b.Targets[i]
		}
		if s.of[i] = -1; target < 0 {
			continue
		}
		id := int32(i / b.T)
		if seq != nil {
			id = seq[i]
		}
		if id < 0 || int(id) >= n {
			return nil, fmt.Errorf("objective: position %d has a target and sequence %d: number them from 0", i, id)
		}
		for len(s.lengths) <= int(id) {
			s.lengths = append(s.lengths, 0)
		}
		s.of[i] = id
		s.lengths[id]++
		s.tokens++
	}
	return s, nil
}

// sum adds x of every position of each sequence, in order.
func (s *sequences) sum(x func(i int) float64) []float64 {
	sums := make([]float64, len(s.lengths))
	for i, id := range s.of {
		if id >= 0 {
			sums[id] += x(i)
		}
	}
	return sums
}

// softmax is of one row: p = y/z, log Σ exp = lse.
type softmax struct {
	y      []float32 // exp(x − max)
	z, lse float64
}

// softmaxOf computes the softmax of x into y, which may be x.
func softmaxOf(r model.Row, y, x []float32) softmax {
	m := r.Engine.Maximum(x)
	z := r.Engine.ExpSum(y, x, -m)
	return softmax{y[:len(x)], z, float64(m) + math.Log(z)}
}

// pull writes g·∂ log p[target]/∂x = g·(onehot − p). dst may be y. The target's 1 − p is formed from the
// others' share, which keeps its digits when p is near 1.
func (s softmax) pull(r model.Row, dst []float32, target int, g float64) {
	left := (s.z - float64(s.y[target])) / s.z
	r.Engine.Scale(dst, s.y, float32(-g/s.z))
	dst[target] = float32(g * left)
}

func checkLength(what string, x []float32, n int, optional bool) error {
	if optional && x == nil || len(x) == n {
		return nil
	}
	return fmt.Errorf("objective: %s of %d positions given, the batch has %d", what, len(x), n)
}
