package kernel

// The backward pass of attention: one task per sequence and kv head, which alone writes the
// gradients of that head's keys and values, in a fixed order. Scores are recomputed transposed, a
// block of keys against a chunk of queries, so that the saved LSE and delta run along a row:
//
//	Sᵀ = K Qᵀ      Pᵀ = exp(Scale·Sᵀ − LSE)          dV += Pᵀ dO
//	dPᵀ = V dOᵀ    dSᵀ = Scale·Pᵀ ⊙ (dPᵀ − delta)    dK += dSᵀ Q    dQ += dS K
//
// with delta[t] = dO[t]·O[t].
//
// Source: Dao 2023 (FlashAttention-2), section 3.1.

const (
	keyBlock   = 32  // keys whose scores are in scratch at once; a multiple of every panel width
	queryChunk = 256 // queries packed at once
	gradRow    = queryChunk + 16
)

// AttentionGrad writes dq, dk and dv from the gradient do of O. a.O and a.LSE are those of the
// forward pass; probabilities are recomputed block by block. About 5/2 of the forward FLOPs. dq may be
// a.Q: a chunk of queries is packed before anything is written.
func (e *Engine) AttentionGrad(a *Attention, do, dq, dk, dv View) {
	a.check()
	t := &e.ops.attentionGrad
	t.attentionTask = &e.ops.attention
	t.prepare(e, a)
	t.do, t.dq, t.dk, t.dv = do, dq, dk, dv
	e.pool.Run(a.B*a.HK, t)
	t.a, t.do, t.dq, t.dk, t.dv = nil, View{}, View{}, View{}, View{}
}

type attentionGradTask struct {
	*attentionTask
	do, dq, dk, dv View
}

// backwardWorker is the scratch of one worker. Panels are named for what they hold and, with a T,
// for being transposed.
type backwardWorker struct {
	q, qT, do, doT, k []float32 // packed right sides
	p, ds             []float32 // [keyBlock, gradRow]
	pLeft, dsLeft     []float32 // packed left sides of the same, when fused
	lse, delta        []float32 // of a chunk
	end               []int32   // per key: the first later query that does not see it
}

func (t *attentionGradTask) Do(worker, i int) {
	a, w := t.a, &t.workers[worker]
	b, hk := i/a.HK, i%a.HK
	token, group := b*a.T, a.H/a.HK
	t.ends(w, token)
	for h := hk * group; h < (hk+1)*group; h++ {
		for q0 := 0; q0 < a.T; q0 += queryChunk {
			t.chunk(w, token, h, hk, q0, min(q0+queryChunk, a.T))
		}
	}
}

// ends fills w.backward.end from First, which never decreases.
func (t *attentionGradTask) ends(w *attentionWorker, token int) {
	a := t.a
	end := grow(w.backward.end, a.T)
	w.backward.end = end
	j := 0
	for q := range a.T {
		for ; j < a.first(token+q); j++ {
			end[j] = int32(q)
		}
	}
	for ; j < a.T; j++ {
		end[j] = int32(a.T)
	}
}

// chunk adds what queries q0..q1 of head h contribute.
func (t *attentionGradTask) chunk(w *attentionWorker, token, h, hk, q0, q1 int) {
	a, r, b, s := t.a, t.r, &w.block, &w.backward
	n := q1 - q0
	s.lse, s.delta = grow(s.lse, queryChunk), grow(s.delta, queryChunk)
	for i := range n {
		s.lse[i] = a.LSE[(token+q0+i)*a.H+h]
		s.delta[i] = float32(t.vec.dot(t.do.at(token+q0+i, h, a.DV), a.O.at(token+q0+i, h, a.DV)))
	}
	q, do := a.Q.from(token+q0, h), t.do.from(token+q0, h)
	r.rightT(b, room(&s.qT, r.rightLen(queryChunk, a.DK)), q, a.Q.Row, a.DK, n)
	qT := b.right()
	r.rightT(b, room(&s.doT, r.rightLen(queryChunk, a.DV)), do, t.do.Row, a.DV, n)
	doT := b.right()
	r.right(b, room(&s.q, r.rightLen(a.DK, queryChunk)), q, a.Q.Row, nil, n, a.DK)
	qP := b.right()
	r.right(b, room(&s.do, r.rightLen(a.DV, queryChunk)), do, t.do.Row, nil, n, a.DV)
	doP := b.right()

	first, begun := a.first(token+q0), q0 // dQ holds something below begun
	for j0 := first / keyBlock * keyBlock; j0 < q1; j0 += keyBlock {
		j1 := min(j0+keyBlock, a.T)
		lo, hi := max(q0, j0), min(q1, int(s.end[j1-1]))
		if lo >= hi {
			continue
		}
		t.keys(w, token, h, hk, j0, j1, q0, lo, hi, begun, qT, doT, qP, doP)
		begun = max(begun, hi)
	}
}

