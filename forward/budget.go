// This file holds the memory budget of Options.RAM: what is spoken for, what is left to experts, and how a
// Net is opened with one.

package forward

import (
	"errors"
	"fmt"

	"github.com/haenyeo/haenyeo/internal/machine"
	"github.com/haenyeo/haenyeo/internal/mmap"
	"github.com/haenyeo/haenyeo/weights"
)

// budget is how much memory the process may take: everything that counts as its resident set, code and mapped
// files too.
type budget struct {
	src     *weights.Source
	limit   int64
	regions mmap.Regions
	embed   mmap.Window // of the embedding table, where that is not the head as well
	files   int64       // most that mapped files take besides experts: the dense part, and the program itself
	largest int64       // unit
	scarce  bool        // there is no memory for experts in the page cache beside the budget
	fixed   bool        // experts can only be read to where their file is mapped
	direct  bool        // experts are read past the page cache, to memory of this process
	row     int64       // bytes of activations for a row of a pass
}

// spare is kept free for what is taken between two looks.
func (b *budget) spare() int64 { return 16<<20 + b.limit/32 }

// roomFor is how much experts may take, of which read bytes are in memory. The dense part counts from the
// beginning, although its pages come one by one.
func (b *budget) roomFor(read int64) int64 {
	anon, file := machine.Resident()
	if b.direct {
		anon -= read
	} else {
		file -= read
	}
	return b.limit - b.spare() - anon - max(file, b.files)
}

func (b *budget) tooSmall(need, read int64) error {
	anon, _ := machine.Resident()
	if b.direct {
		anon -= read
	}
	return fmt.Errorf("forward: the memory budget of %d MB does not leave the %d MB that are needed now: the dense part of the model takes %d MB, contexts and the program %d MB: allow more, or use a shorter context",
		b.limit>>20, need>>20+1, b.files>>20, anon>>20)
}

// keepBudget sets up the budget of a Net whose layers are there.
func (n *Net) keepBudget() error {
	if !mmap.CanRelease {
		return errors.New("forward: a memory budget can be kept on Linux only: open the model without one")
	}
	r := &residents{budget: budget{src: n.src, limit: n.opt.RAM}}
	r.changed.L = &r.mu
	dense, err := n.src.DenseBytes()
	if err != nil {
		return fmt.Errorf("forward: a memory budget: %w", err)
	}
	if r.regions, err = mmap.MappedRegions(); err != nil {
		return fmt.Errorf("forward: a memory budget: %w", err)
	}
	if e, ok := n.src.Embedding(); ok && !n.cfg.TieWordEmbeddings {
		r.embed, _ = r.regions.Window(e)
	}
	_, file := machine.Resident()
	r.files = dense + file
	var before *moe
	mixtures := 0
	for _, l := range n.layers {
		m, norm := mixtureOf(l)
		if m == nil {
			continue
		}
		mixtures++
		if err := m.stream(n.src, r); err != nil {
			return err
		}
		if before != nil {
			before.next, before.ratio = m, quotient(norm.w, before.norm.w)
		}
		m.norm, before = norm, m
	}
	if m, _ := mixtureOf(n.predictorLayer()); m != nil {
		if err := m.stream(n.src, r); err != nil {
			return err
		}
	}
	if mixtures == 0 {
		return n.denseBudget(r)
	}
	r.chooseReads()
	r.factor = 1 / float64(halfLife*mixtures)
	r.row = n.rowBytes()
	n.residents = r
	return r.fit(n)
}

// chooseReads decides how experts are read. While there is memory for all of them in the page cache, beside the budget,
// that is where they are best kept. Where there is not, it would only cost time, and the memory of others.
func (r *residents) chooseReads() {
	var all int64
	for i := range r.units {
		all += r.units[i].size
	}
	total, _ := machine.Memory()
	r.scarce = total > 0 && total-r.limit < all
	r.setReads(r.scarce && !r.fixed)
}

func (r *residents) setReads(direct bool) {
	r.direct, r.read = direct, func(w mmap.Window, _ []byte) error { return w.Fetch() }
	if direct {
		r.read = mmap.Window.Read
	}
	for i := range r.units {
		u := &r.units[i]
		if direct {
			u.size = int64(u.slotBytes)
		}
		r.largest = max(r.largest, u.size)
	}
}

// fit chooses how many tokens are worked on at once, or says which budget would do.
func (r *residents) fit(n *Net) error {
	least := 2*r.largest + 16*r.row
	room := r.roomFor(0)
	if room < least {
		need := (r.limit + least - room) * 33 / 32 // spare grows with the limit
		return fmt.Errorf("forward: a memory budget of %d MB is too small for this model: its dense part takes %d MB, and the program, two experts and the activations of a few tokens must fit beside it: allow at least %d MB",
			r.limit>>20, r.files>>20, need>>20+1)
	}
	for n.opt.MaxTokens > 16 && int64(n.opt.MaxTokens)*r.row > (room-2*r.largest)/2 {
		n.opt.MaxTokens /= 2
	}
	return nil
}

// denseBudget is that of a model without experts: it fits, or not.
func (n *Net) denseBudget(r *residents) error {
	if room := r.roomFor(0); room < 0 {
		return fmt.Errorf("forward: a memory budget of %d MB is too small for this model: it has no experts that could stay on the disk, and takes %d MB: allow at least %d MB, or take a file of fewer bits",
			r.limit>>20, r.files>>20, (r.limit-room)*33/32>>20+1)
	}
	return nil
}

// rowBytes is about how much memory a row of a pass takes.
func (n *Net) rowBytes() int64 {
	c := n.cfg
	head := max(c.HeadDim, c.QKNopeHeadDim+c.QKRopeHeadDim, c.KVLoraRank+c.QKRopeHeadDim)
	floats := c.HiddenSize*(8+6*n.streams) + 3*c.NumAttentionHeads*head + 3*c.IntermediateSize +
		c.NumExpertsPerTok*(3*c.MoEIntermediateSize+2*c.HiddenSize)
	return 6 * int64(floats) // 4 bytes, and as much again for half of it: copies that products make
}

// mixtureOf returns the mixture of experts of a layer and the norm before it, nil where there is none.
func mixtureOf(l layer) (*moe, *norm) {
	switch l := l.(type) {
	case *block:
		m, _ := l.mlp.(*moe)
		return m, l.norm2
	case *hyperBlock:
		m, _ := l.mlp.(*moe)
		return m, l.norm2
	}
	return nil, nil
}

// predictorLayer is the layer of multi-token prediction, nil without one.
func (n *Net) predictorLayer() layer {
	switch m := n.mtp.(type) {
	case *mtp:
		return m.block
	case *hyperMTP:
		return m.block
	}
	return nil
}

// quotient is a/b element by element; where b is 0, so is the result.
func quotient(a, b []float32) []float32 {
	q := make([]float32, len(a))
	for i := range q {
		if b[i] != 0 {
			q[i] = a[i] / b[i]
		}
	}
	return q
}
