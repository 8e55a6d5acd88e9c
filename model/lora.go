// This file holds low-rank adapters: y = W x + s·B(A x) with W frozen, s = Alpha/Rank; forward, backward,
// and merging them into W. One code serves a plain product and the grouped product of the experts.
// Source: Hu et al. 2021 (LoRA); names, initialisation and s as in Hugging Face PEFT.

package model

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/haenyeo/haenyeo/kernel"
)

// LoRA asks for adapters beside matrices, whose own weights are then frozen. Matrix M.weight [n,k] gets
// the parameters M.lora_A.weight [Rank,k] and M.lora_B.weight [n,Rank].
type LoRA struct {
	Rank    int
	Alpha   float64  // the adapter's answer is multiplied by Alpha/Rank
	Targets []string // names or ends of names from a dot on, without ".weight": "q_proj", "mlp.down_proj"
}

// Names of an adapter's matrices, after that of the matrix that they adapt.
const (
	loraA = ".lora_A.weight"
	loraB = ".lora_B.weight"
)

func (l *LoRA) validate() error {
	switch {
	case l.Rank < 1 || l.Rank > 1<<16:
		return fmt.Errorf("model: LoRA of rank %d: it must be between 1 and %d", l.Rank, 1<<16)
	case !(l.Alpha > 0) || math.IsInf(l.Alpha, 0):
		return fmt.Errorf("model: LoRA with alpha %g: it must be a positive number", l.Alpha)
	case len(l.Targets) == 0:
		return errors.New("model: LoRA without targets: name matrices, such as q_proj and v_proj")
	}
	return nil
}

// matches says which targets name the matrix.
func (l *LoRA) matches(name string) (which []int) {
	for i, t := range l.Targets {
		if name == t || strings.HasSuffix(name, "."+t) {
			which = append(which, i)
		}
	}
	return which
}

// adapter adds s·B(A x) to channels [row,row+n) of the output of one product, or of the same product of
// every expert that has one: a and b are by expert, nil where there is none.
type adapter struct {
	row  int
	a, b []*linear // [Rank,k], [n,Rank]
}

// adapt gives the part of l that begins at channel row an adapter, if it is asked for.
func (b *builder) adapt(l *linear, m matrix, row, k int) {
	b.matrixNames = append(b.matrixNames, m.name)
	if b.lora == nil {
		return
	}
	which := b.lora.matches(m.name)
	if len(which) == 0 {
		return
	}
	for _, i := range which {
		b.met[i] = true
	}
	r := b.lora.Rank
	b.align()
	pa := b.param(m.name+loraA, Adapter, r, k)
	la := b.linear(pa, r, k, b.dtype)
	b.align()
	pb := b.param(m.name+loraB, Adapter, m.n, r)
	lb := b.linear(pb, m.n, r, b.dtype)
	l.adapters = append(l.adapters, adapter{row, []*linear{la}, []*linear{lb}})
}

// ofExperts joins the adapters of the same product of all experts.
func ofExperts(ls []*linear) []adapter {
	var all []adapter
	for x, l := range ls {
		for _, one := range l.adapters {
			i := slices.IndexFunc(all, func(c adapter) bool { return c.row == one.row })
			if i < 0 {
				i = len(all)
				all = append(all, adapter{one.row, make([]*linear, len(ls)), make([]*linear, len(ls))})
			}
			all[i].a[x], all[i].b[x] = one.a[0], one.b[0]
		}
	}
	return all
}

// adapting is the scratch of adapters, shared by all.
type adapting struct {
	scale  float32
	rank   int
	u      []float32              // [TK,Rank] s·A x
	du     [maxAdapters][]float32 // [TK,Rank] gradient of A x, of each adapter of a product
	groups []kernel.Group
}

// maxAdapters is the most that one product has: as many as neighbouring matrices.
const maxAdapters = 2

func (m *Model) layoutAdapters(p *pass, a *arena, n int) {
	lora := m.opt.LoRA
	if lora == nil {
		return
	}
	rows := n
	for _, r := range m.routers {
		rows = max(rows, n*r.k)
	}
	s := &p.adapting
	s.scale, s.rank = float32(lora.Alpha/float64(lora.Rank)), lora.Rank
	s.u = a.floats(rows * s.rank)
	if m.opt.Train {
		for i := range s.du {
			s.du[i] = a.floats(rows * s.rank)
		}
	}
}

// meet lists the products of ls with their rows: all rows, or those from start[x] to start[x+1] with expert
// x. Experts without an adapter or without rows take no part.
func (s *adapting) meet(ls []*linear, start []int32, rows int) []kernel.Group {
	s.groups = s.groups[:0]
	for x, l := range ls {
		lo, hi := 0, rows
		if start != nil {
			lo, hi = int(start[x]), int(start[x+1])
		}
		if l != nil && lo < hi {
			s.groups = append(s.groups, kernel.Group{W: l.w, Lo: lo, Hi: hi, Grad: l.grad})
		}
	}
	return s.groups
}

// adapt adds s·B(A x) to y. start and gather are those of experts, or nil.
//
//	y [rows,·] stride ldy   x stride ldx
func (p *pass) adapt(c *adapter, start []int32, y []float32, ldy int, x []float32, ldx int, gather []int32, rows int) {
	s := &p.adapting
	p.down(c, start, x, ldx, gather, rows)
	p.e.Linear(y[c.row:], ldy, s.u, s.rank, nil, s.meet(c.b, start, rows), true)
}

