package kernel

import "math"

// The scores of a lightning indexer, which says for every query which entries are worth attending to.

// IndexScores computes, for each of rows queries, its scores with the first count[r] keys:
//
//	out[r,s] = sum_h w[r,h] · relu(q[r,h]·k[s])    0 <= s < count[r]
//
//	out [rows, stride ldo] written   q [rows,h,d] read   w [rows,h] read   k, one head of d, read   count [rows] read
//
// 2·h·d FLOPs per query and key. A score does not depend on which other queries and keys there are.
//
// Source: DeepSeek-V3.2 report, equation 1; DeepSeek-V4 report, section 2.3.1.
func (e *Engine) IndexScores(out []float32, ldo int, q, w []float32, k *Vectors, count []int32, rows, h, d int, dt DType) {
	t := &e.ops.indexScores
	if t.workers == nil {
		t.workers = make([]indexWorker, e.pool.Threads())
	}
	t.e, t.r, t.out, t.q, t.w, t.k, t.count = e, e.route(dt), out, q, w, k, count
	t.ldo, t.rows, t.h, t.d = ldo, rows, h, d
	most := int32(0)
	for _, n := range count[:rows] {
		most = max(most, n)
	}
	t.chunks = (int(most) + indexKeys - 1) / indexKeys
	// Every task packs its keys, so that queries are divided only for want of tasks.
	t.per = rows
	for t.per > 1 && t.chunks*((rows+t.per-1)/t.per) < 2*e.pool.Threads() {
		t.per = (t.per + 1) / 2
	}
	e.pool.Run(t.chunks*((rows+max(1, t.per)-1)/max(1, t.per)), t)
	t.out, t.q, t.w, t.k, t.count = nil, nil, nil, nil, nil
}

const (
	indexKeys = 256 // keys packed at once, a part of a block
	indexRow  = indexKeys + 16
)

type indexScoresTask struct {
	e               *Engine
	r               *route
	out, q, w       []float32
	k               *Vectors
	count           []int32
	ldo, rows, h, d int
	per, chunks     int // queries of one task; tasks of one stretch of queries
	workers         []indexWorker
}

type indexWorker struct {
	block   block
	left, k []float32 // packed sides
	x       []float32 // decoded keys
	s       []float32 // products [h, indexRow]
	_       [64]byte
}

// Do computes the scores of one stretch of queries with one chunk of keys.
func (t *indexScoresTask) Do(worker, i int) {
	w, r := &t.workers[worker], t.r
	k0, lo := i%t.chunks*indexKeys, i/t.chunks*t.per
	b := &w.block
	packed := 0 // keys
	for row := lo; row < min(lo+t.per, t.rows); row++ {
		n := min(int(t.count[row])-k0, indexKeys)
		if n <= 0 {
			continue
		}
		if n > packed {
			// Later queries see more keys; pack what the last one of the stretch sees.
			packed = n
			for j := row + 1; j < min(lo+t.per, t.rows); j++ {
				packed = max(packed, min(int(t.count[j])-k0, indexKeys))
			}
			x, ld := t.k.rows(t.e, &w.x, k0, 0, packed)
			r.rightT(b, room(&w.k, r.rightLen(indexKeys, t.d)), x, ld, t.d, packed)
		}
		r.left(b, room(&w.left, r.leftLen(t.h, t.d)), t.q[row*t.h*t.d:], t.d, nil, t.h, t.d)
		b.c, b.ldc, b.alpha, b.beta = room(&w.s, t.h*indexRow), indexRow, 1, 0
		r.product(&b.tile, t.h, n)
		out := t.out[row*t.ldo+k0:][:n]
		clear(out)
		for h, weight := range t.w[row*t.h:][:t.h] {
			addRelu(out, w.s[h*indexRow:][:n], weight)
		}
	}
}

// addRelu adds a·relu(x) to y. The sign decides without a branch: it is as good as random.
func addRelu(y, x []float32, a float32) {
	x = x[:len(y)]
	for i, v := range x {
		b := math.Float32bits(v)
		b &^= uint32(int32(b) >> 31)
		y[i] += a * math.Float32frombits(b)
	}
}
