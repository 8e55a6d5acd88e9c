// This file holds DeepSeek sparse attention: latent attention in which every query sees only the tokens
// that a lightning indexer chooses. In order: the attention, attention over
// chosen tokens, the cache with the keys of the indexer.
// Source: DeepSeek-V3.2 report, section 2.1.

package forward

import (
	"math"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/quant"
)

// dsa is mla with an indexer. Queries that see no more tokens than the indexer would choose take the path
// of mla, bit for bit.
type dsa struct {
	*mla
	indexer *lightning
	wk      *kernel.Stored // [dim,D] keys of the indexer
	keyNorm layerNorm
	keyForm kernel.Form // of the cache of these keys
}

func (b *builder) dsa(layer int, main, index *rope) *dsa {
	c, at := b.cfg, layerPrefix(layer)+"self_attn.indexer."
	a := &dsa{mla: b.mla(layer, main)}
	a.indexer = &lightning{heads: c.IndexNHeads, dim: c.IndexHeadDim, topK: c.IndexTopK, rope: index,
		wq:      b.matrix(at+"wq_b.weight", c.IndexNHeads*c.IndexHeadDim, c.QLoraRank),
		weights: b.matrix(at+"weights_proj.weight", c.IndexNHeads, c.HiddenSize)}
	a.wk = b.matrix(at+"wk.weight", c.IndexHeadDim, c.HiddenSize)
	a.keyNorm = layerNorm{b.vector(at+"k_norm.weight", c.IndexHeadDim), b.vector(at+"k_norm.bias", c.IndexHeadDim)}
	a.keyForm = rowForm(a.kv, a.indexer.dim, 0)
	if b.net.opt.Rounding == Publisher {
		a.keyForm = kernel.Form{Codes: kernel.E4M3x128, Width: a.indexer.dim} // what is rounded has that many bits
		a.indexer.round = func(v []float32) {
			hadamard(v)
			quant.RoundFP8(v, len(v), true)
		}
	}
	return a
}

// attend writes the attention of x to what is chosen of its caches and of itself.
//
//	y [n,D] written   x [n,D] normalised input of the layer
func (a *dsa) attend(p *pass, i int, y, x []float32) {
	mark := p.mark()
	q, o := p.floats(p.n*a.heads*a.qk()), p.floats(p.n*a.out.K)
	latent := a.queries(p, q, x)
	a.keep(p, i, x)
	a.keepKeys(p, i, x)
	switch {
	case a.chooses(p):
		a.sparse(p, i, o, q, latent, x)
	case len(p.spans) == 1 && a.expands(&p.spans[0]):
		a.expanded(p, i, o, q)
	default:
		a.absorbed(p, i, o, q)
	}
	p.linear(y, a.out.N, a.out, o, a.out.K, false)
	p.rewind(mark)
}

// chooses says whether some row sees more tokens than it may attend to.
func (a *dsa) chooses(p *pass) bool {
	for _, s := range p.spans {
		if s.start+s.hi-s.lo > a.indexer.topK {
			return true
		}
	}
	return false
}

// sparse is absorbed over the tokens that the indexer chooses.
func (a *dsa) sparse(p *pass, i int, o, q, latent, x []float32) {
	mark := p.mark()
	h, w := a.heads, a.width()
	iq, iw := p.floats(p.n*a.indexer.heads*a.indexer.dim), p.floats(p.n*a.indexer.heads)
	a.indexer.queries(p, iq, iw, latent, x)
	absorbed, u := p.floats(p.n*h*w), p.floats(p.n*h*a.r)
	a.absorb(p, absorbed, q)
	for j := range p.spans {
		s := &p.spans[j]
		mark := p.mark()
		n := s.hi - s.lo
		visible := p.ints(n)
		for r := range visible {
			visible[r] = p.pos[s.lo+r] + 1
		}
		chosen := latentsOf(s, i).entries()
		chosen.Lo, chosen.Hi, chosen.List = p.ints(n), p.ints(n), p.ints(n*a.indexer.topK)
		a.indexer.choose(p, chosen.List, chosen.Lo, chosen.Hi, visible, iq, iw, &s.cache.layers[i].(*dsaCache).keys.Vectors, s.lo, s.hi)
		p.sets[0] = chosen
		p.shared = kernel.Shared{T: n, H: h, DK: w, DV: a.r, Scale: a.scale,
			Q: kernel.View{Data: absorbed[s.lo*h*w:], Row: h * w, Head: w}, O: kernel.View{Data: u[s.lo*h*a.r:], Row: h * a.r, Head: a.r},
			Sets: p.sets[:]}
		p.attendShared(&p.shared)
		p.rewind(mark)
	}
	a.values(p, o, u)
	p.rewind(mark)
}

// layerNorm is LayerNorm with weight and bias. Its eps is that of the publisher's code.
type layerNorm struct{ w, b []float32 }

const layerNormEps = 1e-6

func (m layerNorm) apply(x []float32) {
	var mean, square float64
	for _, v := range x {
		mean += float64(v)
	}
	mean /= float64(len(x))
	for _, v := range x {
		square += (float64(v) - mean) * (float64(v) - mean)
	}
	f := 1 / math.Sqrt(square/float64(len(x))+layerNormEps)
	for i, v := range x {
		x[i] = float32((float64(v)-mean)*f)*m.w[i] + m.b[i]
	}
}

// dsaCache holds, besides the rows of mla, the indexer's keys [tokens,dim].
type dsaCache struct {
	mlaCache
	keys rowCache
}

func (a *dsa) newCache() layerCache {
	return &dsaCache{mlaCache{a.newLatents()}, newRows(a.keyForm, 1)}
}

func (c *dsaCache) reserve(tokens int)     { c.mlaCache.reserve(tokens); c.keys.reserve(tokens) }
func (c *dsaCache) bytes(tokens int) int64 { return c.mlaCache.bytes(tokens) + c.keys.bytes(tokens) }

func (c *dsaCache) save(w *stateWriter, lo, n int) {
	c.mlaCache.save(w, lo, n)
	c.keys.save(w, lo, n)
}

func (c *dsaCache) load(r *stateReader, lo, n int) error {
	if err := c.mlaCache.load(r, lo, n); err != nil {
		return err
	}
	c.keys.load(r, lo, n)
	return nil
}

// keepKeys adds the indexer's keys of the rows of p to the caches.
func (a *dsa) keepKeys(p *pass, i int, x []float32) {
	mark, was := p.mark(), p.enter(Indexing)
	d := a.indexer.dim
	k := p.floats(p.n * d)
	p.linear(k, d, a.wk, x, a.wk.K, false)
	p.spoil(k, d)
	for r := range p.n {
		a.keyNorm.apply(k[r*d:][:d])
	}
	a.indexer.rope.rotate(p, kernel.View{Data: k, Row: d, Head: d}, 1, false)
	a.indexer.roundRows(p, k, p.n)
	for _, s := range p.spans {
		s.cache.layers[i].(*dsaCache).keys.put(p, s.start, k[s.lo*d:s.hi*d])
	}
	p.enter(was)
	p.rewind(mark)
}
