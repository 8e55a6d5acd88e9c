package kernel

import "math"

// Attention in blocks. In order: the arguments, the forward pass as one task per stretch of
// queries, softmax of one row. The backward pass is in attention_grad.go.

// View is a [tokens, heads, width] window into a float32 slice: element (t,h,c) is
// Data[t*Row + h*Head + c]. With Vectors, which keys and values of attention without a backward pass may have,
// it is that of row t and head h of these.
type View struct {
	Data      []float32
	Row, Head int
	Vectors   *Vectors
}

func (v View) at(t, h, n int) []float32 { return v.Data[t*v.Row+h*v.Head:][:n] }

// from is the data from element (t,h,0) on.
func (v View) from(t, h int) []float32 { return v.Data[t*v.Row+h*v.Head:] }

// Attention describes causal attention over B sequences of T tokens each (token b*T+t).
//
//	o[t,h] = sum_s p_s v[s,h'],  p = softmax_s(Scale · q[t,h]·k[s,h'])  over First[t] <= s <= t
//
// h' = h·HK/H, Scale > 0. First holds, for every token, the first visible position inside its own sequence
// (where its document begins); it never decreases along a sequence, and nil means 0. LSE [B*T,H]
// receives log sum exp of the scaled scores and is what the backward pass needs besides O.
//
// Past > 0 continues a single sequence (B 1, First nil, no backward pass): K and V hold Past tokens more
// than Q, before it, and query t sees s <= Past+t.
type Attention struct {
	B, T, Past    int
	H, HK, DK, DV int
	Scale         float32
	Q, K, V, O    View
	First         []int32
	LSE           []float32
	DType         DType
}

// first is the first position that token i sees.
func (a *Attention) first(i int) int {
	if a.First == nil {
		return 0
	}
	return int(a.First[i])
}

// check panics on what only a programmer's error can bring about.
func (a *Attention) check() {
	if a.HK <= 0 || a.H%a.HK != 0 {
		panic("kernel: Attention: H is not a multiple of HK")
	}
	if !(a.Scale > 0) {
		panic("kernel: Attention: Scale must be positive")
	}
	if a.Past != 0 && (a.B != 1 || a.First != nil || a.Past < 0) {
		panic("kernel: Attention: Past continues one sequence without First")
	}
	if a.First == nil {
		return
	}
	for i, f := range a.First[:a.B*a.T] {
		t := i % a.T
		if int(f) > t || f < 0 || t > 0 && f < a.First[i-1] {
			panic("kernel: Attention: First must rise from 0 and not pass its own position")
		}
	}
}

const (
	queryBlock = 32  // queries whose scores are in scratch at once; a multiple of every panel width
	keyChunk   = 512 // keys packed at once: longer rows go through online softmax
	scoreRow   = keyChunk + 16
	stretch    = 256 // queries of one task, fewer when there would be too few tasks
)

// Attention writes O and LSE. 2·T²·(DK+DV)/2 FLOPs per head and sequence. Scratch per thread is
// about (queryBlock + DK + DV)·keyChunk words, whatever T is.
//
// Source: Dao 2023 (FlashAttention-2), sections 2.3 and 3.1, with keys in chunks instead of tiles.
func (e *Engine) Attention(a *Attention) {
	a.check()
	t := &e.ops.attention
	t.prepare(e, a)
	// The cut does not change a bit: keys are chunked by position, and a row is summed key by key.
	for t.queries = stretch; ; t.queries /= 2 {
		t.stretches = (a.T + t.queries - 1) / t.queries
		if t.queries == queryBlock || a.B*a.HK*t.stretches >= 2*e.pool.Threads() {
			break
		}
	}
	e.pool.Run(a.B*a.HK*t.stretches, t)
	t.a = nil
}

type attentionTask struct {
	e         *Engine
	vec       *vector
	r         *route
	fused     bool // probabilities become bfloat16 in the kernel that computes them
	a         *Attention
	queries   int // of one task
	stretches int
	workers   []attentionWorker
}

// attentionWorker is the scratch of one worker.
type attentionWorker struct {
	block    block
	left     []float32 // packed left side of a product
	x        []float32 // decoded keys or values of a chunk
	k, v     []float32 // packed keys and values of a chunk
	s        []float32 // scores, then probabilities [queryBlock, scoreRow]
	m, l     []float32 // maximum and sum so far, per head of the group and query
	begun    []bool    // per head and block of queries: O holds something
	backward backwardWorker
	_        [64]byte // keeps workers on cache lines of their own
}

func (t *attentionTask) prepare(e *Engine, a *Attention) {
	t.e, t.vec, t.r, t.a = e, &e.vec, e.route(a.DType), a
	t.fused = t.r.pair && t.vec.expSumBF16 != nil
	if t.workers == nil {
		t.workers = make([]attentionWorker, e.pool.Threads())
	}
}

