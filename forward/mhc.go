// This file holds the residual streams of V4: manifold-constrained hyper-connections, which mix several
// copies of the stream before and after every sublayer, and the mix at the head.
// Sources: Xie et al. 2026 (mHC); DeepSeek-V4 report, section 2.2.

package forward

import (
	"math"

	"github.com/haenyeo/haenyeo/kernel"
)

// hyper mixes S streams X [S,D] of every token around a sublayer f:
//
//	mix = fn · RMSNorm(flatten X)                     [S + S + S²], or [S] at the head
//	pre = σ(mix·scale_0 + base) + eps                 [S]
//	post = 2σ(mix·scale_1 + base)                     [S]
//	C = sinkhorn(mix·scale_2 + base)                  [S,S]
//	u = sum_j pre_j X_j      X'_k = post_k f(u) + sum_j C[j,k] X_j
type hyper struct {
	streams, d  int
	iterations  int
	eps         float32
	norm        *norm          // over S·D channels, weight 1: the learned one is part of fn
	fn          *kernel.Stored // [S(2+S),S·D], or [S,S·D] at the head
	base, scale []float32
	task        hyperTask
}

// weights of n tokens, as the sums over streams need them: sources are rows of [n·S,D].
type mixing struct {
	pre, post, comb []float32 // [n,S], [n,S], [n,S,S] with comb[t,k,j] = C[j,k]
	preRow, postRow []int32   // rows of X for pre [n,S]; rows of f for post [n,S]
	combRow         []int32   // rows of X for comb [n,S,S]
}

// mixing computes the weights of rows tokens with streams x [rows,S,D].
func (h *hyper) mixing(p *pass, x []float32, rows int) (m mixing) {
	s := h.streams
	m = mixing{pre: p.floats(rows * s), preRow: p.ints(rows * s)}
	if h.fn.N > s {
		m.post, m.comb = p.floats(rows*s), p.floats(rows*s*s)
		m.postRow, m.combRow = p.ints(rows*s), p.ints(rows*s*s)
	}
	mark := p.mark()
	normed, mix := p.floats(rows*s*h.d), p.floats(rows*h.fn.N)
	h.norm.apply(p, normed, x, rows)
	p.products = append(p.products[:0], kernel.StoredProduct{W: h.fn, Y: mix, LDY: h.fn.N, X: normed, LDX: s * h.d, Rows: rows})
	p.multiply(kernel.F32)
	h.task = hyperTask{h, mix, m, rows}
	p.e.Pool().Run((rows+rowChunk-1)/rowChunk, &h.task)
	h.task = hyperTask{}
	p.rewind(mark)
	return m
}

type hyperTask struct {
	h    *hyper
	mix  []float32
	m    mixing
	rows int
}

// Do handles one chunk of tokens.
func (t *hyperTask) Do(_, i int) {
	for r := i * rowChunk; r < min((i+1)*rowChunk, t.rows); r++ {
		t.token(r)
	}
}

func (t *hyperTask) token(r int) {
	h, s := t.h, t.h.streams
	mix := t.mix[r*h.fn.N:][:h.fn.N]
	bad := taint(mix) // a sigmoid would make a number of what is not finite
	for j := range s {
		t.m.pre[r*s+j] = sigmoid(mix[j]*h.scale[0]+h.base[j]) + h.eps + bad
		t.m.preRow[r*s+j] = int32(r*s + j)
	}
	if h.fn.N == s {
		return
	}
	for j := range s {
		t.m.post[r*s+j] = 2 * sigmoid(mix[s+j]*h.scale[1]+h.base[s+j])
		t.m.postRow[r*s+j] = int32(r)
	}
	// C[j,k] is kept at comb[k,j], where the sum over j wants it.
	c, row := t.m.comb[r*s*s:][:s*s], t.m.combRow[r*s*s:][:s*s]
	for j := range s {
		for k := range s {
			at := 2*s + j*s + k
			c[k*s+j] = mix[at]*h.scale[2] + h.base[at]
			row[k*s+j] = int32(r*s + j)
		}
	}
	sinkhorn(c, s, h.iterations, h.eps)
}

