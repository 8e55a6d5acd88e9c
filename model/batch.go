// This file holds the path of one batch: checks, cutting it into passes of bounded memory, losses and
// gradients, in the order in which they happen.

package model

import (
	"errors"
	"fmt"
	"slices"
)

// Batch is B rows of T inputs with their targets.
type Batch struct {
	B, T    int
	Tokens  []int32 // [B,T+1]: inputs are the first T of a row, targets the last T
	First   []int32 // [B,T] where in its row the token's document begins; nil: every row is one document
	Targets []int32 // [B,T] replaces the targets; −1: no loss there. nil: all of Tokens

	// Experts are, for every MoE layer but the MTP layer's, the experts to use instead of the router's
	// choice ([B,T,K], distinct; −1 first: the router chooses for this token); their weights come from the
	// router's scores. nil: the router chooses. Source: DeepSeek-V3.2 report, keep routing.
	Experts [][]int32
}

// LossOptions says what the loss is. A weight of 0 leaves its part out.
type LossOptions struct {
	Objective    Objective // nil: mean cross-entropy over the positions with a target
	BalanceAlpha float32   // sequence-wise balance loss
	MTPLambda    float32   // multi-token prediction, for models opened with Options.MTP
}

// Loss is in nats. Total = CE + BalanceAlpha·Balance + MTPLambda·MTP.
type Loss struct {
	Total   float64
	CE      float64 // mean over the positions with a target; with an Objective, that loss instead
	Balance float64 // Σ over MoE layers of the mean over rows
	MTP     float64 // mean over the positions with a token after their target
	Tokens  int     // positions with a target
}

// LossGrad computes the loss of b and adds its gradient to the Grad of every parameter; the caller
// clears them. Rows are worked on in passes of at most Options.MaxTokens tokens; all means are over the
// whole batch. A loss that is not finite is returned as it is.
//
// The MTP layer sees every position, also the last of a row, which has no second next token and so no
// MTP loss. It predicts across documents nowhere. The router in it is balanced like the others, by the
// balance loss and by UpdateBias, and counts all T positions of a row.
func (m *Model) LossGrad(b *Batch, o LossOptions) (Loss, error) {
	if !m.opt.Train {
		return Loss{}, errors.New("model: gradients asked of a model opened without Options.Train")
	}
	return m.loss(b, o, nil, true)
}

// Loss computes the cross-entropy of b without gradient. nll, if not nil, takes the loss of every
// position [B,T], 0 where there is no target.
func (m *Model) Loss(b *Batch, nll []float32) (Loss, error) {
	if nll != nil && len(nll) != b.B*b.T {
		return Loss{}, fmt.Errorf("model: room for %d losses, the batch has %d×%d positions", len(nll), b.B, b.T)
	}
	return m.loss(b, LossOptions{}, nll, false)
}

func (m *Model) loss(b *Batch, o LossOptions, nll []float32, grad bool) (Loss, error) {
	if err := m.checkBatch(b); err != nil {
		return Loss{}, err
	}
	if o.MTPLambda != 0 && m.mtp == nil {
		return Loss{}, errors.New("model: MTP loss asked of a model without an MTP layer: open it with Options.MTP")
	}
	withMTP, withBalance := o.MTPLambda != 0, o.BalanceAlpha != 0
	positions, second := b.count()
	if positions == 0 {
		return Loss{}, errors.New("model: the batch has no position with a target")
	}
	l := Loss{Tokens: positions}
	rows := m.rowsPerPass(b)
	for lo := 0; lo < b.B; lo += rows {
		p := m.passFor(min(rows, b.B-lo), b.T)
		m.fill(p, b, lo)
		p.countLoads = grad
		if withBalance {
			p.balanceScale = o.BalanceAlpha / float32(b.B*b.T)
		}
		m.forward(p)
		var dh []float32
		if grad {
			dh = p.dh
		}
		l.CE += m.headLoss(p, o.Objective, lo*b.T, p.h, dh, p.targets, p.nll, 1/float32(positions))
		if nll != nil {
			copy(nll[lo*b.T:], p.nll[:p.n])
		}
		if withBalance {
			for i, block := range m.blocks {
				l.Balance += block.balance(p, &p.layers[i])
			}
		}
		if withMTP && second > 0 {
			l.MTP += m.mtpLoss(p, o.MTPLambda/float32(second), grad, &l.Balance)
		}
		if grad {
			m.backward(p, withMTP && second > 0)
		}
	}
	if o.Objective == nil {
		l.CE /= float64(positions)
	}
	l.MTP /= float64(max(second, 1))
	l.Balance /= float64(b.B)
	l.Total = l.CE + float64(o.BalanceAlpha)*l.Balance + float64(o.MTPLambda)*l.MTP
	return l, nil
}