// down computes u = s·A x.
func (p *pass) down(c *adapter, start []int32, x []float32, ldx int, gather []int32, rows int) {
	s := &p.adapting
	p.e.Linear(s.u, s.rank, x, ldx, gather, s.meet(c.a, start, rows), false)
	p.scaleRows(s.u, s.scale, rows, s.rank)
}

// adapterInputGrad adds s·AᵀBᵀ dy to dx, and leaves s·Bᵀ dy for adapterWeightGrad of adapter i of the
// same product.
//
//	dx stride lddx, rows as x but not gathered   dy [rows,·] stride lddy
func (p *pass) adapterInputGrad(i int, c *adapter, start []int32, dx []float32, lddx int, dy []float32, lddy, rows int) {
	s := &p.adapting
	p.e.LinearInputGrad(s.du[i], s.rank, dy[c.row:], lddy, s.meet(c.b, start, rows), false)
	p.scaleRows(s.du[i], s.scale, rows, s.rank)
	p.e.LinearInputGrad(dx, lddx, s.du[i], s.rank, s.meet(c.a, start, rows), true)
}

// adapterWeightGrad adds to the gradients of A and B: dB += dyᵀ u, dA += duᵀ x. u is computed again, which
// costs less than keeping it.
func (p *pass) adapterWeightGrad(i int, c *adapter, start []int32, dy []float32, lddy int, x []float32, ldx int, gather []int32, rows int) {
	s := &p.adapting
	p.down(c, start, x, ldx, gather, rows)
	p.e.LinearWeightGrad(dy[c.row:], lddy, s.u, s.rank, nil, s.meet(c.b, start, rows))
	p.e.LinearWeightGrad(s.du[i], s.rank, x, ldx, gather, s.meet(c.a, start, rows))
}

// InitLoRA draws every A from ±1/√k, evenly, and sets every B to zero, so that nothing is added yet; it
// calls Sync. Without adapters it does nothing. Open has called it with seed 0.
func (m *Model) InitLoRA(seed uint64) {
	if m.opt.LoRA != nil {
		m.drawAdapters(seed)
		m.Sync()
	}
}

func (m *Model) drawAdapters(seed uint64) {
	for _, p := range m.params {
		switch {
		case p.Kind != Adapter:
		case strings.HasSuffix(p.Name, loraB):
			clear(p.Data)
		default:
			key, bound := stream(seed, p.Name), 1/math.Sqrt(float64(p.Shape[1]))
			for i := range p.Data {
				p.Data[i] = float32(bound * (float64(mix(key+uint64(i))>>11)/(1<<52) - 1))
			}
		}
	}
}

// LoRA returns what Options.LoRA was, nil without adapters. It must not be changed.
func (m *Model) LoRA() *LoRA { return m.opt.LoRA }

// MergeLoRA adds every adapter to the matrix that it adapts and sets its B to zero: the model computes what
// it did, up to rounding, and can be saved and run by programs that know nothing of adapters. It calls
// Sync. Without adapters it does nothing.
func (m *Model) MergeLoRA() {
	if m.opt.LoRA == nil {
		return
	}
	for _, p := range m.params {
		if name, ok := strings.CutSuffix(p.Name, loraB); ok && p.Kind == Adapter {
			t := mergeTask{w: m.byName[name+".weight"], a: m.byName[name+loraA], b: p, scale: m.opt.LoRA.Alpha / float64(m.opt.LoRA.Rank)}
			m.e.Pool().Run(chunks(p.Shape[0]), &t)
			clear(p.Data)
		}
	}
	m.Sync()
}

// unmerged says whether some adapter adds something.
func (m *Model) unmerged() bool {
	return slices.ContainsFunc(m.params, func(p *Param) bool {
		return p.Kind == Adapter && strings.HasSuffix(p.Name, loraB) && slices.ContainsFunc(p.Data, func(x float32) bool { return x != 0 })
	})
}

// mergeTask is W += s·B A, cut by rows.
type mergeTask struct {
	w, a, b *Param
	scale   float64
}

func (t *mergeTask) Do(_, i int) {
	n, r, k := t.b.Shape[0], t.a.Shape[0], t.a.Shape[1]
	sum := make([]float64, k)
	lo, hi := span(i, n)
	for row := lo; row < hi; row++ {
		clear(sum)
		for j, b := range t.b.Data[row*r:][:r] {
			for c, a := range t.a.Data[j*k:][:k] {
				sum[c] += float64(b) * float64(a)
			}
		}
		w := t.w.Data[row*k:][:k]
		for c, v := range sum {
			w[c] = float32(float64(w[c]) + t.scale*v)
		}
	}
}

// kindsOfMatrices names the matrices that adapters may adapt, each by its last part, for a message.
func (b *builder) kindsOfMatrices() string {
	var names []string
	for _, name := range b.matrixNames {
		if short := name[strings.LastIndexByte(name, '.')+1:]; !slices.Contains(names, short) {
			names = append(names, short)
		}
	}
	return strings.Join(names, ", ")
}
