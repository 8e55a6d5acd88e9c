// This file cuts documents into pieces and packs pieces into rows: pieces, then packer.
//
// A row has T+1 tokens: T inputs, and one more that is only a target. A document that fits stays
// whole. A longer one is cut into pieces of T+1 that share a token with the piece before, so that
// every token but the first of a document is a target exactly once. Pieces are packed by best fit
// in decreasing length; a token sees only its own piece (Batch.First). Packing whole documents
// instead of one long stream keeps beginnings where the model can see them (Ding et al., "Fewer
// Truncations Improve Language Modeling", arXiv 2404.10830); what is left empty is counted
// (SamplerStats.Waste) and stands in the plan of the run.

package corpus

import "math/bits"

// piece is a part of one document that lies in one row.
type piece struct {
	from int64 // in the tokens
	n    int32 // tokens, 2 at least
	next int32 // piece that follows in the row, -1
}

// pieces appends those of the tokens [from,to) to ps. The first has at most first tokens (at least
// 2, at most T+1), the others at most T+1.
func pieces(ps []piece, from, to int64, first, t int) []piece {
	for n := int64(first); to-from >= 2; n = int64(t) + 1 {
		n = min(n, to-from)
		ps = append(ps, piece{from: from, n: int32(n), next: -1})
		from += n - 1
	}
	return ps
}

// packer packs pieces into rows. Its slices are kept between uses.
type packer struct {
	pieces []piece
	rows   []int32 // first piece of each row
	order  []int32 // scratch: pieces by decreasing length
	counts []int32 // scratch
	open   []int32 // rows not full, as one list for each room that is left: first row, -1
	after  []int32 // next row of the same list
	some   []uint64
}

// pack fills rows from pieces, for rows of t+1 tokens. The result depends on nothing else.
func (p *packer) pack(t int) {
	size := t + 1
	p.rows, p.after = p.rows[:0], p.after[:0]
	p.counts = resize(p.counts, size+2)
	p.open = resize(p.open, size+1)
	p.some = resize(p.some, size/64+1)
	p.order = resize(p.order, len(p.pieces))
	clear(p.counts)
	clear(p.some)
	for i := range p.open {
		p.open[i] = -1
	}
	for i := range p.pieces { // counting sort, longest first, stable
		p.counts[size-int(p.pieces[i].n)+1]++
	}
	for i := 1; i < len(p.counts); i++ {
		p.counts[i] += p.counts[i-1]
	}
	for i := range p.pieces {
		c := &p.counts[size-int(p.pieces[i].n)]
		p.order[*c] = int32(i)
		*c++
	}
	for _, i := range p.order {
		n := int(p.pieces[i].n)
		var row int32
		room := p.smallest(n)
		if room < 0 {
			row, room = int32(len(p.rows)), size
			p.rows = append(p.rows, i)
			p.after = append(p.after, -1)
		} else {
			row = p.open[room]
			if p.open[room] = p.after[row]; p.open[room] < 0 {
				p.some[room/64] &^= 1 << (room % 64)
			}
			// The new piece goes first, which costs no search for the last.
			p.pieces[i].next = p.rows[row]
			p.rows[row] = i
		}
		if left := room - n; left >= 2 {
			p.after[row] = p.open[left]
			p.open[left] = row
			p.some[left/64] |= 1 << (left % 64)
		}
	}
}

// Pack puts sequences of the given lengths, each of 2 to t+1 tokens, into rows of t+1 by the same rule and
// returns the sequences of every row. The result depends on nothing else.
func Pack(lengths []int, t int) (rows [][]int32) {
	p := packer{pieces: make([]piece, len(lengths))}
	for i, n := range lengths {
		p.pieces[i] = piece{n: int32(n), next: -1}
	}
	p.pack(t)
	for _, first := range p.rows {
		var row []int32
		for i := first; i >= 0; i = p.pieces[i].next {
			row = append(row, i)
		}
		rows = append(rows, row)
	}
	return rows
}

// smallest returns the least room of at least n that some row has left, or -1.
func (p *packer) smallest(n int) int {
	w := n / 64
	mask := p.some[w] &^ (1<<(n%64) - 1)
	for {
		if mask != 0 {
			return w*64 + bits.TrailingZeros64(mask)
		}
		if w++; w == len(p.some) {
			return -1
		}
		mask = p.some[w]
	}
}

// resize gives s the length n, keeping its memory when it can; the content is not kept.
func resize[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n, n+n/8)
	}
	return s[:n]
}
