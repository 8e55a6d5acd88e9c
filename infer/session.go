package infer

// Session is a context over package forward that outlives one answer. sessionfile.go keeps it on disk.

import (
	"context"
	"fmt"

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
	s := &Session{net: net, cache: cache, tokens: tokens}
	s.step.Cache = cache
	s.steps[0] = &s.step
	return s
}

// Tokens returns what the context holds. It must not be changed.
func (s *Session) Tokens() []int32 { return s.tokens }

// Step implements Stepper. A cancelled ctx ends it within a layer or two.
func (s *Session) Step(ctx context.Context, tokens []int32) ([]float32, error) {
	s.step.Tokens = tokens
	if err := s.net.Run(ctx, s.steps[:]); err != nil {
		s.tokens = append(s.tokens, tokens[:s.cache.Len()-len(s.tokens)]...) // some may have been read
		return nil, err
	}
	s.tokens = append(s.tokens, tokens...)
	return s.step.Logits, nil
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

var _ Stepper = (*Session)(nil)

// checkTokens refuses tokens that the model does not have.
func checkTokens(tokens []int32, vocab int) error {
	for i, id := range tokens {
		if id < 0 || int(id) >= vocab {
			return fmt.Errorf("infer: token %d at position %d: the model's vocabulary has %d", id, i, vocab)
		}
	}
	return nil
}
