package objective

// This file holds direct preference optimisation: with l the summed log-probability of an answer,
//
//	loss = −mean log σ( β [ (l_c − l_c,ref) − (l_r − l_r,ref) ] )
//
// Source: Rafailov et al. 2023, equation 7.

import (
	"fmt"
	"math"

	"github.com/haenyeo/haenyeo/model"
)

// Pairs are a batch of preferences: sequence 2k is the chosen answer of pair k, 2k+1 the rejected.
type Pairs struct {
	Now []float32 // [B,T] log-probabilities that the model gives now (Model.LogProbs)
	Ref []float32 // [B,T] of the reference
	Seq []int32   // [B,T] number of the position's sequence; nil: its row
}

// DPO is the loss over one batch.
type DPO struct {
	s      *sequences
	slope  []float64 // derivative of the loss with respect to l, of each sequence
	margin []float64 // of each pair, times β
	loss   []float64 // of each pair, over their number
	first  []int     // position that answers for the loss of a pair
}

// NewDPO prepares the loss of b.
func NewDPO(b *model.Batch, beta float64, p Pairs) (*DPO, error) {
	if !(beta > 0) || math.IsInf(beta, 0) {
		return nil, fmt.Errorf("objective: beta %g of DPO: must be a positive number", beta)
	}
	s, err := sequencesOf(b, p.Seq)
	if err != nil {
		return nil, err
	}
	if err := checkLength("present log-probabilities", p.Now, len(s.of), false); err != nil {
		return nil, err
	}
	if err := checkLength("reference log-probabilities", p.Ref, len(s.of), false); err != nil {
		return nil, err
	}
	if len(s.lengths)%2 != 0 {
		return nil, fmt.Errorf("objective: %d sequences make no pairs", len(s.lengths))
	}
	for id, n := range s.lengths {
		if n == 0 {
			return nil, fmt.Errorf("objective: pair %d: one of its answers has no tokens", id/2)
		}
	}
	gain := s.sum(func(i int) float64 { return float64(p.Now[i]) - float64(p.Ref[i]) })
	pairs := len(gain) / 2
	d := &DPO{s: s, slope: make([]float64, len(gain)), first: make([]int, pairs)}
	for k := range pairs {
		h := beta * (gain[2*k] - gain[2*k+1])
		// log σ(h) without overflow, and σ(−h)
		loss := math.Log1p(math.Exp(-math.Abs(h))) + max(0, -h)
		slope := beta / (1 + math.Exp(h)) / float64(pairs)
		d.slope[2*k], d.slope[2*k+1] = -slope, slope
		d.margin = append(d.margin, h)
		d.loss = append(d.loss, loss/float64(pairs))
		d.first[k] = -1
	}
	for i, id := range s.of {
		if id >= 0 && id%2 == 0 && d.first[id/2] < 0 {
			d.first[id/2] = i
		}
	}
	return d, nil
}

// Row is a position's term: the loss of a pair stands at its first position.
func (d *DPO) Row(r model.Row) float64 {
	id := d.s.of[r.Position]
	if r.Grad {
		softmaxOf(r, r.Scratch, r.Logits).pull(r, r.Logits, int(r.Target), d.slope[id])
	}
	if d.first[id/2] == r.Position {
		return d.loss[id/2]
	}
	return 0
}

// Margins are β·[(l_c − l_c,ref) − (l_r − l_r,ref)] of every pair: above 0 where the model agrees.
func (d *DPO) Margins() []float64 { return d.margin }
