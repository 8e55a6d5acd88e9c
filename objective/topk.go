package objective

// This file holds the divergence from a teacher of whom the K likeliest tokens of every position are
// stored. All other tokens are one class, the rest, which is exact about how much probability it has and
// silent about where: with q the classes' probabilities,
//
//	forward  Σ_c q_t (log q_t − log q_s)   gradient p_s − p_t among the K, p_s (1 − rest_t/rest_s) elsewhere
//	reverse  Σ_c q_s (log q_s − log q_t)   gradient p_s (log q_s − log q_t − KL) of the token's class
//
// Neither is above the divergence over the whole vocabulary, and both are 0 where that is.

import (
	"fmt"
	"math"

	"github.com/haenyeo/haenyeo/model"
)

// TopK are a teacher's likeliest tokens. A row may end early with id −1.
type TopK struct {
	K        int
	IDs      []int32   // [B,T,K]
	LogProbs []float32 // [B,T,K] over the whole vocabulary
}

// leastRest is what a class of the rest has at least: what rounding leaves of it means nothing.
const leastRest = 1e-6

// StoredKL is the divergence from stored probabilities over one batch.
type StoredKL struct {
	weights
	direction Direction
	top       TopK
}

// NewStoredKL prepares the divergence of b; vocab is the student's. weight is as for NewKL.
func NewStoredKL(b *model.Batch, d Direction, top TopK, vocab int, weight []float32) (*StoredKL, error) {
	w, err := newWeights(b, d, weight)
	if err != nil {
		return nil, err
	}
	n := b.B * b.T * top.K
	if top.K < 1 || len(top.IDs) != n || len(top.LogProbs) != n {
		return nil, fmt.Errorf("objective: %d ids and %d log-probabilities of a teacher given, %d of each of %d positions are needed", len(top.IDs), len(top.LogProbs), top.K, b.B*b.T)
	}
	seen := map[int32]bool{} // at one position
	for i := 0; i < n; i += top.K {
		clear(seen)
		for j, id := range top.IDs[i:][:top.K] {
			if id == -1 {
				break
			}
			if id < 0 || int(id) >= vocab || seen[id] {
				return nil, fmt.Errorf("objective: position %d: the teacher's token %d is there twice or outside the student's vocabulary of %d", i/top.K, id, vocab)
			}
			if l := top.LogProbs[i+j]; !(l <= 1e-3) {
				return nil, fmt.Errorf("objective: position %d: the teacher gives token %d the log-probability %g", i/top.K, id, l)
			}
			seen[id] = true
		}
	}
	return &StoredKL{w, d, top}, nil
}

// likeliest are the teacher's tokens of a position.
func (k *StoredKL) likeliest(position int) (ids []int32, logp []float32) {
	at := position * k.top.K
	ids, logp = k.top.IDs[at:][:k.top.K], k.top.LogProbs[at:][:k.top.K]
	for j, id := range ids {
		if id == -1 {
			return ids[:j], logp[:j]
		}
	}
	return ids, logp
}

// Row is a position's term; see model.Objective.
func (k *StoredKL) Row(r model.Row) float64 {
	w := k.at(r.Position)
	ids, logp := k.likeliest(r.Position)
	s := softmaxOf(r, r.Scratch, r.Logits)
	restT, inside := 1.0, 0.0
	for j, id := range ids {
		restT -= math.Exp(float64(logp[j]))
		inside += float64(s.y[id])
	}
	restS := max((s.z-inside)/s.z, leastRest)
	restT = max(restT, leastRest)
	if len(ids) == len(r.Logits) {
		restS, restT = 0, 0
	}
	if k.direction == Forward {
		return k.forward(r, s, ids, logp, restS, restT, w)
	}
	return k.reverse(r, s, ids, logp, restS, restT, w)
}

func (k *StoredKL) forward(r model.Row, s softmax, ids []int32, logp []float32, restS, restT, w float64) float64 {
	var kl float64
	for j, id := range ids {
		t := float64(logp[j])
		kl += math.Exp(t) * (t - (float64(r.Logits[id]) - s.lse))
	}
	outside := 0.0
	if restT > 0 {
		kl += restT * math.Log(restT/restS)
		outside = 1 - restT/restS
	}
	if r.Grad {
		r.Engine.Scale(r.Logits, s.y, float32(w*outside/s.z))
		for j, id := range ids {
			r.Logits[id] = float32(w * (float64(s.y[id])/s.z - math.Exp(float64(logp[j]))))
		}
	}
	return w * kl
}

func (k *StoredKL) reverse(r model.Row, s softmax, ids []int32, logp []float32, restS, restT, w float64) float64 {
	var kl, outside float64
	distance := func(j int) float64 { return float64(r.Logits[ids[j]]) - s.lse - float64(logp[j]) }
	for j, id := range ids {
		kl += float64(s.y[id]) / s.z * distance(j)
	}
	if restT > 0 {
		outside = math.Log(restS / restT)
		kl += restS * outside
	}
	if !r.Grad {
		return w * kl
	}
	for j, id := range ids { // they wait where their exponentials were
		s.y[id] = float32(w * float64(s.y[id]) / s.z * (distance(j) - kl))
	}
	r.Engine.Scale(r.Logits, s.y, float32(w/s.z*(outside-kl)))
	for _, id := range ids {
		r.Logits[id] = s.y[id]
	}
	return w * kl
}
