// This file holds the attention of V4: one vector per token that is key and value of all heads, seen
// through a sliding window, and entries that compressors make of the tokens before. In order: the
// attention, its queries and keys, what queries see, the output, the cache.
// Source: DeepSeek-V4 report, section 2.3.

package forward

import (
	"math"

	"github.com/haenyeo/haenyeo/kernel"
)

// windowAttention attends to the last window tokens and, with a compressor, to compressed entries:
// all visible ones (HCA) or, with an indexer, those that it chooses (CSA). Softmax has a sink per head.
type windowAttention struct {
	heads, dim, window, groups int

	wqa, wqb, wkv *kernel.Stored   // [Q,D], [H·dim,Q], [dim,D]
	woa           []*kernel.Stored // per group [O,H·dim/groups]
	wob           *kernel.Stored   // [D,groups·O]
	qNorm, kvNorm *norm
	headNorm      *norm     // weight 1
	sink          []float32 // [H]
	rope          *rope     // of the last channels of a head
	round         bool      // keys through fp8 and back, as the publisher does
	compressor    *compressor
	indexer       *lightning  // chooses among compressed entries; nil: all of them are seen
	indexKeys     *compressor // of the indexer
	shared        kernel.Shared
	sets          [2]kernel.Entries
}

// tail is the last channels of heads vectors of dim channels, those that are rotated.
func (a *windowAttention) tail(x []float32, heads int) kernel.View {
	return kernel.View{Data: x[a.dim-a.rope.width:], Row: heads * a.dim, Head: a.dim}
}

func (a *windowAttention) attend(p *pass, i int, y, x []float32) {
	mark := p.mark()
	n, h := p.n, a.heads
	latent := p.floats(n * a.wqa.N)
	p.linear(latent, a.wqa.N, a.wqa, x, a.wqa.K, false)
	a.qNorm.apply(p, latent, latent, n)
	q := p.floats(n * h * a.dim)
	p.linear(q, h*a.dim, a.wqb, latent, a.wqb.K, false)
	a.headNorm.apply(p, q, q, n*h)
	a.rope.rotate(p, a.tail(q, h), h, false)

	kv := p.floats(n * a.dim)
	p.linear(kv, a.dim, a.wkv, x, a.wkv.K, false)
	a.kvNorm.apply(p, kv, kv, n)
	a.rope.rotate(p, a.tail(kv, 1), 1, false)
	if a.round {
		roundKeys(kv, a.dim, a.dim-a.rope.width, n)
	}
	a.compress(p, i, x)
	o := p.floats(n * h * a.dim)
	a.see(p, i, o, q, kv, latent, x)
	a.rope.rotate(p, a.tail(o, h), h, true)
	a.project(p, y, o)
	p.rewind(mark)
}

// compress gives the rows of p to the compressors.
func (a *windowAttention) compress(p *pass, i int, x []float32) {
	for _, c := range []*compressor{a.compressor, a.indexKeys} {
		if c == nil {
			continue
		}
		mark := p.mark()
		w := 2 * c.projected()
		as := p.floats(p.n * w)
		c.project(p, as, x)
		for _, s := range p.spans {
			k := s.cache.layers[i].(*windowCache)
			into := k.main
			if c == a.indexKeys {
				into = k.index
			}
			c.push(p, into, s, as[s.lo*w:s.hi*w])
		}
		p.rewind(mark)
	}
}

// see adds the rows kv to the windows and computes o [n,H,dim] for queries q. A row sees the window first,
// then compressed entries.
func (a *windowAttention) see(p *pass, i int, o, q, kv, latent, x []float32) {
	var iq, iw []float32
	if a.chooses(p) {
		iq, iw = p.floats(p.n*a.indexer.heads*a.indexer.dim), p.floats(p.n*a.indexer.heads)
		a.indexer.queries(p, iq, iw, latent, x)
	}
	h, row := a.heads, a.heads*a.dim
	for _, s := range p.spans {
		mark := p.mark()
		k, n := s.cache.layers[i].(*windowCache), s.hi-s.lo
		k.window.extend(kv[s.lo*a.dim:s.hi*a.dim], n)
		window, entries := &a.sets[0], &a.sets[1]
		*window = kernel.Entries{Data: k.window.rows, Row: a.dim, Lo: p.ints(n), Hi: p.ints(n)}
		for r := range n {
			end := s.start + r + 1
			window.Lo[r] = int32(max(0, end-a.window) - k.window.first)
			window.Hi[r] = int32(end - k.window.first)
		}
		sets := a.sets[:1]
		if a.compressor != nil {
			sets = a.sets[:2]
			*entries = k.main.rows.entries()
			a.visible(p, entries, k, s, iq, iw)
		}
		a.shared = kernel.Shared{T: n, H: h, DK: a.dim, DV: a.dim, Scale: float32(1 / math.Sqrt(float64(a.dim))),
			Q: kernel.View{Data: q[s.lo*row : s.hi*row], Row: row, Head: a.dim},
			O: kernel.View{Data: o[s.lo*row : s.hi*row], Row: row, Head: a.dim}, Sets: sets, Sink: a.sink, DType: p.dtype}
		p.attendShared(&a.shared)
		p.rewind(mark)
	}
	a.shared, a.sets = kernel.Shared{}, [2]kernel.Entries{}
}