// keys adds what keys j0..j1 and queries lo..hi give each other; the panels begin at query q0. A
// key meets its own query first, so the first head of the group writes dK and dV there and all else
// adds; dQ is written from query begun on.
func (t *attentionGradTask) keys(w *attentionWorker, token, h, hk, j0, j1, q0, lo, hi, begun int, qT, doT, qP, doP panels) {
	a, r, b, s := t.a, t.r, &w.block, &w.backward
	m, n := j1-j0, hi-lo
	left := room(&w.left, max(r.leftLen(keyBlock, max(a.DK, a.DV, queryChunk)), r.leftLen(queryChunk, keyBlock)))
	p, ds := room(&s.p, keyBlock*gradRow), room(&s.ds, keyBlock*gradRow)

	r.left(b, left, a.K.from(token+j0, hk), a.K.Row, nil, m, a.DK)
	b.use(qT, r.nr, lo-q0)
	b.c, b.ldc, b.alpha, b.beta = p, gradRow, 1, 0
	r.product(&b.tile, m, n)

	r.left(b, left, a.V.from(token+j0, hk), a.V.Row, nil, m, a.DV)
	b.use(doT, r.nr, lo-q0)
	b.c = ds
	r.product(&b.tile, m, n)

	t.softmaxGrad(s, p, ds, m, n, j0, lo, q0)

	if j0 < q0 || h > hk*(a.H/a.HK) {
		b.beta = 1
	}
	step := stepsOf(lo-q0, r.pair)
	t.leftOf(b, left, p, s.pLeft, m, n)
	b.b, b.bNext = doP.words[step*r.nr:], doP.next
	b.c, b.ldc = t.dv.from(token+j0, hk), t.dv.Row
	r.product(&b.tile, m, a.DV)

	t.leftOf(b, left, ds, s.dsLeft, m, n)
	b.b, b.bNext = qP.words[step*r.nr:], qP.next
	b.c, b.ldc = t.dk.from(token+j0, hk), t.dk.Row
	r.product(&b.tile, m, a.DK)

	r.right(b, room(&s.k, r.rightLen(a.DK, keyBlock)), a.K.from(token+j0, hk), a.K.Row, nil, m, a.DK)
	r.leftT(b, left, ds, gradRow, n, m)
	old := min(max(begun-lo, 0), n)
	b.c, b.ldc, b.beta = t.dq.from(token+lo, h), t.dq.Row, 1
	r.product(&b.tile, old, a.DK)
	if old < n {
		b.a, b.c, b.beta = b.a[old*b.aRow:], t.dq.from(token+lo+old, h), 0
		r.product(&b.tile, n-old, a.DK)
	}
}

// softmaxGrad turns Sᵀ in p and dPᵀ in ds, m keys from j0 on by n queries from lo on, into Pᵀ and
// dSᵀ, zero where the mask is.
func (t *attentionGradTask) softmaxGrad(s *backwardWorker, p, ds []float32, m, n, j0, lo, q0 int) {
	r := t.r
	width := r.rowWords(n)
	if t.fused {
		s.pLeft, s.dsLeft = grow(s.pLeft, keyBlock*r.rowWords(queryChunk)), grow(s.dsLeft, keyBlock*r.rowWords(queryChunk))
	}
	for i := range m {
		pr, dr := p[i*gradRow:][:n], ds[i*gradRow:][:n]
		// Key j is seen by queries j to end[j]-1.
		from := min(max(0, j0+i-lo), n)
		to := max(from, min(n, int(s.end[j0+i])-lo))
		// Begin at a whole vector: a row that is out of step with cache lines costs twice the time.
		start := from &^ 15
		at := lo - q0 + start
		for j := start; j < from; j++ {
			pr[j] = minusInf
		}
		clear(dr[:start])
		clear(dr[to:])
		if !t.fused {
			clear(pr[:start])
			clear(pr[to:])
			t.vec.softmaxGrad(pr[start:to], dr[start:to], s.lse[at:], s.delta[at:], t.a.Scale)
			continue
		}
		for _, words := range [][]float32{s.pLeft[i*width:][:r.steps(n)], s.dsLeft[i*width:][:r.steps(n)]} {
			clear(words[:start/2])
			clear(words[to/2:])
		}
		t.vec.softmaxGradBF16(s.pLeft[i*width+start/2:], s.dsLeft[i*width+start/2:], pr[start:to], dr[start:to], s.lse[at:], s.delta[at:], t.a.Scale)
	}
}

// leftOf makes x [m,n] the left side of b; packed holds it already when fused.
func (t *attentionGradTask) leftOf(b *block, buf, x, packed []float32, m, n int) {
	if !t.fused {
		t.r.left(b, buf, x, gradRow, nil, m, n)
		return
	}
	b.steps, b.a, b.aRow, b.aStep = t.r.steps(n), packed, t.r.rowWords(n), 1
}