// rowsPerPass cuts the rows into equal passes that fit Options.MaxTokens.
func (m *Model) rowsPerPass(b *Batch) int {
	most := max(1, m.opt.MaxTokens/b.T)
	passes := (b.B + most - 1) / most
	return (b.B + passes - 1) / passes
}

// target is the target of position t of row r, or −1.
func (b *Batch) target(r, t int) int32 {
	if b.Targets != nil {
		return b.Targets[r*b.T+t]
	}
	return b.Tokens[r*(b.T+1)+t+1]
}

// second is the target after the target of position t of row r: what the MTP layer predicts. It is
// −1 where the row or the document ends before it.
func (b *Batch) second(r, t int) int32 {
	if t == b.T-1 || b.First != nil && b.First[r*b.T+t+1] > int32(t) {
		return -1
	}
	return b.target(r, t+1)
}

// count returns the positions with a target and those with a second one.
func (b *Batch) count() (positions, second int) {
	for r := range b.B {
		for t := range b.T {
			if b.target(r, t) >= 0 {
				positions++
			}
			if b.second(r, t) >= 0 {
				second++
			}
		}
	}
	return positions, second
}

// fill copies rows lo … of the batch into the pass.
func (m *Model) fill(p *pass, b *Batch, lo int) {
	for r := range p.b {
		row := b.Tokens[(lo+r)*(b.T+1):][:b.T+1]
		at := r * b.T
		copy(p.tokens[at:], row[:b.T])
		copy(p.next[at:], row[1:])
		for t := range b.T {
			p.targets[at+t] = b.target(lo+r, t)
			p.mtpTarget[at+t] = b.second(lo+r, t)
		}
	}
	if b.First != nil {
		p.first = p.firstBuf[:p.n]
		copy(p.first, b.First[lo*b.T:])
	}
	for i, ids := range b.Experts {
		k := m.routers[i].k
		p.experts = append(p.experts, ids[lo*b.T*k:][:p.n*k])
	}
}

func (m *Model) checkBatch(b *Batch) error {
	if b.B < 1 || b.T < 1 || b.B > maxSize || b.T > maxSize {
		return fmt.Errorf("model: a batch of %d rows of %d tokens is impossible", b.B, b.T)
	}
	n := b.B * b.T
	switch {
	case len(b.Tokens) != n+b.B:
		return fmt.Errorf("model: batch of %d rows of %d: %d tokens given, must be %d (one more than inputs per row)", b.B, b.T, len(b.Tokens), n+b.B)
	case b.First != nil && len(b.First) != n:
		return fmt.Errorf("model: batch of %d rows of %d: %d document starts given", b.B, b.T, len(b.First))
	case b.Targets != nil && len(b.Targets) != n:
		return fmt.Errorf("model: batch of %d rows of %d: %d targets given", b.B, b.T, len(b.Targets))
	}
	if err := m.checkTokens(b.Tokens); err != nil {
		return err
	}
	for i, t := range b.Targets {
		if t < -1 || int(t) >= m.cfg.VocabSize {
			return fmt.Errorf("model: target %d at %d is neither −1 nor in the vocabulary of %d", t, i, m.cfg.VocabSize)
		}
	}
	for i, f := range b.First {
		if f < 0 || int(f) > i%b.T {
			return fmt.Errorf("model: position %d of row %d says that its document begins at %d", i%b.T, i/b.T, f)
		}
	}
	return m.checkExperts(b)
}

func (m *Model) checkExperts(b *Batch) error {
	if b.Experts == nil {
		return nil
	}
	if layers := len(m.routing()); len(b.Experts) != layers {
		return fmt.Errorf("model: experts of %d layers given, the model has %d MoE layers", len(b.Experts), layers)
	}
	for l, ids := range b.Experts {
		r := m.routers[l]
		if len(ids) != b.B*b.T*r.k {
			return fmt.Errorf("model: MoE layer %d: %d expert ids given, a batch of %d rows of %d needs %d of each token", l, len(ids), b.B, b.T, r.k)
		}
		for i := 0; i < len(ids); i += r.k {
			if ids[i] == -1 {
				continue
			}
			for j, id := range ids[i:][:r.k] {
				if id < 0 || int(id) >= r.e || slices.Contains(ids[i:][:j], id) {
					return fmt.Errorf("model: MoE layer %d: experts %v of position %d must be distinct and below %d", l, ids[i:][:r.k], i/r.k, r.e)
				}
			}
		}
	}
	return nil
}

func (m *Model) checkTokens(tokens []int32) error {
	for i, t := range tokens {
		if t < 0 || int(t) >= m.cfg.VocabSize {
			return fmt.Errorf("model: token %d at %d is outside the vocabulary of %d: was it made by another tokenizer?", t, i, m.cfg.VocabSize)
		}
	}
	return nil
}
