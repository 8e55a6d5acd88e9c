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
	t.vec, t.a = &e.vec, a
	if t.workers == nil {
		t.workers = make([]cachedWorker, e.pool.Threads())
	}
	// Heads that share keys are worked on together, unless there are too few tasks. The cut does not
	// change a bit.
	group := a.H / a.HK
	for t.heads = min(group, cachedHeads); t.heads > 1 && len(a.Seqs)*a.HK*divide(group, t.heads) < e.pool.Threads(); t.heads = (t.heads + 1) / 2 {
	}
	t.blocks = divide(group, t.heads)
	e.pool.Run(len(a.Seqs)*a.HK*t.blocks, t)
	t.a = nil
}

const cachedHeads = 8 // most heads of one task

type cachedTask struct {
	vec     *vector
	a       *Cached
	heads   int // of one task
	blocks  int // tasks of the heads that share a key head
	workers []cachedWorker
}

type cachedWorker struct {
	s []float32 // scores [cachedHeads, keyChunk]
	_ [64]byte  // keeps workers on cache lines of their own
}

// Do computes the outputs of some heads of one row, in chunks of keys.
func (t *cachedTask) Do(worker, i int) {
	a := t.a
	r, hk, block := i/(a.HK*t.blocks), i/t.blocks%a.HK, i%t.blocks
	group := a.H / a.HK
	h0 := hk*group + block*t.heads
	h := min(t.heads, group-block*t.heads)
	seq := &a.Seqs[r]
	scores := room(&t.workers[worker].s, cachedHeads*keyChunk)
	var m, l [cachedHeads]float32
	for lo := 0; lo < seq.N; lo += keyChunk {
		n := min(keyChunk, seq.N-lo)
		for s := range n {
			k := seq.K.at(lo+s, hk, a.DK)
			for j := range h {
				scores[j*keyChunk+s] = float32(t.vec.dot(k, a.Q.at(r, h0+j, a.DK)))
			}
		}
		for j := range h {
			s, o := scores[j*keyChunk:][:n], a.O.at(r, h0+j, a.DV)
			high := a.Scale * t.vec.maximum(s)
			switch {
			case lo == 0:
				clear(o)
			case high > m[j]:
				f := exp32(m[j] - high)
				l[j] *= f
				t.vec.scale(o, o, f)
			default:
				high = m[j]
			}
			m[j] = high
			l[j] += float32(t.vec.expSum(s, s, a.Scale, -high))
		}
		for s := range n {
			v := seq.V.at(lo+s, hk, a.DV)
			for j := range h {
				t.vec.axpy(a.O.at(r, h0+j, a.DV), v, scores[j*keyChunk+s])
			}
		}
	}
	for j := range h {
		o := a.O.at(r, h0+j, a.DV)
		t.vec.scale(o, o, 1/l[j])
	}
}
