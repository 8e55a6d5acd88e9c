// This file holds CheckFinite, which reads every number of a model once.

package weights

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/haenyeo/haenyeo/kernel"
)

// pieceSize bounds the numbers that are decoded at a time.
const pieceSize = 1 << 20

// CheckFinite names the first tensor, in the order of Expected, that holds a NaN or an infinity; nil if none
// does. It reads the whole model, decoding as fast as the threads of e can: minutes for the largest.
func (s *Source) CheckFinite(ctx context.Context, e *kernel.Engine) error {
	t := &finiteTask{s: s, ctx: ctx, scratch: make([][]float32, e.Pool().Threads())}
	for want := range Expected(s.cfg) {
		ms, err := s.all(want)
		if err != nil {
			return err
		}
		t.add(ms)
	}
	for want := range ExpectedMTP(s.cfg) {
		if ms, err := s.all(want); err == nil { // they may have been left out
			t.add(ms)
		}
	}
	t.first.Store(int64(len(t.pieces)))
	return guard(s.path, func() error {
		e.Pool().Run(len(t.pieces), t)
		if err := ctx.Err(); err != nil {
			return err
		}
		if i := t.first.Load(); i < int64(len(t.pieces)) {
			return t.pieces[i].explain()
		}
		return nil
	})
}

// all are the matrices of a tensor; a vector is one of one row.
func (s *Source) all(want Tensor) ([]kernel.Stored, error) {
	switch {
	case want.Ints:
		return nil, nil
	case s.dividedLatent(want.Name) && !s.Has(want.Name):
		c := s.cfg
		u, err := s.LatentUp(strings.TrimSuffix(want.Name, "kv_b_proj.weight"), c.NumAttentionHeads, c.QKNopeHeadDim, c.VHeadDim, c.KVLoraRank)
		if err != nil {
			return nil, err
		}
		return append(u.Key, u.Value...), nil
	case len(want.Shape) == 2:
		m, err := s.Matrix(want.Name, want.Shape[0], want.Shape[1])
		if err != nil {
			return nil, err
		}
		return []kernel.Stored{*m}, nil
	}
	t, err := s.tensor(want.Name, want.Shape...)
	if err != nil {
		return nil, err
	}
	m, err := t.stored(1, want.Shape[0])
	return []kernel.Stored{m}, err
}

// finiteTask reads pieces of matrices; first is the first that holds what is not finite.
type finiteTask struct {
	s       *Source
	ctx     context.Context
	pieces  []piece
	scratch [][]float32 // of every worker
	first   atomic.Int64
}

// piece is some rows of a matrix.
type piece struct {
	m      *kernel.Stored
	lo, hi int
}

func (t *finiteTask) add(ms []kernel.Stored) {
	for i := range ms {
		m := &ms[i]
		rows := max(1, pieceSize/m.K)
		for lo := 0; lo < m.N; lo += rows {
			t.pieces = append(t.pieces, piece{m, lo, min(lo+rows, m.N)})
		}
	}
}

// read decodes p, growing dst if it must.
func (p piece) read(dst []float32) []float32 {
	n := (p.hi - p.lo) * p.m.K
	if cap(dst) < n {
		dst = make([]float32, n)
	}
	dst = dst[:n]
	p.m.Rows(dst, p.lo, p.hi)
	return dst
}

// explain says what is not finite in p.
func (p piece) explain() error {
	for j, x := range p.read(nil) {
		if x-x != 0 {
			return fmt.Errorf("weights: tensor %q holds %v in row %d, column %d: the weights are damaged, or come from a training run that diverged; fetch or make them again", p.m.Name, x, p.lo+j/p.m.K, j%p.m.K)
		}
	}
	return nil
}

// Do looks at piece i.
func (t *finiteTask) Do(worker, i int) {
	if t.ctx.Err() != nil || int64(i) > t.first.Load() {
		return
	}
	t.scratch[worker] = t.pieces[i].read(t.scratch[worker])
	if finite(t.scratch[worker]) {
		return
	}
	for {
		first := t.first.Load()
		if int64(i) >= first || t.first.CompareAndSwap(first, int64(i)) {
			return
		}
	}
}

// finite says whether no number of x is a NaN or an infinity: x·0 is 0 unless it is one.
func finite(x []float32) bool {
	var a, b, c, d float32
	for ; len(x) >= 4; x = x[4:] {
		a += x[0] * 0
		b += x[1] * 0
		c += x[2] * 0
		d += x[3] * 0
	}
	for _, v := range x {
		a += v * 0
	}
	return a+b+c+d == 0
}
