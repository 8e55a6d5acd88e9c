package create

// This file lets the model write while it learns.

import (
	"context"

	"github.com/haenyeo/haenyeo/forward"
	"github.com/haenyeo/haenyeo/infer"
	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/model"
	"github.com/haenyeo/haenyeo/tokenizer"
	"github.com/haenyeo/haenyeo/train"
	"github.com/haenyeo/haenyeo/weights"
)

const (
	sampleTokens    = 60
	sampleLanguages = 2 // at a time; all at the end
)

// sampling is also what generation_config.json recommends.
var sampling = infer.Sampling{Temperature: 0.7, TopP: 0.9}

// sampler writes continuations of the prompts, a few languages at a time in turn. The same step of
// the same run writes the same.
type sampler struct {
	model   *model.Model
	engine  *kernel.Engine
	tok     *tokenizer.Tokenizer
	prompts []prompt
	seed    uint64
	every   int
	last    int // step at which all are written
}

func (s *sampler) sample(ctx context.Context, step int) ([]train.Sample, error) {
	n := len(s.prompts)
	if n == 0 {
		return nil, nil
	}
	from, count := step/max(1, s.every)*sampleLanguages, min(sampleLanguages, n)
	if step == s.last {
		from, count = 0, n
	}
	// Made anew: the vectors of a network are copies of what they were when it was opened.
	net, err := forward.New(weights.FromModel(s.model), s.engine, forward.Options{})
	if err != nil {
		return nil, err
	}
	var out []train.Sample
	for i := range count {
		p := s.prompts[(from+i)%n]
		text, err := s.write(ctx, net, p.text, s.seed+uint64(step)*promptLanguages+uint64(i))
		if err != nil {
			return nil, err
		}
		out = append(out, train.Sample{Prompt: p.text, Text: text, Lang: p.lang})
	}
	return out, nil
}

func (s *sampler) write(ctx context.Context, net *forward.Net, prompt string, seed uint64) (string, error) {
	var ids []int32
	if bos, ok := s.tok.BOS(); ok {
		ids = append(ids, bos)
	}
	ids = s.tok.Encode(ids, prompt, tokenizer.EncodeOptions{NoAddedTokens: true})
	limit := min(len(ids)+sampleTokens, net.Config().MaxPositionEmbeddings)
	if limit <= len(ids) {
		return "", nil // a window this small holds no more than the prompt
	}
	q := infer.Request{Tokens: ids, MaxTokens: limit - len(ids), Sampling: sampling, Text: s.tok.Stream(true)}
	q.Seed = seed
	if eos, ok := s.tok.EOS(); ok {
		q.End = []int32{eos}
	}
	session, err := infer.NewSession(net, limit)
	if err != nil {
		return "", err
	}
	r, err := infer.Generate(ctx, session, q, nil)
	return r.Text, err
}
