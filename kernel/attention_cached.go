package kernel

// Attention of single queries, each of a sequence of its own, to the keys and values in that sequence's
// cache: a step of decoding several sequences. Longer stretches take Attention with Past.

// Cached describes attention of rows r of Q, each over the keys of Seqs[r]:
//
//	O[r,h] = sum_s p_s V[s,h'],  p = softmax_s(Scale · Q[r,h]·K[s,h'])  over 0 <= s < N
//
// h' = h·HK/H, Scale > 0.
type Cached struct {
	H, HK, DK, DV int
	Scale         float32
	Q, O          View
	Seqs          []CachedSeq
}

// CachedSeq is the cache of one sequence, N > 0 tokens of it.
type CachedSeq struct {
	K, V View
	N    int
}

// Cached writes O. 2·H·(DK+DV) FLOPs per row and key. A row does not depend on the others.
func (e *Engine) Cached(a *Cached) {
	if !(a.Scale > 0) {
		panic("kernel: Cached: Scale must be positive")
	}
	t := &e.cached
	t.e, t.vec, t.r, t.a = e, &e.vec, e.f32, a
	if t.workers == nil {
		t.workers = make([]cachedWorker, e.pool.Threads())
	}
	// Heads that share keys are worked on together, because each task packs the keys, unless there are too
	// few tasks. The cut does not change a bit.
	group := a.H / a.HK
	for t.heads = min(group, cachedHeads); t.heads > 1 && len(a.Seqs)*a.HK*divide(group, t.heads) < e.pool.Threads(); t.heads = (t.heads + 1) / 2 {
	}
	t.blocks = divide(group, t.heads)
	e.pool.Run(len(a.Seqs)*a.HK*t.blocks, t)
	t.a = nil
}

const cachedHeads = 16 // most heads of one task

type cachedTask struct {
	e       *Engine
	vec     *vector
	r       *route
	a       *Cached
	heads   int // of one task
	blocks  int // tasks of the heads that share a key head
	workers []cachedWorker
}

// cachedWorker is the scratch of one worker.
type cachedWorker struct {
	block block
	left  []float32 // packed left side of a product
	x     []float32 // decoded keys or values of a chunk
	k, v  []float32 // packed keys and values of a chunk
	s     []float32 // scores, then probabilities [heads, scoreRow]
	m, l  [cachedHeads]float32
	_     [64]byte // keeps workers on cache lines of their own
}

// Do computes the outputs of some heads of one row, in chunks of keys.
func (t *cachedTask) Do(worker, i int) {
	a, w, r := t.a, &t.workers[worker], t.r
	row, hk, part := i/(a.HK*t.blocks), i/t.blocks%a.HK, i%t.blocks
	group := a.H / a.HK
	h0 := hk*group + part*t.heads
	h := min(t.heads, group-part*t.heads)
	seq, b := &a.Seqs[row], &w.block
	left := room(&w.left, r.leftLen(cachedHeads, max(a.DK, keyChunk)))
	for lo := 0; lo < seq.N; lo += keyChunk {
		n := min(keyChunk, seq.N-lo)
		x, ld := seq.K.rows(t.e, &w.x, lo, hk, n)
		r.rightT(b, room(&w.k, r.rightLen(keyChunk, a.DK)), x, ld, a.DK, n)
		r.left(b, left, a.Q.from(row, h0), a.Q.Head, nil, h, a.DK)
		b.c, b.ldc, b.alpha, b.beta = room(&w.s, cachedHeads*scoreRow), scoreRow, 1, 0
		r.product(&b.tile, h, n)
		for j := range h {
			t.softmax(w, j, n, a.O.at(row, h0+j, a.DV), lo == 0)
		}
		x, ld = seq.V.rows(t.e, &w.x, lo, hk, n)
		r.right(b, room(&w.v, r.rightLen(a.DV, keyChunk)), x, ld, nil, n, a.DV)
		r.left(b, left, w.s, scoreRow, nil, h, n)
		b.c, b.ldc, b.alpha, b.beta = a.O.from(row, h0), a.O.Head, 1, 1
		if lo == 0 {
			b.beta = 0
		}
		r.product(&b.tile, h, a.DV)
	}
	for j := range h {
		o := a.O.at(row, h0+j, a.DV)
		t.vec.scale(o, o, 1/w.l[j])
	}
}

// softmax turns n scores of head j into exp(Scale·s − m), m being the maximum of Scale·s and of the chunks
// before, and brings the sum l and the output o of those chunks to the new maximum.
func (t *cachedTask) softmax(w *cachedWorker, j, n int, o []float32, first bool) {
	s, scale := w.s[j*scoreRow:][:n], t.a.Scale
	high := scale * t.vec.maximum(s)
	switch {
	case first:
		w.l[j] = 0
	case high > w.m[j]:
		f := exp32(w.m[j] - high)
		w.l[j] *= f
		t.vec.scale(o, o, f)
	default:
		high = w.m[j]
	}
	w.m[j] = high
	w.l[j] += float32(t.vec.expSum(s, s, scale, -high))
}
