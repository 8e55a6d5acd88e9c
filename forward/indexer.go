// This file holds what the lightning indexers of V3.2 and V4 have in common: queries score entries, and
// each query gets the list of those with the largest scores.
// Source: DeepSeek-V3.2 report, section 2.1.

package forward

import (
	"math"

	"github.com/haenyeo/haenyeo/kernel"
)

// lightning scores entries with a few narrow heads:
//
//	score(e) = sum_h w_h · relu(q_h · k_e)    w = (weights x)·(dim·heads)^(-1/2)
type lightning struct {
	heads, dim, topK int
	wq               *kernel.Stored // [heads·dim,Q] from the query latent
	weights          *kernel.Stored // [heads,D]
	rope             *rope
	at               int                    // first rotated channel of a head
	round            func(vector []float32) // the publisher's rounding of a query or key, nil: none
	roundTask        roundTask
	selectTask       selectTask
}

// queries computes the queries and the weights of the heads.
//
//	q [n,heads,dim] written   w [n,heads] written   cq [n,Q] query latent   x [n,D]
func (x *lightning) queries(p *pass, q, w, cq, in []float32) {
	was := p.enter(Indexing)
	p.linear(q, x.heads*x.dim, x.wq, cq, x.wq.K, false)
	p.spoil(q, x.heads*x.dim) // before rounding, which makes numbers of everything
	x.rope.rotate(p, kernel.View{Data: q[x.at:], Row: x.heads * x.dim, Head: x.dim}, x.heads, false)
	x.roundRows(p, q, p.n*x.heads)
	p.linear(w, x.heads, x.weights, in, x.weights.K, false)
	p.spoil(w, x.heads)
	scale := float32(1 / math.Sqrt(float64(x.dim)*float64(x.heads)))
	for i := range w {
		w[i] *= scale
	}
	p.enter(was)
}

// roundRows rounds rows vectors that follow each other.
func (x *lightning) roundRows(p *pass, v []float32, rows int) {
	if x.round == nil {
		return
	}
	x.roundTask = roundTask{x.round, v, x.dim, rows}
	p.e.Pool().Run((rows+rowChunk-1)/rowChunk, &x.roundTask)
	x.roundTask = roundTask{}
}

type roundTask struct {
	round     func([]float32)
	v         []float32
	dim, rows int
}

// Do handles one chunk.
func (t *roundTask) Do(_, i int) {
	for r := i * rowChunk; r < min((i+1)*rowChunk, t.rows); r++ {
		t.round(t.v[r*t.dim:][:t.dim])
	}
}

// scoreRoom bounds the scores that are in memory at once, in floats.
const scoreRoom = 1 << 22

// choose writes, for rows [lo,hi) of the pass, the entries that each attends to, in ascending order:
// all of its visible ones or, where there are more than topK, those of the largest scores (of equal
// scores the first).
//
//	list [hi-lo,topK] written   begin, end [hi-lo] written: row r reads list[begin[r]:end[r]]
//	visible [hi-lo] entries that the row may see   keys of the entries   q, w as queries wrote them
func (x *lightning) choose(p *pass, list, begin, end, visible []int32, q, w []float32, keys *kernel.Vectors, lo, hi int) {
	was := p.enter(Indexing)
	for r := range visible {
		begin[r] = int32(r * x.topK)
		end[r] = begin[r] + min(visible[r], int32(x.topK))
	}
	q, w = q[lo*x.heads*x.dim:hi*x.heads*x.dim], w[lo*x.heads:hi*x.heads]
	for r := 0; r < len(visible); {
		n := int(visible[r])
		if n <= x.topK {
			for i := range n {
				list[r*x.topK+i] = int32(i)
			}
			r++
			continue
		}
		// Rows that need scores, as many as there is room for.
		to, most := r+1, n
		for to < len(visible) && int(visible[to]) > x.topK && (to-r+1)*max(most, int(visible[to])) <= scoreRoom {
			most = max(most, int(visible[to]))
			to++
		}
		mark := p.mark()
		scores := p.floats((to - r) * most)
		p.indexed(visible[r:to], keys.VectorBytes(), x.heads, x.dim)
		p.e.IndexScores(scores, most, q[r*x.heads*x.dim:], w[r*x.heads:], keys, visible[r:to], to-r, x.heads, x.dim, p.dtype)
		x.selectRows(p, list[r*x.topK:], scores, most, visible[r:to])
		p.rewind(mark)
		r = to
	}
	p.enter(was)
}

// selectRows selects the topK largest of visible[r] scores of every row.
func (x *lightning) selectRows(p *pass, list []int32, scores []float32, ld int, visible []int32) {
	t := &x.selectTask
	if t.workers == nil {
		t.workers = make([]selector, p.e.Pool().Threads())
	}
	t.list, t.scores, t.ld, t.k, t.visible = list, scores, ld, x.topK, visible
	p.e.Pool().Run(len(visible), t)
	t.list, t.scores, t.visible = nil, nil, nil
}

type selectTask struct {
	workers []selector
	list    []int32
	scores  []float32
	ld, k   int
	visible []int32
}

// Do selects for row r.
func (t *selectTask) Do(worker, r int) {
	t.workers[worker].top(t.list[r*t.k:][:t.k], t.scores[r*t.ld:][:t.visible[r]])
}
