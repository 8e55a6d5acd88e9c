package infer

// Embeddings: the mean of the states that the head would be multiplied with, at length 1. Models that were trained to
// continue texts give usable, not excellent, ones.

import (
	"context"
	"math"
)

// pool sums the states of the tokens of a prompt.
type pool struct {
	sum    []float64 // [D]
	states []float32 // of the chunk that is being read
}

// room is where the states of n tokens are to be put.
func (p *pool) room(n int) []float32 {
	if p == nil {
		return nil
	}
	if n *= len(p.sum); len(p.states) < n {
		p.states = make([]float32, n)
	}
	return p.states[:n]
}

// add adds states [T,D].
func (p *pool) add(states []float32) {
	if p == nil {
		return
	}
	for i, v := range states {
		p.sum[i%len(p.sum)] += float64(v)
	}
}

// Embed gives the embedding [D] of a text. It waits in the queue as answers do.
func (s *Scheduler) Embed(ctx context.Context, tokens []int32) ([]float32, error) {
	p := &pool{sum: make([]float64, s.net.Config().HiddenSize)}
	stream, err := s.Submit(ctx, Request{Tokens: tokens, MaxTokens: 1, pool: p}, 0)
	if err != nil {
		return nil, err
	}
	if _, err := stream.Result(); err != nil {
		return nil, err
	}
	return Normalized(p.sum), nil
}

// Normalized gives a vector the length 1; that of length 0 stays.
func Normalized[F float32 | float64](v []F) []float32 {
	var square float64
	for _, x := range v {
		square += float64(x) * float64(x)
	}
	scale := 1.0
	if square > 0 {
		scale = 1 / math.Sqrt(square)
	}
	unit := make([]float32, len(v))
	for i, x := range v {
		unit[i] = float32(float64(x) * scale)
	}
	return unit
}
