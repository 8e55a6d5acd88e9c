// This file holds rowCache: what attention keeps of every token, in the type of Options.KV or in the publisher's
// form, in blocks that caches of the same beginning share. A block is copied when a cache writes to rows of it
// that another may read.

package forward

import (
	"fmt"

	"github.com/haenyeo/haenyeo/kernel"
	"github.com/haenyeo/haenyeo/quant"
)

// kvTypes are the types of keys and values.
var kvTypes = []quant.Type{quant.F32, quant.F16, quant.BF16, quant.Q8_0}

// checkKV refuses types that a cache cannot have.
func checkKV(t quant.Type) error {
	for _, known := range kvTypes {
		if t == known {
			return nil
		}
	}
	return fmt.Errorf("forward: keys and values cannot be kept as %v, must be one of %v", t, kvTypes)
}

// blockRows is how many rows a block has.
const blockRows = kernel.BlockRows

// rowCache holds rows of vectors.
type rowCache struct {
	kernel.Vectors
	frozen []int // of every block, rows that others may read, which are written no more
}

// newRows makes an empty cache of rows of heads vectors.
func newRows(f kernel.Form, heads int) rowCache {
	return rowCache{Vectors: kernel.Vectors{Form: f, Heads: heads}}
}

// rowForm is the form of vectors [W] of type t. The last tail numbers of a vector are those that 8 bits would harm.
func rowForm(t quant.Type, w, tail int) kernel.Form {
	if t != quant.Q8_0 {
		tail = 0
	}
	return kernel.Form{Type: t, Width: w, Tail: tail, TailType: quant.F16}
}

func (c *rowCache) bytes(rows int) int64 { return int64(rows) * int64(c.Heads*c.VectorBytes()) }

// reserve makes room for so many rows, keeping what is held.
func (c *rowCache) reserve(rows int) {
	for i := max(0, len(c.Blocks)-1); i*blockRows < rows; i++ {
		need := min(blockRows, rows-i*blockRows)
		switch {
		case i == len(c.Blocks):
			c.Blocks, c.frozen = append(c.Blocks, c.NewBlock(need, kernel.Block{})), append(c.frozen, 0)
		case c.Blocks[i].Rows < need:
			c.renew(i, need)
		}
	}
}

// renew copies block i to memory of its own, with room for so many rows.
func (c *rowCache) renew(i, rows int) {
	c.Blocks[i], c.frozen[i] = c.NewBlock(rows, c.Blocks[i]), 0
}

// put writes rows x from row start on, for which there must be room.
func (c *rowCache) put(p *pass, start int, x []float32) {
	n := len(x) / (c.Heads * c.Width)
	c.own(start, start+n)
	if err := p.e.PackVectors(&c.Vectors, start, x, n); err != nil {
		p.fail(err)
	}
}

// own makes sure that nobody else reads rows [lo,hi), which are about to be written.
func (c *rowCache) own(lo, hi int) {
	for i := lo / blockRows; i*blockRows < hi; i++ {
		if max(0, lo-i*blockRows) < c.frozen[i] {
			c.renew(i, c.Blocks[i].Rows)
		}
	}
}

// view is the rows as vectors of heads.
func (c *rowCache) view() kernel.View { return kernel.View{Vectors: &c.Vectors} }

// entries is the rows as entries that all heads share; who sees which is left open.
func (c *rowCache) entries() kernel.Entries { return kernel.Entries{Vectors: &c.Vectors} }

// unpackedRows is how many rows are decoded at once where they are multiplied by matrices.
const unpackedRows = 4096

// some returns rows of one vector [lo,hi), up to unpackedRows of them, as float32 in the arena, and their stride.
func (c *rowCache) some(p *pass, lo, hi int) (x []float32, ld int) {
	ld = c.Stride()
	x = p.floats((hi - lo) * ld)
	p.e.UnpackVectors(x, &c.Vectors, lo, hi-lo)
	return x, ld
}

// sharedRows is some rows of a part of a cache: the blocks that they lie in.
type sharedRows []kernel.Block

// share gives rows [lo,n) to a part of a cache.
func (c *rowCache) share(lo, n int) (s sharedRows) {
	for i := lo / blockRows; lo < n && i*blockRows < n; i++ {
		c.frozen[i] = max(c.frozen[i], min(blockRows, n-i*blockRows))
		s = append(s, c.Blocks[i])
	}
	return s
}

// take puts rows of a part behind row lo. The block that lo lies in comes along: the rows before are those of the
// same tokens.
func (c *rowCache) take(s sharedRows, lo int) {
	if len(s) == 0 {
		return
	}
	keep := lo / blockRows
	for len(c.Blocks) < keep { // where only the part is looked at
		c.Blocks, c.frozen = append(c.Blocks, kernel.Block{}), append(c.frozen, 0)
	}
	c.Blocks, c.frozen = append(c.Blocks[:keep:keep], s...), c.frozen[:keep]
	for range s {
		c.frozen = append(c.frozen, blockRows)
	}
}

func (c *rowCache) save(w *stateWriter, lo, n int) {
	if w.shared != nil {
		w.shared.rows = append(w.shared.rows, c.share(lo, n))
		w.shared.bytes += c.bytes(n - lo)
		return
	}
	if lo == n {
		return
	}
	if c.Blocks[lo/blockRows].Bytes == nil {
		for r := lo; r < n; r++ {
			for h := range c.Heads {
				w.floats(c.vector(r, h))
			}
		}
		return
	}
	for h := range c.Heads {
		for r := lo; r < n; {
			b, next := c.stretch(h, r, n)
			w.bytes(b)
			r = next
		}
	}
}

func (c *rowCache) load(r *stateReader, lo, n int) {
	if r.shared != nil {
		c.take(r.shared.rows[0], lo)
		r.shared.rows = r.shared.rows[1:]
		return
	}
	if lo == n {
		return
	}
	c.own(lo, n)
	if c.Blocks[lo/blockRows].Bytes == nil {
		for t := lo; t < n; t++ {
			for h := range c.Heads {
				r.floats(c.vector(t, h))
			}
		}
		return
	}
	for h := range c.Heads {
		for t := lo; t < n; {
			b, next := c.stretch(h, t, n)
			r.bytes(b)
			t = next
		}
	}
}

// vector is the numbers of head h of row r, where they are kept as they are.
func (c *rowCache) vector(r, h int) []float32 {
	b := &c.Blocks[r/blockRows]
	return b.Floats[(h*b.Rows+r%blockRows)*c.Width:][:c.Width]
}

// stretch is the bytes of head h of rows from lo on, up to n or the end of a block, and the row behind.
func (c *rowCache) stretch(h, lo, n int) (bytes []byte, next int) {
	b, size := &c.Blocks[lo/blockRows], c.VectorBytes()
	next = min(n, (lo/blockRows+1)*blockRows)
	at := h*b.Rows + lo%blockRows
	return b.Bytes[at*size : (at+next-lo)*size], next
}

// rows is x with room for n rows of width floats.
func rows(x []float32, n, width int) []float32 {
	y := make([]float32, n*width)
	copy(y, x)
	return y
}