// chooses says whether some row has more compressed entries than it may attend to.
func (a *windowAttention) chooses(p *pass) bool {
	if a.indexer == nil {
		return false
	}
	for _, s := range p.spans {
		if (s.start+s.hi-s.lo)/a.compressor.ratio > a.indexer.topK {
			return true
		}
	}
	return false
}

// visible sets which compressed entries the rows of a span see: entry j counts for the token at position
// t when its last token was read, j < (t+1)/ratio. Without queries of the indexer they see all of those.
func (a *windowAttention) visible(p *pass, entries *kernel.Entries, k *windowCache, s span, iq, iw []float32) {
	n := s.hi - s.lo
	count := p.ints(n)
	for r := range count {
		count[r] = int32((s.start + r + 1) / a.compressor.ratio)
	}
	entries.Lo = p.ints(n)
	if iq == nil {
		clear(entries.Lo)
		entries.Hi = count
		return
	}
	entries.Hi, entries.List = p.ints(n), p.ints(n*a.indexer.topK)
	a.indexer.choose(p, entries.List, entries.Lo, entries.Hi, count, iq, iw, &k.index.rows.Vectors, s.lo, s.hi)
}

// project is the output in two steps, the first of them for each group of heads by itself.
func (a *windowAttention) project(p *pass, y, o []float32) {
	rank, width := a.woa[0].N, a.woa[0].K
	z := p.floats(p.n * a.groups * rank)
	p.products = p.products[:0]
	for g, w := range a.woa {
		p.products = append(p.products, kernel.StoredProduct{W: w, Y: z[g*rank:], LDY: a.groups * rank,
			X: o[g*width:], LDX: a.heads * a.dim, Rows: p.n})
	}
	p.multiply(p.dtype)
	p.linear(y, a.wob.N, a.wob, z, a.groups*rank, false)
}

// windowCache is what a layer of V4 keeps of a sequence.
type windowCache struct {
	window      recent
	main, index *compressed // nil where the layer has none
}

func (a *windowAttention) newCache() layerCache {
	k := &windowCache{window: newRecent(a.dim, a.window-1, func(n int) int { return min(n, a.window-1) })}
	if a.compressor != nil {
		k.main = a.compressor.newCache()
	}
	if a.indexer != nil {
		k.index = a.indexKeys.newCache()
	}
	return k
}

// compressed lists the parts that are there.
func (k *windowCache) compressed() []*compressed {
	switch {
	case k.main == nil:
		return nil
	case k.index == nil:
		return []*compressed{k.main}
	}
	return []*compressed{k.main, k.index}
}

func (k *windowCache) reserve(tokens int) {
	k.window.reserve(tokens)
	for _, c := range k.compressed() {
		c.reserve(tokens)
	}
}

func (k *windowCache) bytes(tokens int) int64 {
	n := k.window.bytes(tokens)
	for _, c := range k.compressed() {
		n += c.bytes(tokens)
	}
	return n
}

// truncate returns to the largest length up to n whose state all parts still have.
func (k *windowCache) truncate(n int) int {
	for kept := n; ; n = kept {
		kept = k.window.reach(n)
		for _, c := range k.compressed() {
			kept = min(kept, c.tail.reach(n))
		}
		if kept == n {
			break
		}
	}
	k.window.back(n)
	for _, c := range k.compressed() {
		c.tail.back(n)
	}
	return n
}

func (k *windowCache) save(w *stateWriter, lo, n int) {
	k.window.save(w)
	for _, c := range k.compressed() {
		c.save(w, lo, n)
	}
}

func (k *windowCache) load(r *stateReader, lo, n int) error {
	err := k.window.load(r, n)
	for _, c := range k.compressed() {
		if err == nil {
			err = c.load(r, lo, n)
		}
	}
	return err
}