// Do computes the outputs of the heads that share kv head hk, for one stretch of queries. Late
// stretches see more keys and go first.
func (t *attentionTask) Do(worker, i int) {
	a, w, r := t.a, &t.workers[worker], t.r
	pairs := a.B * a.HK
	b, hk := i%pairs/a.HK, i%a.HK
	q0 := (t.stretches - 1 - i/pairs) * t.queries
	q1 := min(a.T, q0+t.queries)
	group, token := a.H/a.HK, b*a.T
	n := group * (q1 - q0)
	w.m, w.l = grow(w.m, n), grow(w.l, n)
	for j := range n {
		w.m[j], w.l[j] = minusInf, 0
	}
	w.begun = grow(w.begun, group*(t.queries/queryBlock))
	clear(w.begun)
	kPanels := room(&w.k, r.rightLen(keyChunk, a.DK))
	vPanels := room(&w.v, r.rightLen(a.DV, keyChunk))

	first, past := a.first(token+q0), a.Past
	for k0 := first / keyChunk * keyChunk; k0 < past+q1; k0 += keyChunk {
		lo, hi := max(k0, first/queryBlock*queryBlock), min(k0+keyChunk, past+q1)
		x, ld := a.K.rows(t.e, &w.x, token+lo, hk, hi-lo)
		r.rightT(&w.block, kPanels, x, ld, a.DK, hi-lo)
		k := w.block.right()
		x, ld = a.V.rows(t.e, &w.x, token+lo, hk, hi-lo)
		r.right(&w.block, vPanels, x, ld, nil, hi-lo, a.DV)
		v := w.block.right()
		for g := range group {
			for q := q0; q < q1; q += queryBlock {
				m := min(queryBlock, q1-q)
				// Nothing to see for this block in this chunk?
				if past+q+m <= lo || a.first(token+q) >= hi {
					continue
				}
				t.scores(w, k, token, hk*group+g, q, m, lo, min(hi, past+q+m))
				t.values(w, v, token, hk*group+g, q, m, lo, min(hi, past+q+m), g*(q1-q0)+q-q0, &w.begun[(g*t.queries+q-q0)/queryBlock])
			}
		}
	}
	for g := range group {
		for q := q0; q < q1; q++ {
			j, h := g*(q1-q0)+q-q0, hk*group+g
			o := a.O.at(token+q, h, a.DV)
			t.vec.scale(o, o, 1/w.l[j])
			a.LSE[(token+q)*a.H+h] = float32(float64(w.m[j]) + math.Log(float64(w.l[j])))
		}
	}
}

// panels is a packed right side.
type panels struct {
	words []float32
	next  int // from panel to panel
}

func (b *block) right() panels { return panels{b.b, b.bNext} }

// use makes p the right side from column j on.
func (b *block) use(p panels, nr, j int) {
	b.b, b.bNext = p.words[j/nr*p.next:], p.next
}

// scores computes w.s [m,keys] = q·k for queries q..q+m and keys lo..hi.
func (t *attentionTask) scores(w *attentionWorker, k panels, token, h, q, m, lo, hi int) {
	a, r, b := t.a, t.r, &w.block
	r.left(b, room(&w.left, r.leftLen(queryBlock, max(a.DK, keyChunk))), a.Q.from(token+q, h), a.Q.Row, nil, m, a.DK)
	b.use(k, r.nr, 0)
	b.c, b.ldc, b.alpha, b.beta = room(&w.s, queryBlock*scoreRow), scoreRow, 1, 0
	r.product(&b.tile, m, hi-lo)
}

// values turns the scores into probabilities against the maximum so far and adds p·v to O. state
// is the place of the first query in w.m and w.l.
func (t *attentionTask) values(w *attentionWorker, v panels, token, h, q, m, lo, hi, state int, begun *bool) {
	a, r, b := t.a, t.r, &w.block
	n := hi - lo
	b.steps, b.a, b.aRow, b.aStep = r.steps(n), w.left, r.rowWords(n), 1
	for i := range m {
		row, words := w.s[i*scoreRow:][:n], w.left[i*b.aRow:][:b.steps]
		from, to := max(a.first(token+q+i), lo)-lo, min(a.Past+q+i+1, hi)-lo
		if from >= to {
			from, to = 0, 0
		}
		// Begin at a whole vector.
		start := from &^ 15
		for j := start; j < from; j++ {
			row[j] = minusInf
		}
		if t.fused {
			clear(words[:start/2])
			clear(words[to/2:])
		} else {
			words = nil
			clear(row[:start])
			clear(row[to:])
		}
		if from < to {
			t.softmax(words, row[:to], start, &w.m[state+i], &w.l[state+i], a.O.at(token+q+i, h, a.DV), *begun)
		}
	}
	if !t.fused {
		r.left(b, w.left, w.s, scoreRow, nil, m, n)
	}
	b.use(v, r.nr, 0)
	b.c, b.ldc, b.alpha, b.beta = a.O.from(token+q, h), a.O.Row, 1, 0
	if *begun {
		b.beta = 1
	}
	r.product(&b.tile, m, a.DV)
	*begun = true
}

// softmax computes exp(Scale·s − m) of scores s from start on, m being the maximum of Scale·s and
// of the chunks before, and brings the sum l and the output o of those chunks to the new maximum.
// The result replaces s, or goes to words as bfloat16 when fused.
func (t *attentionTask) softmax(words, s []float32, start int, m, l *float32, o []float32, begun bool) {
	scale := t.a.Scale
	high := max(*m, scale*t.vec.maximum(s[start:]))
	if begun && high != *m {
		f := exp32(*m - high)
		*l *= f
		t.vec.scale(o, o, f)
	}
	*m = high
	if t.fused {
		*l += float32(t.vec.expSumBF16(words[start/2:], s[start:], scale, -high))
	} else {
		*l += float32(t.vec.expSum(s[start:], s[start:], scale, -high))
	}
}
