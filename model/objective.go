// This file holds Objective, by which others give a model a loss of their own, and the part of the path
// of a batch that calls it: the head, in chunks of rows, forward and backward around the objective's rows.

package model

import (
	"errors"

	"github.com/haenyeo/haenyeo/kernel"
)

// Objective is a loss over the logits of a batch: the sum of a term for each position with a target.
// Positions without one have no gradient.
type Objective interface {
	// Row is called once for every position with a target ≥ 0, by several goroutines at once and in no
	// order. It returns the position's term of the loss and, when r.Grad, replaces r.Logits with the
	// gradient of the loss with respect to them. What it computes may depend on the row's position,
	// target and logits alone, so that a run has the same bits at any number of threads.
	Row(r Row) float64
}

// Row is one position of a batch, as an Objective sees it.
type Row struct {
	Position int       // in the batch, row-major [B,T]
	Target   int32     // ≥ 0
	Logits   []float32 // [V]; without Grad what is left in them is of no importance
	Scratch  []float32 // [V] free to be used during the call
	Grad     bool      // Logits shall become their gradient

	Engine *kernel.Engine // for operations on rows: LogSumExp, Maximum, ExpSum, Dot, Scale, Axpy
}

// ChunkObjective is an Objective that prepares for several rows at once, such as the logits of a teacher,
// which are too large to be kept for a whole batch.
type ChunkObjective interface {
	Objective
	// Chunk is called before Row is for positions, which ascend and are at most ChunkRows many; the
	// engine is free. Positions is valid until the next call.
	Chunk(positions []int32)
}

// ChunkRows is the largest number of positions that ChunkObjective.Chunk of the model is called with.
func (m *Model) ChunkRows() int { return logitRows(m.cfg.VocabSize) }

// Evaluate computes the loss that o has on b, without gradient.
func (m *Model) Evaluate(b *Batch, o Objective) (float64, error) {
	if o == nil {
		return 0, errors.New("model: no objective to evaluate")
	}
	l, err := m.loss(b, LossOptions{Objective: o}, nil, false)
	return l.Total, err
}

// LogProbs computes log softmax(logits)[target] of every position, 0 where there is no target, exactly as
// LossGrad computes it.
//
//	logp [B,T] written
func (m *Model) LogProbs(b *Batch, logp []float32) error {
	if logp == nil {
		return errors.New("model: no room for log-probabilities")
	}
	if _, err := m.Loss(b, logp); err != nil {
		return err
	}
	for i := range logp {
		logp[i] = -logp[i] + 0 // + 0: no negative zeros
	}
	return nil
}

// Routes are the choices of one MoE layer.
type Routes struct {
	Experts []int32   // [B,T,K] ascending
	Weights []float32 // [B,T,K] theirs, normalised and scaled as the configuration says
}

// Routes returns what the routers of all MoE layers (without the MTP layer) choose for b: for a Batch.Experts
// of later, or to see which experts a task needs. Targets are not looked at.
func (m *Model) Routes(b *Batch) ([]Routes, error) {
	if err := m.checkBatch(b); err != nil {
		return nil, err
	}
	all := make([]Routes, len(m.routing()))
	rows := m.rowsPerPass(b)
	for lo := 0; lo < b.B; lo += rows {
		p := m.passFor(min(rows, b.B-lo), b.T)
		m.fill(p, b, lo)
		p.routes = all
		m.forward(p)
	}
	return all, nil
}

// objectiveRows runs o over the logits of one chunk and returns the sum of its terms, in order.
//
//	rows, targets [n] of the pass
func (m *Model) objectiveRows(p *pass, o Objective, base int, rows, targets []int32, grad bool) float64 {
	s, v := &p.scored, m.cfg.VocabSize
	if c, ok := o.(ChunkObjective); ok {
		m.positions = m.positions[:0]
		for _, r := range rows {
			m.positions = append(m.positions, int32(base)+r)
		}
		c.Chunk(m.positions)
	}
	if s.scratch == nil {
		s.scratch = make([]float32, p.e.Pool().Threads()*v)
	}
	s.own = objectiveTask{p.e, o, base, rows, targets, v, p.logits, s.scratch, s.terms, grad}
	p.e.Pool().Run(len(rows), &s.own)
	s.own = objectiveTask{}
	var sum float64
	for _, t := range s.terms[:len(rows)] {
		sum += t
	}
	return sum
}

type objectiveTask struct {
	e             *kernel.Engine
	o             Objective
	base          int
	rows, targets []int32
	v             int
	logits        []float32 // [n,V]
	scratch       []float32 // [workers,V]
	terms         []float64 // [n] written
	grad          bool
}

// Do handles one row.
func (t *objectiveTask) Do(worker, i int) {
	t.terms[i] = t.o.Row(Row{
		Position: t.base + int(t.rows[i]), Target: t.targets[i], Grad: t.grad, Engine: t.e,
		Logits: t.logits[i*t.v:][:t.v:t.v], Scratch: t.scratch[worker*t.v:][:t.v:t.v],
	})
}
