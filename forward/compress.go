// This file holds the compressor of V4, which turns every few tokens into one entry, for any cut of the
// text into steps. In order: the compressor, what it keeps of a sequence, how entries are made.
// Source: DeepSeek-V4 report, sections 2.3.1 and 2.3.2, equations 9-12 and 20-23.

package forward

import (
	"math"

	"github.com/haenyeo/haenyeo/kernel"
)

// compressor makes entry j of tokens [j·ratio,(j+1)·ratio):
//
//	a_t = wkv x_t    s_t = wgate x_t + ape[t mod ratio]
//	entry_j = sum_t softmax_t(s_t) ⊙ a_t, channel by channel
//
// With overlap a and s have two halves: the ratio tokens before the window take part with their first
// half, those of the window with their second. Then come RMSNorm, rotation of the last channels by the
// position of the first token, and rounding.
type compressor struct {
	ratio, dim int
	overlap    bool
	wkv, wgate *kernel.Stored // [W,D], W = dim, or 2·dim with overlap
	ape        []float32      // [ratio,W]
	norm       *norm
	rope       *rope
	round      func(entry []float32) // the publisher's rounding of an entry, nil: none
	form       kernel.Form           // of entries in the cache
	task       compressTask
}

// projected is the width of a and s.
func (c *compressor) projected() int {
	if c.overlap {
		return 2 * c.dim
	}
	return c.dim
}

// slots is how many rows an entry is made of.
func (c *compressor) slots() int {
	if c.overlap {
		return 2 * c.ratio
	}
	return c.ratio
}

// pending is how many of the last rows of n tokens still take part in entries to come.
func (c *compressor) pending(n int) int {
	if c.overlap {
		return min(n, n%c.ratio+c.ratio)
	}
	return n % c.ratio
}

// compressed is what a compressor keeps of a sequence.
type compressed struct {
	c    *compressor
	tail recent   // rows [a | s]
	rows rowCache // entries
}

func (c *compressor) newCache() *compressed {
	return &compressed{c: c, tail: newRecent(2*c.projected(), c.slots(), c.pending), rows: newRows(c.form, 1)}
}

func (k *compressed) reserve(tokens int) {
	k.tail.reserve(tokens)
	k.rows.reserve(tokens / k.c.ratio)
}

func (k *compressed) bytes(tokens int) int64 {
	return k.tail.bytes(tokens) + k.rows.bytes(tokens/k.c.ratio)
}

func (k *compressed) save(w *stateWriter, lo, n int) {
	k.rows.save(w, lo/k.c.ratio, n/k.c.ratio)
	k.tail.save(w)
}

func (k *compressed) load(r *stateReader, lo, n int) error {
	k.rows.load(r, lo/k.c.ratio, n/k.c.ratio)
	return k.tail.load(r, n)
}

// project computes rows [a | s] of the rows of a pass, in float32 as the publisher does.
//
//	as [n,2W] written   x [n,D] read
func (c *compressor) project(p *pass, as, x []float32) {
	w := c.projected()
	p.products = append(p.products[:0],
		kernel.StoredProduct{W: c.wkv, Y: as, LDY: 2 * w, X: x, LDX: c.wkv.K, Rows: p.n},
		kernel.StoredProduct{W: c.wgate, Y: as[w:], LDY: 2 * w, X: x, LDX: c.wgate.K, Rows: p.n})
	p.multiply(kernel.F32)
	p.spoil(as, 2*w)
	for r := range p.n {
		s, ape := as[(2*r+1)*w:][:w], c.ape[int(p.pos[r])%c.ratio*w:][:w]
		for i, v := range ape {
			s[i] += v
		}
	}
}

// push gives the rows of a span to its cache, which then has (start+rows)/ratio entries.
//
//	as [hi-lo,2W] read
func (c *compressor) push(p *pass, k *compressed, s span, as []float32) {
	rows := s.hi - s.lo
	first, end := s.start/c.ratio, (s.start+rows)/c.ratio
	if n := end - first; n > 0 {
		mark := p.mark()
		fresh := p.floats(n * c.dim)
		c.task = compressTask{c, &k.tail, s.start, first, as, fresh}
		p.e.Pool().Run(n, &c.task)
		c.task = compressTask{}
		c.norm.apply(p, fresh, fresh, n)
		pos := p.ints(n)
		for i := range pos {
			pos[i] = int32((first + i) * c.ratio)
		}
		c.rope.rotateAt(p, kernel.View{Data: fresh[c.dim-c.rope.width:], Row: c.dim, Head: c.dim}, 1, pos)
		if c.round != nil {
			for i := range n {
				c.round(fresh[i*c.dim:][:c.dim])
			}
		}
		k.rows.put(p, first, fresh)
		p.rewind(mark)
	}
	k.tail.add(as, rows)
}

// compressTask makes the entries of the windows that are closed by new rows.
type compressTask struct {
	c         *compressor
	tail      *recent
	start     int // position of the first new row
	first     int // window of the first new entry
	as, entry []float32
}

// row is the row [a | s] of position pos, new or old.
func (t *compressTask) row(pos int) []float32 {
	if pos < t.start {
		return t.tail.row(pos)
	}
	w := 2 * t.c.projected()
	return t.as[(pos-t.start)*w:][:w]
}

// compressBlock is how many channels of an entry are made at once.
const compressBlock = 64

// Do makes entry i. Sums run over the slots in order of position.
func (t *compressTask) Do(_, i int) {
	c := t.c
	end := (t.first + i + 1) * c.ratio
	begin := max(0, end-c.slots())
	var high, sum [compressBlock]float32
	for ch := 0; ch < c.dim; ch += compressBlock {
		y := t.entry[i*c.dim+ch:][:min(compressBlock, c.dim-ch)]
		for j := range y {
			y[j], sum[j], high[j] = 0, 0, float32(math.Inf(-1))
		}
		for pos := begin; pos < end; pos++ {
			_, s := t.slot(pos, end, ch, len(y))
			for j, v := range s {
				high[j] = max(high[j], v)
			}
		}
		for pos := begin; pos < end; pos++ {
			a, s := t.slot(pos, end, ch, len(y))
			for j, v := range s {
				e := float32(math.Exp(float64(v - high[j])))
				sum[j] += e
				y[j] += e * a[j]
			}
		}
		for j := range y {
			y[j] /= sum[j]
		}
	}
}

// slot is n channels of a and s from ch on, of the token at pos in the window that ends at end.
func (t *compressTask) slot(pos, end, ch, n int) (a, s []float32) {
	row := t.row(pos)
	if t.c.overlap && pos >= end-t.c.ratio {
		ch += t.c.dim
	}
	return row[ch:][:n], row[t.c.projected()+ch:][:n]
}
