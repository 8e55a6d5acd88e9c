package infer

// A model with its cache, as a Stepper.

import "github.com/haenyeo/haenyeo/model"

// Session is one growing context of a model. It is not safe for concurrent use, and sessions of
// one model share its kernels: use them in turn.
type Session struct {
	m     *model.Model
	cache *model.Cache
}

// NewSession makes an empty context of at most limit tokens.
func NewSession(m *model.Model, limit int) *Session {
	return &Session{m: m, cache: m.NewCache(limit)}
}

// Step implements Stepper.
func (s *Session) Step(tokens []int32) ([]float32, error) { return s.m.Decode(s.cache, tokens) }
