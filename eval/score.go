package eval

// How probable a model finds a continuation of a context. What all questions of a set begin with, their examples, is
// read once; a context is read once for all its continuations; and these are read together.

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/haenyeo/haenyeo/forward"
	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/tokenizer"
)

// Model is what is measured. Nobody else may use Net meanwhile.
type Model struct {
	Name      string
	Net       *forward.Net
	Tokenizer *tokenizer.Tokenizer
	End       []int32 // tokens that end an answer
}

// Likelihood is what a model makes of a continuation.
type Likelihood struct {
	Log    float64 `json:"logprob"` // natural logarithm of its probability
	Greedy bool    `json:"greedy"`  // each of its tokens is the most probable one
}

// pair is a context and a continuation in tokens.
type pair struct{ context, next []int32 }

// encode cuts a text into tokens as lm-eval does: white space at the end of the context belongs to what follows, and the
// cut lies where the tokens of the context alone end.
func (m *Model) encode(before, next string) (pair, error) {
	opt := tokenizer.EncodeOptions{AddSpecial: true, NoAddedTokens: true}
	if before == "" {
		first, ok := m.Tokenizer.BOS()
		if !ok {
			if first, ok = m.Tokenizer.EOS(); !ok {
				return pair{}, fmt.Errorf("eval: the tokenizer of %q names no token that begins or ends a text: what stands alone cannot be scored", m.Name)
			}
		}
		ids := m.Tokenizer.Encode(nil, next, tokenizer.EncodeOptions{NoAddedTokens: true})
		return pair{[]int32{first}, ids}, nil
	}
	head := strings.TrimRightFunc(before, unicode.IsSpace)
	next = before[len(head):] + next
	context := m.Tokenizer.Encode(nil, head, opt)
	whole := m.Tokenizer.Encode(nil, head+next, opt)
	if len(context) == 0 || len(whole) <= len(context) {
		return pair{}, fmt.Errorf("eval: %.60q after %.60q: no token of its own: it cannot be scored", next, head)
	}
	return pair{context, whole[len(context):]}, nil
}

// window is how many tokens the model reads at most, or 0: it sets no limit.
func (m *Model) window() int { return m.Net.Config().MaxPositionEmbeddings }

// cut drops the beginning of a context that is too long for the window.
func (p pair) cut(window int) (pair, error) {
	over := len(p.context) + len(p.next) - 1 - window
	if window == 0 || over <= 0 {
		return p, nil
	}
	if over >= len(p.context) {
		return p, fmt.Errorf("eval: a continuation of %d tokens does not fit the model's window of %d", len(p.next), window)
	}
	return pair{p.context[over:], p.next}, nil
}

// scorer holds the contexts of a model.
type scorer struct {
	net    *forward.Net
	head   []int32       // what all contexts are thought to begin with
	shared *forward.Part // of head
	stem   *forward.Cache
	leaves []*forward.Cache
	max    int
}

// newScorer makes a scorer for contexts with continuations of at most max tokens. It reads head.
func newScorer(ctx context.Context, net *forward.Net, head []int32, max int) (*scorer, error) {
	s := &scorer{net: net, max: max}
	var err error
	if s.stem, err = net.NewCache(max); err != nil {
		return nil, err
	}
	if len(head) == 0 || len(head) >= max {
		return s, nil
	}
	if err := net.Run(ctx, []*forward.Step{{Cache: s.stem, Tokens: head}}); err != nil {
		return nil, err
	}
	if s.shared, err = s.stem.Part(0); err != nil {
		return nil, err
	}
	s.head = head
	return s, nil
}

// leaf is cache i for continuations, empty.
func (s *scorer) leaf(i int) (*forward.Cache, error) {
	if i == len(s.leaves) {
		c, err := s.net.NewCache(s.max)
		if err != nil {
			return nil, err
		}
		s.leaves = append(s.leaves, c)
	}
	s.leaves[i].Truncate(0)
	return s.leaves[i], nil
}

// score scores all continuations of one context.
func (s *scorer) score(ctx context.Context, before []int32, nexts [][]int32) ([]Likelihood, error) {
	logits, err := s.read(ctx, before)
	if err != nil {
		return nil, err
	}
	out := make([]Likelihood, len(nexts))
	longer := 0
	for i, next := range nexts {
		out[i].Greedy = true
		if err := out[i].add(logits, next[0]); err != nil {
			return nil, err
		}
		if len(next) > 1 {
			longer++
		}
	}
	if longer == 0 {
		return out, nil
	}
	part, err := s.stem.Part(0)
	if err != nil {
		return nil, err
	}
	var steps []*forward.Step
	for i, next := range nexts {
		if len(next) == 1 {
			continue
		}
		leaf := s.stem // the last one may go on where the context ends
		if len(steps) < longer-1 {
			if leaf, err = s.leaf(len(steps)); err != nil {
				return nil, err
			}
			if err := leaf.Append(part); err != nil {
				return nil, err
			}
		}
		steps = append(steps, &forward.Step{Cache: leaf, Tokens: next[:len(next)-1], Each: func(at int, logits []float32) error {
			return out[i].add(logits, next[at+1])
		}})
	}
	return out, s.net.Run(ctx, steps)
}

// read reads a context into the stem and returns the logits [V] after it.
func (s *scorer) read(ctx context.Context, tokens []int32) ([]float32, error) {
	s.stem.Truncate(0)
	if s.shared != nil && len(tokens) > len(s.head) && slices.Equal(tokens[:len(s.head)], s.head) {
		if err := s.stem.Append(s.shared); err != nil {
			return nil, err
		}
		tokens = tokens[len(s.head):]
	}
	step := &forward.Step{Cache: s.stem, Tokens: tokens}
	if err := s.net.Run(ctx, []*forward.Step{step}); err != nil {
		return nil, err
	}
	return step.Logits, nil
}

// add reckons with a token that follows logits [V].
func (l *Likelihood) add(logits []float32, token int32) error {
	best, top := 0, float32(math.Inf(-1))
	for i, v := range logits {
		if !(v <= top) {
			if v != v {
				return infer.ErrNotFinite
			}
			best, top = i, v
		}
	}
	if math.IsInf(float64(top), 0) {
		return infer.ErrNotFinite
	}
	var sum float64
	for _, v := range logits {
		if d := v - top; d > -40 { // less is lost in the sum
			sum += math.Exp(float64(d))
		}
	}
	l.Log += float64(logits[token]-top) - math.Log(sum)
	l.Greedy = l.Greedy && int32(best) == token
	return nil
}
