package infer

// Session is a context over package forward that outlives one answer. sessionfile.go keeps it on disk.

import (
	"context"
	"fmt"
	"time"

	"github.com/haenyeo/haenyeo/forward"
)

// Session is one growing context: the tokens read so far and what the layers keep of them. A new prompt computes
// only what differs from it. A Session is not safe for concurrent use, and sessions of one Net are used in turn.
type Session struct {
	net    *forward.Net
	cache  *forward.Cache
	tokens []int32 // in cache
	step   forward.Step
	steps  [1]*forward.Step
	guess  *guesser // of the answer that is being made
	pace   pace
}

// NewSession makes an empty context of at most limit tokens. Memory is taken as it grows.
func NewSession(net *forward.Net, limit int) (*Session, error) {
	cache, err := net.NewCache(limit)
	if err != nil {
		return nil, err
	}
	return newSession(net, cache, nil), nil
}

func newSession(net *forward.Net, cache *forward.Cache, tokens []int32) *Session {
	s := &Session{net: net, cache: cache, tokens: tokens, pace: pace{now: time.Now}}
	s.step.Cache = cache
	s.steps[0] = &s.step
	return s
}

// Tokens returns what the context holds. It must not be changed.
func (s *Session) Tokens() []int32 { return s.tokens }

// Step implements Stepper. A cancelled ctx ends it within a layer or two.
func (s *Session) Step(ctx context.Context, tokens []int32) ([]float32, error) {
	if err := s.run(ctx, tokens, false); err != nil {
		return nil, err
	}
	return s.step.Logits, s.guess.read(ctx, tokens)
}

func (s *Session) run(ctx context.Context, tokens []int32, every bool) error {
	s.step.Tokens, s.step.Every, s.step.States = tokens, every, s.guess.states(len(tokens))
	if err := s.net.Run(ctx, s.steps[:]); err != nil {
		s.tokens = append(s.tokens, tokens[:s.cache.Len()-len(s.tokens)]...) // some may have been read
		return err
	}
	s.tokens = append(s.tokens, tokens...)
	return nil
}

// speculate implements verifier.
func (s *Session) speculate(req *Request, sample *sampler) (g *guesser, err error) {
	s.guess = nil
	if g, err = newGuesser(s.net, req, sample, &s.pace); err == nil {
		s.guess = g
	}
	return g, err
}

// stepEvery implements verifier.
func (s *Session) stepEvery(ctx context.Context, tokens []int32) ([]float32, error) {
	if err := s.run(ctx, tokens, true); err != nil {
		return nil, err
	}
	return s.step.Logits, nil
}

// keep implements verifier.
func (s *Session) keep(ctx context.Context, n int) error {
	want := s.tokens[:len(s.tokens)-len(s.step.Tokens)+n]
	if err := s.guess.read(ctx, s.step.Tokens[:n]); err != nil {
		return err
	}
	s.truncate(len(want))
	for len(s.tokens) < len(want) { // the layers went back further: short steps give the same bits again
		if err := s.run(ctx, want[len(s.tokens):min(len(want), len(s.tokens)+forward.Short)], false); err != nil {
			return err
		}
	}
	return nil
}

// Rewind implements Stepper. The layers of some models cannot go back token by token: then less is kept than is
// common.
func (s *Session) Rewind(tokens []int32) int {
	n := 0
	for n < len(s.tokens) && n < len(tokens)-1 && s.tokens[n] == tokens[n] {
		n++
	}
	s.truncate(n)
	return len(s.tokens)
}

func (s *Session) truncate(n int) { s.tokens = s.tokens[:s.cache.Truncate(n)] }

var _ verifier = (*Session)(nil)

// checkTokens refuses tokens that the model does not have.
func checkTokens(tokens []int32, vocab int) error {
	for i, id := range tokens {
		if id < 0 || int(id) >= vocab {
			return fmt.Errorf("infer: token %d at position %d: the model's vocabulary has %d", id, i, vocab)
		}
	}
	return nil
}