// sinkhorn makes C [s,s], kept transposed in c, nearly doubly stochastic: a softmax of every row, then
// columns and rows are divided by their sums in turn, columns last.
func sinkhorn(c []float32, s, iterations int, eps float32) {
	for j := range s {
		high, sum := float32(math.Inf(-1)), float32(0)
		for k := range s {
			high = max(high, c[k*s+j])
		}
		for k := range s {
			e := float32(math.Exp(float64(c[k*s+j] - high)))
			c[k*s+j] = e
			sum += e
		}
		for k := range s {
			c[k*s+j] = c[k*s+j]/sum + eps
		}
	}
	normalise(c, s, 1, s, eps)
	for range iterations - 1 {
		normalise(c, 1, s, s, eps)
		normalise(c, s, 1, s, eps)
	}
}

// normalise divides s groups of s elements by their sums plus eps; group is the step from group to group,
// step that inside one.
func normalise(c []float32, group, step, s int, eps float32) {
	for g := range s {
		var sum float32
		for i := range s {
			sum += c[g*group+i*step]
		}
		for i := range s {
			c[g*group+i*step] /= sum + eps
		}
	}
}

func sigmoid(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }

// gather writes u [rows,D].
func (h *hyper) gather(p *pass, u, x []float32, m mixing, rows int) {
	p.e.Combine(u, x, m.preRow, m.pre, rows, h.streams, h.d, false)
}

// scatter replaces the streams x [rows,S,D] by X'.
func (h *hyper) scatter(p *pass, x, f []float32, m mixing, rows int) {
	s := h.streams
	mark := p.mark()
	y := p.floats(rows * s * h.d)
	p.e.Combine(y, x, m.combRow, m.comb, rows*s, s, h.d, false)
	p.e.Combine(y, f, m.postRow, m.post, rows*s, 1, h.d, true)
	copy(x, y)
	p.rewind(mark)
}

// hyperBlock is the layer of V4: block with hyper-connections around both halves.
type hyperBlock struct {
	hyper1, hyper2 *hyper
	norm1, norm2   *norm
	attention      attention
	mlp            feedForward
}

func (b *hyperBlock) forward(p *pass, i int) {
	d := b.norm1.n
	mark := p.mark()
	x, y := p.floats(p.n*d), p.floats(p.n*d)
	m := b.hyper1.mixing(p, p.stream, p.n)
	b.hyper1.gather(p, x, p.stream, m, p.n)
	b.norm1.apply(p, x, x, p.n)
	p.enter(Projection)
	b.attention.attend(p, i, y, x)
	p.enter(Small)
	b.hyper1.scatter(p, p.stream, y, m, p.n)
	m = b.hyper2.mixing(p, p.stream, p.n)
	b.hyper2.gather(p, x, p.stream, m, p.n)
	b.norm2.apply(p, x, x, p.n)
	b.mlp.feed(p, y, x)
	p.enter(Small)
	b.hyper2.scatter(p, p.stream, y, m, p.n)
	p.rewind(mark)
}

func (b *hyperBlock) newCache() layerCache { return b.attention.newCache() }

// hyperOutput mixes the streams into one and applies the final norm.
type hyperOutput struct {
	hyper *hyper
	norm  *norm
}

func (o hyperOutput) finish(p *pass, y []float32, lo, hi int) {
	mark := p.mark()
	width := o.hyper.streams * o.hyper.d
	x := p.stream[lo*width : hi*width]
	o.hyper.gather(p, y, x, o.hyper.mixing(p, x, hi-lo), hi-lo)
	o.norm.apply(p, y, y, hi-lo)
	p.rewind(mark)
}
