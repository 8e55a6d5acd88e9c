package kernel

// Attention over entries that all heads share: the latents of MLA in absorbed form, with or without a
// selection, and the single key-value vector of V4. In order: the arguments, the forward pass as one task
// per token and block of heads, softmax of one row with its sink.

// Entries is one stretch of shared entries. Entry s is Data[s*Row:]. Token t reads entries Lo[t] <= s <
// Hi[t], or List[Lo[t]:Hi[t]] when there is a List. With Vectors, of one head, entry s is row s of these.
type Entries struct {
	Data    []float32
	Vectors *Vectors
	Row     int
	Lo, Hi  []int32 // [T]
	List    []int32
}

// Shared describes attention of T tokens over the entries of Sets, one set after the other:
//
//	o[t,h] = sum_s p_s entry_s[:DV]    p = softmax_s(Scale · q[t,h]·entry_s[:DK])
//
// Scale > 0. Sink [H], if not nil, is a logit of each head that takes part in the denominator of the
// softmax and nothing else. A token without entries gets zero.
type Shared struct {
	T, H, DK, DV int
	Scale        float32
	Q, O         View
	Sets         []Entries
	Sink         []float32
	DType        DType
}

// Shared writes O. 2·H·(DK+DV) FLOPs per token and entry; scratch per worker is about
// (DK+DV+heads)·keyChunk words, whatever the number of entries is. The result of a token does not depend
// on its neighbours, and a list of consecutive entries gives the bits of the same range.
//
// Source: DeepSeek-V2 report, section 2.1 (absorption); DeepSeek-V4 report, section 2.3 (shared
// entries, sinks).
func (e *Engine) Shared(a *Shared) {
	if !(a.Scale > 0) {
		panic("kernel: Shared: Scale must be positive")
	}
	if max(a.DK, a.DV) == 0 || a.H == 0 {
		return
	}
	t := &e.ops.shared
	t.e, t.vec, t.r, t.a = e, &e.vec, e.route(a.DType), a
	if t.workers == nil {
		t.workers = make([]sharedWorker, e.pool.Threads())
	}
	// Every task packs the entries again, so heads are divided only when there are too few tokens.
	t.heads = min(a.H, headBlock)
	for t.heads > 8 && a.T*((a.H+t.heads-1)/t.heads) < e.pool.Threads() {
		t.heads = (t.heads + 1) / 2
	}
	t.blocks = (a.H + t.heads - 1) / t.heads
	e.pool.Run(a.T*t.blocks, t)
	t.a = nil
}

const headBlock = 128 // most heads of one task

type sharedTask struct {
	e       *Engine
	vec     *vector
	r       *route
	a       *Shared
	heads   int // of one task
	blocks  int // tasks of a token
	workers []sharedWorker
}

// sharedWorker is the scratch of one worker.
type sharedWorker struct {
	block   block
	left    []float32 // packed left side of a product
	entries []float32 // gathered or decoded entries [keyChunk, max(DK,DV)]
	k, v    []float32 // the same packed as keys and values
	s       []float32 // scores, then probabilities [heads, scoreRow]
	m, l    []float32 // maximum and sum so far, per head
	_       [64]byte  // keeps workers on cache lines of their own
}

// Do computes the outputs of one block of heads of one token. Late tokens see more entries and go
// first.
func (t *sharedTask) Do(worker, i int) {
	a, w := t.a, &t.workers[worker]
	token, h0 := a.T-1-i/t.blocks, i%t.blocks*t.heads
	h := min(t.heads, a.H-h0)
	w.m, w.l = grow(w.m, h), grow(w.l, h)
	for j := range h {
		w.m[j], w.l[j] = minusInf, 0
	}
	begun := false
	for si := range a.Sets {
		set := &a.Sets[si]
		for lo, hi := int(set.Lo[token]), int(set.Hi[token]); lo < hi; lo += keyChunk {
			n := min(keyChunk, hi-lo)
			x, row := t.chunk(w, set, lo, n)
			t.scores(w, x, row, token, h0, h, n)
			t.values(w, x, row, token, h0, h, n, begun)
			begun = true
		}
	}
	for j := range h {
		o := a.O.at(token, h0+j, a.DV)
		if !begun {
			clear(o)
			continue
		}
		t.vec.scale(o, o, t.share(w.m[j], w.l[j], h0+j))
	}
}

// share is the factor that turns the sum over entries, taken against the maximum m, into their part of
// the softmax. The sink may be far above all entries.
func (t *sharedTask) share(m, l float32, h int) float32 {
	if t.a.Sink == nil {
		return 1 / l
	}
	sink := t.a.Sink[h]
	high := max(m, sink)
	f := exp32(m - high)
	return f / (l*f + exp32(sink-high))
}

// chunk returns n entries from place lo on as rows that follow each other.
func (t *sharedTask) chunk(w *sharedWorker, set *Entries, lo, n int) (x []float32, row int) {
	if v := set.Vectors; v != nil {
		if set.List == nil {
			return v.rows(t.e, &w.entries, lo, 0, n)
		}
		row = v.Stride()
		x = room(&w.entries, keyChunk*row)
		for i, s := range set.List[lo : lo+n] {
			v.decode(t.e, x[i*row:], int(s), 0, 1)
		}
		return x, row
	}
	if set.List == nil {
		return set.Data[lo*set.Row:], set.Row
	}
	width := max(t.a.DK, t.a.DV)
	x = room(&w.entries, keyChunk*width)
	for i, s := range set.List[lo : lo+n] {
		copy(x[i*width:][:width], set.Data[int(s)*set.Row:][:width])
	}
	return x, width
}

// scores computes w.s [h,n] = q·entry.
func (t *sharedTask) scores(w *sharedWorker, x []float32, row, token, h0, h, n int) {
	a, r, b := t.a, t.r, &w.block
	r.rightT(b, room(&w.k, r.rightLen(keyChunk, a.DK)), x, row, a.DK, n)
	left := room(&w.left, r.leftLen(t.heads, max(a.DK, keyChunk)))
	r.left(b, left, a.Q.from(token, h0), a.Q.Head, nil, h, a.DK)
	b.c, b.ldc, b.alpha, b.beta = room(&w.s, t.heads*scoreRow), scoreRow, 1, 0
	r.product(&b.tile, h, n)
}

// values turns the scores into exp(Scale·s − m) and adds their product with the entries to O.
func (t *sharedTask) values(w *sharedWorker, x []float32, row, token, h0, h, n int, begun bool) {
	a, r, b := t.a, t.r, &w.block
	for j := range h {
		s, o := w.s[j*scoreRow:][:n], a.O.at(token, h0+j, a.DV)
		high := max(w.m[j], a.Scale*t.vec.maximum(s))
		if begun && high != w.m[j] {
			f := exp32(w.m[j] - high)
			w.l[j] *= f
			t.vec.scale(o, o, f)
		}
		w.m[j] = high
		w.l[j] += float32(t.vec.expSum(s, s, a.Scale, -high))
	}
	r.right(b, room(&w.v, r.rightLen(a.DV, keyChunk)), x, row, nil, n, a.DV)
	r.left(b, w.left, w.s, scoreRow, nil, h, n)
	b.c, b.ldc, b.alpha, b.beta = a.O.from(token, h0), a.O.Head, 1, 0
	if begun {
		b.beta = 1
	}
	r.product(&b.tile, h, a.DV)
}
