package objective

// This file holds the divergence from a teacher over the whole vocabulary, in both directions:
//
//	forward  Σ_v p_t (log p_t − log p_s)   gradient p_s − p_t
//	reverse  Σ_v p_s (log p_s − log p_t)   gradient p_s (log p_s − log p_t − KL)
//
// as weighted means over the positions with a target. Source: DeepSeek-V4 report, on-policy distillation
// (reverse, on the student's own samples).

import (
	"fmt"

	"github.com/haenyeo/haenyeo/model"
)

// Teacher gives logits. One with a method Chunk([]int32) is told which positions come next, as
// model.ChunkObjective is.
type Teacher interface {
	// Logits [V] of a position of the batch; called by several goroutines at once. They are only read.
	Logits(position int) []float32
}

// Direction is whose distribution the divergence is a mean over.
type Direction string

// The directions.
const (
	Forward Direction = "forward" // the teacher's
	Reverse Direction = "reverse" // the student's
)

// KL is the divergence from a teacher over one batch.
type KL struct {
	weights
	direction Direction
	teacher   Teacher
}

// weights are those of positions, over the number of positions with a target.
type weights struct {
	of    []float32 // [B,T], nil: 1
	count float64
}

func newWeights(b *model.Batch, d Direction, weight []float32) (weights, error) {
	if d != Forward && d != Reverse {
		return weights{}, fmt.Errorf("objective: direction %q: use %q or %q", d, Forward, Reverse)
	}
	s, err := sequencesOf(b, nil)
	if err != nil {
		return weights{}, err
	}
	return weights{weight, float64(s.tokens)}, checkLength("weights", weight, len(s.of), true)
}

func (w weights) at(i int) float64 {
	if w.of == nil {
		return 1 / w.count
	}
	return float64(w.of[i]) / w.count
}

// NewKL prepares the divergence of b. weight [B,T] are weights of the positions; nil: all 1.
func NewKL(b *model.Batch, d Direction, t Teacher, weight []float32) (*KL, error) {
	w, err := newWeights(b, d, weight)
	if err != nil {
		return nil, err
	}
	return &KL{w, d, t}, nil
}

// Chunk tells the teacher, if it wants to know, which positions come next.
func (k *KL) Chunk(positions []int32) {
	if t, ok := k.teacher.(interface{ Chunk([]int32) }); ok {
		t.Chunk(positions)
	}
}

// Row is a position's term; see model.Objective.
func (k *KL) Row(r model.Row) float64 {
	t := k.teacher.Logits(r.Position)
	if len(t) != len(r.Logits) {
		panic(fmt.Sprintf("objective: a teacher gives %d logits, the student has %d", len(t), len(r.Logits)))
	}
	if k.direction == Forward {
		return forwardKL(r, t, k.at(r.Position))
	}
	return reverseKL(r, t, k.at(r.Position))
}

func forwardKL(r model.Row, t []float32, w float64) float64 {
	e := r.Engine
	p := softmaxOf(r, r.Scratch, t)
	kl := (e.Dot(p.y, t)-e.Dot(p.y, r.Logits))/p.z - p.lse
	s := softmaxOf(r, r.Logits, r.Logits)
	if r.Grad {
		e.Scale(r.Logits, s.y, float32(w/s.z))
		e.Axpy(r.Logits, p.y, float32(-w/p.z))
	}
	return w * (kl + s.lse)
}

func reverseKL(r model.Row, t []float32, w float64) float64 {
	e := r.Engine
	s := softmaxOf(r, r.Scratch, r.Logits)
	mean := (e.Dot(s.y, r.Logits) - e.Dot(s.y, t)) / s.z
	if r.Grad {
		a, m := float32(w/s.z), float32(mean)
		for v, l := range r.Logits {
			r.Logits[v] = a * s.y[v] * (l - t[v] - m)
		}
	}
	return w * (mean - s.lse + e.LogSumExp(t))
}
