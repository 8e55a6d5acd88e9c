package infer

// Log-probabilities: log softmax of the model's own logits, before rules, temperature and cuts, whatever was sampled
// from. That is what OpenAI's logprobs are compared with, and what llama.cpp and vLLM report.

import "math"

// Logprob is an id and the natural logarithm of its probability.
type Logprob struct {
	ID      int32
	Logprob float64
}

// TokenLogprob is a generated token with the most probable ones at its place.
type TokenLogprob struct {
	Logprob
	Top []Logprob // Request.TopLogprobs of them, the most probable first
}

// logprob looks up id, and the n most probable ids, in logits [V], which must be finite.
func (s *sampler) logprob(logits []float32, id int32, n int) (TokenLogprob, error) {
	best, err := s.scan(logits)
	if err != nil {
		return TokenLogprob{}, err
	}
	d := distribution{x: logits, top: float64(logits[best]), scale: 1, blocks: &s.blocks}
	logSum := math.Log(d.sum())
	t := TokenLogprob{Logprob: Logprob{id, d.exponent(logits[id]) - logSum}}
	if n = min(n, len(logits)); n == 0 {
		return t, nil
	}
	s.cand = d.largestK(s.cand, n)
	s.keep(n)
	sortCandidates(s.cand)
	t.Top = make([]Logprob, len(s.cand))
	for i, c := range s.cand {
		t.Top[i] = Logprob{c.id, d.exponent(c.key) - logSum}
	}
	return t, nil
}
