// This file holds what a program needs to know that keeps only a part of a model in memory: where the bytes
// of experts are, and how many bytes the rest has.

package weights

import (
	"errors"
	"strings"
)

// ExpertBytes returns the bytes of the files that matrix proj of expert x is decoded from: its codes and, for
// formats that have them apart, its scales. The arguments are those of Experts.
func (s *Source) ExpertBytes(prefix, proj string, x int) ([][]byte, error) {
	name := s.expertName(prefix, proj, x)
	t, ok := s.files.find(name)
	if !ok {
		_, err := s.tensor(name)
		return nil, err
	}
	out := [][]byte{t.data}
	if len(t.scale) > 0 {
		out = append(out, t.scale)
	}
	return out, nil
}

// DenseBytes is how many bytes of the files every token may meet: all but routed experts and, where it is not
// the head as well, the embedding table, of which a token meets one row.
func (s *Source) DenseBytes() (sum int64, err error) {
	list, err := s.stored()
	if err != nil {
		return 0, errors.New("weights: a model in training lies in memory as a whole")
	}
	for _, t := range list {
		if !strings.Contains(t.name, ".experts.") && !strings.Contains(t.name, "_exps.") {
			sum += int64(len(t.data))
		}
	}
	if e, ok := s.Embedding(); ok && !s.cfg.TieWordEmbeddings {
		sum -= int64(len(e))
	}
	return sum, nil
}

// Embedding returns the bytes of the embedding table.
func (s *Source) Embedding() ([]byte, bool) {
	name := "model.embed_tokens.weight"
	if s.cfg.ModelType == "deepseek_v4" {
		name = "embed.weight"
	}
	t, ok := s.files.find(name)
	return t.data, ok
}
