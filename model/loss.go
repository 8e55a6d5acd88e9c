// This file holds the head and the loss, forward and backward at once and in chunks of rows: the whole
// [T,V] matrix of logits is never there. Rows without a target cost nothing: the others are gathered.

package model

// logitFloats bounds the logits of one chunk (16 MiB), which is also what caches like.
const logitFloats = 4 << 20

// logitRows is the number of rows of a chunk for a vocabulary of v.
func logitRows(v int) int { return min(max(logitFloats/v, 16), 1024) }

// scored is the memory of the head: the rows of a pass that have a target, and one chunk of them.
type scored struct {
	rows    []int32   // [T] room
	targets []int32   // [T] theirs
	h, dh   []float32 // [chunk,D]
	nll     []float32 // [chunk]
	terms   []float64 // [chunk] of an objective
	own     objectiveTask
	scratch []float32 // [workers,V] of an objective, made when there is one
}

func (m *Model) layoutHead(p *pass, a *arena, n int) {
	chunk, d := min(n, logitRows(m.cfg.VocabSize)), m.cfg.HiddenSize
	s := &p.scored
	s.rows, s.targets = a.ints(n), a.ints(n)
	s.h, s.nll, s.terms = a.floats(chunk*d), a.floats(chunk), a.doubles(chunk)
	if m.opt.Train {
		s.dh = a.floats(chunk * d)
	}
	p.logits = a.floats(chunk * m.cfg.VocabSize)
}

// find lists the rows that have a target, and their targets.
func (s *scored) find(targets []int32) (rows, theirs []int32) {
	n := 0
	for i, t := range targets {
		if t >= 0 {
			s.rows[n], s.targets[n] = int32(i), t
			n++
		}
	}
	return s.rows[:n], s.targets[:n]
}

// headLoss returns Σ −log softmax(W_head h_r)[target_r] over the rows whose target is not −1 and writes
// each row's term to nll, 0 for the others; or, with an objective, what that says, and no nll. With dh it
// also writes the gradient, scale times that of the sum (that of the objective as it is), and adds to the
// gradient of the head.
//
//	h [T,D] read   targets, nll [T]   dh [T,D] written, or nil
//
// base is the place of the pass in the batch.
func (m *Model) headLoss(p *pass, o Objective, base int, h, dh []float32, targets []int32, nll []float32, scale float32) float64 {
	d, v, s := m.cfg.HiddenSize, m.cfg.VocabSize, &p.scored
	if dh == nil {
		scale = 0
	}
	rows, theirs := s.find(targets[:p.n])
	whole := len(rows) == p.n
	if !whole {
		clear(nll[:p.n])
		if dh != nil {
			clear(dh[:p.n*d])
		}
	}
	var sum float64
	step := logitRows(v)
	for lo := 0; lo < len(rows); lo += step {
		part := rows[lo:min(lo+step, len(rows))]
		n, ch, cdh, terms := len(part), s.h, s.dh, s.nll
		if whole {
			ch, terms = h[lo*d:], nll[lo:]
			if dh != nil {
				cdh = dh[lo*d:]
			}
		} else {
			p.gatherRows(ch, h, part, d)
		}
		m.head.forward(p, p.logits, v, ch, d, n, false)
		if o != nil {
			sum += m.objectiveRows(p, o, base, part, theirs[lo:], dh != nil)
		} else {
			p.e.CrossEntropy(terms, p.logits, v, theirs[lo:], n, v, scale)
			for i, l := range terms[:n] {
				sum += float64(l)
				nll[part[i]] = l
			}
		}
		if dh == nil {
			continue
		}
		m.head.backward(p, cdh, d, p.logits, v, ch, d, n, false)
		if !whole {
			p.scatterRows(dh, cdh, part, d)
		}
	}
	return sum
}
