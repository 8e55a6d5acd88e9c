// This file holds arena: one allocation for all activations of a shape. A layout function asks it for
// slices twice; the first time it only counts.

package model

// lineFloats keeps every slice on its own 64-byte cache lines.
const lineFloats = 16

type arena struct {
	f []float32
	i []int32
	d []float64

	nf, ni, nd int // taken so far
	top        int // largest nf
}

// newArena runs layout to count, allocates, and runs it again to hand out the memory.
func newArena(layout func(*arena)) *arena {
	a := &arena{}
	layout(a)
	a.f, a.i, a.d = make([]float32, a.top+lineFloats), make([]int32, a.ni), make([]float64, a.nd)
	a.nf, a.ni, a.nd, a.top = 0, 0, 0, 0
	layout(a)
	return a
}

// floats returns n floats, or nil while counting.
func (a *arena) floats(n int) []float32 {
	at := a.nf
	a.nf += (n + lineFloats - 1) &^ (lineFloats - 1)
	a.top = max(a.top, a.nf)
	if a.f == nil {
		return nil
	}
	return a.f[at:][:n:n]
}

func (a *arena) ints(n int) []int32 {
	at := a.ni
	a.ni += n
	if a.f == nil {
		return nil
	}
	return a.i[at:][:n:n]
}

func (a *arena) doubles(n int) []float64 {
	at := a.nd
	a.nd += n
	if a.f == nil {
		return nil
	}
	return a.d[at:][:n:n]
}

// mark and rewind let things that are never alive together share floats.
func (a *arena) mark() int    { return a.nf }
func (a *arena) rewind(m int) { a.nf = m }
