// This file holds Experts and LatentUp: matrices that files keep apart or together.

package weights

import (
	"fmt"

	"github.com/haenyeo/haenyeo/kernel"
)

// projections are the three matrices of an expert, by their names in V4 and elsewhere.
var projections = map[string]string{"gate_proj": "w1", "up_proj": "w3", "down_proj": "w2", "w1": "w1", "w3": "w3", "w2": "w2"}

// expertName is the published name of a matrix of expert x in the layer whose names begin with prefix.
func (s *Source) expertName(prefix, proj string, x int) string {
	if s.cfg.ModelType == "deepseek_v4" {
		return fmt.Sprintf("%sffn.experts.%d.%s.weight", prefix, x, projections[proj])
	}
	return fmt.Sprintf("%smlp.experts.%d.%s.weight", prefix, x, proj)
}

// Experts returns one matrix [n,k] of each of the e experts in the layer whose names begin with prefix
// ("model.layers.3.", in V4 "layers.3."). proj is gate_proj, up_proj or down_proj (w1, w3 or w2).
func (s *Source) Experts(prefix, proj string, e, n, k int) ([]*kernel.Stored, error) {
	if _, ok := projections[proj]; !ok {
		return nil, fmt.Errorf("weights: experts have no matrix %q", proj)
	}
	out := make([]*kernel.Stored, e)
	for x := range out {
		m, err := s.Matrix(s.expertName(prefix, proj, x), n, k)
		if err != nil {
			return nil, err
		}
		out[x] = m
	}
	return out, nil
}

// LatentUp are the matrices that expand the latent of MLA, one pair per head.
type LatentUp struct {
	Key           []kernel.Stored // [nope,R], or [R,nope] if KeyTransposed
	Value         []kernel.Stored // [v,R]
	KeyTransposed bool
}

// LatentUp returns kv_b_proj of the attention whose names begin with prefix ("model.layers.3.self_attn.")
// head by head; some GGUF files keep its key part transposed.
func (s *Source) LatentUp(prefix string, heads, nope, v, r int) (*LatentUp, error) {
	u := &LatentUp{Key: make([]kernel.Stored, heads), Value: make([]kernel.Stored, heads)}
	name := prefix + "kv_b_proj.weight"
	if s.Has(name) {
		m, err := s.Matrix(name, heads*(nope+v), r)
		if err != nil {
			return nil, err
		}
		for h := range heads {
			at := h * (nope + v)
			u.Key[h], u.Value[h] = m.Slice(at, at+nope), m.Slice(at+nope, at+nope+v)
		}
		return u, nil
	}
	if !s.Has(prefix + "k_b_proj.weight") {
		_, err := s.Matrix(name, heads*(nope+v), r) // says that it is missing
		return nil, err
	}
	keys, err := s.Matrix(prefix+"k_b_proj.weight", heads*r, nope)
	if err != nil {
		return nil, err
	}
	values, err := s.Matrix(prefix+"v_b_proj.weight", heads*v, r)
	if err != nil {
		return nil, err
	}
	u.KeyTransposed = true
	for h := range heads {
		u.Key[h], u.Value[h] = keys.Slice(h*r, (h+1)*r), values.Slice(h*v, (h+1)*v)
	}
	return u, nil
}
